//! `ProxyJump` as written: `[user@]host[:port]`, `ssh://…`, several with commas. Pure.

use super::settings::{HostSettings, Jump, Target};

/// A jump that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not [user@]host[:port]")]
pub struct BadJump(pub String);

/// Reads a chain; the first is reached first. Returns the last hop, which holds the way to itself.
///
/// # Errors
/// A hop that is not `[user@]host[:port]`.
pub fn parse_chain(text: &str) -> Result<Option<Target>, BadJump> {
    let mut last: Option<Target> = None;
    for hop in text.split(',') {
        let mut target = parse_hop(hop.trim())?;
        if let Some(before) = last.take() {
            target.settings.jump = Jump::Via(Box::new(before));
        }
        last = Some(target);
    }
    Ok(last)
}

fn parse_hop(text: &str) -> Result<Target, BadJump> {
    let bad = || BadJump(text.to_owned());
    let rest = text.strip_prefix("ssh://").map_or(text, |uri| uri.trim_end_matches('/'));
    let (user, place) = match rest.rsplit_once('@') {
        Some((user, place)) => (Some(user.to_owned()).filter(|user| !user.is_empty()), place),
        None => (None, rest),
    };
    let (host, port) = if let Some(bracketed) = place.strip_prefix('[') {
        let (host, after) = bracketed.split_once(']').ok_or_else(bad)?;
        (host, after.strip_prefix(':'))
    } else {
        match place.split_once(':') {
            Some((_, port)) if port.contains(':') => (place, None),
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        }
    };
    let port = port.map(str::parse).transpose().map_err(|_| bad())?;
    if host.is_empty() || host.starts_with('-') || host.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(bad());
    }
    Ok(Target { host: host.to_owned(), settings: HostSettings { user, port, ..HostSettings::default() } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_reached_from_its_first_hop() {
        let last = parse_chain("ann@a:2201,ssh://b:22/,[fe80::1]:23").unwrap().unwrap();
        assert_eq!((last.host.as_str(), last.settings.port), ("fe80::1", Some(23)));
        let Jump::Via(middle) = last.settings.jump else { panic!("no way to the last hop") };
        assert_eq!((middle.host.as_str(), middle.settings.port), ("b", Some(22)));
        let Jump::Via(first) = middle.settings.jump else { panic!("no way to the middle hop") };
        assert_eq!((first.host.as_str(), first.settings.user.as_deref(), first.settings.port), ("a", Some("ann"), Some(2201)));
        assert_eq!(first.settings.jump, Jump::AsConfigured);
    }

    #[test]
    fn a_bare_ipv6_address_has_no_port() {
        assert_eq!(parse_chain("2001:db8::1").unwrap().unwrap(), Target::new("2001:db8::1"));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in ["", "a:port", "-oProxyCommand=x", "a b", "[::1", "a,,b"] {
            assert!(parse_chain(text).is_err(), "{text}");
        }
    }
}
