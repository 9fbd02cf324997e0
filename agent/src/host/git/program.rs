//! The git program: first fills, and protocols that only it speaks. Nobody is there to answer its questions.

use super::{Advertised, Asking, library};
use crate::host::child::{Finished, Program};
use crate::host::{Operation, OsError};
use ostler_roles::outcome::Ended;
use std::io;
use std::path::Path;

/// Slower than this many bytes a second ...
const SLOW: &str = "http.lowSpeedLimit=1000";
/// ... for this many seconds is a server that has gone away.
const FOR: &str = "http.lowSpeedTime=60";

pub(super) fn program(arguments: &[&str], asking: Asking<'_>) -> Program {
    let settings = [SLOW, FOR, "gc.auto=0", "maintenance.auto=false", "core.askPass=true", "advice.detachedHead=false"];
    let mut argv = vec!["git".to_owned()];
    argv.extend(settings.iter().flat_map(|setting| ["-c".to_owned(), (*setting).to_owned()]));
    argv.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    let mut program = Program::new(argv);
    program.environment =
        [("GIT_TERMINAL_PROMPT", "0"), ("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_SSH_COMMAND", "ssh -oBatchMode=yes -oConnectTimeout=15")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
    if let Some(account) = asking.account {
        let own = [("HOME", &account.home), ("USER", &account.name), ("LOGNAME", &account.name)];
        program.environment.extend(own.map(|(name, value)| (name.to_owned(), value.clone())));
    }
    program
}

pub(super) fn good(finished: Finished, operation: Operation, url: &str) -> Result<Finished, OsError> {
    if finished.is_good() {
        return Ok(finished);
    }
    let status = finished.status;
    // git tells the cause in its first `fatal:` or `error:`, and consequences after it.
    let lines = finished.tail.into_lines();
    let cause = lines.iter().find(|line| line.contains("fatal:") || line.contains("error:")).or(lines.last()).cloned().unwrap_or_default();
    let judged = matches!(status, Ended::Exit(_)) && !lines.iter().any(|line| is_of_the_machine(line));
    let kind = if judged { VERDICT } else { io::ErrorKind::Interrupted };
    let why = io::Error::new(kind, format!("git: {status}: {cause}"));
    Err(OsError::new(operation, super::super::http::redacted(url), why))
}

/// The kind of an error that is git's own verdict on what it has read. All others say nothing of that: it was killed, its time was up, the
/// machine had nothing left for it.
pub(super) const VERDICT: io::ErrorKind = io::ErrorKind::InvalidData;

/// Whether git's words are about the machine, or about a helper of its own that was killed.
pub(super) fn is_of_the_machine(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    let words = [
        "died of signal",
        "out of memory",
        "cannot allocate memory",
        "cannot fork",
        "unable to create thread",
        "unable to create async thread",
        "resource temporarily unavailable",
        "too many open files",
        "input/output error",
    ];
    words.iter().any(|word| line.contains(word))
}

/// What the origin has.
pub(super) fn advertised(url: &str, asking: Asking<'_>) -> Result<Advertised, OsError> {
    let finished = program(&["ls-remote", "--symref", "--", url], asking).run_to_end(asking.deadline)?;
    Ok(parse(&String::from_utf8_lossy(good(finished, Operation::Ask, url)?.said()?)))
}

/// Lines of `git ls-remote --symref`.
fn parse(text: &str) -> Advertised {
    let mut advertised = Advertised::default();
    for (value, name) in text.lines().filter_map(|line| line.split_once('\t')) {
        match value.strip_prefix("ref: ") {
            Some(target) if name == "HEAD" => advertised.head = Some(target.to_owned()),
            Some(_) => {}
            None if name.starts_with("refs/") && !name.ends_with("^{}") => {
                advertised.references.insert(name.to_owned(), value.to_owned());
            }
            None => {}
        }
    }
    advertised
}

/// Fills a new mirror in an empty directory from `url`; it names `origin` as where it comes from.
///
/// # Errors
/// When it cannot; what is in the directory is of no use then.
pub fn clone_mirror(url: &str, origin: &str, directory: &Path, asking: Asking<'_>, cancelled: &dyn Fn() -> bool) -> Result<(), OsError> {
    let place = directory.to_string_lossy();
    // No hooks of the distribution: nothing in a cache is run.
    let clone = program(&["clone", "--mirror", "--quiet", "--template=", "--", url, &place], asking);
    good(clone.run(asking.deadline, cancelled)?, Operation::Read, url)?;
    if url != origin {
        library::set_origin(directory, origin)?;
    }
    Ok(())
}

/// Fetches what differs into a mirror, by the program.
///
/// # Errors
/// When it cannot; the mirror is as before, or has some of the references already.
pub fn fetch_with_program(
    path: &Path,
    url: &str,
    origin: &Advertised,
    asking: Asking<'_>,
    cancelled: &dyn Fn() -> bool,
) -> Result<(), OsError> {
    let place = path.to_string_lossy();
    let arguments = ["--git-dir", &place, "fetch", "--quiet", "--prune", "--no-tags", "--no-write-fetch-head", "--", url, "+refs/*:refs/*"];
    good(program(&arguments, asking).run(asking.deadline, cancelled)?, Operation::Read, url)?;
    if let Some(head) = &origin.head {
        let set = program(&["--git-dir", &place, "symbolic-ref", "HEAD", head], asking).run(asking.deadline, cancelled)?;
        good(set, Operation::Write, &place)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: std::time::Duration = std::time::Duration::from_secs(10);

    #[test]
    fn the_answer_of_ls_remote_is_read_without_peeled_tags() {
        let text = "ref: refs/heads/main\tHEAD\naa\tHEAD\naa\trefs/heads/main\nbb\trefs/tags/v1\ncc\trefs/tags/v1^{}\nwarning\n";
        let advertised = parse(text);
        assert_eq!(advertised.head.as_deref(), Some("refs/heads/main"));
        let names: Vec<&str> = advertised.references.keys().map(String::as_str).collect();
        assert_eq!(names, ["refs/heads/main", "refs/tags/v1"]);
    }

    #[test]
    fn only_what_git_itself_says_of_a_repository_is_a_verdict() {
        let ended = |status: Ended, said: &str| {
            let script = format!("printf '%s\\n' '{said}' >&2");
            let mut finished = Program::new(["sh", "-c", &script]).run_to_end(std::time::Instant::now() + TEN).unwrap();
            finished.status = status;
            good(finished, Operation::Read, "/srv/x").unwrap_err().source.kind() == VERDICT
        };
        assert!(ended(Ended::Exit(128), "fatal: bad object HEAD"));
        assert!(ended(Ended::Exit(1), "error: packfile is truncated"));
        for status in [Ended::Deadline, Ended::Signal(9), Ended::NotStarted] {
            assert!(!ended(status, "error: packfile is truncated"), "{status}");
        }
        for said in
            ["error: index-pack died of signal 9", "fatal: Out of memory, malloc failed", "fatal: cannot fork: Cannot allocate memory"]
        {
            assert!(!ended(Ended::Exit(128), said), "{said}");
        }
    }
}
