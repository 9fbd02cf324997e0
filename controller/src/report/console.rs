//! The one reader of the fleet's events: folds them, shows them, keeps them.

use super::common_lines::{CommonLines, FEW};
use super::live::Live;
use super::quiet::Quiet;
use super::{Format, Printer, Progress, State, event_json, lines};
use crate::fleet::{EventSender, FleetEvent, FleetMessage};
use crate::transport::LinkEvent;
use ostler_roles::words::NodeName;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;

/// Keeps events beyond the program's end.
pub trait Journal: Send {
    /// Keeps one event.
    fn keep(&mut self, node: &NodeName, event: &FleetEvent);
}

/// What the console knows at the end.
#[derive(Debug)]
pub struct Finished {
    /// The folded state.
    pub state: State,
}

/// A running console.
#[derive(Debug)]
pub struct Console(JoinHandle<Finished>);

impl Console {
    /// Starts reading.
    pub fn start(printer: Printer, mut events: UnboundedReceiver<FleetMessage>, mut journal: Option<Box<dyn Journal>>) -> Self {
        let task = async move {
            let mut state = State::default();
            let mut live = (printer.progress == Progress::Live && !printer.quiet).then(Live::new);
            let mut gathered = CommonLines::default();
            let mut quiet = (printer.progress == Progress::Lines && !printer.quiet).then(Quiet::default);
            let mut tick = tokio::time::interval(Duration::from_millis(100));
            tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
            loop {
                let next = tokio::select! {
                    event = events.recv() => event,
                    _ = tick.tick() => {
                        if let Some(live) = &mut live { live.show(&state); }
                        if gathered.is_due() { tell(&printer, &mut gathered); }
                        let lines = quiet.iter_mut().flat_map(|quiet| quiet.lines(&state, Instant::now()));
                        lines.for_each(|line| printer.aside(&line));
                        continue;
                    }
                };
                let (node, mut event) = match next {
                    Some(FleetMessage::Event(node, event) | FleetMessage::Run(node, event, _)) => (node, event),
                    Some(FleetMessage::Flush(done)) => {
                        tell(&printer, &mut gathered);
                        if let Some(live) = &mut live {
                            live.clear();
                        }
                        // Whoever asked may have given up waiting.
                        let _ = done.send(());
                        continue;
                    }
                    Some(FleetMessage::End) | None => break,
                };
                // Here, before it is cut, folded, kept or shown.
                printer.mask.hide_in(&mut event);
                state.apply(&node, &event);
                if let Some(journal) = &mut journal {
                    journal.keep(&node, &event);
                }
                let together = (live.is_none() && printer.verbose == 0 && state.nodes.len() > FEW).then_some(&mut gathered);
                if show(&printer, live.as_ref(), together, &node, &event)
                    && let Some(quiet) = &mut quiet
                {
                    quiet.told(&node, Instant::now());
                }
            }
            tell(&printer, &mut gathered);
            if let Some(live) = &mut live {
                live.clear();
            }
            Finished { state }
        };
        #[expect(clippy::disallowed_methods, reason = "owned by this value and awaited in `finish`")]
        Self(tokio::spawn(task))
    }

    /// Ends the telling and waits until all that was told is shown.
    pub async fn finish(self, events: &EventSender) -> Finished {
        events.end();
        match self.0.await {
            Ok(finished) => finished,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

/// Tells what was gathered of many nodes.
fn tell(printer: &Printer, gathered: &mut CommonLines) {
    gathered.take().iter().for_each(|line| printer.aside(line));
}

/// Shows an event; true: a line of it was printed, or will be. Lines go to `together` where there are many nodes, but for failures, which are told
/// at once and in their order.
fn show(printer: &Printer, live: Option<&Live>, together: Option<&mut CommonLines>, node: &NodeName, event: &FleetEvent) -> bool {
    if printer.format == Format::Json {
        if let Some(value) = event_json(node, event) {
            printer.json(&value);
        }
        return false;
    }
    let Some(line) = lines::event_line(node, event, printer.verbose) else { return false };
    if printer.quiet && !is_failure(event) {
        return false;
    }
    // On a terminal the live picture shows what goes on: only what stays worth reading is printed above it.
    let passing = matches!(event, FleetEvent::Link(LinkEvent::Placing { .. }));
    let lasting =
        matches!(event, FleetEvent::Link(_) | FleetEvent::AttachedAgain { .. } | FleetEvent::MetAgain | FleetEvent::Master { .. })
            && !passing
            || printer.verbose > 0
            || is_failure(event);
    match live {
        Some(live) if lasting => live.around(|| printer.aside(&format!("  {line}"))),
        Some(_) => {}
        None => match together {
            Some(gathered) if !is_failure(event) => {
                gathered.add(node, line.strip_prefix(node.as_str()).and_then(|line| line.strip_prefix(": ")).unwrap_or(&line));
            }
            Some(gathered) => {
                tell(printer, gathered);
                printer.aside(&line);
            }
            None => printer.aside(&line),
        },
    }
    live.is_none()
}

fn is_failure(event: &FleetEvent) -> bool {
    use ostler_roles::outcome::{Event, Outcome};
    matches!(event, FleetEvent::Run { event, .. } if matches!(event.as_ref(), Event::StepDone { outcome: Outcome::Failed(_), .. } | Event::Note { .. }))
}
