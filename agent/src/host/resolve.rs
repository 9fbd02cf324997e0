//! Names to addresses. Never through libc: getaddrinfo(3) of a static program dies of some nodes' modules.

use super::child::Program;
use super::{Operation, OsError};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// The longest that one of several addresses is tried.
const ADDRESS: Duration = Duration::from_secs(5);

/// The addresses of a name, or of a literal; at least one.
///
/// # Errors
/// When there is none, or the resolver does not answer in time.
pub fn resolve(name: &str, deadline: Instant) -> Result<Vec<IpAddr>, OsError> {
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(vec![address]);
    }
    let finished = Program::new(["getent", "--", "ahosts", name]).run_to_end(deadline)?;
    let addresses = parse(&String::from_utf8_lossy(finished.said()?));
    if !addresses.is_empty() {
        return Ok(addresses);
    }
    let why = match finished.exit_code() {
        Some(2) => "no such name".to_owned(),
        _ => format!("getent: {}", finished.status),
    };
    Err(OsError::new(Operation::Resolve, name, io::Error::new(io::ErrorKind::NotFound, why)))
}

/// Lines of `getent ahosts`: an address, a socket type, the name.
fn parse(text: &str) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for address in text.lines().filter_map(|line| line.split_whitespace().next()?.parse::<IpAddr>().ok()) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

/// A TCP connection to the first of a name's addresses that takes one.
///
/// # Errors
/// What each address said.
pub fn connect(name: &str, port: u16, deadline: Instant) -> Result<TcpStream, OsError> {
    let mut said = Vec::new();
    for address in resolve(name, deadline)? {
        let left = deadline.saturating_duration_since(Instant::now()).min(ADDRESS);
        if left.is_zero() {
            said.push("no time is left".to_owned());
            break;
        }
        match TcpStream::connect_timeout(&SocketAddr::new(address, port), left) {
            Ok(stream) => return Ok(stream),
            Err(error) => said.push(format!("{address}: {error}")),
        }
    }
    Err(OsError::new(Operation::Connect, format_args!("{name}:{port}"), io::Error::other(said.join("; "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_need_no_child_and_names_come_from_getent() {
        let soon = Instant::now() + Duration::from_secs(10);
        assert_eq!(resolve("10.78.0.1", Instant::now()).unwrap(), ["10.78.0.1".parse::<IpAddr>().unwrap()]);
        assert_eq!(resolve("[::1]", Instant::now()).unwrap(), ["::1".parse::<IpAddr>().unwrap()]);
        assert!(resolve("localhost", soon).unwrap().iter().all(IpAddr::is_loopback));
        let error = resolve("no-such-name.invalid", soon).unwrap_err();
        assert_eq!(error.operation, Operation::Resolve);
    }

    #[test]
    fn each_address_comes_once() {
        let text = "10.0.0.1  STREAM host\n10.0.0.1  DGRAM  \n10.0.0.1  RAW    \nfd00::1   STREAM \njunk\n";
        assert_eq!(parse(text).iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.1", "fd00::1"]);
    }

    #[test]
    fn a_closed_port_says_which_address_refused() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        connect("127.0.0.1", port, Instant::now() + Duration::from_secs(5)).unwrap();
        drop(listener);
        let error = connect("127.0.0.1", port, Instant::now() + Duration::from_secs(5)).unwrap_err();
        assert_eq!(error.source.to_string(), "127.0.0.1: Connection refused (os error 111)");
    }
}
