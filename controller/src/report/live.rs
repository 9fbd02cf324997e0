//! The live picture on a terminal: one line a node that is at work, nothing before 250 ms.

use super::{NodeState, Phase, State};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use ostler_roles::words::NodeName;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Nothing is drawn before this: quick work adds no noise.
const QUIET: Duration = Duration::from_millis(250);
/// More lines than this do not fit a terminal: the rest is counted.
const LINES: usize = 12;

/// The lines on screen.
pub struct Live {
    screen: MultiProgress,
    bars: BTreeMap<NodeName, ProgressBar>,
    rest: Option<ProgressBar>,
    begun: Instant,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("bars", &self.bars.len()).finish_non_exhaustive()
    }
}

impl Live {
    /// Draws on standard error, at most 20 times a second.
    pub fn new() -> Self {
        Self {
            screen: MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(20)),
            bars: BTreeMap::new(),
            rest: None,
            begun: Instant::now(),
        }
    }

    /// Shows the state as it is now.
    pub fn show(&mut self, state: &State) {
        if self.begun.elapsed() < QUIET {
            return;
        }
        let active: Vec<(&NodeName, &NodeState)> = state.nodes.iter().filter(|(_, node)| is_active(&node.phase)).collect();
        let shown: Vec<&NodeName> = active.iter().take(LINES).map(|(name, _)| *name).collect();
        self.bars.retain(|name, bar| {
            let stays = shown.contains(&name);
            if !stays {
                bar.finish_and_clear();
            }
            stays
        });
        for (name, node) in active.iter().take(LINES) {
            let bar = self.bars.entry((*name).clone()).or_insert_with(|| new_bar(&self.screen));
            bar.set_prefix(name.to_string());
            bar.set_message(describe(node));
        }
        let hidden = active.len().saturating_sub(LINES);
        match (hidden, &self.rest) {
            (0, Some(bar)) => {
                bar.finish_and_clear();
                self.rest = None;
            }
            (0, None) => {}
            (hidden, Some(bar)) => bar.set_message(format!("and {hidden} more")),
            (hidden, None) => {
                let bar = new_bar(&self.screen);
                bar.set_message(format!("and {hidden} more"));
                self.rest = Some(bar);
            }
        }
    }

    /// Prints through the picture, without tearing it.
    pub fn around(&self, print: impl FnOnce()) {
        self.screen.suspend(print);
    }

    /// Takes the picture away.
    pub fn clear(&mut self) {
        for bar in self.bars.values().chain(&self.rest) {
            bar.finish_and_clear();
        }
        self.bars.clear();
        self.rest = None;
    }
}

fn new_bar(screen: &MultiProgress) -> ProgressBar {
    let bar = screen.add(ProgressBar::new_spinner());
    // The template is a constant of ours; the plain style serves if indicatif ever refuses it.
    if let Ok(style) = ProgressStyle::with_template("  {spinner} {prefix:16} {elapsed:>4} {wide_msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

pub(super) fn is_active(phase: &Phase) -> bool {
    match phase {
        Phase::Connecting | Phase::Placing | Phase::Planning | Phase::Waiting(_) | Phase::Running(_) | Phase::Registering(_) => true,
        Phase::Queued | Phase::Planned | Phase::Registered | Phase::Done | Phase::Out => false,
    }
}

/// What a node is doing, in one line.
pub fn describe(node: &NodeState) -> String {
    let doing = match &node.phase {
        Phase::Queued => "queued".to_owned(),
        Phase::Connecting => "connecting".to_owned(),
        Phase::Placing => "placing the agent".to_owned(),
        Phase::Planning => "planning".to_owned(),
        Phase::Planned => "planned".to_owned(),
        Phase::Waiting(nodes) => format!("waits for {}", nodes.iter().map(NodeName::as_str).collect::<Vec<_>>().join(", ")),
        Phase::Running(step) => format!("{}/{} {step}", node.steps.0 + 1, node.steps.1),
        Phase::Registering(text) => text.clone(),
        Phase::Registered => "registered".to_owned(),
        Phase::Done => "done".to_owned(),
        Phase::Out => "out".to_owned(),
    };
    let items = node.items.map(|(done, all)| format!(" {done}/{all}")).unwrap_or_default();
    let bytes = match node.bytes {
        Some((done, Some(all))) => format!(" {done} of {all}"),
        Some((done, None)) => format!(" {done}"),
        None => String::new(),
    };
    super::sanitize(&format!("{doing}{items}{bytes}"), false)
}
