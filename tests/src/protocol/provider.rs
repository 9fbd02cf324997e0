//! A provider of a node that is one JSON file: replaced whole, so that being killed anywhere leaves a node behind.

use ostler_agent::engine::{Applied, ApplyContext, Differing, Examined, Provider};
use ostler_roles::catalog::{Action, Step};
use ostler_roles::check::{Check, Demands, Evidence, Verdict};
use ostler_roles::outcome::{Event, Failure, FailureKind};
use ostler_roles::resource::{Desired, Effect, Observed, Shown};
use ostler_roles::words::{Bytes, Content, Digest, Span};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The node, and how it misbehaves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FakeNode {
    /// What is there: the resource's name, and its content's digest or a word.
    pub there: BTreeMap<String, String>,
    /// What watchers did, in order.
    pub acts: Vec<Act>,
    /// Names of resources in each transaction, in order.
    pub transactions: Vec<Vec<String>>,
    /// Resources whose change meets a defect of ours.
    #[serde(default)]
    pub panics: BTreeSet<String>,
    /// Resources whose change fails.
    pub fails: BTreeSet<String>,
    /// Resources whose change comes to nothing, which is no failure: a mirror that is not required.
    #[serde(default)]
    pub comes_to_nothing: BTreeSet<String>,
    /// Resources whose change waits until a file of this name appears in the bench, or the run is cancelled.
    pub gates: BTreeMap<String, String>,
    /// Resources whose change never comes back, whatever is asked of it; behind `look ` those that cannot be looked at, and proofs.
    #[serde(default)]
    pub hangs: BTreeSet<String>,
    /// Services that their change starts.
    #[serde(default)]
    pub starts: BTreeSet<String>,
    /// Services that do not run: nothing is to be done for what they watch.
    #[serde(default)]
    pub idle: BTreeSet<String>,
    /// Services whose change owes them a restart.
    #[serde(default)]
    pub owes: BTreeSet<String>,
    /// Steps whose work falls over before the end of the run.
    #[serde(default)]
    pub falls: Vec<u32>,
    /// Settling says that the disk is full.
    pub full: bool,
    /// What a resource's change writes into its notes and its failure.
    pub says: Option<String>,
    /// What `connect` checks find: anything but this port fails.
    pub open_port: u16,
    /// So many connections are refused before that port answers.
    #[serde(default)]
    pub refuses: u32,
    /// Connections that were asked for so far.
    #[serde(default)]
    pub asked: u32,
    /// The times, in milliseconds, that those were given.
    #[serde(default)]
    pub given: std::collections::BTreeSet<u128>,
    /// What commands bring about beside their own part: the command's name, what is there afterwards, and its word.
    #[serde(default)]
    pub brings: BTreeMap<String, (String, String)>,
}

/// One act of a watcher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// Who.
    pub who: String,
    /// What.
    pub action: String,
    /// What was there at that moment.
    pub there: BTreeMap<String, String>,
}

impl FakeNode {
    /// Reads the node.
    pub fn read(path: &Path) -> Self {
        let text = std::fs::read(path).expect("the node's file is there");
        serde_json::from_slice(&text).expect("the node's file is whole")
    }
    /// Replaces the node.
    pub fn write(&self, path: &Path) {
        let aside = path.with_extension(format!("{:?}", std::thread::current().id()));
        std::fs::write(&aside, serde_json::to_vec_pretty(self).expect("a node is JSON")).expect("the bench can be written");
        std::fs::rename(aside, path).expect("the bench can be written");
    }
}

/// The provider of the fake node.
#[derive(Debug)]
pub struct FakeProvider {
    path: PathBuf,
    change: Mutex<()>,
    /// The packages as they were when they were read last: the real provider reads their database once too.
    packages: Mutex<Option<BTreeMap<String, String>>>,
}

