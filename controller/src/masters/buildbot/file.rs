//! A worker's file in `workers.d/` of the master: the same bytes for the same worker, always.

use ostler_roles::executor::Executor;
use ostler_roles::master::buildbot::{Desired, WorkerName, WorkerNameError};
use ostler_roles::master::{Site, Stage};
use ostler_roles::words::{Digest, Label};
use std::collections::BTreeSet;

/// The most jobs at once that `master.cfg` takes for one worker.
const MOST_BUILDS: u32 = 1024;

/// Why a worker cannot be described to Buildbot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkerError {
    /// Its name.
    #[error(transparent)]
    Name(#[from] WorkerNameError),
    /// Its number of executors.
    #[error("worker {worker}: {builds} executors: from 1 to {MOST_BUILDS} are possible")]
    Builds {
        /// The worker.
        worker: WorkerName,
        /// What was asked for.
        builds: u32,
    },
    /// The name of the file that holds its password.
    #[error("worker {worker}: `{name}` is not a name of a file in the master's secrets/")]
    Password {
        /// The worker.
        worker: WorkerName,
        /// What was given.
        name: String,
    },
    /// A smoke command without a program, or with a name that is no log's name.
    #[error("worker {worker}: smoke command `{name}` needs a name of at most 50 characters and a program to run")]
    Smoke {
        /// The worker.
        worker: WorkerName,
        /// The command's name.
        name: String,
    },
}

/// The smoke command that prints what its node alone was given; its log is called so.
pub(super) const MACHINE: &str = "which-machine";

/// One command of the smoke job: its name (the log is called so) and its argument list.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SmokeCommand {
    /// What it proves, in a word or two.
    pub name: String,
    /// Program and arguments; never a shell line.
    pub run: Vec<String>,
}

/// An executor as Buildbot sees it. Built by [`Worker::new`], so that whatever exists can be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    name: WorkerName,
    site: Option<Site>,
    builds: u32,
    labels: BTreeSet<Label>,
    password: String,
    smoke: Vec<SmokeCommand>,
    machine: SmokeCommand,
}

/// A file for the master's machine. It holds no secret: the password is named, not given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerFile {
    /// Whose it is.
    pub worker: WorkerName,
    /// Which stage it describes; none: there is to be no such file.
    pub stage: Option<Stage>,
    /// Its place below the master's directory: `workers.d/NAME.json`.
    pub path: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

impl WorkerFile {
    /// No file for this worker.
    pub fn gone(worker: &WorkerName) -> Self {
        Self { worker: worker.clone(), stage: None, path: place(worker), bytes: Vec::new() }
    }

    /// How the program that reloads the master is told of it: `NAME=DIGEST`, without a digest when it is to be gone.
    pub fn pair(&self) -> String {
        let digest = self.stage.map_or_else(String::new, |_| Digest::of(&self.bytes).to_string());
        format!("{}={digest}", self.worker)
    }
}

fn place(worker: &WorkerName) -> String {
    format!("workers.d/{worker}.json")
}

#[derive(serde::Serialize)]
struct AsWritten<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<&'a str>,
    quarantined: bool,
    labels: Vec<&'a str>,
    builds: u32,
    password: &'a str,
    smoke: Vec<&'a SmokeCommand>,
}

impl Worker {
    /// The file in the master's `secrets/` that the role `buildbot-master` writes; all workers of a master share it.
    pub const SHARED_PASSWORD: &'static str = "worker-password";

    /// Checks everything that Buildbot or `master.cfg` would refuse, before anything is sent. `nonce`: the file on its node that its smoke job
    /// prints first.
    ///
    /// # Errors
    /// Every variant of [`WorkerError`].
    pub fn new(
        name: &str,
        builds: u32,
        labels: BTreeSet<Label>,
        password: &str,
        smoke: Vec<SmokeCommand>,
        nonce: &str,
    ) -> Result<Self, WorkerError> {
        let name = WorkerName::parse(name)?;
        if builds == 0 || builds > MOST_BUILDS {
            return Err(WorkerError::Builds { worker: name, builds });
        }
        if WorkerName::parse(password).is_err() {
            return Err(WorkerError::Password { worker: name, name: password.to_owned() });
        }
        let is_bad = |command: &&SmokeCommand| {
            command.name.is_empty()
                || command.name.chars().count() > 50
                || command.run.is_empty()
                || command.run.iter().any(String::is_empty)
        };
        if let Some(bad) = smoke.iter().find(is_bad) {
            return Err(WorkerError::Smoke { worker: name, name: bad.name.clone() });
        }
        let machine = SmokeCommand { name: MACHINE.to_owned(), run: vec!["cat".to_owned(), nonce.to_owned()] };
        Ok(Self { name, site: None, builds, labels, password: password.to_owned(), smoke, machine })
    }

    /// The same, of this site: no other one changes it.
    #[must_use]
    pub fn of(self, site: Site) -> Self {
        Self { site: Some(site), ..self }
    }

