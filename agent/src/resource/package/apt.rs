//! One apt-get transaction for a batch of packages. It is never killed within its transaction.

use super::super::command::ROOTS_PROGRAMS;
use super::super::fault::{hinted, unmade};
use super::super::known::offers;
use super::super::known::packages::{NATIVE, updates};
use super::super::node::Node;
use super::super::{Act as _, note};
use super::lock;
use crate::engine::ApplyContext;
use crate::host::child::{Finished, Program, Tail, output_mask};
use crate::host::{Operation, OsError};
use ostler_roles::check::{self, Judge as _, PackageWant, Verdict};
use ostler_roles::outcome::{CommandFailure, Ended, Failure, FailureKind};
use ostler_roles::resource::Resource as _;
use ostler_roles::resource::package::{Change, Desired, Observed, State};
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::Instant;

/// Where apt-get writes: a file, so that it can outlive us. Masked once it has ended; until then it is root's alone, as always.
const LOG: &str = "/var/log/ostler-apt.log";
/// Where pages of programs are.
const PAGES: &str = "/usr/share/man/man1";
/// Bytes of the log that a failure is told from.
const TOLD: u64 = 16 << 10;
/// Bytes of it that are kept.
const KEPT_LOG: u64 = 16 << 20;

/// What apt says when its lists are older than the archive, or the name is wrong.
const NOT_FOUND: [&str; 5] =
    ["Unable to locate package", "has no installation candidate", "was not found", "404  Not Found", "Couldn't find any package"];

/// What apt and dpkg say when another took the lock between our look and their start.
const LOCKED: [&str; 2] = ["Could not get lock", "dpkg frontend lock was locked by another process"];

/// What apt says when it would remove something and may not.
const KEPT: &str = "Packages need to be removed but remove is disabled";

/// Every change of packages; what else is installed or removed is decided by names alone.
const APT: [&str; 5] = ["apt-get", "--yes", "--quiet", "--no-install-recommends", "--allow-downgrades"];

/// Whatever the node's own configuration says: nobody is asked, and nothing goes because it is needed no more.
const OPTIONS: [&str; 5] = [
    "DPkg::Lock::Timeout=0",
    "Dpkg::Options::=--force-confdef",
    "Dpkg::Options::=--force-confold",
    "Dpkg::Use-Pty=0",
    "APT::Get::AutomaticRemove=false",
];

/// Makes the changes of a batch in one transaction.
pub(crate) fn apply_all(node: &Node, batch: &[(&Desired, Vec<Change>)], work: &ApplyContext<'_>) -> Result<Vec<String>, Failure> {
    let mut apt = Apt { node, work, notes: Vec::new() };
    let done = apt.make(batch);
    node.forget_package_state();
    node.may_have_written(&ROOTS_PROGRAMS, APT[0], work);
    done.map_err(|failed| unavailable(node, batch, &failed, work.deadline).unwrap_or(failed))?;
    for (desired, _) in batch {
        if let Observed::Provided { by, version } = desired.observe(node)? {
            apt.notes.push(format!("{} is provided by {by} {version}", desired.name));
        }
    }
    Ok(apt.notes)
}

/// What a plan may have put off until an earlier step had its turn is asked again: that each package can be had. None where apt found all.
fn unavailable(node: &Node, batch: &[(&Desired, Vec<Change>)], failed: &Failure, deadline: Instant) -> Option<Failure> {
    let said = failed.command.as_ref()?.tail.join("\n");
    NOT_FOUND.iter().find(|words| said.contains(**words))?;
    batch.iter().find_map(|(desired, _)| {
        let State::Installed { version } = &desired.state else { return None };
        let wanted = check::Package { name: desired.name.clone(), want: PackageWant::Offered, version: version.clone() };
        let verdict = wanted.judge(&super::evidence(node, &wanted, deadline).ok()?);
        let Verdict::Fail { found, hint, .. } = verdict else { return None };
        let told = hinted(failed.kind, format!("{}: {found}", failed.message), hint);
        Some(Failure { command: failed.command.clone(), ..told })
    })
}

/// What is to be done, in apt's words.
#[derive(Default)]
struct Words {
    install: Vec<String>,
    remove: Vec<String>,
}