impl FakeProvider {
    /// The provider of the node in this file.
    pub fn on(path: &Path) -> Self {
        Self { path: path.to_owned(), change: Mutex::new(()), packages: Mutex::new(None) }
    }
    fn node(&self) -> FakeNode {
        FakeNode::read(&self.path)
    }
    fn change(&self, change: impl FnOnce(&mut FakeNode)) {
        let _one_at_a_time = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        let mut node = self.node();
        change(&mut node);
        node.write(&self.path);
    }
    fn wanted(desired: &Desired) -> Option<String> {
        match desired {
            Desired::File(file) => match &file.present.as_ref()?.content {
                Content::Blob(blob) => Some(blob.digest.hex()),
                Content::Secret(secret) => Some(secret.hmac.hex()),
            },
            Desired::Command(command) => command.creates.as_ref().map(|_| "good".to_owned()),
            _ => Some("good".to_owned()),
        }
    }
    fn apply_one(&self, Differing { step, found }: Differing<'_>, context: &ApplyContext<'_>) -> Result<Applied, Failure> {
        let name = step.id().to_string();
        let node = self.node();
        let says = node.says.clone().unwrap_or_default();
        if let Some(gate) = node.gates.get(&name) {
            self.wait_at(gate, context)?;
        }
        self.hang(&name);
        assert!(!node.panics.contains(&name), "no provider knows {name}");
        if node.fails.contains(&name) {
            return Err(failure(FailureKind::Apply, &format!("change {name} {says}")));
        }
        if node.comes_to_nothing.contains(&name) {
            return Ok(Applied { changes: Vec::new(), notes: vec!["could not be had".to_owned()], started: false });
        }
        if let Desired::File(file) = &step.desired {
            match file.present.as_ref().map(|present| &present.content) {
                Some(Content::Blob(blob)) => {
                    let bytes = (context.blob)(&blob.digest).map_err(|error| failure(FailureKind::Apply, &error.to_string()))?;
                    assert_eq!(Digest::of(&bytes), blob.digest, "the store gives what was asked for");
                }
                Some(Content::Secret(secret)) => {
                    let value = (context.secret)(&secret.hmac).map_err(|error| failure(FailureKind::Apply, &error.to_string()))?;
                    value.ok_or_else(|| failure(FailureKind::NeedsController, "a secret is missing"))?;
                }
                None => {}
            }
        }
        let wanted = Self::wanted(&step.desired).unwrap_or_default();
        let started = node.starts.contains(&name);
        self.change(|node| {
            node.there.extend(node.brings.get(&name).cloned());
            node.there.insert(name, wanted);
        });
        Ok(Applied { changes: found.changes.clone(), notes: node.says.into_iter().collect(), started })
    }
    fn hang(&self, what: &str) {
        while self.node().hangs.contains(what) {
            std::thread::park();
        }
    }
    fn there(&self, desired: &Desired) -> Option<String> {
        let name = desired.id().to_string();
        if !matches!(desired, Desired::Package(_)) {
            return self.node().there.get(&name).cloned();
        }
        let mut packages = self.packages.lock().unwrap_or_else(PoisonError::into_inner);
        packages.get_or_insert_with(|| self.node().there).get(&name).cloned()
    }
    fn wait_at(&self, gate: &str, context: &ApplyContext<'_>) -> Result<(), Failure> {
        let bench = self.path.parent().expect("a bench");
        // Said in this order: whoever sees the progress knows that we stand at the gate.
        std::fs::write(bench.join(format!("{gate}.reached")), b"").expect("the bench can be written");
        (context.tell)(Event::Progress { index: context.index, what: format!("at {gate}"), items: Some((1, 2)), bytes: None });
        while !bench.join(gate).exists() {
            if (context.cancelled)() {
                return Err(failure(FailureKind::Cancelled, "cancelled at its gate"));
            }
            if std::time::Instant::now() > context.deadline {
                return Err(failure(FailureKind::Deadline, "nobody opened the gate"));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

/// What was observed is in the node's file, and is read there again.
const UNREAD: Observed = Observed::Package(ostler_roles::resource::package::Observed::Absent);

fn failure(kind: FailureKind, message: &str) -> Failure {
    Failure { kind, message: message.to_owned(), causes: Vec::new(), command: None, hint: None }
}

impl Provider for FakeProvider {
    fn examine(&self, desired: &Desired) -> Result<Examined, Failure> {
        let name = desired.id().to_string();
        self.hang(&format!("look {name}"));
        let there = self.there(desired);
        if there.as_deref() == Some("impossible") {
            return Err(failure(FailureKind::Contradiction, &format!("{name} is impossible")));
        }
        let Some(wanted) = Self::wanted(desired).filter(|wanted| there.as_ref() != Some(wanted)) else {
            let (changes, why) = (Vec::new(), "is as it shall be".to_owned());
            return Ok(Examined {
                changes,
                absent: false,
                owes: None,
                why,
                to_write: Some(Bytes(0)),
                notes: Vec::new(),
                makes: Vec::new(),
                observed: UNREAD,
            });
        };
        let absent = there.is_none() && matches!(desired, Desired::File(_) | Desired::Directory(_));
        let from = there.unwrap_or_else(|| "absent".to_owned());
        let changes = vec![Shown::new("content", from, wanted)];
        let owes = self.node().owes.contains(&name).then_some(Action::Restart);
        Ok(Examined {
            changes,
            absent,
            owes,
            why: String::new(),
            to_write: Some(Bytes(1000)),
            notes: Vec::new(),
            makes: Vec::new(),
            observed: UNREAD,
        })
    }

    fn check(&self, check: &Check, within: Span, demands: &Demands) -> Verdict {
        self.hang(&check.to_string());
        match check {
            Check::Connect(connect) => {
                let mut asked = 0;
                self.change(|node| {
                    node.asked += 1;
                    node.given.insert(within.duration().as_millis());
                    asked = node.asked;
                });
                let node = self.node();
                let opened = connect.port == node.open_port && asked > node.refuses;
                check.judge(&Evidence::Connect((!opened).then(|| "connection refused".to_owned())))
            }
            Check::Disk(_) => {
                let writes = &demands.writes;
                let total: u64 = writes.iter().filter_map(|write| write.bytes).map(Bytes::count).sum();
                let shares: Vec<String> = demands.shares.iter().map(ToString::to_string).collect();
                Verdict::Pass { found: format!("{total} to write in {}; {:?} of {}", writes.len(), demands.own, shares.join(", ")) }
            }
            _ => Verdict::CouldNotTell { why: "the fake node knows nothing of it".to_owned() },
        }
    }

    fn old_content(&self, desired: &Desired) -> Option<String> {
        Some(format!("old {}", desired.id()))
    }

    fn apply(&self, batch: &[Differing<'_>], context: &ApplyContext<'_>) -> Vec<Result<Applied, Failure>> {
        self.change(|node| node.transactions.push(batch.iter().map(|member| member.step.id().to_string()).collect()));
        batch.iter().map(|member| self.apply_one(*member, context)).collect()
    }

    fn act(&self, step: &Step, action: Action, context: &ApplyContext<'_>) -> Result<bool, Failure> {
        let who = step.id().to_string();
        if let Some(gate) = self.node().gates.get(&format!("act {who}")) {
            self.wait_at(gate, context)?;
        }
        if self.node().fails.contains(&format!("act {who}")) {
            return Err(failure(FailureKind::Apply, "its check does not hold"));
        }
        if self.node().idle.contains(&who) {
            return Ok(false);
        }
        self.change(|node| {
            let there = node.there.clone();
            node.there.extend(node.brings.get(&who).cloned());
            node.acts.push(Act { who, action: format!("{action:?}"), there });
        });
        Ok(true)
    }

    fn look_again(&self, _cancelled: &dyn Fn() -> bool) -> Vec<(u32, Failure)> {
        self.node().falls.into_iter().map(|index| (index, failure(FailureKind::DidNotConverge, "does not stay up"))).collect()
    }

    fn forget(&self, effects: &[Effect]) {
        if effects.iter().any(|effect| matches!(effect, Effect::Package(_) | Effect::Packaged | Effect::Everything)) {
            *self.packages.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    fn sync(&self) -> Result<(), Failure> {
        if self.node().full { Err(failure(FailureKind::NoSpace, "no space left on device")) } else { Ok(()) }
    }
}