    /// The same for a master that refuses a file that says its site, as those of before 0.2 do: of nobody.
    #[must_use]
    pub fn of_nobody(self) -> Self {
        Self { site: None, ..self }
    }

    /// Whose it is.
    pub fn site(&self) -> Option<&Site> {
        self.site.as_ref()
    }

    /// The worker that an executor declaration of this site asks for, with the password that all workers of the master share unless its node has
    /// one of its own; `nonce` as in [`Self::new`].
    ///
    /// # Errors
    /// Every variant of [`WorkerError`].
    pub fn from_executor(executor: &Executor, site: Site, nonce: &str) -> Result<Self, WorkerError> {
        let smoke = executor.smoke.iter().map(|smoke| SmokeCommand { name: smoke.name.clone(), run: smoke.run.clone() }).collect();
        Self::new(executor.name.as_str(), executor.count.get(), executor.labels.clone(), Self::SHARED_PASSWORD, smoke, nonce)
            .map(|worker| worker.of(site))
    }

    /// Its name, unique on the master.
    pub fn name(&self) -> &WorkerName {
        &self.name
    }

    /// The labels it earns.
    pub fn labels(&self) -> &BTreeSet<Label> {
        &self.labels
    }

    /// Its file at a stage.
    pub fn file(&self, stage: Stage) -> WorkerFile {
        let said = AsWritten {
            name: self.name.as_str(),
            site: self.site.as_ref().map(Site::as_str),
            quarantined: stage == Stage::Quarantined,
            labels: self.labels.iter().map(Label::as_str).collect(),
            builds: self.builds,
            password: &self.password,
            // First of all: what runs on another machine is to go no further there.
            smoke: std::iter::once(&self.machine).chain(&self.smoke).collect(),
        };
        #[expect(clippy::expect_used, reason = "strings, numbers and lists of them always have a JSON form")]
        let mut bytes = serde_json::to_vec_pretty(&said).expect("plain data has a JSON form");
        bytes.push(b'\n');
        WorkerFile { worker: self.name.clone(), stage: Some(stage), path: place(&self.name), bytes }
    }

    /// What the diff compares.
    pub fn desired(&self) -> Desired {
        let digest = |stage| Digest::of(&self.file(stage).bytes);
        let site = self.site.clone();
        Desired { site, labels: self.labels.clone(), quarantined: digest(Stage::Quarantined), labelled: digest(Stage::Labelled) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(words: &[&str]) -> BTreeSet<Label> {
        words.iter().map(|word| Label::parse(word).unwrap()).collect()
    }

    fn command(name: &str, run: &[&str]) -> SmokeCommand {
        SmokeCommand { name: name.to_owned(), run: run.iter().map(|word| (*word).to_owned()).collect() }
    }

    #[test]
    fn a_file_has_the_same_bytes_for_the_same_worker() {
        let smoke = vec![command("tox-runs", &["tox", "--version"])];
        let one = Worker::new("node-1", 2, labels(&["debian", "big"]), Worker::SHARED_PASSWORD, smoke.clone(), "/run/x").unwrap();
        let other = Worker::new("node-1", 2, labels(&["big", "debian"]), Worker::SHARED_PASSWORD, smoke, "/run/x").unwrap();
        let (one, other) = (one.of(Site::parse("stage").unwrap()), other.of(Site::parse("stage").unwrap()));
        assert_eq!(one.file(Stage::Labelled), other.file(Stage::Labelled));
        assert_ne!(one.desired().labelled, one.desired().quarantined);
        assert_eq!(
            String::from_utf8(one.file(Stage::Quarantined).bytes).unwrap(),
            r#"{
  "name": "node-1",
  "site": "stage",
  "quarantined": true,
  "labels": [
    "big",
    "debian"
  ],
  "builds": 2,
  "password": "worker-password",
  "smoke": [
    {
      "name": "which-machine",
      "run": [
        "cat",
        "/run/x"
      ]
    },
    {
      "name": "tox-runs",
      "run": [
        "tox",
        "--version"
      ]
    }
  ]
}
"#
        );
    }

    #[test]
    fn what_the_master_would_refuse_is_refused_before_it_is_written() {
        let new = |name, builds, password, smoke| Worker::new(name, builds, labels(&["debian"]), password, smoke, "/run/x");
        assert!(matches!(new("../x", 1, "p", vec![]), Err(WorkerError::Name(_))));
        assert!(matches!(new("n", 0, "p", vec![]), Err(WorkerError::Builds { builds: 0, .. })));
        assert!(matches!(new("n", 1025, "p", vec![]), Err(WorkerError::Builds { builds: 1025, .. })));
        assert!(matches!(new("n", 1, "../p", vec![]), Err(WorkerError::Password { .. })));
        assert!(matches!(new("n", 1, "p", vec![command("x", &[])]), Err(WorkerError::Smoke { .. })));
        assert!(matches!(new("n", 1, "p", vec![command("x", &["true", ""])]), Err(WorkerError::Smoke { .. })));
        assert!(matches!(new("n", 1, "p", vec![command("", &["true"])]), Err(WorkerError::Smoke { .. })));
    }
}
