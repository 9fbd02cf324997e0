//! Many nodes: one machine of the lab that answers at hundreds of addresses, each of them a node with its own name and host key entry.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use ostler::lab::{Lab, Suite};

use super::Fault;
use super::contestants::{OURS, Tools, YARDSTICK};
use super::scenes::{Rounds, bare, environment, unchanged};
use super::stopwatch::{Entry, Results, Taken, race};
use super::table::{median, section};
use super::workload::{self, Keys, Place};

/// The network whose every address is the machine's own.
const NETWORK: &str = "10.77.0.0/16";
/// How many are met at once.
const AT_ONCE: usize = 50;

/// The addresses as a site, as OpenSSH's list of hosts, and as records of host keys.
struct Fleet {
    lab: Lab,
    dir: PathBuf,
    keys: Keys,
}

fn places(count: usize) -> Vec<Place> {
    (0..count).map(|n| Place { name: format!("m{n:04}"), address: format!("10.77.{}.{}", n / 200, n % 200 + 1) }).collect()
}

impl Fleet {
    /// Brings the machine up and routes the network to it.
    fn up(tools: &Tools, most: usize) -> Result<Self, Fault> {
        let lab = bare(&tools.scratch.join("lab"), Suite::Bookworm, &["n1"])?;
        let node = lab.node("n1")?.clone();
        done(&lab.node_command("n1", ["ip", "route", "add", "local", NETWORK, "dev", "lo"]).output()?)?;
        done(&lab.command(["ip", "route", "add", NETWORK, "via", &node.address.to_string()]).output()?)?;
        let dir = tools.scratch.join("many");
        fs::create_dir_all(&dir)?;
        let keys = Keys { identity: lab.ssh_key(), known_hosts: dir.join("known_hosts"), config: dir.join("ssh_config") };
        let known = fs::read_to_string(lab.known_hosts())?;
        let key = known.lines().next().and_then(|line| line.split_once(' ')).map(|(_, key)| key).ok_or("the lab has no host key")?;
        let records: String = places(most).iter().map(|place| format!("{} {key}\n", place.address)).collect();
        fs::write(&keys.known_hosts, records)?;
        let (identity, known) = (keys.identity.display(), keys.known_hosts.display());
        fs::write(&keys.config, format!("IdentityFile {identity}\nUserKnownHostsFile {known}\nStrictHostKeyChecking yes\n"))?;
        Ok(Self { lab, dir, keys })
    }

    /// A site of the first so many.
    fn site(&self, count: usize) -> Result<PathBuf, Fault> {
        let at = self.dir.join(format!("site-{count}"));
        workload::site(&at, "root", &self.keys, &places(count))?;
        Ok(at)
    }

    fn ours(tools: &Tools, name: &str, site: &Path, words: &[&str]) -> Entry {
        let (program, site, forks) = (tools.ostler.display().to_string(), site.display().to_string(), AT_ONCE.to_string());
        let words = [&[program.as_str(), "-C", &site, "apply", "--yes", "-f", &forks], words].concat();
        Entry::new(name, words)
    }

    /// OpenSSH as it comes, once for each.
    fn yardstick(&self, count: usize) -> Result<Entry, Fault> {
        let hosts = self.dir.join(format!("hosts-{count}"));
        let list = places(count).into_iter().fold(String::new(), |mut list, place| {
            let _ = writeln!(list, "{}", place.address);
            list
        });
        fs::write(&hosts, list)?;
        let (hosts, at_once, config) = (hosts.display().to_string(), AT_ONCE.to_string(), self.keys.config.display().to_string());
        let each = ["ssh", "-n", "-F", &config, "-l", "root", "{}", "true"];
        Ok(Entry::new(YARDSTICK, [&["xargs", "-a", &hosts, "-P", &at_once, "-I{}"], &each[..]].concat()))
    }

    /// Makes the machine as it shall be by its first address, then meets all of them once: facts are known, the agent is there.
    fn settle(&self, tools: &Tools, sites: &[&Path]) -> Result<(), Fault> {
        for site in sites {
            let first = Self::ours(tools, OURS, site, &["-l", "m0000"]);
            race(&self.lab, 1, false, &[first, Self::ours(tools, OURS, site, &[])], &environment(tools))?;
        }
        Ok(())
    }
}

fn done(output: &ostler::lab::LabOutput) -> Result<(), Fault> {
    if output.ended.is_success() { Ok(()) } else { Err(output.all().into()) }
}

/// No-op of four hundred addresses beside `ssh HOST true` on each.
pub fn four_hundred(tools: &Tools, rounds: Rounds) -> Result<String, Fault> {
    const COUNT: usize = 400;
    let fleet = Fleet::up(tools, COUNT)?;
    let site = fleet.site(COUNT)?;
    fleet.settle(tools, &[&site])?;
    let entries = [fleet.yardstick(COUNT)?, Fleet::ours(tools, OURS, &site, &[])];
    let results = race(&fleet.lab, rounds.slow.max(1), false, &entries, &environment(tools))?;
    unchanged(&results)?;
    fleet.lab.end()?;
    let words = format!("One sshd that answers at {COUNT} addresses, {AT_ONCE} of them met at once; the processors are the node's too.");
    Ok(section(&format!("No-op, {COUNT} addresses"), &words, &[YARDSTICK, OURS], &results))
}

/// What the controller takes for a hundred addresses and for a thousand.
pub fn thousand(tools: &Tools, rounds: Rounds) -> Result<String, Fault> {
    const COUNTS: [usize; 2] = [100, 1000];
    let fleet = Fleet::up(tools, COUNTS[1])?;
    let sites = [fleet.site(COUNTS[0])?, fleet.site(COUNTS[1])?];
    fleet.settle(tools, &[&sites[0], &sites[1]])?;
    let names = COUNTS.map(|count| format!("{count} addresses"));
    let entries = [0, 1].map(|which| Fleet::ours(tools, &names[which], &sites[which], &[]));
    let results = race(&fleet.lab, rounds.slow.max(1), true, &entries, &environment(tools))?;
    unchanged(&results)?;
    fleet.lab.end()?;
    Ok(table(&COUNTS, &names, &results))
}

/// The controller alone: what grows with the nodes, and what must not.
fn table(counts: &[usize], names: &[String], results: &Results) -> String {
    let mut text = format!(
        "### The controller at many nodes\n\nNo-op of the 100, {AT_ONCE} met at once: the controller's side alone, `ssh -G` among it.\n\n"
    );
    text.push_str("| | n | median ms | CPU ms a node | peak MB | open files |\n|---|---:|---:|---:|---:|---:|\n");
    for (count, name) in counts.iter().zip(names) {
        let none = Taken::default();
        let taken = results.get(name).unwrap_or(&none);
        #[expect(clippy::cast_precision_loss, reason = "a thousand")]
        let each = median(&taken.cpu) * 1000.0 / *count as f64;
        let peak = taken.peak_kb.map_or_else(|| "-".to_owned(), |kb| format!("{:.1}", kb / 1024.0));
        let files = taken.files.map_or_else(|| "-".to_owned(), |files| files.to_string());
        let _ = writeln!(text, "| {name} | {} | {:.0} | {each:.1} | {peak} | {files} |", taken.ms.len(), median(&taken.ms));
    }
    text.push('\n');
    text
}
