//! Bastions: each is connected to once, however many nodes lie behind it.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use std::sync::Mutex;
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;

use super::Ssh;
use super::connection::Connection;
use crate::transport::config::{ConfigError, Jump, Target};
use crate::transport::error::{ConnectError, ConnectFault};
use crate::transport::link::BoxFuture;

/// More bastions one behind the other than anybody has.
const MOST_JUMPS: usize = 8;

/// How long a bastion that failed counts as failed: the nodes of a run are met at once, but a lost one is looked for again later.
const FAILED_FOR: Duration = Duration::from_secs(5);

/// When it was tried, and what came of it.
type Reached = Arc<OnceCell<(Instant, Result<Arc<Connection>, Arc<ConnectError>>)>>;

/// The bastions of a run. A failed one is not tried again for each node behind it: for a while they all get its error.
#[derive(Debug, Default)]
pub(super) struct Bastions(Mutex<HashMap<Target, Reached>>);

impl Bastions {
    fn cell(&self, target: &Target) -> Reached {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cell = known.entry(target.clone()).or_default();
        let is_over = cell.get().is_some_and(|(tried, reached)| match reached {
            Ok(connection) => connection.is_closed(),
            Err(_) => tried.elapsed() > FAILED_FOR,
        });
        if is_over {
            *cell = Reached::default();
        }
        Arc::clone(cell)
    }
}

impl Ssh {
    /// Walks the whole way to a target before any of it is opened. While a bastion is opened, those who want it wait; what it waits for itself
    /// hangs on its own configuration alone. So where no way leads in a circle nobody waits for himself, and no two for each other.
    ///
    /// # Errors
    /// A circle, or more bastions than anybody has. A bastion that cannot be resolved is told when it is opened.
    pub(super) async fn check_way(&self, target: &Target) -> Result<(), ConfigError> {
        let mut way = vec![target.clone()];
        while let Some(last) = way.last()
            && let Ok(config) = self.resolver.resolve(last, &self.deadlines).await
            && let Jump::Via(next) = &config.jump
        {
            if let Some(first) = way.iter().position(|known| known == next.as_ref()) {
                let around: Vec<&str> = way[first..].iter().chain([next.as_ref()]).map(|target| target.host.as_str()).collect();
                return Err(ConfigError::JumpCircle { way: around.join(" -> ") });
            }
            if way.len() > MOST_JUMPS {
                return Err(ConfigError::TooManyJumps { limit: MOST_JUMPS });
            }
            way.push(next.as_ref().clone());
        }
        Ok(())
    }

    /// Returns the connection to a bastion, made at most once; [`Ssh::check_way`] comes first. Boxed: a bastion may lie behind another.
    pub(super) fn bastion<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<Arc<Connection>, ConnectFault>> {
        Box::pin(async move {
            let cell = self.bastions.cell(target);
            let open = || async {
                let reached = self.open(target).await.map(Arc::new).map_err(Arc::new);
                (Instant::now(), reached)
            };
            let (_, reached) = cell.get_or_init(open).await;
            reached.clone().map_err(ConnectFault::Jump)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::invocation::Invocation;

    #[test]
    fn a_bastion_that_failed_is_tried_again_after_a_while_and_not_before() {
        let (bastions, target) = (Bastions::default(), Target::new("bastion"));
        let failed = || {
            let fault = ConnectFault::NameNotFound { name: "bastion".to_owned(), reason: "no such name".to_owned() };
            Err(Arc::new(ConnectError { host: "bastion".to_owned(), fault, invocation: Invocation::default() }))
        };
        assert!(bastions.cell(&target).set((Instant::now(), failed())).is_ok());
        assert!(bastions.cell(&target).get().is_some());
        let long_ago = Instant::now().checked_sub(FAILED_FOR * 2).unwrap();
        bastions.0.lock().unwrap().insert(target.clone(), Arc::new(OnceCell::from((long_ago, failed()))));
        assert!(bastions.cell(&target).get().is_none());
    }
}
