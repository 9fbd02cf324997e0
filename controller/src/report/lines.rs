//! Plain, stable lines for logs and CI: one a lifecycle event that matters.

use super::sanitize;
use crate::fleet::{FleetEvent, Stage};
use crate::transport::LinkEvent;
use ostler_roles::outcome::{Event, FailureKind, Outcome};
use ostler_roles::words::{Bytes, NodeName};

/// What a link tells, in one sentence.
pub(super) fn link_text(event: &LinkEvent) -> String {
    match event {
        LinkEvent::Dropped { attempt, of, pause, .. } => {
            format!("dropped before the banner (attempt {attempt} of {of}), again in {} ms", pause.as_millis())
        }
        LinkEvent::NoLoginYet { reason, .. } => format!("{reason}; asking again"),
        LinkEvent::Retried { attempt, reason, .. } => format!("attempt {attempt} failed: {reason}"),
        LinkEvent::HostKeyAccepted { host, fingerprint, file } => {
            format!("new host key of {host} accepted: {fingerprint}, written to {file}")
        }
        LinkEvent::Placing { there, of, .. } => format!("placing the agent: {} of {}", Bytes(*there), Bytes(*of)),
        LinkEvent::Banner { text, .. } => format!("banner: {text}"),
    }
}

/// The line for an event; none for those that a log does not need. `verbose` shows unchanged steps too.
pub fn event_line(node: &NodeName, event: &FleetEvent, verbose: u8) -> Option<String> {
    let text = match event {
        FleetEvent::Connecting | FleetEvent::Go(_) | FleetEvent::Done | FleetEvent::Trouble(_) => return None,
        FleetEvent::AttachedAgain { .. } => "connection lost, attached again".to_owned(),
        FleetEvent::MetAgain => "connection lost before the run began, met again: its plan is the same".to_owned(),
        FleetEvent::Link(event) => link_text(event),
        FleetEvent::Met { placed, noise } => {
            let placed = placed.then(|| "agent placed".to_owned());
            let noisy = !noise.is_empty() && verbose > 0;
            let noise = noisy.then(|| format!("the login shell printed {} bytes before the agent", noise.len()));
            let told: Vec<String> = placed.into_iter().chain(noise).collect();
            if told.is_empty() {
                return None;
            }
            told.join("; ")
        }
        FleetEvent::Stage(Stage::Going) if verbose > 0 => "run begun".to_owned(),
        // What leads there is told line by line.
        FleetEvent::Stage(_) => return None,
        FleetEvent::Waiting(nodes) => format!("waits for {}", nodes.iter().map(NodeName::as_str).collect::<Vec<_>>().join(", ")),
        FleetEvent::Master { master, text, .. } => format!("{master}: {text}"),
        FleetEvent::Run { event, .. } => run_line(event, verbose)?,
    };
    Some(format!("{node}: {}", sanitize(&text, false)))
}

fn run_line(event: &Event, verbose: u8) -> Option<String> {
    let seconds = |millis: u64| {
        if millis >= 1000 { format!(" ({:.1} s)", std::time::Duration::from_millis(millis).as_secs_f64()) } else { String::new() }
    };
    Some(match event {
        Event::Started { resumed_at: Some(step), .. } => format!("goes on at step {}", step + 1),
        Event::Started { .. } | Event::StepStarted { .. } | Event::Progress { .. } | Event::Ended { .. } => return None,
        Event::StepDone { id, outcome: Outcome::Changed { notes, .. }, millis, .. } => {
            let notes = if notes.is_empty() { String::new() } else { format!("; {}", notes.join("; ")) };
            format!("changed {id}{}{notes}", seconds(*millis))
        }
        Event::StepDone { id, outcome: Outcome::Unchanged { why }, .. } if verbose > 0 => format!("unchanged {id}: {why}"),
        Event::StepDone { id, outcome: Outcome::Failed(failure), .. } if failure.kind == FailureKind::Cancelled => {
            format!("cancelled {id}: {}", failure.message)
        }
        Event::StepDone { id, outcome: Outcome::Failed(failure), .. } => format!("FAILED {id}: {}", failure.message),
        Event::StepDone { id, outcome: Outcome::NotStarted { because }, .. } if verbose > 0 => format!("not started {id}: {because}"),
        Event::StepDone { .. } => return None,
        Event::Triggered { id, action, because, .. } => {
            let names: Vec<String> = because.iter().map(ToString::to_string).collect();
            format!("{} {id}: {} changed", super::plan::action_word(*action), names.join(", "))
        }
        Event::Verified { name, verdict, .. } if !verdict.passed() => format!("FAILED proof {name}"),
        Event::Verified { name, .. } if verbose > 0 => format!("proved {name}"),
        Event::Verified { .. } => return None,
        Event::Note { text, .. } => text.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::state::NodeState;
    use super::*;
    use ostler_roles::outcome::Failure;
    use ostler_roles::resource::{Kind, ResourceId};

    #[test]
    fn what_a_person_has_stopped_is_told_as_cancelled_and_is_no_failure() {
        let done = |kind| {
            let failure = Failure { kind, message: "stopped in mid-air".to_owned(), causes: Vec::new(), command: None, hint: None };
            let id = ResourceId { kind: Kind::Service, key: "web".to_owned() };
            Event::StepDone { index: 0, id, outcome: Outcome::Failed(failure), millis: 0 }
        };
        let told = |kind| {
            let mut state = NodeState::default();
            state.take(&done(kind));
            (run_line(&done(kind), 0).unwrap(), state.failures.len())
        };
        assert_eq!(told(FailureKind::Cancelled), ("cancelled service web: stopped in mid-air".to_owned(), 0));
        assert_eq!(told(FailureKind::Apply), ("FAILED service web: stopped in mid-air".to_owned(), 1));
    }
}
