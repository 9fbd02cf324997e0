use super::*;
use std::os::unix::net::UnixListener;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

/// A peer that takes anyone in and answers the first call with these bytes.
fn peer(answer: impl FnOnce(u32) -> Vec<u8> + Send + 'static) -> (tempfile::TempDir, std::path::PathBuf, std::thread::JoinHandle<Vec<u8>>) {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut got = Vec::new();
        let mut byte = [0u8; 1];
        while !got.ends_with(b"BEGIN\r\n") {
            stream.read_exact(&mut byte).unwrap();
            got.push(byte[0]);
        }
        stream.write_all(b"OK 0123456789abcdef\r\n").unwrap();
        let mut call = Vec::new();
        let mut block = [0u8; 4096];
        let count = stream.read(&mut block).unwrap();
        call.extend_from_slice(&block[..count]);
        let serial = u32::from_le_bytes(call[8..12].try_into().unwrap());
        // In two parts, cut in the header: the reader must ask for more.
        let bytes = answer(serial);
        let cut = bytes.len().min(19);
        stream.write_all(&bytes[..cut]).unwrap();
        stream.write_all(&bytes[cut..]).unwrap();
        call
    });
    (directory, socket, served)
}

/// An answer as a daemon writes it.
fn answer(kind: u8, to: u32, error: Option<&str>, body: &[u8]) -> Vec<u8> {
    let mut message = wire::Writer::default();
    [b'l', kind, 1, 1].into_iter().for_each(|byte| message.byte(byte));
    message.number(body.len() as u32);
    message.number(77);
    message.array(8, |header| {
        header.align(8);
        header.byte(5);
        header.signature("u");
        header.number(to);
        if let Some(name) = error {
            header.align(8);
            header.byte(4);
            header.signature("s");
            header.text(name);
        }
    });
    message.align(8);
    message.0.extend_from_slice(body);
    message.0
}

const CALL: Call<'_> = Call {
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
    member: "ListUnitsByNames",
    arguments: &[Value::Texts(&["ssh.service", "x.service"])],
};

#[test]
fn a_call_is_answered_across_signals_and_split_reads() {
    let (_directory, socket, served) = peer(|serial| {
        let mut body = wire::Writer::default();
        body.text("hello");
        let mut bytes = answer(4, 0, None, b"");
        bytes.extend(answer(2, serial + 9, None, b""));
        bytes.extend(answer(2, serial, None, &body.0));
        bytes
    });
    let mut connection = Connection::open(&socket, false).unwrap();
    let reply = connection.call(&CALL, soon()).unwrap();
    assert_eq!(reply.reader().text(), Some("hello"));
    let call = served.join().unwrap();
    let text = String::from_utf8_lossy(&call);
    assert!(text.contains("ListUnitsByNames") && text.contains("org.freedesktop.systemd1"), "{text}");
    assert!(call.ends_with(b"x.service\0"));
}

#[test]
fn a_listener_that_takes_nobody_in_is_waited_for_no_longer_than_said() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socket");
    let listener = net::socket(net::AddressFamily::UNIX, net::SocketType::STREAM, None).unwrap();
    net::bind(&listener, &net::SocketAddrUnix::new(&socket).unwrap()).unwrap();
    net::listen(&listener, 0).unwrap();
    let patience = Duration::from_millis(100);
    // The queue of one is full, and nobody will ever take the next in.
    let _first = connect(&socket, patience).unwrap();
    let began = Instant::now();
    let late = connect(&socket, patience).unwrap_err();
    assert_eq!(late.kind(), io::ErrorKind::TimedOut);
    assert!((patience..Duration::from_secs(5)).contains(&began.elapsed()), "{:?}", began.elapsed());
}

#[test]
fn a_call_that_was_sent_may_have_been_carried_out_and_one_that_was_not_was_not() {
    let (_directory, socket, served) = peer(|_| Vec::new());
    let mut connection = Connection::open(&socket, false).unwrap();
    let lost = connection.call(&CALL, soon()).unwrap_err();
    assert!(matches!(lost, CallError::Lost(_)), "{lost:?}");
    served.join().unwrap();
    let unasked = connection.call(&CALL, soon()).unwrap_err();
    assert!(matches!(unasked, CallError::Unasked(_)), "{unasked:?}");
}

#[test]
fn a_refusal_has_its_name_and_text() {
    let (_directory, socket, _served) = peer(|serial| {
        let mut body = wire::Writer::default();
        body.text("Unit x.service not found.");
        answer(3, serial, Some("org.freedesktop.systemd1.NoSuchUnit"), &body.0)
    });
    let refused = Connection::open(&socket, false).unwrap().call(&CALL, soon()).unwrap_err();
    assert_eq!(refused.to_string(), "org.freedesktop.systemd1.NoSuchUnit: Unit x.service not found.");
}

#[test]
fn garbage_and_silence_are_errors_and_no_panic() {
    let (_directory, socket, _served) = peer(|_| vec![0xff; 64]);
    let lost = Connection::open(&socket, false).unwrap().call(&CALL, soon()).unwrap_err();
    assert!(matches!(lost, CallError::Lost(_)), "{lost:?}");
    let (_directory, socket, _served) = peer(|serial| answer(2, serial, None, b"")[..10].to_vec());
    let lost = Connection::open(&socket, false).unwrap().call(&CALL, soon()).unwrap_err();
    assert!(matches!(lost, CallError::Lost(error) if error.source.kind() == io::ErrorKind::UnexpectedEof));
    assert!(Connection::open(Path::new("/no/such/socket"), true).is_err());
}

#[test]
fn what_is_written_aligns_as_the_specification_says() {
    // An array of strings: length, then each string with its own length, aligned to 4.
    let mut writer = wire::Writer::default();
    Value::Texts(&["a", "bc"]).put(&mut writer);
    assert_eq!(writer.0, [15, 0, 0, 0, 1, 0, 0, 0, b'a', 0, 0, 0, 2, 0, 0, 0, b'b', b'c', 0]);
}

#[test]
fn properties_align_as_the_specification_says() {
    let mut writer = wire::Writer::default();
    Value::Properties(&[("T", Property::Text("x")), ("E", Property::Command(&["/b", "c"]))]).put(&mut writer);
    Value::NoUnits.put(&mut writer);
    #[rustfmt::skip]
    let expected: &[u8] = &[
        // The array's length, and its padding to 8.
        80, 0, 0, 0, 0, 0, 0, 0,
        // (s "T", v s "x")
        1, 0, 0, 0, b'T', 0, 1, b's', 0, 0, 0, 0, 1, 0, 0, 0, b'x', 0, 0, 0, 0, 0, 0, 0,
        // (s "E", v a(sasb) ...: its length, padding to 8, path
        1, 0, 0, 0, b'E', 0, 7, b'a', b'(', b's', b'a', b's', b'b', b')', 0, 0,
        32, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, b'/', b'b', 0, 0,
        // its words, and the flag
        14, 0, 0, 0, 2, 0, 0, 0, b'/', b'b', 0, 0, 1, 0, 0, 0, b'c', 0, 0, 0, 0, 0, 0, 0,
        // no units, padded to 8
        0, 0, 0, 0, 0, 0, 0, 0,
    ];
    assert_eq!(writer.0, expected);
}
