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

/// A lab of nodes with what every node has alone.
pub fn bare(dir: &Path, suite: Suite, names: &[&str]) -> Result<Lab, Fault> {
    let nodes = names.iter().zip(11..).map(|(name, last)| LabNode::new(*name, suite, Ipv4Addr::new(10, 78, 0, last)));
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
    let words = format!("All 100 resources are as they should be. {}", set.exchanges(&lab)?);
    let mut text = section(&format!("No-op, {what}"), &words, &ORDER, &results);
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

/// No-op of one node whose sshd has a hybrid key exchange in common with us and with the OpenSSH here, each its own.
pub fn hybrid(tools: &Tools, rounds: Rounds) -> Result<String, Fault> {
    let lab = bare(&tools.scratch.join("lab"), Suite::Trixie, &["n1"])?;
    let set = Contestants::write(tools, &lab, &["n1"])?;
    let entries = [set.yardstick(), set.ours(OURS, "root")];
    race(&lab, 1, false, &entries, &environment(tools))?;
    let results = race(&lab, rounds.fast, true, &entries, &environment(tools))?;
    unchanged(&results)?;
    let words = format!("All 100 resources are as they should be, on Debian 13. {}", set.exchanges(&lab)?);
    lab.end()?;
    Ok(section("No-op, one node, hybrid key exchange", &words, &ORDER, &results))
}

/// A plan of many packages beside one of a tenth of them: none is there, all could be installed.
pub fn packages(tools: &Tools, rounds: Rounds) -> Result<String, Fault> {
    const FEW: &str = "200 packages";
    const MANY: &str = "2000 packages";
    let lab = bare(&tools.scratch.join("lab"), Suite::Bookworm, &["n1"])?;
    let set = Contestants::write(tools, &lab, &["n1"])?;
    let list = "apt-get update -qq >&2 && apt-cache pkgnames | grep -xE 'lib[a-z]+-perl|python3-[a-z]+' | sort -u";
    let output = lab.node_command("n1", ["sh", "-ec", list]).output()?;
    let names: Vec<&str> =
        output.text().lines().map(str::trim).filter(|name| !name.is_empty()).map(|name| &*String::leak(name.to_owned())).collect();
    let mut entries = Vec::new();
    for (name, site, count) in [(FEW, "few", 200), (MANY, "many", 2000)] {
        let wanted = names.get(..count).ok_or_else(|| format!("the node's lists have {} such packages", names.len()))?;
        let role = format!("role: bench\nsummary: Packages.\nsteps:\n  - package: {{install: [{}]}}\n", wanted.join(", "));
        entries.push(set.plan(name, "root", site, &role)?);
    }
    race(&lab, 1, false, &entries, &environment(tools))?;
    let results = race(&lab, rounds.fast, false, &entries, &environment(tools))?;
    lab.end()?;
    Ok(section("A plan with many packages", "`ostler plan`, compared with the plan of a tenth of them.", &[FEW, MANY], &results))
}

/// First apply of large files to many nodes at once: what the controller holds of them.
pub fn contents(tools: &Tools) -> Result<String, Fault> {
    const NODES: usize = 50;
    let names: Vec<String> = (1..=NODES).map(|n| format!("n{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let lab = bare(&tools.scratch.join("lab"), Suite::Bookworm, &names)?;
    let set = Contestants::write(tools, &lab, &names)?;
    set.large_files("root", 10, 2 << 20)?;
    let results = race(&lab, 1, true, &[set.ours(OURS, "root").at_most(1)], &environment(tools))?;
    lab.end()?;
    let words = "Ten files of 2 MiB that do not become smaller, sent to fifty nodes that have none of them.";
    Ok(section("First apply of 20 MB to 50 nodes at once", words, &[OURS], &results))
}

/// A run that changed something was no no-op.
pub fn unchanged(results: &Results) -> Result<(), Fault> {
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
