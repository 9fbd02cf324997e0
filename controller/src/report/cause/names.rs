//! What a failure names, for the commands to try: a line behind `try:` can be pasted.

use ostler_roles::outcome::Failure;
use ostler_roles::words::UnitName;

/// Finds the name in a text that tells of it.
type Find = fn(&str) -> Option<String>;

/// What stands for a name in a command, and how the failure tells it.
const PLACEHOLDERS: [(&str, Find); 7] =
    [("PATH", path), ("PACKAGE", package), ("ACCOUNT", account), ("UNIT", unit), ("URL", url), ("SERVER", server), ("HOST", host)];

/// The command with the names that this failure tells; none: it wants one that is not told.
pub(super) fn filled(command: &str, failure: &Failure) -> Option<String> {
    if command.contains(PROGRAM) {
        let program = failure.command.as_ref()?.argv.first()?.rsplit('/').next()?;
        return plain(program).map(|program| command.replace(PROGRAM, &program));
    }
    if command.contains(HELD) {
        return held(&failure.command.as_ref()?.tail).map(|packages| command.replace(HELD, &packages));
    }
    let Some((placeholder, find)) = PLACEHOLDERS.iter().find(|(placeholder, _)| command.contains(placeholder)) else {
        return Some(command.to_owned());
    };
    let ended = failure.command.iter().flat_map(|command| command.tail.iter().rev());
    let argv = failure.command.iter().flat_map(|command| &command.argv);
    let mut told = std::iter::once(&failure.message).chain(&failure.causes).chain(ended).chain(argv);
    told.find_map(|line| find(line)).map(|name| command.replace(placeholder, &name))
}

/// Stands for the program that was not found.
const PROGRAM: &str = "PROGRAM";

/// Stands for the packages that apt keeps as they are.
const HELD: &str = "HELD";

/// They stand in the lines below their heading.
fn held(tail: &[String]) -> Option<String> {
    let heading = tail.iter().position(|line| line.contains("held packages") && line.ends_with(':'))?;
    let below = tail[heading + 1..].iter().take_while(|line| line.starts_with(' '));
    let packages: Vec<String> = below.flat_map(|line| line.split_whitespace()).map(plain).collect::<Option<_>>()?;
    (!packages.is_empty()).then(|| packages.join(" "))
}

/// It is pasted into a shell, and is no option there.
fn plain(word: &str) -> Option<String> {
    let is_plain = word.chars().all(|character| character.is_alphanumeric() || "/._+@=,:~-".contains(character));
    (is_plain && !word.is_empty() && !word.starts_with('-')).then(|| word.to_owned())
}

fn words(line: &str) -> impl DoubleEndedIterator<Item = &str> {
    line.split([' ', '\'', '"', '`', '‘', '’', '(', ')', '<', '>'])
        .map(|word| word.trim_end_matches([':', ',', ';', '.']))
        .filter(|word| !word.is_empty())
}

/// The word behind one of these phrases.
fn behind(line: &str, phrases: &[&str]) -> Option<String> {
    let rest = phrases.iter().find_map(|phrase| line.split_once(phrase).map(|(_, rest)| rest))?;
    plain(words(rest.trim_start_matches([':', ' '])).next()?)
}

fn path(line: &str) -> Option<String> {
    words(line).rfind(|word| word.starts_with('/') && word.len() > 1).and_then(plain)
}

fn package(line: &str) -> Option<String> {
    let version = || line.contains("was not found").then(|| behind(line, &[" for "])).flatten();
    behind(line, &["Unable to locate package", "E: Package"]).or_else(version)
}

fn account(line: &str) -> Option<String> {
    let both = behind(line, &["no such user", "unknown user", "invalid user", "no account"])?;
    both.split(':').next().filter(|account| !account.is_empty()).map(str::to_owned)
}

fn unit(line: &str) -> Option<String> {
    words(line).find(|word| word.contains('.') && UnitName::parse(word).is_ok()).map(str::to_owned)
}

fn url(line: &str) -> Option<String> {
    let is_url = |word: &&str| ["http://", "https://", "git://", "ssh://"].iter().any(|scheme| word.starts_with(scheme));
    words(line).find(is_url).and_then(plain)
}

/// Host and port of an address over TLS.
fn server(line: &str) -> Option<String> {
    let authority = authority(line)?;
    Some(if authority.rsplit(']').next().is_some_and(|rest| rest.contains(':')) { authority } else { format!("{authority}:443") })
}