impl Words {
    fn add(&mut self, desired: &Desired, change: &Change) {
        let version = match &desired.state {
            State::Installed { version } => version.as_ref(),
            State::Removed => None,
        };
        match change {
            Change::Install(_) | Change::SetVersion { .. } | Change::Mend(_) => {
                self.install.push(version.map_or_else(|| desired.name.to_string(), |version| format!("{}={version}", desired.name)));
            }
            Change::Remove | Change::Clear(_) => self.remove.push(desired.name.to_string()),
        }
    }
}

struct Apt<'a> {
    node: &'a Node,
    work: &'a ApplyContext<'a>,
    notes: Vec<String>,
}

impl Apt<'_> {
    fn make(&mut self, batch: &[(&Desired, Vec<Change>)]) -> Result<(), Failure> {
        lock::wait(self.node, self.work)?;
        let left = batch.iter().flat_map(|(_, changes)| changes).any(|change| matches!(change, Change::Mend(_)));
        let installs = batch.iter().any(|(desired, _)| matches!(desired.state, State::Installed { .. }));
        if left || self.is_interrupted()? {
            self.finish(installs)?;
        }
        let mut words = Words::default();
        for (desired, changes) in batch {
            for change in changes {
                // What dpkg has just finished is not installed anew, or as another version.
                if !matches!(change, Change::Mend(_)) || !desired.diff(&desired.observe(self.node)?).is_ok_and(|left| left.is_empty()) {
                    words.add(desired, change);
                }
            }
        }
        if words.install.is_empty() && words.remove.is_empty() {
            return Ok(());
        }
        // Where pages are not unpacked (dpkg's path-exclude) the scripts of openjdk-*-jre-headless link to some all the same (Debian #863199).
        self.node.host.make_parents(&Path::new(PAGES).join("java.1.gz")).map_err(unmade)?;
        self.transaction(&words.install, &words.remove).map_err(|mut failed| {
            // What came before it may be why: lists that could not be read hold no package.
            failed.causes.append(&mut self.notes);
            failed
        })
    }

    fn is_interrupted(&self) -> Result<bool, Failure> {
        Ok(!updates(&self.node.host).map_err(unmade)?.is_empty())
    }

    /// Finishes what an interrupted dpkg left. Where packages shall only go, one whose script fails is no hindrance: it may be one of them.
    fn finish(&mut self, installs: bool) -> Result<(), Failure> {
        note(self.work, "finishing what an interrupted dpkg left".to_owned());
        let finished = self.run(&["dpkg", "--force-confdef", "--force-confold", "--configure", "-a"], &[])?;
        self.node.forget_package_state();
        if finished.is_good() || (!installs && !self.is_interrupted()?) {
            return Ok(());
        }
        finished.good("finish an interrupted dpkg").map(drop).map_err(explained)
    }

    fn transaction(&mut self, install: &[String], remove: &[String]) -> Result<(), Failure> {
        if !install.is_empty() && offers::are_old(&self.node.host).map_err(unmade)? {
            self.update()?;
        }
        let (doing, verb) = if install.is_empty() { ("remove packages", "remove") } else { ("install packages", "install") };
        // One transaction: what goes may be what something else comes in the place of.
        let mark = if install.is_empty() { "" } else { "-" };
        let names: Vec<String> = install.iter().cloned().chain(remove.iter().map(|name| format!("{name}{mark}"))).collect();
        if remove.is_empty() {
            let done = self.looked_up(|apt| apt.run(&[&APT[..], &["--no-remove", verb]].concat(), &names))?;
            if !done.is_good() && done.tail.mentions(KEPT) {
                let simulated = self.simulated(verb, &names)?.good("work out what else would be removed").map_err(explained)?;
                return Err(uncalled(doing, &beside(&simulated, remove)?, Some(done)));
            }
            return done.good(doing).map(drop).map_err(explained);
        }
        // Lists that are read anew may want other packages gone: what runs is what was worked out from the lists that it runs with.
        self.looked_up(|apt| {
            let simulated = apt.simulated(verb, &names)?;
            if !simulated.is_good() {
                return Ok(simulated);
            }
            match beside(&simulated, remove)?.as_slice() {
                [] => apt.run(&[&APT[..], &[verb]].concat(), &names),
                taken => Err(uncalled(doing, taken, None)),
            }
        })?
        .good(doing)
        .map(drop)
        .map_err(explained)
    }

    /// Tries once more with lists read anew where a package was not found.
    fn looked_up(&mut self, attempt: impl Fn(&Self) -> Result<Finished, Failure>) -> Result<Finished, Failure> {
        let first = attempt(self)?;
        if first.is_good() || !NOT_FOUND.iter().any(|words| first.tail.mentions(words)) {
            return Ok(first);
        }
        note(self.work, "a package was not found: reading the package lists again".to_owned());
        self.update()?;
        attempt(self)
    }

    /// What the same words would do. Changes nothing.
    fn simulated(&self, verb: &str, names: &[String]) -> Result<Finished, Failure> {
        let argv = argv(&[&APT[..], &["--simulate", verb]].concat(), names);
        Program::new(argv).run_to_end(self.work.deadline).map_err(unmade)
    }

    /// Lists that cannot be read are no failure as long as the install works: a mirror may be away for a while.
    fn update(&mut self) -> Result<(), Failure> {
        let finished = self.run(&["apt-get", "--quiet", "update"], &[])?;
        if finished.is_good() && !finished.tail.mentions("Failed to fetch") {
            return offers::now_fresh(&self.node.host).map_err(unmade);
        }
        let last = finished.tail.last_line();
        self.notes.push(format!("the package lists could not be read anew: {last}"));
        Ok(())
    }

    /// Runs it when the lock is free. Who takes the lock in between is waited for like who had it before.
    fn run(&self, command: &[&str], names: &[String]) -> Result<Finished, Failure> {
        loop {
            lock::wait(self.node, self.work)?;
            let finished = self.run_once(command, names)?;
            let taken = !finished.is_good() && LOCKED.iter().any(|words| finished.tail.mentions(words));
            if !taken || Instant::now() >= self.work.deadline || (self.work.cancelled)() {
                return Ok(finished);
            }
            std::thread::sleep(lock::TICK);
        }
    }

    fn run_once(&self, command: &[&str], names: &[String]) -> Result<Finished, Failure> {
        let argv = argv(command, names);
        let log = self.log()?;
        let mut program = Program::new(argv.clone());
        // apt-listchanges and needrestart would ask or restart services by themselves.
        program.environment = [("DEBIAN_FRONTEND", "noninteractive"), ("APT_LISTCHANGES_FRONTEND", "none"), ("NEEDRESTART_SUSPEND", "1")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
        program.log_to = Some(log.try_clone().map_err(|source| unmade(OsError::new(Operation::Write, LOG, source)))?);
        program.survives = true;
        let mut finished = program.run_to_end(self.work.deadline).map_err(unmade)?;
        finished.tail = tail(&log).map_err(|source| unmade(OsError::new(Operation::Read, LOG, source)))?;
        if finished.status != Ended::Deadline {
            mask(&log).map_err(|source| unmade(OsError::new(Operation::Write, LOG, source)))?;
        }
        if finished.status == Ended::Deadline {
            return Err(Failure {
                command: Some(CommandFailure { argv, status: Ended::Deadline, tail: finished.tail.into_lines() }),
                ..hinted(
                    FailureKind::Deadline,
                    "the package manager has not ended in time; it is left to finish, and the next run waits for it",
                    format!("on the node: tail -f {LOG}; or raise `within` of this step"),
                )
            });
        }
        Ok(finished)
    }

    /// A new log; the last one goes.
    fn log(&self) -> Result<File, Failure> {
        self.node.host.create_private(Path::new(LOG)).map_err(unmade)
    }
}

