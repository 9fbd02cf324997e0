//! Many nodes at once: who is met, planned and run when. One slow or dead node never holds back the others; a refused requirement
//! on any node stops all before anything is changed anywhere.

mod apply;
mod compare;
mod connection;
mod connection_limit;
mod event;
mod executors;
#[cfg(test)]
pub(crate) mod fake;
mod follow;
mod lockout;
mod preparation;
mod prepare;
mod reconnect;
mod stage;
mod transaction;
mod trouble;

pub use crate::session::Content;
pub use apply::{NodeEnd, Runner, prove_again, secrets_of};
pub use compare::compare;
pub use connection::{Connection, MeetError, leave};
pub use connection_limit::ConnectionLimit;
pub use event::{EventSender, FleetEvent, FleetMessage};
pub use executors::SiteExecutors;
pub use follow::{Follower, Found, Start, new_run};
pub use preparation::{Blobs, Compile, CompileError, Masked, OpenedSecrets, Preparation, Prepared, Reach};
pub use prepare::{Ready, prepare};
pub use reconnect::ReconnectLimits;
pub use stage::{ExecutorRef, Stage, Stages};
pub use transaction::Transaction;
pub use trouble::{Trouble, TroubleKind, chain};
