//! What a master does with an executor, as people read it.

use crate::masters::driver::{Event, Verdict};
use ostler_roles::master::Difference;
use std::time::Duration;

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn list(changes: &[Difference]) -> String {
    changes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// One sentence of an event; `hint` is said of an executor that is new.
pub fn text(event: &Event, hint: Option<&str>) -> String {
    match event {
        Event::Shared(text) | Event::Note(text) => text.clone(),
        Event::Quarantining { is_new: true, .. } => match hint {
            Some(hint) => format!("created, quarantined; {hint}"),
            None => "created, quarantined".to_owned(),
        },
        Event::Quarantining { changes, .. } => format!("quarantined: {}", list(changes)),
        Event::Loaded { took } => format!("the master has loaded it ({})", seconds(*took)),
        Event::Equipped => "its agent is in place".to_owned(),
        Event::Waiting { what, waited, until } => {
            format!("waits until {what}: since {} s, at most {} s more", waited.as_secs(), until.saturating_sub(*waited).as_secs())
        }
        Event::Smoking => "online; smoke job asked for".to_owned(),
        Event::Running { url } => format!("smoke job runs: {url}"),
        Event::Smoked { verdict: Verdict::Green, took, .. } => format!("smoke job green ({})", seconds(*took)),
        Event::Smoked { verdict: Verdict::Red, text, took } => format!("smoke job RED ({}): {text}", seconds(*took)),
        Event::Smoked { verdict: Verdict::Unknown, text, took } => format!("smoke job without a verdict ({}): {text}", seconds(*took)),
        Event::Labelling { changes } => format!("attaching labels ({})", list(changes)),
    }
}

/// Whether more of this executor is to come.
pub fn goes_on(event: &Event) -> bool {
    match event {
        Event::Shared(_)
        | Event::Quarantining { .. }
        | Event::Loaded { .. }
        | Event::Equipped
        | Event::Waiting { .. }
        | Event::Smoking
        | Event::Running { .. } => true,
        Event::Note(_) | Event::Smoked { .. } | Event::Labelling { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_named_from_and_to_and_a_wait_says_how_long() {
        let changes = vec![Difference::new("executors", "3", "2"), Difference::new("labels", "old", "big")];
        assert_eq!(text(&Event::Quarantining { is_new: false, changes }, None), "quarantined: executors: 3 -> 2; labels: old -> big");
        let waiting =
            Event::Waiting { what: "it is connected".to_owned(), waited: Duration::from_secs(32), until: Duration::from_secs(60) };
        assert_eq!(text(&waiting, None), "waits until it is connected: since 32 s, at most 28 s more");
        let unknown = Event::Smoked { verdict: Verdict::Unknown, text: "not known: 500".to_owned(), took: Duration::from_secs(1) };
        assert_eq!(text(&unknown, None), "smoke job without a verdict (1.0 s): not known: 500");
    }
}
