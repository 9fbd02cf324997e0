//! Commands run by turns inside the lab, and what they took.

use std::collections::BTreeMap;
use std::time::Duration;

use ostler::lab::Lab;
use serde::{Deserialize, Serialize};

use super::Fault;

/// The program inside: its clock starts at the spawn and stops when the last child is reaped.
const PROGRAM: &str = include_str!("stopwatch.py");
/// The longest job: forty rounds of the slowest contestant.
const LIMIT: Duration = Duration::from_secs(3600);

/// One contestant's run: commands that start together and count as one.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// As the table calls it.
    pub name: String,
    /// The commands.
    pub together: Vec<Vec<String>>,
    /// Rounds it takes part in: the first so many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub most: Option<usize>,
}

impl Entry {
    /// Returns one command under a name.
    pub fn new<T: Into<String>>(name: &str, argv: impl IntoIterator<Item = T>) -> Self {
        Self { name: name.to_owned(), together: vec![argv.into_iter().map(Into::into).collect()], most: None }
    }

    /// Takes part in the first rounds alone.
    #[must_use]
    pub fn at_most(mut self, rounds: usize) -> Self {
        self.most = Some(rounds);
        self
    }
}

#[derive(Serialize)]
struct Job<'a> {
    rounds: usize,
    memory: bool,
    entries: &'a [Entry],
}

#[derive(Deserialize)]
struct Run {
    name: String,
    ms: Option<f64>,
    cpu: f64,
    peak_kb: Option<f64>,
    files: Option<u64>,
    said: String,
}

/// What a contestant took, run by run.
#[derive(Debug, Clone, Default)]
pub struct Taken {
    /// Wall clock, milliseconds.
    pub ms: Vec<f64>,
    /// Processor time of the controller's side, seconds.
    pub cpu: Vec<f64>,
    /// Peak memory, kilobytes: the largest process of each command, added up.
    pub peak_kb: Option<f64>,
    /// The most files that one command held open.
    pub files: Option<u64>,
    /// The end of what it printed last.
    pub said: String,
}

impl Taken {
    /// Adds the runs of another.
    pub fn add(&mut self, other: Self) {
        self.ms.extend(other.ms);
        self.cpu.extend(other.cpu);
        self.peak_kb = other.peak_kb.or(self.peak_kb);
        self.files = other.files.or(self.files);
        self.said = other.said;
    }
}

/// Results by contestant.
pub type Results = BTreeMap<String, Taken>;

/// Runs the entries by turns, `rounds` times; then, where asked, once more for their memory.
///
/// # Errors
/// When one of them fails; its output is in the error.
pub fn race(lab: &Lab, rounds: usize, memory: bool, entries: &[Entry], environment: &[(&str, String)]) -> Result<Results, Fault> {
    let job = serde_json::to_vec(&Job { rounds, memory, entries })?;
    let mut command = lab.command(["/usr/bin/python3", "-c", PROGRAM]).input(job).limit(LIMIT);
    for (name, value) in environment {
        command = command.env(name, value);
    }
    let output = command.output()?;
    if !output.ended.is_success() {
        return Err(output.all().into());
    }
    let mut results = Results::new();
    for line in output.text().lines() {
        let run: Run = serde_json::from_str(line)?;
        let taken = results.entry(run.name).or_default();
        taken.peak_kb = run.peak_kb.or(taken.peak_kb);
        taken.files = run.files.or(taken.files);
        if let Some(ms) = run.ms {
            taken.ms.push(ms);
            taken.cpu.push(run.cpu);
        }
        taken.said = run.said;
    }
    Ok(results)
}
