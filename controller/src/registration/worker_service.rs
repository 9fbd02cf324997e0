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

/// The service on one node, over its connection of this run.
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
    let desired = Desired::Service(service::Desired {
        name,
        unit: None,
        state: Some(service::State::Running),
        enabled: None,
        check: None,
        at_rest: false,
    });
    let (role, origin, within) = (RoleName::parse(ROLE)?, Origin::generated("registration"), Span::seconds(60));
    let step = Step { desired, role, origin, within, watches: Vec::new(), together: None, while_busy: true };
    Ok(Patch { steps: vec![step], ..Patch::default() })
}

impl SessionService {
    /// Starts it where it is down, as its role says; why it does not stay up, as the node tells what became of that. Whoever stops the run has
    /// no more looks.
    fn start_and_watch(&self) -> Option<String> {
        let patch = patch().ok()?;
        for _ in 0..LOOKS {
            let mut job = self.job.lock().unwrap_or_else(PoisonError::into_inner);
            if job.stop.is_asked() {
                return None;
            }
            let looked = job.run(&patch, &mut || Ok(()));
            drop(job);
            match looked {
                Ok(0) => std::thread::sleep(PAUSE),
                Err(NodeJobError::StepFailed(_, why)) => return Some(why),
                // It has come up; or nothing can be told of it, as where another role set it up, or the connection is lost.
                Ok(_) | Err(_) => return None,
            }
        }
        None
    }
}

impl WorkerService for SessionService {
    fn trouble(&self) -> Option<String> {
        self.start_and_watch()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::registrar;
    use super::super::{Connections, Registrar};
    use super::*;
    use crate::fleet::fake::{Act, FakeNode, hello, name, run_id};
    use crate::masters::Cancellation;
    use ostler_roles::outcome::{Ending, Event, Failure, FailureKind, Outcome};
    use ostler_roles::plan::{Plan, Planned};
    use ostler_roles::resource::{Kind, ResourceId};
    use ostler_roles::wire::message::ToController;
    use ostler_roles::words::Digest;
    use tokio::sync::watch;

    fn planned() -> ToController {
        let because = ResourceId { kind: Kind::Service, key: ROLE.to_owned() };
        let steps = vec![Planned::MayChange { because, changes: Vec::new() }];
        let (requirements, verify, notes) = (Vec::new(), Vec::new(), Vec::new());
        ToController::Planned(Box::new(Plan { catalog: Digest::of(b""), generation: 1, requirements, steps, verify, notes }))
    }

    /// What is told of a service whose node says this behind its `Go`, and how many connections nobody has asked for.
    async fn told(says: Vec<ToController>, stop: Cancellation) -> (Option<String>, usize) {
        let begin =
            [Act::Hear, Act::Say(hello()), Act::Hear, Act::Say(planned()), Act::Hear, Act::Say(ToController::Going { run: run_id() })];
        let fake = FakeNode::new(vec![Some(begin.into_iter().chain(says.into_iter().map(Act::Say)).collect())]);
        let (preparation, _told) = fake.preparation();
        let connections = Connections::new(&Registrar { preparation, stop, ..registrar() });
        let service = SessionService::new(connections.of(&name()));
        (tokio::task::spawn_blocking(move || service.trouble()).await.unwrap(), fake.left())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_a_service_logged_is_what_its_step_says_and_no_lost_connection() {
        let failure =
            Failure { kind: FailureKind::Moved, message: "it does not stay up".to_owned(), causes: Vec::new(), command: None, hint: None };
        let id = ResourceId { kind: Kind::Service, key: ROLE.to_owned() };
        let failed = Event::StepDone { index: 0, id, outcome: Outcome::Failed(failure), millis: 1 };
        let ended = Event::Ended { ending: Ending::Failed, millis: 1 };
        let says = [failed, ended].into_iter().zip(1..).map(|(event, seq)| ToController::Event { seq, event: Box::new(event) });
        let says = says.chain([ToController::Done { run: run_id(), last: 2 }]).collect();
        assert_eq!(told(says, Cancellation::default()).await, (Some("service buildbot-worker: it does not stay up".to_owned()), 0));
        assert_eq!(told(Vec::new(), Cancellation::default()).await, (None, 0), "the connection is lost");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_service_is_not_looked_at_any_more_once_the_run_is_to_stop() {
        let (ask, asked) = watch::channel(false);
        ask.send_replace(true);
        assert_eq!(told(Vec::new(), asked.into()).await, (None, 1));
    }
}