/// The whole command; apt's own gets the options that every call of ours has.
fn argv(command: &[&str], names: &[String]) -> Vec<String> {
    let mut argv: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
    if command.first() == Some(&"apt-get") {
        argv.splice(1..1, OPTIONS.iter().flat_map(|option| ["-o".to_owned(), (*option).to_owned()]));
        if !names.is_empty() {
            argv.push("--".to_owned());
        }
    }
    argv.extend(names.iter().cloned());
    argv
}

/// A package's name as apt prints it: with its architecture only where that is another one.
fn native(name: &str) -> &str {
    name.strip_suffix(NATIVE).and_then(|name| name.strip_suffix(':')).unwrap_or(name)
}

/// Packages that a simulation removes: lines `Remv NAME [VERSION]`, `Purg` where configuration files go too (apt-get(8)).
fn removed(simulation: &str) -> Vec<&str> {
    let lines = simulation.lines().filter_map(|line| line.strip_prefix("Remv ").or_else(|| line.strip_prefix("Purg ")));
    lines.filter_map(|line| line.split_whitespace().next()).map(native).collect()
}

/// What would be removed beside what was named.
fn beside(simulated: &Finished, named: &[String]) -> Result<Vec<String>, Failure> {
    let text = String::from_utf8_lossy(simulated.said().map_err(unmade)?);
    let uncalled = |name: &&str| !named.iter().any(|one| native(one) == *name);
    Ok(removed(&text).into_iter().filter(uncalled).map(str::to_owned).collect())
}

