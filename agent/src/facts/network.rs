//! Addresses of the node's interfaces, from /proc: no library, no child.

use super::text;
use crate::host::{Host, OsError};
use ostler_roles::facts::MOST;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Addresses, loopback and link-local left out, sorted. Temporary ones (RFC 8981) change by themselves and are left out too.
pub(super) fn addresses(host: &Host) -> Result<Vec<String>, OsError> {
    let mut found: BTreeSet<String> = v4(&text(host, "/proc/self/net/fib_trie")?);
    found.extend(v6(&text(host, "/proc/self/net/if_inet6")?));
    Ok(found.into_iter().take(MOST).collect())
}

/// The kernel's routing trie holds every own address as a `/32 host LOCAL`.
fn v4(trie: &str) -> BTreeSet<String> {
    let mut addresses = BTreeSet::new();
    let mut last = "";
    for line in trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address;
        } else if line == "/32 host LOCAL" {
            addresses.extend(last.parse::<Ipv4Addr>().ok().filter(|ip| !ip.is_loopback() && !ip.is_link_local()).map(|ip| ip.to_string()));
        }
    }
    addresses
}

/// Columns: address, index, prefix length, scope, flags, name (Linux net/ipv6/addrconf.c, `if6_seq_show`).
fn v6(table: &str) -> BTreeSet<String> {
    /// IFA_F_TEMPORARY of rtnetlink(7).
    const TEMPORARY: u8 = 0x01;
    let address = |line: &str| {
        let mut columns = line.split_whitespace();
        let address = u128::from_str_radix(columns.next()?, 16).ok()?;
        let scope = columns.nth(2)?;
        let flags = u8::from_str_radix(columns.next()?, 16).ok()?;
        (scope == "00" && flags & TEMPORARY == 0).then(|| Ipv6Addr::from_bits(address).to_string())
    };
    table.lines().filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_addresses_are_told_from_routes() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     |-- 10.78.0.0\n        /24 link UNICAST\n\
             \x20    |-- 127.0.0.1\n        /32 host LOCAL\nLocal:\n     |-- 10.78.0.11\n        /32 host LOCAL\n     |-- 10.78.0.255\n        /32 link BROADCAST\n";
        assert_eq!(v4(trie).into_iter().collect::<Vec<_>>(), ["10.78.0.11"]);
        let table = "fe80000000000000fc00fffe00000001 04 40 20 80     eth0\nfd000000000000000000000000000002 04 40 00 82     eth0\n\
             fd0000000000000000000000000000aa 04 40 00 01     eth0\n00000000000000000000000000000001 01 80 10 80       lo\n";
        assert_eq!(v6(table).into_iter().collect::<Vec<_>>(), ["fd00::2"]);
    }
}
