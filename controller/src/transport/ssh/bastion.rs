//! Bastions: each is connected to once, however many nodes lie behind it.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use std::sync::Mutex;
use tokio::sync::OnceCell;

use super::Ssh;
use super::connection::Connection;
use crate::transport::config::{ConfigError, Target};
use crate::transport::error::{ConnectError, ConnectFault};
use crate::transport::link::BoxFuture;

/// More bastions one behind the other than anybody has.
const MOST_JUMPS: usize = 8;

type Reached = Arc<OnceCell<Result<Arc<Connection>, Arc<ConnectError>>>>;

/// The bastions of a run. A failed one is not tried again for each node behind it: they all get its error.
#[derive(Debug, Default)]
pub(super) struct Bastions(Mutex<HashMap<Target, Reached>>);

impl Bastions {
    fn cell(&self, target: &Target) -> Reached {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cell = known.entry(target.clone()).or_default();
        let lost = matches!(cell.get(), Some(Ok(connection)) if connection.is_closed());
        if lost {
            *cell = Reached::default();
        }
        Arc::clone(cell)
    }
}

impl Ssh {
    /// Returns the connection to a bastion, made at most once. Boxed: a bastion may lie behind another.
    pub(super) fn bastion<'a>(&'a self, target: &'a Target, depth: usize) -> BoxFuture<'a, Result<Arc<Connection>, ConnectFault>> {
        Box::pin(async move {
            if depth > MOST_JUMPS {
                return Err(ConfigError::TooManyJumps { limit: MOST_JUMPS }.into());
            }
            let cell = self.bastions.cell(target);
            let reached = cell.get_or_init(|| async { self.open(target, depth).await.map(Arc::new).map_err(Arc::new) }).await;
            reached.clone().map_err(ConnectFault::Jump)
        })
    }
}
