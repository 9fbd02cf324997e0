//! The network of a root tree: nothing but its own loopback, where everything that is sent outside arrives at two sockets.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};

use super::super::error::ImageError;
use super::super::tools;

/// Where the tree's connections and its questions for names arrive.
#[derive(Debug)]
pub(super) struct Doors {
    pub(super) connections: TcpListener,
    pub(super) names: UdpSocket,
}

/// Makes the sockets and leads everything there. Every address is this namespace's own (`local default`): whatever else is sent is refused at
/// once. It is sent from the loopback's address, or answers to datagrams would seem to come from there, and not from whom they were asked.
pub(super) fn build() -> Result<Doors, ImageError> {
    let listen = "listen in the root tree's network";
    let connections = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(ImageError::system(listen))?;
    let names = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(ImageError::system(listen))?;
    let tcp = connections.local_addr().map_err(ImageError::system(listen))?.port();
    let udp = names.local_addr().map_err(ImageError::system(listen))?.port();
    // Whatever server is asked for a name, ours on loopback among them: that is the one a resolver takes that is told none (resolv.conf(5)), and so
    // the tree needs no file.
    let rules = format!(
        "table ip ostler {{\nchain out {{\ntype nat hook output priority -100\nudp dport 53 redirect to :{udp}\n\
         tcp dport 53 redirect to :{tcp}\nip daddr 127.0.0.0/8 return\nmeta l4proto tcp redirect to :{tcp}\n}}\n}}\n"
    );
    // An address that nobody has (RFC 5737) beside loopback: else the C library takes it that there is no IPv4 (AI_ADDRCONFIG, getaddrinfo(3)).
    let way = b"link set lo up\naddr add 192.0.2.1/32 dev lo\nroute add local default dev lo src 127.0.0.1\n";
    tools::feed(tools::program("ip", "iproute2")?.args(["-batch", "-"]), way)?;
    tools::feed(tools::program("nft", "nftables")?.args(["-f", "-"]), rules.as_bytes())?;
    Ok(Doors { connections, names })
}
