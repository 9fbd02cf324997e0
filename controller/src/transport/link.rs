//! A `Link` carries bytes to and from one command on a node, and ends. It knows no resource and no frame.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use ostler_roles::mask::CUT;
use tokio::io::{AsyncRead, AsyncWrite};

use super::deadlines::Deadlines;

/// A boxed future, so that a link can be a trait object and a test can bring its own.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a command writes to: the bytes of its standard input. Shutting it down is the end of the input.
pub type Input = Box<dyn AsyncWrite + Send + Unpin>;
/// What a command says on its standard output.
pub type Output = Box<dyn AsyncRead + Send + Unpin>;

/// An open way to one node.
///
/// It says nothing of what the bytes mean, makes no second attempt, and cannot know whether a cut command went on running:
/// a remote command sees the end of its input when the connection goes, and nothing else.
pub trait Link: Send + Sync + fmt::Debug {
    /// Starts a command and returns its ends without waiting for its first byte, so the caller's first bytes
    /// travel right behind the request.
    fn exec<'a>(&'a self, command: &'a CommandLine) -> BoxFuture<'a, Result<Exec, LinkError>>;

    /// Takes the node's word how much of a file that is being placed is there. It must not block.
    fn tell(&self, _placed: Placed) {}

    /// Returns the deadlines this link keeps.
    fn deadlines(&self) -> &Deadlines;

    /// Returns by which account and key the connection was made; none where it was not by a plain key.
    fn login(&self) -> Option<&Login> {
        None
    }

    /// Ends the connection in good order, within its deadline. Dropping a link ends it too, less politely.
    fn close<'a>(&'a self) -> BoxFuture<'a, ()>;
}

/// How much of a file is on the node already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Bytes there.
    pub there: usize,
    /// Bytes of the whole file.
    pub of: usize,
}

/// By which account and key a connection was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The account.
    pub user: String,
    /// The key that was taken, as a line of authorized_keys (sshd(8)).
    pub key: String,
    /// All keys that are offered there, this one among them.
    pub offered: Vec<String>,
}

/// The three ends of a running command.
///
/// Read `stdout` to its end before asking for `ended`: the answer comes after the last byte. Whoever holds
/// `stdout` has to read on, or to drop it: while nobody reads, the command is held back, and with it the whole connection. What still comes after its end is
/// taken for [`Deadlines::after_exit`].
pub struct Exec {
    /// Writes fail with `BrokenPipe` once the command has gone, and with `TimedOut` when nothing is taken for too long.
    pub stdin: Input,
    /// Ends when the command closed its standard output or when the connection was cut: `ended` tells which.
    pub stdout: Output,
    /// Resolves once the command has ended or its connection is lost.
    pub ended: BoxFuture<'static, Ended>,
}

impl fmt::Debug for Exec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exec")
    }
}

/// How a command ended and what it said on its standard error.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Ended {
    /// How it ended.
    pub exit: Exit,
    /// Its standard error, bounded.
    pub stderr: Tail,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// It left with this status. 127: no such program; 126: it is there and cannot be run.
    Status(u32),
    /// A signal ended it (the name without `SIG`).
    Signal(String),
    /// The server would not start it.
    Refused,
    /// The connection was lost first; the reason as far as it is known.
    Cut(String),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Status(status) => write!(f, "exit status {status}"),
            Exit::Signal(name) => write!(f, "killed by SIG{name}"),
            Exit::Refused => f.write_str("the server refused to start it"),
            Exit::Cut(reason) => write!(f, "connection cut: {reason}"),
        }
    }
}

/// A fault of the link itself, not of the command on it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The server opens no further session (`MaxSessions`, `PermitOpen`, a forced command).
    #[error("open a session on {host}: the server refused: {reason}")]
    OpenRefused {
        /// The node.
        host: String,
        /// The server's words.
        reason: String,
    },
    /// The server did not answer in time.
    #[error("open a session on {host}: no answer within {seconds} s")]
    OpenTimeout {
        /// The node.
        host: String,
        /// The deadline.
        seconds: u64,
    },
    /// The connection is gone.
    #[error("connection to {host} was cut: {reason}")]
    Cut {
        /// The node.
        host: String,
        /// What is known of the reason.
        reason: String,
    },
}

/// A command as words, quoted for any login shell. Never made from one string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine(String);

/// A word that no login shell can be handed safely.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("word {index} of a command holds a control character")]
pub struct UnquotableWord {
    /// Its place, from 0.
    pub index: usize,
}

