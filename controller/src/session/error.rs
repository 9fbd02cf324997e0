//! What can go wrong between a controller and an agent.

use super::login_shell::ShellFault;
use crate::transport::{LinkError, PlaceError, PlaceFault, UnquotableWord};
use ostler_roles::outcome::Failure;
use ostler_roles::wire::frame::FrameError;
use ostler_roles::wire::message::{Refusal, ToController};

/// Why a conversation could not go on. What was begun on the node is said by each variant.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// This program was built without an agent.
    #[error("this build of ostler carries no agent")]
    NoAgent,
    /// The link failed before the agent spoke.
    #[error("start the agent")]
    Link(#[from] LinkError),
    /// The login account's name cannot stand in a command.
    #[error("name the agent's file")]
    Name(#[source] UnquotableWord),
    /// The agent could not be placed in any directory.
    #[error("place the agent on the node")]
    Place(#[source] PlaceError),
    /// No directory on the node runs programs.
    #[error("no directory on the node may run programs: tried {0}")]
    NoExec(String),
    /// What was placed does not start.
    #[error("the agent does not start ({exit}): {said}")]
    DoesNotStart {
        /// How it ended.
        exit: String,
        /// What it or the shell said.
        said: String,
    },
    /// The login shell's start-up files get in the way.
    #[error("{fault}")]
    LoginShell {
        /// How.
        fault: ShellFault,
        /// What came of it.
        #[source]
        error: Box<SessionError>,
    },
    /// The node said something that is no frame.
    #[error("the node's answer cannot be read")]
    Frame(#[source] FrameError),
    /// The connection went away while this was awaited.
    #[error("the connection was lost while waiting for {awaited}")]
    Lost {
        /// What should have come.
        awaited: &'static str,
        /// What the node said on its standard error, sanitised and bounded.
        said: String,
    },
    /// Nothing came within the deadline.
    #[error("{awaited} did not come within {seconds} s")]
    Deadline {
        /// What should have come.
        awaited: &'static str,
        /// The deadline.
        seconds: u64,
    },
    /// Another message came than the protocol has at this place.
    #[error("the agent sent {found} where {awaited} belongs")]
    OutOfTurn {
        /// What should have come.
        awaited: &'static str,
        /// What came.
        found: &'static str,
    },
    /// The agent speaks another message set.
    #[error("the agent speaks message set {theirs}, this program {ours}")]
    Schema {
        /// The agent's.
        theirs: u32,
        /// Ours.
        ours: u32,
    },
    /// A password is needed and there is none.
    #[error("sudo asks for the password of {user}, and none was given")]
    NeedsPassword {
        /// Whose password.
        user: String,
    },
    /// A password was given, and another node has refused it.
    #[error("the password of {user} was refused by {by} and not tried here")]
    PasswordRefused {
        /// Whose password.
        user: String,
        /// Which node refused it.
        by: ostler_roles::words::NodeName,
    },
    /// The agent refused, and changed nothing.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The run that was followed is cut off: its runner is gone.
    #[error("run {} was cut off on the node", .0.short())]
    Cut(ostler_roles::words::RunId),
    /// A run tells more than runs do: it is not listened to any longer.
    #[error("its run tells more than is kept of one: the rest was not read")]
    TooMuch,
    /// The agent gave up.
    #[error("{}", .0.message)]
    Fault(Box<Failure>),
    /// A content that the plan needs is not there: a file of the site was changed since it was read.
    #[error("content {0} of the plan is no longer in the site: nothing was changed on this node")]
    UnknownBlob(String),
    /// No new work is wanted any more, and the run had not been told to go.
    #[error("stopped before the run was let go: nothing was changed on this node")]
    Stopped,
    /// Writing to the agent failed.
    #[error("send to the agent")]
    Send(#[source] std::io::Error),
}

impl SessionError {
    /// Whether the conversation was lost on its way, as opposed to something that was said in it: another connection may go on.
    pub fn is_lost(&self) -> bool {
        match self {
            Self::Link(_) | Self::Lost { .. } | Self::Deadline { .. } | Self::Send(_) => true,
            Self::NoAgent
            | Self::Name(_)
            | Self::Place(_)
            | Self::NoExec(_)
            | Self::DoesNotStart { .. }
            | Self::LoginShell { .. }
            | Self::Frame(_)
            | Self::OutOfTurn { .. }
            | Self::Schema { .. }
            | Self::NeedsPassword { .. }
            | Self::PasswordRefused { .. }
            | Self::Refused(_)
            | Self::Fault(_)
            | Self::Cut(_)
            | Self::TooMuch
            | Self::UnknownBlob(_)
            | Self::Stopped => false,
        }
    }

    /// This message came, and another was awaited.
    pub(super) fn out_of_turn(awaited: &'static str, message: &ToController) -> Self {
        Self::OutOfTurn { awaited, found: word(message) }
    }

    /// Whether the login shell may have caused it, by what it does to a command or to its input.
    pub(super) fn may_be_the_shells(&self) -> bool {
        match self {
            Self::DoesNotStart { .. } | Self::NoExec(_) => true,
            Self::Place(error) => matches!(error.fault, PlaceFault::WrongDigest(_) | PlaceFault::Other { .. } | PlaceFault::Stalled { .. }),
            Self::Lost { awaited, .. } | Self::Deadline { awaited, .. } => *awaited == "the agent's hello",
            _ => false,
        }
    }

    /// The one thing to do next.
    pub fn hint(&self) -> String {
        match self {
            Self::NoAgent => "build with `make`, or name a ready agent in OSTLER_AGENT when building".to_owned(),
            Self::Link(_) | Self::Lost { .. } | Self::Deadline { .. } => {
                "check the link, then run the same command again: a run that began goes on by itself".to_owned()
            }
            Self::LoginShell { fault, .. } => fault.hint().to_owned(),
            Self::NoExec(_) => "make room below the login user's home, or mount a directory without noexec".to_owned(),
            Self::Place(error) => match &error.fault {
                PlaceFault::NoTool(tool) => format!("install it on the node: {tool} (Debian: coreutils)"),
                PlaceFault::WrongDigest(_) => "log in by hand and see what the login shell's start-up files print or read".to_owned(),
                PlaceFault::Stalled { .. } | PlaceFault::Link(_) => "the link takes nothing any more: check it, then run the same command again".to_owned(),
                PlaceFault::Path(_) | PlaceFault::Other { .. } => "log in by hand and see what the login shell does".to_owned(),
                PlaceFault::NoExec | PlaceFault::DiskFull(_) | PlaceFault::Permission(_) | PlaceFault::ReadOnly(_) => {
                    "make room below the login user's home, or mount a directory without noexec".to_owned()
                }
            },
            Self::DoesNotStart { .. } => "log in by hand and see what the login shell does; only x86-64 Linux is served".to_owned(),
            Self::Frame(_) => "log in by hand and silence what the login shell prints".to_owned(),
            Self::UnknownBlob(_) => "was a file of the site changed meanwhile? plan again".to_owned(),
            Self::Name(_) | Self::OutOfTurn { .. } | Self::Schema { .. } => {
                "this is a defect: please report it with the output of `ostler --version`".to_owned()
            }
            Self::PasswordRefused { .. } => "give the right one: attempts can lock an account".to_owned(),
            Self::NeedsPassword { .. } => "run in a terminal to be asked, name a private file with the password in OSTLER_SUDO_PASSWORD_FILE, or allow sudo without password".to_owned(),
            Self::Refused(Refusal::Locked(_)) => "watch it with `ostler attach`, or stop it with `ostler cancel`".to_owned(),
            Self::Refused(Refusal::Starting) => "run the same command again in a moment, or watch that run with `ostler attach`".to_owned(),
            Self::Refused(Refusal::NoRunner(_)) => "mend on the node what it says, then run the same command again".to_owned(),
            Self::Refused(_) => "plan again".to_owned(),
            Self::Cut(_) => "apply again: it goes on at the first unfinished step".to_owned(),
            Self::TooMuch => "look at the node itself: no agent of ours says so much".to_owned(),
            Self::Fault(failure) => failure.hint.clone().unwrap_or_else(|| {
                if failure.causes.is_empty() && failure.command.is_none() {
                    "look at the node's own log: journalctl -e".to_owned()
                } else {
                    "mend on the node what the last line says".to_owned()
                }
            }),
            Self::Send(_) | Self::Stopped => "run the same command again".to_owned(),
        }
    }
}

/// The message's name, for people.
fn word(message: &ToController) -> &'static str {
    match message {
        ToController::Login(_) => "a login",
        ToController::Hello(_) => "a hello",
        ToController::AskPassword { .. } => "a question for a password",
        ToController::Stale { .. } => "stale facts",
        ToController::NeedBlobs(_) => "a question for contents",
        ToController::Planned(_) => "a plan",
        ToController::Refused(_) => "a refusal",
        ToController::Going { .. } => "the start of a run",
        ToController::Event { .. } => "an event",
        ToController::Done { .. } => "the end of a run",
        ToController::Cut { .. } => "the end of a run that was cut off",
        ToController::Cancelling { .. } => "the word that a run will stop",
        ToController::Proved => "the word that a proof is kept",
        ToController::Challenge(_) => "the word of a nonce",
        ToController::Alive => "a keep-alive",
        ToController::Fault(_) => "a fault",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_that_sudo_wants_may_be_typed_or_stand_in_a_private_file() {
        let hint = SessionError::NeedsPassword { user: "admin".to_owned() }.hint();
        for way in ["run in a terminal", "a private file with the password in OSTLER_SUDO_PASSWORD_FILE", "allow sudo without password"] {
            assert!(hint.contains(way), "{hint}");
        }
    }

    #[test]
    fn who_comes_while_a_run_is_being_started_has_nothing_to_mend() {
        let told = SessionError::Refused(Refusal::Starting);
        assert_eq!(told.hint(), "run the same command again in a moment, or watch that run with `ostler attach`");
        assert!(SessionError::Refused(Refusal::NoRunner("no room".to_owned())).hint().starts_with("mend on the node"));
    }
}
