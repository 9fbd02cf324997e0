//! What people and programs read: pure folds over events, and the only place that prints.

mod card;
mod cause;
mod common_lines;
mod console;
mod exit;
mod json;
mod lines;
mod live;
mod plan;
mod printer;
mod quiet;
mod recap;
mod sanitize;
mod state;
mod style;
mod visible;

pub use card::{Card, advice, card_lines};
pub use cause::{Cause, all as causes, recognise};
pub use common_lines::{alike, names};
pub use console::{Console, Finished, Journal};
pub use exit::{Exit, merge};
pub use json::{event_json, plan_json, recap_json, trouble_json, verdict_json};
pub use plan::{
    MasterAnswer, MasterCounts, MasterPlan, PlannedExecutor, PlannedMaster, Renamed, master_counts, master_json, master_lines,
    master_troubles,
};
pub use plan::{PlannedNode, change_count, impossible, plan_lines, refusal_lines};
pub use printer::{Format, MaskedError, Printer, Progress};
pub use recap::{CANCELLED, NodeResult, Recap, recap_lines};
use sanitize::escaped;
pub use sanitize::sanitize;
pub use state::{NodeState, Phase, State};
pub use style::{Paint, Style};
