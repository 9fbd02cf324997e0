//! Answers of `ssh -G` from earlier runs: good for as long as all that they rest on is the same.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ostler_roles::words::Digest;
use serde::{Deserialize, Serialize};

use super::settings::LocalUser;
use super::sources::{self, Sources};
use crate::private::{self, Durable};

/// The form of the file.
const VERSION: u32 = 1;
/// How the client begins when it is asked to tell more. Another one may read what it does not tell.
const CLIENT: &str = "OpenSSH_";
/// How the client says, when asked to tell more, that it has read a file (readconf.c).
const READING: &str = "debug1: Reading configuration data ";

/// How a question begins in which a file stands in for the configuration.
const NAMES_A_FILE: &str = "-F\0";

/// The answers that are known, and what they rest on.
#[derive(Debug)]
pub(super) struct Memory {
    file: PathBuf,
    asked: Asked,
    sources: Sources,
    kept: Mutex<Kept>,
}

/// Whom: the client, and the file that stands in for the configuration.
#[derive(Debug, Clone)]
struct Asked {
    local_user: LocalUser,
    config_file: Option<PathBuf>,
    program: PathBuf,
}

impl Asked {
    fn sources(&self) -> Option<Sources> {
        Sources::read(&self.local_user, self.config_file.as_deref(), &self.program).ok()
    }
}

/// As it stands in the file. Hosts have most lines in common: each stands once.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    v: u32,
    sources: String,
    lines: Vec<String>,
    answers: HashMap<String, Vec<u32>>,
    #[serde(skip)]
    numbers: HashMap<String, u32>,
    #[serde(skip)]
    is_new: bool,
}

impl Memory {
    /// Opens what is known; none where answers hang on more than files and are not to be kept. Reads files: may block.
    pub fn open(directory: &Path, local_user: &LocalUser, config_file: Option<&Path>, program: &Path) -> Option<Self> {
        let asked = Asked { local_user: local_user.clone(), config_file: config_file.map(Path::to_owned), program: program.to_owned() };
        let sources = asked.sources()?;
        let whose = Digest::of(format!("{config_file:?} {program:?}").as_bytes()).short();
        let file = directory.join(whose);
        let digest = sources.digest().to_string();
        // A memory that cannot be read is none.
        let kept = std::fs::read(&file).ok().and_then(|bytes| rmp_serde::from_slice::<Kept>(&bytes).ok());
        let kept = kept.filter(|kept| kept.v == VERSION && kept.sources == digest);
        let mut kept = kept.unwrap_or_else(|| Kept { v: VERSION, sources: digest, ..Kept::default() });
        kept.numbers = kept.lines.iter().cloned().zip(0..).collect();
        Some(Self { file, asked, sources, kept: Mutex::new(kept) })
    }

    /// What the client printed for this question.
    pub fn answer(&self, question: &str) -> Option<String> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let numbers = kept.answers.get(question)?.iter();
        let lines: Option<Vec<&str>> = numbers.map(|number| kept.lines.get(usize::try_from(*number).ok()?).map(String::as_str)).collect();
        Some(lines?.join("\n"))
    }

    /// Keeps an answer, unless the client may have read a file that is not among those it is known to rest on, or may read one later. `told` is
    /// its standard error.
    pub fn keep(&self, question: &str, answer: &str, told: &str) {
        let read: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix(READING)).map(str::trim_end).collect();
        if !told.starts_with(CLIENT) || !self.sources.hold(&read) {
            return;
        }
        // Where the machine's file is, is built into the client, which names it only when it is there. Once it has named one of those that are
        // watched there is no other; a question that names a file itself leaves all others out.
        if !question.starts_with(NAMES_A_FILE) && !read.iter().any(|file| sources::is_of_the_machine(file)) {
            return;
        }
        let kept = &mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut numbers = Vec::new();
        for line in answer.lines() {
            let next = u32::try_from(kept.lines.len()).unwrap_or(u32::MAX);
            let number = *kept.numbers.entry(line.to_owned()).or_insert(next);
            if number == next {
                kept.lines.push(line.to_owned());
            }
            numbers.push(number);
        }
        kept.answers.insert(question.to_owned(), numbers);
        kept.is_new = true;
    }

    /// Writes what is new, unless what it rests on has changed meanwhile. Reads and writes files: may block.
    pub fn save(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::take(&mut kept.is_new) || self.asked.sources().as_ref() != Some(&self.sources) {
            return;
        }
        let bytes = rmp_serde::to_vec(&*kept);
        drop(kept);
        let written = bytes
            .map_err(|error| error.to_string())
            .and_then(|bytes| private::write(&self.file, &bytes, Durable::No).map_err(|error| error.to_string()));
        if let Err(error) = written {
            // Only a memory that saves some work next time.
            tracing::warn!(error, file = %self.file.display(), "answers of `ssh -G` were not kept");
        }
    }
}