/// Packages would go that no step names: nothing was begun.
fn uncalled(doing: &str, taken: &[String], said: Option<Finished>) -> Failure {
    let names = taken.join(", ");
    Failure {
        command: said.map(|said| CommandFailure { argv: said.argv, status: said.status, tail: said.tail.into_lines() }),
        ..hinted(
            FailureKind::Contradiction,
            format!("to {doing} would also remove {names}, which the role does not name; nothing was installed or removed"),
            format!("if they may go, name them: `remove: [{names}]` in this very step; else choose other packages"),
        )
    }
}

fn tail(mut log: &File) -> std::io::Result<Tail> {
    let length = log.metadata()?.len();
    log.seek(SeekFrom::Start(length.saturating_sub(TOLD)))?;
    let mut bytes = Vec::new();
    log.take(TOLD).read_to_end(&mut bytes)?;
    let mut tail = Tail::masking(&output_mask());
    // What begins in the middle of a line may begin in the middle of a secret.
    let from = if length > TOLD { bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1) } else { 0 };
    tail.push(&bytes[from..]);
    tail.end(true);
    Ok(tail)
}

/// Takes out of the log what no output may show. One that is too long loses its beginning.
fn mask(mut log: &File) -> std::io::Result<()> {
    let from = log.metadata()?.len().saturating_sub(KEPT_LOG);
    log.seek(SeekFrom::Start(from))?;
    let (mut bytes, mut masked) = (Vec::new(), Vec::new());
    log.read_to_end(&mut bytes)?;
    // Half a line may begin in the middle of a secret.
    let whole = if from > 0 { bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1) } else { 0 };
    let mut stream = output_mask().stream();
    stream.push(&bytes[whole..], &mut masked);
    stream.finish(&mut masked);
    if from == 0 && masked == bytes {
        return Ok(());
    }
    // It is open to append: what is written now is all that there is.
    log.set_len(0)?;
    log.write_all(&masked)
}

/// Adds the one command that helps, where apt's words are known. What wants a name that they tell is filled in where it is shown.
fn explained(mut failed: Failure) -> Failure {
    let tail = failed.command.as_ref().map(|command| command.tail.join("\n")).unwrap_or_default();
    let known = [
        ("Temporary failure resolving", "the node cannot resolve its mirror's name: check /etc/resolv.conf"),
        ("Could not connect", "the node cannot reach its mirror: check the route or the proxy"),
        ("dependency problems", "a package's script failed: see the lines above; then dpkg --configure -a"),
        ("subprocess returned error exit status", "a package's script failed: see the lines above; then dpkg --configure -a"),
        ("No space left on device", "on the node: df -h; apt-get clean"),
        ("unmet dependencies", "on the node: apt-get --fix-broken install"),
        ("Could not get lock", "another package manager started in between: apply again"),
    ];
    failed.hint = known.iter().find(|(words, _)| tail.contains(words)).map(|(_, hint)| (*hint).to_owned());
    failed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_simulation_removes_is_named_as_apt_names_it() {
        let simulation = format!(
            "Reading package lists...\nThe following packages will be REMOVED:\n  app* lib\nRemv app [1.0]\nPurg lib:{NATIVE} [2]\n\
             Remv lib:m68k [2]\nInst rival (3 local [all])\nConf rival (3 local [all])\n"
        );
        assert_eq!(removed(&simulation), ["app", "lib", "lib:m68k"]);
        assert_eq!(native(&format!("lib:{NATIVE}")), "lib");
    }

    #[test]
    fn options_stand_before_the_verb_and_names_behind_a_double_dash() {
        let argv = argv(&["apt-get", "--yes", "install"], &["git".to_owned(), "exim4-".to_owned()]);
        assert_eq!(argv[..3], ["apt-get", "-o", "DPkg::Lock::Timeout=0"]);
        assert_eq!(argv[argv.len() - 5..], ["--yes", "install", "--", "git", "exim4-"]);
    }
}
