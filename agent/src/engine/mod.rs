//! Plans and runs: the order of things, the journal, what is remembered between runs. Knows no resource kind.
//!
//! `docs/decisions/0001-run-protocol.md` is the law here: [`Moment`] names its moments.

mod blobs;
mod cancel;
mod challenge;
mod clean;
mod clock;
mod copy;
mod defect;
mod detach;
mod error;
mod facilities;
mod free_space;
mod go;
mod journal;
mod lock;
mod look_up;
mod node;
mod pending_actions;
mod plan;
mod progress;
mod prove;
mod provider;
mod runner;
mod runners;
mod secrets;
mod state_file_system;
mod state_paths;
mod stored;

pub use blobs::BlobStore;
pub use cancel::{ask_to_cancel, is_cancelled};
pub use challenge::Challenges;
pub use clean::Cleaner;
pub use copy::{CopyError, install, own_account, own_digest, own_file, roots_copy};
pub use defect::words_of as defect_of;
pub use error::EngineError;
pub use facilities::{Facilities, Moment};
pub(crate) use free_space::explained;
pub use go::{Accepted, Order, go};
pub use journal::{JournalReader, Record};
pub use lock::{Lock, is_held};
pub use look_up::look_up;
pub use node::{LastRun, LedgerBefore, NodeRecord};
pub use pending_actions::{PendingAction, PendingActions};
pub use plan::{Draft, Planning};
pub use progress::shown_progress;
pub use prove::prove;
pub use provider::{Applied, ApplyContext, Differing, Examined, Provider};
pub use runner::run;
pub use state_paths::StatePaths;
