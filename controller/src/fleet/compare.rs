//! What a node that does not change has of what others want there: compared by itself, and nothing is changed.

use super::{Preparation, Ready, Trouble, TroubleKind};
use crate::session::{Answer, PlanOf, Session, SessionError};
use ostler_roles::catalog::{Catalog, Step};
use ostler_roles::plan::Plan;

/// Asks a node what it would change of these steps. Only for one whose own plan is empty: the conversation forgets the plan before.
///
/// # Errors
/// When it cannot be asked, or its facts change all the time.
pub async fn compare(preparation: &Preparation, ready: &mut Ready, steps: Vec<Step>) -> Result<Plan, Trouble> {
    let (key, facts) = (preparation.compile.secret_key(), ready.connection.session.hello.facts.digest());
    let mut catalog = Catalog { node: ready.node.clone(), facts, require: Vec::new(), steps, verify: Vec::new() };
    let answer = match ask(&mut ready.connection.session, &mut catalog, &key).await {
        // The connection has lain idle, or was given up when the plan had come.
        Err(error) if error.is_lost() => {
            ready.connection = preparation.meet(&ready.node, async { Vec::new() }).await.map_err(|error| Trouble::from(&error))?;
            ask(&mut ready.connection.session, &mut catalog, &key).await
        }
        answer => answer,
    };
    match answer.map_err(|error| Trouble::from(&error))? {
        Answer::Planned(plan) => Ok(*plan),
        Answer::Stale(_) => Err(Trouble {
            kind: TroubleKind::Failed,
            chain: vec!["the node's facts change all the time".to_owned()],
            hint: "run the same command again".to_owned(),
            failure: None,
        }),
    }
}

/// Facts that have changed since it was met are taken as they are now, once.
async fn ask(session: &mut Session, catalog: &mut Catalog, key: &[u8]) -> Result<Answer, SessionError> {
    session.ask(catalog, PlanOf::PART, key).await?;
    match session.answer().await? {
        Answer::Stale(facts) => {
            catalog.facts = facts.digest();
            session.ask(catalog, PlanOf::PART, key).await?;
            session.answer().await
        }
        planned @ Answer::Planned(_) => Ok(planned),
    }
}
