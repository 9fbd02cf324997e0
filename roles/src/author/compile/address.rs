//! Where a master answers, taken apart as its client does (RFC 3986, 3): what is one address in two spellings, and who hears what is sent there.

use std::net::{IpAddr, Ipv4Addr};

/// A URL's parts, each in one spelling. Two that are equal lead to one server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Address {
    /// `http`, `https`.
    pub scheme: String,
    /// A name, or an address without brackets.
    pub host: String,
    port: String,
    path: String,
}

impl Address {
    /// Takes a URL apart; none where it has no scheme.
    pub fn of(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        let (host, port) = match authority.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':').unwrap_or(port)),
            None => authority.split_once(':').unwrap_or((authority, "")),
        };
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let port = match (port, scheme.as_str()) {
            ("", "http") => "80",
            ("", "https") => "443",
            (port, _) => port,
        };
        Some(Self {
            host: host.parse::<IpAddr>().map_or(host, |address| address.to_string()),
            port: port.to_owned(),
            path: path.trim_end_matches('/').to_owned(),
            scheme,
        })
    }

    /// Whether nothing that is sent there leaves this machine (RFC 1122, 3.2.1.3). A name below `localhost` may be asked of any resolver.
    pub fn is_this_machine(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// The host, where it is an IPv4 address.
    pub fn ipv4(&self) -> Option<Ipv4Addr> {
        self.host.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_in_two_spellings_is_one() {
        let pairs = [
            ("https://ci", "HTTPS://CI.:443/", true),
            ("http://ci:80/jenkins", "http://ci/jenkins//", true),
            ("http://[2001:DB8:0::1]:8010/", "http://[2001:db8::1]:8010", true),
            ("https://ci/", "http://ci/", false),
            ("https://ci/", "https://ci:8443/", false),
            ("https://ci/jenkins", "https://ci/Jenkins", false),
        ];
        for (one, other, same) in pairs {
            assert_eq!(Address::of(one) == Address::of(other), same, "{one} and {other}");
        }
        assert_eq!(Address::of("ci.example.org"), None);
    }

    #[test]
    fn what_only_looks_like_this_machine_is_elsewhere() {
        for (url, here) in [
            ("HTTP://LocalHost:8010/", true),
            ("http://127.0.1.1/", true),
            ("http://[::1]:8010/", true),
            ("http://localhost.example.org/", false),
            ("http://ci.localhost/", false),
            ("http://127.example.org/", false),
            ("http://[::2]/", false),
        ] {
            assert_eq!(Address::of(url).unwrap().is_this_machine(), here, "{url}");
        }
    }
}
