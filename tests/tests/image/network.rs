//! The network of a root tree: what leads outside, and what does not.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use super::ground::{Stage, own_address, ran, said};

/// Serves this many bytes to everyone who connects; returns where.
fn server(at: IpAddr, bytes: usize) -> SocketAddr {
    let listener = TcpListener::bind((at, 0)).expect("bound");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let (mut stream, mut asked) = (stream, [0; 4]);
                // A client that goes early is the test's affair.
                let _ = stream.read_exact(&mut asked).and_then(|()| stream.write_all(&vec![b'x'; bytes]));
            });
        }
    });
    address
}

/// A script that asks a server and counts what comes.
fn ask(address: SocketAddr) -> String {
    format!("exec 3<>/dev/tcp/{}/{} && printf give >&3 && wc -c <&3", address.ip(), address.port())
}

#[test]
fn loopback_of_the_machine_is_not_reached_and_its_other_addresses_are() {
    let (inner, outer) = (server("127.0.0.1".parse().expect("an address"), 10), server(own_address(), 100_000));
    let all = server("0.0.0.0".parse().expect("an address"), 10);
    let stage = Stage::new();
    let root = stage.enter();
    assert_eq!(said(&root, &ask(outer)), "100000");
    assert_eq!(root.fetched(), 100_000, "every byte is counted, and no other");
    for address in [inner, SocketAddr::new(inner.ip(), all.port()), SocketAddr::new("127.1.2.3".parse().expect("one"), all.port()), all] {
        assert!(!ran(&root, &ask(address)).status.success(), "{address}");
    }
    assert_eq!(root.fetched(), 100_000);
    // Its own loopback is there.
    let own = "perl -MSocket -e 'socket(S,PF_INET,SOCK_STREAM,0); bind(S,pack_sockaddr_in(8080,INADDR_LOOPBACK)) or die; listen(S,1) or die; \
               socket(C,PF_INET,SOCK_STREAM,0); connect(C,pack_sockaddr_in(8080,INADDR_LOOPBACK)) or die; print \"reached\"'";
    assert_eq!(said(&root, own), "reached");
    root.leave().expect("left");
}

#[test]
fn many_connections_at_once_come_through_and_all_are_cut_when_the_root_is_left() {
    let (outer, silent) = (server(own_address(), 50_000), TcpListener::bind((own_address(), 0)).expect("bound"));
    let stage = Stage::new();
    let root = stage.enter();
    let script = format!("for i in $(seq 100); do ( {} ) & done; wait", ask(outer));
    assert_eq!(said(&root, &script).lines().filter(|line| *line == "50000").count(), 100);
    assert_eq!(root.fetched(), 5_000_000);
    let address = silent.local_addr().expect("bound");
    said(&root, &format!("(exec 3<>/dev/tcp/{}/{}; setsid sleep 1000) >/dev/null 2>&1 &", address.ip(), address.port()));
    let (mut held, _) = silent.accept().expect("it connects");
    let begin = Instant::now();
    root.leave().expect("left");
    held.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
    // Its end, whichever: nothing holds it any more.
    assert!(!matches!(held.read(&mut [0; 1]), Ok(1..)));
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}

#[test]
fn names_are_resolved_by_this_machine_whatever_the_tree_says() {
    let stage = Stage::new();
    let root = stage.enter();
    assert_eq!(said(&root, "getent ahostsv4 localhost | head -n 1 | cut -d ' ' -f 1"), "127.0.0.1");
    for resolver in ["127.0.0.53", "203.0.113.77", "127.0.0.1"] {
        let script = format!("echo nameserver {resolver} >/etc/resolv.conf; getent ahostsv4 localhost | head -n 1 | cut -d ' ' -f 1");
        assert_eq!(said(&root, &script), "127.0.0.1", "{resolver}");
    }
    // An answer that says there is none: from a server, in time.
    let begin = Instant::now();
    assert_eq!(ran(&root, "getent hosts no-such-name.invalid").status.code(), Some(2));
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
    assert!(root.fetched() > 0);
    // What is no connection and no name goes nowhere, and that is said at once.
    let begin = Instant::now();
    said(
        &root,
        "perl -MSocket -e 'socket(S,PF_INET,SOCK_DGRAM,0); connect(S,pack_sockaddr_in(123,inet_aton(\"203.0.113.9\"))); send(S,\"x\",0); \
                 recv(S,my $b,9,0); $!{ECONNREFUSED} or die \"$!\"'",
    );
    assert!(begin.elapsed() < Duration::from_secs(10));
    root.leave().expect("left");
}
