//! Why a node is out, with the next step.

use crate::session::SessionError;
use crate::transport::ConnectError;
use ostler_roles::outcome::{CommandFailure, Failure};
use ostler_roles::texts::{Edit, Text, Texts};
use serde::{Deserialize, Serialize};

/// Why a node is out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trouble {
    /// What kind of trouble: decides the exit code.
    pub kind: TroubleKind,
    /// What was being done and what came in between, outermost first.
    pub chain: Vec<String>,
    /// The one thing to do next.
    pub hint: String,
    /// The failure that the agent told, where it was one.
    pub failure: Option<Box<Failure>>,
}

/// Kinds of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TroubleKind {
    /// No connection, or none any more.
    Unreachable,
    /// The role cannot be compiled for this node.
    Site,
    /// Another run has it.
    Locked,
    /// Another run had it since its plan was made.
    Moved,
    /// Jobs run on it.
    Busy,
    /// Everything else.
    Failed,
}

/// Lines of a failed command that are shown among the causes.
const LAST_WORDS: usize = 3;

impl Texts for Trouble {
    fn texts(&mut self, edit: Edit<'_>) {
        let Self { kind: _, chain, hint, failure } = self;
        chain.iter_mut().chain([hint]).for_each(|text| edit(Text::One(text)));
        if let Some(failure) = failure {
            failure.texts(edit);
        }
    }
}

/// An error and all its causes, outermost first.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> Vec<String> {
    let mut lines = vec![error.to_string()];
    let mut source = error.source();
    while let Some(error) = source {
        lines.push(error.to_string());
        source = error.source();
    }
    lines
}

/// The last lines that a failed command said, each with the command's name.
fn last_words(command: &CommandFailure) -> Vec<String> {
    let name = command.argv.first().map_or("the command", String::as_str);
    let from = command.tail.len().saturating_sub(LAST_WORDS);
    command.tail[from..].iter().map(|line| format!("{name} said: {line}")).collect()
}

impl From<&ConnectError> for Trouble {
    fn from(error: &ConnectError) -> Self {
        Self { kind: TroubleKind::Unreachable, chain: chain(error), hint: error.hint(), failure: None }
    }
}

impl From<&SessionError> for Trouble {
    fn from(error: &SessionError) -> Self {
        use ostler_roles::wire::message::Refusal;
        let kind = match error {
            SessionError::Refused(Refusal::Locked(_) | Refusal::Starting) => TroubleKind::Locked,
            SessionError::Refused(Refusal::Moved { .. }) => TroubleKind::Moved,
            lost if lost.is_lost() => TroubleKind::Unreachable,
            _ => TroubleKind::Failed,
        };
        let failure = if let SessionError::Fault(failure) = error { Some(failure.clone()) } else { None };
        let causes = failure.iter().flat_map(|failure| failure.causes.clone());
        let said = failure.iter().filter_map(|failure| failure.command.as_ref()).flat_map(last_words);
        let chain = chain(error).into_iter().chain(causes).chain(said).collect();
        Self { kind, chain, hint: error.hint(), failure }
    }
}
