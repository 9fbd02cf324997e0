//! `disk`: room on the file system that really holds a path.

use super::{Judge, Share, Verdict, fail, pass};
use crate::words::{AbsPath, Bytes, count};
use serde::{Deserialize, Serialize};

/// Steps that are named where how much they write is not known.
const NAMED: usize = 3;

/// Room on the file system that really holds `path` (its nearest existing parent where it does not exist yet).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// The path.
    pub path: AbsPath,
    /// How large the file system must be.
    pub size: Option<Bytes>,
    /// How much must remain after this plan has written what is still missing; already multiplied by `per: executor`. On the node it adds
    /// up with what others want on the same file system.
    pub free_after: Option<Bytes>,
    /// The node's executor count, where the role says `per: executor`: shown with the numbers.
    pub executors: Option<u32>,
}

/// The file system that holds the path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Where it is mounted.
    pub mount: String,
    /// Its kind.
    pub file_system: String,
    /// Its size.
    pub size: Bytes,
    /// Free for an ordinary account.
    pub free: Bytes,
    /// What this plan will still write on it, as far as is known.
    pub to_write: Bytes,
    /// Steps that will write on it nobody knows how much.
    #[serde(default)]
    pub unknown: Vec<String>,
    /// All that requirements want to remain on it, told with the largest of them; nothing with the others.
    #[serde(default)]
    pub shares: Vec<Share>,
}

impl Judge for Disk {
    type Evidence = Evidence;
    const RUNNING: Option<&'static str> = Some("its disks are those of the machine that it becomes");

    fn subject(&self) -> Option<String> {
        Some(self.path.to_string())
    }

    fn judge(&self, found: &Evidence) -> Verdict {
        let Evidence { mount, file_system, size, free, to_write, unknown, shares } = found;
        let on = format!("{mount} ({file_system})");
        if let Some(wanted) = self.size.filter(|wanted| *size < *wanted) {
            return fail(
                format_args!("{on} is {size}"),
                format_args!("a file system of at least {wanted} below {}", self.path),
                Some(Bytes(wanted.count() - size.count()).to_string()),
                format_args!("grow the file system or mount a larger one at {}", self.path),
            );
        }
        let unknown = named(unknown);
        let remains = Bytes(free.count().saturating_sub(to_write.count()));
        if let Some((wanted, told)) = self.room(shares).filter(|(wanted, _)| remains < *wanted) {
            let plan = if to_write.count() > 0 { format!(" and this plan writes {to_write}") } else { String::new() };
            let unknown = if unknown.is_empty() { unknown } else { format!("; what {unknown} will write is not known") };
            return fail(
                format_args!("{on} has {free} free{plan}{unknown}"),
                told,
                Some(Bytes(wanted.count() - remains.count()).to_string()),
                format_args!("on the node: du -xh --max-depth=2 {mount} | sort -h | tail"),
            );
        }
        let unknown =
            if unknown.is_empty() || self.free_after.is_none() { String::new() } else { format!(", before what {unknown} will write") };
        pass(format_args!("{on}: {size}, {free} free{unknown}"))
    }
}

impl Disk {
    /// How much must remain, and whose needs that is: this one's alone, or the sum of all on the file system.
    fn room(&self, shares: &[Share]) -> Option<(Bytes, String)> {
        let own = self.free_after?;
        if shares.len() < 2 {
            let share = self.executors.map(|number| format!(", for {}", count(number, "executor"))).unwrap_or_default();
            return Some((own, format!("{own} free for {}{share}", self.path)));
        }
        let sum = Bytes(shares.iter().fold(0, |sum: u64, share| sum.saturating_add(share.free_after.count())));
        let each: Vec<String> = shares.iter().map(Share::to_string).collect();
        Some((sum, format!("{sum} free in all: {}", each.join(", "))))
    }
}

/// The first of some steps, and how many more there are.
fn named(steps: &[String]) -> String {
    let shown = steps.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match steps.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