fn host(line: &str) -> Option<String> {
    let named = || behind(line, &["Could not resolve host", "could not resolve host", "Temporary failure resolving"]);
    let of_url = || authority(line).map(|authority| authority.split(':').next().unwrap_or_default().to_owned());
    named().or_else(of_url)
}

fn authority(line: &str) -> Option<String> {
    let url = url(line)?;
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split('/').next()?;
    Some(authority.rsplit('@').next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::{all, recognise};
    use ostler_roles::outcome::{CommandFailure, Ended, Failure, FailureKind};

    fn failure(message: &str, argv: &[&str], status: Ended, said: &str) -> Failure {
        let argv = argv.iter().map(|word| (*word).to_owned()).collect();
        let command = CommandFailure { argv, status, tail: vec![said.to_owned()] };
        Failure { kind: FailureKind::Apply, message: message.to_owned(), causes: Vec::new(), command: Some(command), hint: None }
    }

    #[test]
    fn what_to_try_has_the_names_that_the_failure_tells() {
        let tried = |message: &str, said: &str| {
            let failure = failure(message, &["program"], Ended::Exit(1), said);
            recognise(&failure).unwrap_or_else(|| panic!("{said}")).try_for(&failure)
        };
        let tells = |message: &str, said: &str, wanted: &str| assert_eq!(tried(message, said).as_deref(), Some(wanted), "{said}");
        tells("make it", "mkdir: cannot create directory ‘/srv/x’: Read-only file system", "findmnt -T /srv/x; dmesg | tail");
        tells("make it", "cp: cannot open '/etc/shadow' for reading: Permission denied", "id; namei -l /etc/shadow");
        tells("log in", "Permission denied (publickey).", "id");
        tells("install it", "E: Unable to locate package nonesuch", "apt-get update; apt-cache policy nonesuch");
        tells("install it", "E: Package 'gone' has no installation candidate", "apt-get update; apt-cache policy gone");
        tells("install it", "E: Version '9' for 'jq' was not found", "apt-get update; apt-cache policy jq");
        tells("fetch https://git.example/x.git", "Could not resolve host: git.example", "getent ahosts git.example");
        tells("fetch https://git.example/x.git", "invalid peer certificate: UnknownIssuer", "openssl s_client -connect git.example:443");
        tells("fetch https://git.example:8443/x", "certificate verify failed", "openssl s_client -connect git.example:8443");
        tells("download https://user@a.example/x.tgz", "it has another sha256", "curl -fsSL https://user@a.example/x.tgz | sha256sum");
        tells("fetch https://git.example/x.git", "remote: Repository not found", "git ls-remote https://git.example/x.git");
        tells("start web", "web.service: Failed with result 'exit-code'.", "journalctl -u web.service -n 50");
        tells("own it", "chown: invalid user: ‘ci:ci’", "getent passwd ci");
        // What is not told is asked for by no name, and nothing that a shell would take for something else is pasted into one.
        assert_eq!(tried("resolve", "Name or service not known"), None);
        assert_eq!(tried("fetch https://git.example/$(reboot)", "Repository not found"), None);
        assert_eq!(tried("own it", "invalid user: --help"), None);
    }

    #[test]
    fn held_packages_are_named_as_apt_names_them() {
        let held = "E: Held packages were changed and -y was used without --allow-change-held-packages.";
        let mut failed = failure("install jq", &["apt-get"], Ended::Exit(100), held);
        let tried = |failed: &Failure| recognise(failed).unwrap().try_for(failed);
        assert_eq!(tried(&failed), None);
        let said = ["The following held packages will be changed:", "  jq libjq1", "0 upgraded, 0 newly installed", held];
        failed.command.as_mut().unwrap().tail = said.map(str::to_owned).to_vec();
        assert_eq!(tried(&failed).as_deref(), Some("apt-mark unhold jq libjq1"));
    }

    #[test]
    fn a_program_that_is_not_there_is_looked_for_by_its_name() {
        let missing = failure("run it", &["/usr/local/bin/jq"], Ended::Exit(127), "not found");
        assert_eq!(recognise(&missing).unwrap().try_for(&missing).as_deref(), Some("apt-cache search jq"));
    }

    #[test]
    fn no_cause_is_shown_with_a_name_to_fill_in() {
        let silent = failure("something", &["--"], Ended::Exit(1), "");
        for cause in all() {
            let tried = cause.try_for(&silent).unwrap_or_default();
            let shouted = tried
                .split([' ', ';', ':', '|'])
                .any(|word| word.len() > 2 && word.chars().all(|character| character.is_ascii_uppercase()));
            assert!(!shouted, "{}: {tried}", cause.code);
        }
    }
}
