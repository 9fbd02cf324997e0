//! An agent that should call in and does not: what its node says of it is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ostler::masters::http::Access;
use ostler::masters::jenkins::{Client, InstallAgent, InstallAgentError, JenkinsError, Patience};
use ostler_roles::catalog::Step;
use ostler_roles::master::jenkins::{Launcher, Version};
use ostler_roles::words::Secret;

use super::bench::{Registration, model, node, patience, registration, run, site, token};

/// A node on which everything is in place, and the agent's unit ends again and again, or does not.
#[derive(Debug, Default)]
struct Ends {
    asked: AtomicUsize,
    unit: Option<&'static str>,
}

impl InstallAgent for Ends {
    fn steps(&self, _: &[u8], _: Option<Version>, _: &Secret<String>) -> Result<Vec<Step>, InstallAgentError> {
        unreachable!("nothing is planned here")
    }

    fn bring(
        &self,
        _: &[u8],
        _: Option<Version>,
        _: &Secret<String>,
        _: &mut dyn FnMut() -> Result<(), JenkinsError>,
    ) -> Result<bool, InstallAgentError> {
        match (self.asked.fetch_add(1, Ordering::SeqCst), self.unit) {
            (0, _) | (_, None) => Ok(false),
            (_, Some(words)) => Err(InstallAgentError(words.into())),
        }
    }
}

/// How it ends for an agent that does not call in, and how often its node was asked.
fn told(unit: Option<&'static str>) -> (String, usize) {
    let model = model();
    let patience = Patience { connect: Duration::from_millis(300), ..patience() };
    let client = Client::new(&model.url(), token("narrow"), site(), patience, Access::default()).unwrap();
    let agent = Arc::new(Ends { unit, ..Ends::default() });
    let wanted =
        Registration { agent: Some(Arc::clone(&agent) as Arc<dyn InstallAgent>), ..registration(node("n2", Launcher::Inbound), "true") };
    let ending = run(&client, &wanted).to_string();
    assert_eq!(model.state().nodes["n2"].label, "ostler-quarantine-n2");
    (ending, agent.asked.load(Ordering::SeqCst))
}

#[test]
fn a_unit_that_keeps_ending_is_quoted_where_its_agent_does_not_call_in() {
    let unit = "jenkins-agent-ci-n2.service does not stay up: status 1: java.lang.X: the reason";
    let (ending, asked) = told(Some(unit));
    assert!(ending.starts_with("not registered: the agent of node `n2` is not online after "), "{ending}");
    assert!(ending.ends_with(&format!(" s: it has not called in; on its node: {unit}")), "{ending}");
    assert_eq!(asked, 2);
    // One that runs says nothing.
    let (ending, asked) = told(None);
    assert!(ending.ends_with(" s: it has not called in"), "{ending}");
    assert_eq!(asked, 2);
}
