//! The scenes: which nodes, which contestants, what is asked.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use ostler::lab::{Delay, Fault as LabFault, Lab, LabNode, LabSpec, Suite};
use ostler_tests::lab::up;

use super::Fault;
use super::contestants::{ANSIBLE, Contestants, OURS, OURS_SUDO, PYINFRA, SCRIPT, Tools, YARDSTICK};
use super::stopwatch::{Entry, Results, race};
use super::table::section;

/// How often.
#[derive(Debug, Clone, Copy)]
pub struct Rounds {
    /// Of what takes milliseconds.
    pub fast: usize,
    /// Of what takes minutes.
    pub slow: usize,
    /// First applies, each on a node that was made for it.
    pub first: usize,
}

const ORDER: [&str; 6] = [YARDSTICK, OURS, OURS_SUDO, SCRIPT, ANSIBLE, PYINFRA];

fn node(name: &str, last: u8) -> LabNode {
    // What the others need on a node beside what every node has.
    LabNode::new(name, Suite::Bookworm, Ipv4Addr::new(10, 78, 0, last)).with_packages(["git", "python3", "python3-apt"])
}

/// A lab whose `fsync` reaches a disk.
pub fn lab(dir: &Path, names: &[&str]) -> Result<Lab, Fault> {
    let nodes = names.iter().zip(11..).map(|(name, last)| node(name, last));
    let spec = LabSpec { real_sync: true, ..LabSpec::new(nodes) };
    Ok(up(dir, spec)?)
}

/// Where our program keeps what it knows, and how the others are kept from asking.
pub fn environment(tools: &Tools) -> Vec<(&'static str, String)> {
    let below = |name: &str| tools.scratch.join(name).display().to_string();
    vec![
        ("XDG_STATE_HOME", below("state")),
        ("ANSIBLE_HOME", below("ansible-home")),
        ("LC_ALL", "C.UTF-8".to_owned()),
        ("PYTHONDONTWRITEBYTECODE", String::new()),
    ]
}

/// First apply: each contestant on a node of its own that has just been made, one after another.
pub fn first(tools: &Tools, rounds: Rounds) -> Result<String, Fault> {
    let names = ["f1", "f2", "f3", "f4", "f5"];
    let environment = environment(tools);
    let mut all = Results::new();
    // One round more: the first fills the cache of packages and does not count. The slow two take part in so many of the others.
    for round in 0..=rounds.first {
        let lab = lab(&tools.scratch.join("lab"), &names)?;
        let [one, two, three, four, five] = names.map(|name| Contestants::write(tools, &lab, &[name]));
        let mut entries = vec![one?.ours(OURS, "root"), two?.ours(OURS_SUDO, "admin"), three?.script()];
        entries.rotate_left(round % 3);
        if (1..=rounds.slow).contains(&round) {
            entries.extend([four?.ansible(), five?.pyinfra()]);
        }
        let results = race(&lab, 1, false, &entries, &environment)?;
        lab.end()?;
        if round > 0 {
            results.into_iter().for_each(|(name, taken)| all.entry(name).or_default().add(taken));
        }
    }
    let order = [SCRIPT, OURS, OURS_SUDO, ANSIBLE, PYINFRA];
    let words = "Each on a node made for it: a fresh overlay on a disk that syncs, packages from the warm gateway. Ours places its agent first. Compared with the script.";
    Ok(section("First apply of the 100, one node", words, &order, &all))
}

/// First apply on several nodes at once, or over a slower link: the quick contestants, each on a lab of its own.
pub fn first_on(tools: &Tools, rounds: Rounds, names: &[&str], round_trip: Option<Duration>) -> Result<String, Fault> {
    let environment = environment(tools);
    let mut all = Results::new();
    for round in 0..rounds.slow.max(1) {
        let mut turns = [OURS, OURS_SUDO, SCRIPT];
        turns.rotate_left(round % 3);
        for name in turns {
            let lab = lab(&tools.scratch.join("lab"), names)?;
            for node in round_trip.iter().flat_map(|_| names) {
                lab.fault(node, LabFault::Delay(Delay::round_trip(round_trip.unwrap_or_default())))?;
            }
            let set = Contestants::write(tools, &lab, names)?;
            let entry = match name {
                OURS => set.ours(OURS, "root"),
                OURS_SUDO => set.ours(OURS_SUDO, "admin"),
                _ => set.script(),
            };
            race(&lab, 1, false, &[entry], &environment)?.into_iter().for_each(|(name, taken)| all.entry(name).or_default().add(taken));
            lab.end()?;
        }
    }
    let many = if names.len() == 1 { "one node".to_owned() } else { format!("{} nodes at once", names.len()) };
    let far = round_trip.map(|time| format!(", {} ms round trip", time.as_millis())).unwrap_or_default();
    let words = "As above, each on nodes made for it. The packages come from this machine: the slower link carries them too.";
    Ok(section(&format!("First apply of the 100, {many}{far}"), words, &[SCRIPT, OURS, OURS_SUDO], &all))
}

/// No-op: everything is as it should be already.
pub fn noop(tools: &Tools, rounds: Rounds, names: &[&str]) -> Result<String, Fault> {
    let lab = lab(&tools.scratch.join("lab"), names)?;
    let set = Contestants::write(tools, &lab, names)?;
    let environment = environment(tools);
    let mut entries = vec![set.yardstick(), set.ours(OURS, "root"), set.ours(OURS_SUDO, "admin"), set.script()];
    // On ten nodes of one machine these two take minutes: once is enough.
    let slow = if names.len() == 1 { rounds.slow } else { rounds.slow.min(1) };
    if slow > 0 {
        entries.extend([set.ansible().at_most(slow), set.pyinfra().at_most(slow)]);
    }
    // Converged by the quick ones: what is measured has nothing left to do.
    race(&lab, 1, false, &entries[..4], &environment)?;
    let results = race(&lab, rounds.fast, true, &entries, &environment)?;
    unchanged(&results)?;
    let what = if names.len() == 1 { "one node".to_owned() } else { format!("{} nodes at once", names.len()) };
    let mut text = section(&format!("No-op, {what}"), "All 100 resources are as they should be.", &ORDER, &results);
    for name in names {
        lab.fault(name, LabFault::Delay(Delay::round_trip(Duration::from_millis(20))))?;
    }
    let entries: Vec<Entry> = entries.into_iter().take(4).collect();
    let far = race(&lab, rounds.fast, false, &entries, &environment)?;
    unchanged(&far)?;
    text.push_str(&section(&format!("No-op, {what}, 20 ms round trip"), "The same over a slower link.", &ORDER, &far));
    lab.end()?;
    Ok(text)
}

/// A run that changed something was no no-op.
fn unchanged(results: &Results) -> Result<(), Fault> {
    for name in [OURS, OURS_SUDO] {
        if let Some(taken) = results.get(name).filter(|taken| !taken.said.contains("Nothing to change.")) {
            return Err(format!("{name} changed something: {}", taken.said).into());
        }
    }
    if let Some(taken) = results.get(ANSIBLE).filter(|taken| !taken.said.contains("changed=0")) {
        return Err(format!("{ANSIBLE} changed something: {}", taken.said).into());
    }
    Ok(())
}
