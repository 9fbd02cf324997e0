//! Without an OpenSSH client: its defaults, and a file of plain `Host` blocks. What needs more is refused by name. Pure.

use super::options::{Treatment, treatment};
use super::resolved::ConfigError;
use super::settings::LocalUser;
use crate::transport::known_hosts;

/// Options that may be given more than once; of the others the first one holds.
const MANY: [&str; 6] = ["identityfile", "certificatefile", "sendenv", "setenv", "localforward", "remoteforward"];

/// Lists of algorithms, whose value may build on the client's own: `+` adds, `-` takes away, `^` puts first.
pub(super) const LISTS: [&str; 6] =
    ["ciphers", "kexalgorithms", "macs", "hostkeyalgorithms", "pubkeyacceptedalgorithms", "casignaturealgorithms"];
/// The way there: of these two the first holds.
const WAYS: [&str; 2] = ["proxycommand", "proxyjump"];

/// Returns the defaults in the form that `ssh -G` prints.
pub(super) fn defaults(host: &str, local_user: &LocalUser) -> Vec<(String, String)> {
    let home = local_user.home.display();
    let pairs = [
        ("user", local_user.user.clone()),
        ("hostname", host.to_owned()),
        ("port", "22".to_owned()),
        ("identityfile", "~/.ssh/id_ed25519".to_owned()),
        ("identityfile", "~/.ssh/id_ecdsa".to_owned()),
        ("identityfile", "~/.ssh/id_rsa".to_owned()),
        ("globalknownhostsfile", "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2".to_owned()),
        ("userknownhostsfile", format!("{home}/.ssh/known_hosts {home}/.ssh/known_hosts2")),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value)).into()
}

/// Adds what a file's text says of a host to what earlier files have said.
///
/// # Errors
/// `Match`, `Include`, and a value that is more than it looks: they need the OpenSSH client.
pub(super) fn read(file: &str, text: &str, host: &str, into: &mut Vec<(String, String)>) -> Result<(), ConfigError> {
    let mut ours = true;
    for (index, line) in text.lines().enumerate() {
        let Some((word, value)) = option(line) else { continue };
        let needs_client = |word: String| ConfigError::NeedsClient { file: file.to_owned(), line: index + 1, word };
        if word == "match" || word == "include" {
            return Err(needs_client(word));
        }
        if (word == "host" || ours) && !is_plain(&word, &value) {
            return Err(needs_client(format!("{word} {value}")));
        }
        if word == "host" {
            ours = selects(&value, host);
        } else if ours && (MANY.contains(&word.as_str()) || !into.iter().any(|(known, _)| excludes(known, &word))) {
            into.push((word, unquoted(&value).to_owned()));
        }
    }
    Ok(())
}

/// Returns whether an option that was given leaves no room for another.
fn excludes(known: &str, word: &str) -> bool {
    known == word || (WAYS.contains(&known) && WAYS.contains(&word))
}

/// Returns whether a value means what it says: nothing in it is expanded, unquoted, cut off as a comment or added to a list of the client's.
fn is_plain(word: &str, value: &str) -> bool {
    let is_list = LISTS.contains(&word) && value.starts_with(['+', '-', '^']);
    let expands = word == "hostname" && value.contains('%');
    // What has no effect here may hold anything, such as a command.
    let means_nothing = matches!(treatment(word), Some(Treatment::Harmless(_))) && word != "host";
    let is_bare = |text: &str| !unquoted(text).contains(['"', '\'', '\\', '#']);
    let is_bare = if word == "host" { value.split_ascii_whitespace().all(is_bare) } else { is_bare(value) };
    means_nothing || (!is_list && !expands && is_bare)
}

/// Reads `Word value` and `Word=value`; the word in lower case.
fn option(line: &str) -> Option<(String, String)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let end = line.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    let rest = rest.trim_start();
    let value = rest.strip_prefix('=').unwrap_or(rest).trim();
    Some((word.to_ascii_lowercase(), value.to_owned()))
}

/// Takes the quotes off a value that stands in them whole.
fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}

/// Returns whether a `Host` line's patterns select a host; a negated pattern that fits decides.
fn selects(patterns: &str, host: &str) -> bool {
    let fits = |pattern: &str| known_hosts::wildcard(&pattern.to_ascii_lowercase(), &host.to_ascii_lowercase());
    let mut selected = false;
    for pattern in patterns.split_ascii_whitespace().map(|pattern| pattern.trim_matches('"')) {
        match pattern.strip_prefix('!') {
            Some(negated) if fits(negated) => return false,
            Some(_) => {}
            None => selected |= fits(pattern),
        }
    }
    selected
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Variables;

    fn local_user() -> LocalUser {
        LocalUser { home: "/home/ann".into(), user: "ann".into(), agent: None, machine: String::new(), variables: Variables::default() }
    }

    #[test]
    fn the_first_value_holds_and_blocks_do_not_leak() {
        let text = "Host *.lab !bad.lab\n  User=lab\nHost other\n  User matched\n  Port 1\nHost *\n  User last\n  Port \"2222\"\n";
        let mut pairs = Vec::new();
        read("config", text, "node2.lab", &mut pairs).unwrap();
        assert_eq!(pairs, [("user".into(), "lab".into()), ("port".into(), "2222".into())]);
        let mut pairs = Vec::new();
        read("config", text, "bad.lab", &mut pairs).unwrap();
        assert_eq!(pairs, [("user".into(), "last".into()), ("port".into(), "2222".into())]);
    }

    #[test]
    fn match_and_include_are_refused_with_their_place() {
        for word in ["Match", "Include"] {
            let error = read("~/.ssh/config", &format!("Host a\n\n{word} all\n"), "b", &mut Vec::new()).unwrap_err();
            let word = word.to_ascii_lowercase();
            assert_eq!(error, ConfigError::NeedsClient { file: "~/.ssh/config".into(), line: 3, word });
        }
    }

    #[test]
    fn defaults_name_the_user_and_the_home() {
        let pairs = defaults("n1", &local_user());
        assert!(pairs.contains(&("userknownhostsfile".into(), "/home/ann/.ssh/known_hosts /home/ann/.ssh/known_hosts2".into())));
    }
}
