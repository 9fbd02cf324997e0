//! What systemd-sysctl(8) will set at boot: over all its files, as sysctl.d(5) says. The last line that names a setting counts; a pattern
//! sets only what no line names, and the last pattern counts; a name behind `-` without a value keeps patterns from a setting.

use super::super::known::ConfigFile;
use ostler_roles::resource::sysctl::AtBoot;

/// A setting's path below /proc/sys. Where the first separator is `/`, dots belong to names (`net/ipv4/conf/eth0.1/forwarding`); else `/`
/// stands for a dot in a name.
pub(super) fn path(name: &str) -> String {
    let slashes_separate = name.find(['.', '/']).is_some_and(|first| name[first..].starts_with('/'));
    let swapped = |c| match c {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    if slashes_separate { name.to_owned() } else { name.chars().map(swapped).collect() }
}

/// What these files set `name` to; none: nothing.
pub(super) fn read(files: &[ConfigFile], name: &str, own: &std::path::Path) -> Option<AtBoot> {
    let wanted = path(name);
    let (mut named, mut matched) = (None, None);
    for file in files {
        for (place, line) in file.lines(false) {
            let Some((key, value)) = assignment(&line) else { continue };
            let key = path(key);
            let found =
                || Some(AtBoot { value: value.map(str::to_owned), place: place.clone(), behind: file.path.file_name() > own.file_name() });
            if key == wanted {
                named = found();
            } else if value.is_some() && is_pattern(&key) && matches(&key, &wanted) {
                // Our line would name the setting, wherever the pattern stands.
                matched = found().map(|found| AtBoot { behind: false, ..found });
            }
        }
    }
    named.or(matched)
}

/// The two sides of a line; a name without a value must stand behind `-`.
fn assignment(line: &str) -> Option<(&str, Option<&str>)> {
    let bare = line.strip_prefix('-').unwrap_or(line);
    match bare.split_once('=') {
        Some((key, value)) => Some((key.trim(), Some(value.trim()))),
        None => line.starts_with('-').then(|| (bare.trim(), None)),
    }
}

fn is_pattern(key: &str) -> bool {
    key.contains(['*', '?', '['])
}

/// Whether a path is one of a pattern's (glob(7)): no part of it matches a `/`.
fn matches(pattern: &str, path: &str) -> bool {
    let (mut patterns, mut parts) = (pattern.split('/'), path.split('/'));
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return true,
            (Some(pattern), Some(part)) if part_matches(pattern.as_bytes(), part.as_bytes()) => {}
            _ => return false,
        }
    }
}

fn part_matches(pattern: &[u8], part: &[u8]) -> bool {
    match (pattern.split_first(), part.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => (0..=part.len()).any(|count| part_matches(rest, &part[count..])),
        (Some((b'?', rest)), Some((_, part))) => part_matches(rest, part),
        (Some((b'[', rest)), Some((c, part))) => match rest.iter().skip(1).position(|end| *end == b']') {
            Some(end) => set_has(&rest[..=end], *c) && part_matches(&rest[end + 2..], part),
            None => *c == b'[' && part_matches(rest, part),
        },
        (Some((same, rest)), Some((c, part))) => same == c && part_matches(rest, part),
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// Whether `[a-z0]`, or `[!a-z0]`, without its brackets, has this character.
fn set_has(set: &[u8], c: u8) -> bool {
    let (inverted, set) = match set.split_first() {
        Some((b'!' | b'^', rest)) => (true, rest),
        _ => (false, set),
    };
    let mut rest = set;
    let mut has = false;
    while let Some((first, behind)) = rest.split_first() {
        match behind {
            [b'-', last, left @ ..] => {
                has |= (*first..=*last).contains(&c);
                rest = left;
            }
            _ => {
                has |= *first == c;
                rest = behind;
            }
        }
    }
    has != inverted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_boot(name: &str, files: &[(&str, &str)]) -> Option<(Option<String>, String, bool)> {
        let file = |(name, text): &(&str, &str)| ConfigFile { path: format!("/etc/sysctl.d/{name}").into(), text: (*text).to_owned() };
        let files: Vec<ConfigFile> = files.iter().map(file).collect();
        read(&files, name, "/etc/sysctl.d/50-own.conf".as_ref()).map(|found| (found.value, found.place, found.behind))
    }

    fn set(value: &str, place: &str, behind: bool) -> Option<(Option<String>, String, bool)> {
        Some((Some(value.to_owned()), format!("/etc/sysctl.d/{place}"), behind))
    }

    #[test]
    fn dots_and_slashes_are_read_as_sysctl_reads_them() {
        assert_eq!(path("net.ipv4.ip_forward"), "net/ipv4/ip_forward");
        assert_eq!(path("net/ipv4/conf/eth0.1/forwarding"), "net/ipv4/conf/eth0.1/forwarding");
        assert_eq!(path("net.ipv4.conf.eth0/1.forwarding"), "net/ipv4/conf/eth0.1/forwarding");
    }

    #[test]
    fn the_last_line_that_names_a_setting_counts() {
        let files = [("50-own.conf", "vm.swappiness = 10\n"), ("99-sysctl.conf", "# why\n-vm/swappiness=99\nvm.other=1\n")];
        assert_eq!(at_boot("vm.swappiness", &files), set("99", "99-sysctl.conf:2", true));
        assert_eq!(at_boot("vm.swappiness", &files[..1]), set("10", "50-own.conf:1", false));
        assert_eq!(at_boot("vm.none", &files), None);
        assert_eq!(at_boot("vm.a", &[("40.conf", "vm.a=1\nvm.a = 2\n")]), set("2", "40.conf:2", false));
        assert_eq!(at_boot("vm.a", &[("40.conf", "vm.a\n")]), None, "no assignment");
    }

    #[test]
    fn patterns_set_what_no_line_names() {
        let all = ("60-all.conf", "net.ipv4.conf.*.rp_filter = 2\n");
        let name = "net.ipv4.conf.eth0/1.rp_filter";
        assert_eq!(at_boot(name, &[all]), set("2", "60-all.conf:1", false));
        assert_eq!(at_boot(name, &[("40.conf", "net/ipv4/conf/eth0.1/rp_filter=1"), all]), set("1", "40.conf:1", false));
        assert_eq!(at_boot(name, &[all, ("70.conf", "net.ipv4.conf.e*.rp_filter=0")]), set("0", "70.conf:1", false));
        let kept = Some((None, "/etc/sysctl.d/70.conf:1".to_owned(), true));
        assert_eq!(at_boot(name, &[all, ("70.conf", "-net.ipv4.conf.eth0/1.rp_filter")]), kept);
        assert_eq!(at_boot("net.ipv4.conf.a.b.rp_filter", &[all]), None, "a star matches one part");
    }

    #[test]
    fn patterns_match_as_a_shell_matches_names() {
        for (pattern, path) in [("a/e*/b", "a/eth0/b"), ("a/e?h[0-3]", "a/eth2"), ("*", "x"), ("a/[!l]o", "a/ho"), ("e[", "e[")] {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [("a/*", "a/b/c"), ("e?h[0-3]", "eth4"), ("[!l]o", "lo"), ("a", "ab"), ("a?", "a")] {
            assert!(!matches(pattern, path), "{pattern} {path}");
        }
    }
}
