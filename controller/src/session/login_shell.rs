//! What a login shell's start-up files do to the command that sshd hands them, found out by a command that says what it gets.

use crate::transport::{CommandLine, Exit, Link};
use std::fmt;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How long the whole question may take.
const WITHIN: Duration = Duration::from_secs(20);
/// Says that it runs, then gives back its input.
const SCRIPT: &str = "echo ostler-command-runs; exec cat";
const RUNS: &str = "ostler-command-runs\n";
/// What is sent. A start-up file that reads takes at least its first line.
const SENT: &str = "ostler-input-1\nostler-input-2\nostler-input-3\n";
/// The most that is read of an answer.
const MOST: u64 = 64 * 1024;

/// What a login shell's start-up files do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShellFault {
    /// They put another program in the command's place.
    Replaces,
    /// They read the standard input that is the command's.
    ReadsInput,
}

impl fmt::Display for ShellFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Replaces => "the login shell's start-up files run something else in the command's place",
            Self::ReadsInput => "the login shell's start-up files read the standard input that is the command's",
        })
    }
}

impl ShellFault {
    /// The next step.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Replaces => "in the login account's ~/.bashrc (or like it), above the `exec`: case $- in *i*) ;; *) return;; esac",
            Self::ReadsInput => "in the login account's ~/.bashrc (or like it), above what reads: case $- in *i*) ;; *) return;; esac",
        }
    }
}

/// Asks; none: nothing is wrong with it, or nothing could be found out.
pub(super) async fn examine(link: &dyn Link) -> Option<ShellFault> {
    let asked = async {
        let command = CommandLine::from_words(["sh", "-c", SCRIPT]).ok()?;
        let mut exec = link.exec(&command).await.ok()?;
        // Whoever takes nothing has said enough by what he prints.
        if exec.stdin.write_all(SENT.as_bytes()).await.is_ok() {
            let _ = exec.stdin.shutdown().await;
        }
        let mut answer = Vec::new();
        (&mut exec.stdout).take(MOST).read_to_end(&mut answer).await.ok()?;
        drop(exec.stdout);
        Some(judge(&String::from_utf8_lossy(&answer), &exec.ended.await.exit))
    };
    tokio::time::timeout(WITHIN, asked).await.ok().flatten().flatten()
}

/// What an answer says. Start-up files may print as they like before the command. A shell that lets nobody in (nologin(8), false(1)) runs nothing
/// either, and says so by its status: what it said is told then. Another shell in the command's place takes our lines for commands (127).
fn judge(answer: &str, exit: &Exit) -> Option<ShellFault> {
    match answer.split_once(RUNS) {
        None => matches!(exit, Exit::Status(0 | 127)).then_some(ShellFault::Replaces),
        Some((_, input)) if input.starts_with(SENT) => None,
        Some(_) => Some(ShellFault::ReadsInput),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_says_what_the_shell_does() {
        let judge = |answer: &str, status: u32| judge(answer, &Exit::Status(status));
        assert_eq!(judge(&format!("{RUNS}{SENT}"), 0), None);
        assert_eq!(judge(&format!("welcome\n{RUNS}{SENT}bye\n"), 0), None);
        assert_eq!(judge(&format!("{RUNS}ostler-input-2\nostler-input-3\n"), 0), Some(ShellFault::ReadsInput));
        assert_eq!(judge(RUNS, 0), Some(ShellFault::ReadsInput));
        assert_eq!(judge("", 127), Some(ShellFault::Replaces));
        assert_eq!(judge("This account is currently not available.\n", 1), None);
    }
}
