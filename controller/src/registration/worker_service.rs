//! The service of a Buildbot worker on its own node: whether it stays up, and what it says when it does not.

use super::connections::SharedJob;
use super::node_job::{NodeJobError, Patch};
use crate::masters::buildbot::WorkerService;
use ostler_roles::catalog::Step;
use ostler_roles::resource::{Desired, service};
use ostler_roles::words::{NameError, Origin, RoleName, Span, UnitName};
use std::sync::PoisonError;
use std::time::Duration;

/// The role that set it up, whose unit has its name.
const ROLE: &str = "buildbot-worker";
/// How often it is looked at: one that keeps ending is up most of the time.
const LOOKS: u32 = 20;
/// The pause between two looks: systemd lets two seconds pass before it starts the unit again.
const PAUSE: Duration = Duration::from_secs(1);

/// The service on one node, over its line of this run.
#[derive(Debug)]
pub struct SessionService {
    job: SharedJob,
}

impl SessionService {
    /// That of the node which this job leads to.
    pub fn new(job: SharedJob) -> Self {
        Self { job }
    }
}

fn patch() -> Result<Patch, NameError> {
    let name = UnitName::parse_service(ROLE)?;
    let desired = Desired::Service(service::Desired { name, unit: None, state: Some(service::State::Running), enabled: None, check: None });
    let (role, origin, within) = (RoleName::parse(ROLE)?, Origin::generated("registration"), Span::seconds(60));
    let step = Step { desired, role, origin, within, watches: Vec::new(), together: None, while_busy: true };
    Ok(Patch { steps: vec![step], ..Patch::default() })
}

impl WorkerService for SessionService {
    /// It is started where it is down, as its role says, and the node tells what became of that.
    fn trouble(&self) -> Option<String> {
        let patch = patch().ok()?;
        for _ in 0..LOOKS {
            let looked = self.job.lock().unwrap_or_else(PoisonError::into_inner).run(&patch, &mut || Ok(()));
            match looked {
                Ok(0) => std::thread::sleep(PAUSE),
                Err(NodeJobError::Failed(_, why)) => return Some(why),
                // It has come up; or nothing can be told of it, as where another role set it up.
                Ok(_) | Err(_) => return None,
            }
        }
        None
    }
}