impl CommandLine {
    /// Quotes words so that sh, bash, zsh, fish and csh all see them as written.
    ///
    /// # Errors
    /// A word with a control character: csh ends a quoted word at a line feed.
    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, UnquotableWord> {
        let mut line = String::new();
        for (index, word) in words.into_iter().enumerate() {
            if word.chars().any(char::is_control) {
                return Err(UnquotableWord { index });
            }
            if index > 0 {
                line.push(' ');
            }
            line.push_str(&quoted(word));
        }
        Ok(Self(line))
    }

    /// Returns the line as it goes to the login shell.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Characters that no shell gives a meaning to.
fn plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "/._-+:,@%".contains(c)
}

/// Quotes one word. `\` and `'` stand outside the quotes (fish reads `\` inside them), and so does `!` (csh history).
pub(super) fn quoted(word: &str) -> String {
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let mut out = String::from("'");
    for c in word.chars() {
        match c {
            '\'' | '\\' | '!' => {
                out.push_str("'\\");
                out.push(c);
                out.push('\'');
            }
            other => out.push(other),
        }
    }
    out.push('\'');
    out
}

/// The head and the tail of a text that may be long: what is kept of a command's standard error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tail {
    head: Vec<u8>,
    tail: std::collections::VecDeque<u8>,
    dropped: u64,
}

impl Tail {
    /// Bytes kept of the beginning.
    const HEAD: usize = 4 * 1024;
    /// Bytes kept of the end.
    const END: usize = 12 * 1024;

    /// Adds bytes, forgetting the middle once there are too many.
    pub fn push(&mut self, bytes: &[u8]) {
        let into_head = bytes.len().min(Self::HEAD - self.head.len());
        let (first, rest) = bytes.split_at(into_head);
        self.head.extend_from_slice(first);
        self.tail.extend(rest);
        let over = self.tail.len().saturating_sub(Self::END);
        self.tail.drain(..over);
        self.dropped += over as u64;
    }

    /// Returns what was kept, with a line in place of what was not. It is a node's text: sanitise it before a terminal sees it.
    pub fn text(&self) -> String {
        let head = String::from_utf8_lossy(&self.head);
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        if self.dropped == 0 {
            return head.into_owned() + &String::from_utf8_lossy(&tail);
        }
        // What is left of a line may begin in the middle of a secret, which nobody could mask any more.
        let whole = tail.iter().position(|byte| *byte == b'\n').map_or(&[][..], |at| &tail[at + 1..]);
        let dropped = self.dropped + (tail.len() - whole.len()) as u64;
        format!("{head}{CUT}\n[{dropped} bytes left out]\n{}", String::from_utf8_lossy(whole))
    }

    /// Returns true when nothing was said.
    pub fn is_empty(&self) -> bool {
        self.head.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_only_where_a_shell_would_read_them() {
        let line = CommandLine::from_words(["/opt/a-b_1.2", "serve", "two words", "", "it's", "a\\b!", "$HOME"]).unwrap();
        assert_eq!(line.as_str(), r"/opt/a-b_1.2 serve 'two words' '' 'it'\''s' 'a'\\'b'\!'' '$HOME'");
    }

    #[test]
    fn a_line_feed_in_a_word_is_refused() {
        assert_eq!(CommandLine::from_words(["ok", "a\nb"]), Err(UnquotableWord { index: 1 }));
    }

    #[test]
    fn a_real_shell_reads_quoted_words_back() {
        let words = ["two  words", "it's", r"back\slash", "$HOME `id`", "bang!", "*", "~", "#", "", "tab-less ;&|<>(){}[]"];
        for shell in ["sh", "bash"] {
            let line = CommandLine::from_words(["printf", r"%s|"].into_iter().chain(words)).unwrap();
            let out = std::process::Command::new(shell).arg("-c").arg(line.as_str()).output().unwrap();
            assert_eq!(String::from_utf8(out.stdout).unwrap(), words.map(|w| format!("{w}|")).concat(), "{shell}");
        }
    }

    #[test]
    fn a_long_text_keeps_its_head_and_its_end() {
        let mut tail = Tail::default();
        for n in 0..10_000 {
            tail.push(format!("line {n}\n").as_bytes());
        }
        let text = tail.text();
        assert!(text.starts_with("line 0\n") && text.ends_with("line 9999\n"), "{text}");
        assert!(text.contains("bytes left out]") && text.len() < Tail::HEAD + Tail::END + 64);
    }
}
