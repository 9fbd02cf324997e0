//! The machine that builds: what of it an image must not have.

use std::fs;
use std::path::Path;

/// Facts of the builder that find their way into trees.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Builder {
    /// Its name.
    pub hostname: String,
    /// Its `/etc/hosts`.
    pub hosts: Vec<u8>,
    /// Its name servers.
    pub resolvers: Vec<String>,
    /// The proxies of its apt.
    pub proxies: Vec<String>,
}

impl Builder {
    /// Reads this machine.
    #[must_use]
    pub fn of_this_machine() -> Self {
        let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let resolver = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        let mut proxies = apt_proxies(&fs::read_to_string("/etc/apt/apt.conf").unwrap_or_default());
        for entry in fs::read_dir("/etc/apt/apt.conf.d").into_iter().flatten().filter_map(Result::ok) {
            proxies.extend(apt_proxies(&fs::read_to_string(entry.path()).unwrap_or_default()));
        }
        Self { hostname, hosts: fs::read(Path::new("/etc/hosts")).unwrap_or_default(), resolvers: name_servers(&resolver), proxies }
    }

    /// Whether an `/etc/hosts` is this machine's, or names it.
    pub(super) fn owns_hosts(&self, hosts: &[u8]) -> bool {
        if !self.hosts.is_empty() && hosts == self.hosts {
            return true;
        }
        let text = String::from_utf8_lossy(hosts);
        let names = text.lines().map(|line| line.split('#').next().unwrap_or_default()).flat_map(|line| line.split_whitespace().skip(1));
        !self.hostname.is_empty() && self.hostname != "localhost" && names.into_iter().any(|name| name == self.hostname)
    }

    /// Whether a `resolv.conf` asks whom this machine asks.
    pub(super) fn owns_resolver(&self, resolver: &[u8]) -> bool {
        name_servers(&String::from_utf8_lossy(resolver)).iter().any(|server| self.resolvers.contains(server))
    }

    /// Whether a configuration of apt's goes by way of this machine's proxy.
    pub(super) fn owns_apt(&self, configuration: &[u8]) -> bool {
        apt_proxies(&String::from_utf8_lossy(configuration)).iter().any(|proxy| self.proxies.contains(proxy))
    }
}

fn name_servers(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| line.trim().strip_prefix("nameserver")?.split_whitespace().next().map(str::to_owned)).collect()
}

/// Values of `Acquire::SCHEME::Proxy "…";`, in whichever of apt.conf(5)'s forms they stand on one line.
fn apt_proxies(text: &str) -> Vec<String> {
    let value = |line: &str| {
        let line = line.trim();
        let at = line.to_ascii_lowercase().find("proxy")?;
        let quoted = line[at..].split('"').nth(1)?;
        Some(quoted.to_owned()).filter(|value| !value.is_empty() && value != "DIRECT" && !line.starts_with(['#', '/']))
    };
    text.lines().filter_map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_builders_is_told_from_what_a_role_wrote() {
        let builder = Builder {
            hostname: "builder".into(),
            hosts: b"127.0.0.1 localhost\n".to_vec(),
            resolvers: name_servers("# x\nnameserver 192.0.2.1\n nameserver\t192.0.2.2 \nsearch example.org\n"),
            proxies: apt_proxies(
                "Acquire::http::Proxy \"http://192.0.2.9:3142\";\n# Acquire::http::Proxy \"http://other\";\nAcquire { http { Proxy \"DIRECT\"; } }\n",
            ),
        };
        assert_eq!(
            (&builder.resolvers[..], &builder.proxies[..]),
            (&["192.0.2.1".to_owned(), "192.0.2.2".into()][..], &["http://192.0.2.9:3142".to_owned()][..])
        );
        assert!(builder.owns_hosts(b"127.0.0.1 localhost\n") && builder.owns_hosts(b"127.0.1.1 x builder # me\n"));
        assert!(!builder.owns_hosts(b"127.0.0.1 localhost build\n192.0.2.3 my-builder # builder\n"));
        assert!(builder.owns_resolver(b"nameserver 192.0.2.2\n") && !builder.owns_resolver(b"nameserver 192.0.2.3\n"));
        assert!(
            builder.owns_apt(b"Acquire::https::proxy \"http://192.0.2.9:3142\";")
                && !builder.owns_apt(b"Acquire::http::Proxy \"http://site:1\";")
        );
    }
}
