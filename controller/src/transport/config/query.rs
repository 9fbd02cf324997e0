//! Asking the OpenSSH client what is in force for a host: once, for as long as nothing changes on which its answer rests.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::process::Command;
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::timeout;

use super::memory::Memory;
use super::options::treatment;
use super::resolved::{ConfigError, HostConfig};
use super::settings::{LocalUser, Target};
use super::stock::{self, LISTS};
use crate::transport::deadlines::Deadlines;
use crate::transport::files;

/// An option and its value, as `ssh -G` prints them.
type Pair = (String, String);
/// `ssh -G` runs at once: enough for the cores of a desk, however many hosts there are.
const AT_ONCE: usize = 8;

type Answer = Result<Arc<HostConfig>, ConfigError>;

/// Answers what is in force for a host. Each host is asked for once.
#[derive(Debug)]
pub struct Resolver {
    local_user: LocalUser,
    file: Option<PathBuf>,
    program: PathBuf,
    /// Where answers are kept for other runs.
    directory: Option<PathBuf>,
    memory: OnceCell<Option<Arc<Memory>>>,
    /// Questions that are not answered yet.
    open: AtomicUsize,
    cache: Mutex<HashMap<Target, Arc<OnceCell<Answer>>>>,
    stock_values: OnceCell<Result<Vec<Pair>, ConfigError>>,
    turns: Semaphore,
}

impl Resolver {
    /// Makes a resolver; `file` stands in for the user's and the machine's configuration (`-F`).
    pub fn new(local_user: LocalUser, file: Option<PathBuf>) -> Self {
        let program = PathBuf::from("ssh");
        let turns = Semaphore::new(AT_ONCE);
        Self {
            local_user,
            file,
            program,
            directory: None,
            memory: OnceCell::new(),
            open: AtomicUsize::new(0),
            cache: Mutex::default(),
            stock_values: OnceCell::new(),
            turns,
        }
    }

    /// Asks another program than `ssh` on the path.
    #[must_use]
    pub fn asking(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = program.into();
        self
    }

    /// Keeps answers for other runs, in files of this directory.
    #[must_use]
    pub fn remembering(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Returns the file that stands in for the user's and the machine's configuration.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Returns what surrounds the process.
    pub fn local_user(&self) -> &LocalUser {
        &self.local_user
    }

    /// Returns what is in force for a target.
    ///
    /// # Errors
    /// An option that cannot be honoured, by name; an answer that does not come.
    pub async fn resolve(&self, target: &Target, deadlines: &Deadlines) -> Answer {
        let cell = Arc::clone(self.cache.lock().unwrap_or_else(PoisonError::into_inner).entry(target.clone()).or_default());
        cell.get_or_init(|| self.ask(target, deadlines)).await.clone()
    }

    async fn ask(&self, target: &Target, deadlines: &Deadlines) -> Answer {
        if target.host.is_empty() || target.host.starts_with('-') || target.host.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(ConfigError::BadHost(target.host.clone()));
        }
        let mut arguments = Vec::new();
        if let Some(file) = &self.file {
            arguments.extend(["-F".to_owned(), file.to_string_lossy().into_owned()]);
        }
        if let Some(user) = &target.settings.user {
            arguments.push(format!("-oUser={user}"));
        }
        if let Some(port) = target.settings.port {
            arguments.push(format!("-oPort={port}"));
        }
        let (printed, stock) = tokio::join!(self.print(&arguments, &target.host, deadlines), self.stock(deadlines));
        let pairs = match printed? {
            Some(mut pairs) => {
                let stock = stock?;
                refuse_unknown(&pairs, &stock)?;
                // A list that is only the client's own default is nobody's will: ours are no weaker, and know what this client may not.
                pairs.retain(|pair| !LISTS.contains(&pair.0.as_str()) || !stock.contains(pair));
                pairs
            }
            None => self.without_client(target, deadlines).await?,
        };
        HostConfig::from_pairs(target, &pairs, &self.local_user).map(Arc::new)
    }

    /// What is kept of other runs; none where nothing is to be kept.
    async fn memory(&self, deadlines: &Deadlines) -> Option<Arc<Memory>> {
        let directory = self.directory.clone()?;
        let open = async {
            let (local_user, file, program) = (self.local_user.clone(), self.file.clone(), self.program.clone());
            let opening = move || Memory::open(&directory, &local_user, file.as_deref(), &program).map(Arc::new);
            // A memory that is not to be had in time is none.
            files::within(deadlines.files, opening).await.ok().flatten()
        };
        self.memory.get_or_init(|| open).await.clone()
    }

    /// What `ssh -G` prints; none when there is no such program.
    async fn print(&self, arguments: &[String], host: &str, deadlines: &Deadlines) -> Result<Option<Vec<Pair>>, ConfigError> {
        let Some(memory) = self.memory(deadlines).await else {
            return Ok(self.run(arguments, host, deadlines).await?.map(|(printed, _)| pairs(&printed)));
        };
        let question = [arguments, &[host.to_owned()]].concat().join("\0");
        if let Some(answer) = memory.answer(&question) {
            return Ok(Some(pairs(&answer)));
        }
        self.open.fetch_add(1, Ordering::Relaxed);
        // Told more, the client says which files it reads.
        let ran = self.run(&[&["-v".to_owned()], arguments].concat(), host, deadlines).await;
        if let Ok(Some((printed, told))) = &ran {
            memory.keep(&question, printed, told);
        }
        if self.open.fetch_sub(1, Ordering::Relaxed) == 1 {
            // What is not written is asked again in the next run.
            let _ = files::within(deadlines.files, move || memory.save()).await;
        }
        match ran {
            // The words of a failure are those of the question as a person would ask it.
            Err(ConfigError::Query { .. }) => Ok(self.run(arguments, host, deadlines).await?.map(|(printed, _)| pairs(&printed))),
            ran => Ok(ran?.map(|(printed, _)| pairs(&printed))),
        }
    }

    /// Runs `ssh -G`: what it prints, and what it says beside that; none when there is no such program.
    async fn run(&self, arguments: &[String], host: &str, deadlines: &Deadlines) -> Result<Option<(String, String)>, ConfigError> {
        let failed = |reason: String| ConfigError::Query { host: host.to_owned(), reason };
        let mut command = Command::new(&self.program);
        command.arg("-G").args(arguments).arg("--").arg(host).stdin(Stdio::null()).kill_on_drop(true);
        // The semaphore is never closed: no turn means no limit.
        let _turn = self.turns.acquire().await;
        let output = match timeout(deadlines.configuration, command.output()).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Ok(Err(error)) => return Err(failed(error.to_string())),
            Err(_) => return Err(failed(format!("no answer within {} s", deadlines.configuration.as_secs()))),
        };
        if !output.status.success() {
            return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Some((text(&output.stdout), text(&output.stderr))))
    }

    /// What the client says where nobody has configured anything, asked once for a run.
    async fn stock(&self, deadlines: &Deadlines) -> Result<Vec<Pair>, ConfigError> {
        let ask = async { Ok(self.print(&["-F".into(), "none".into()], "localhost", deadlines).await?.unwrap_or_default()) };
        self.stock_values.get_or_init(|| ask).await.clone()
    }

    async fn without_client(&self, target: &Target, deadlines: &Deadlines) -> Result<Vec<Pair>, ConfigError> {
        let files = match &self.file {
            Some(file) => vec![file.clone()],
            None => vec![self.local_user.home.join(".ssh/config"), PathBuf::from("/etc/ssh/ssh_config")],
        };
        let mut pairs = Vec::new();
        for file in files {
            let shown = file.display().to_string();
            let limit = deadlines.configuration;
            match files::within(limit, move || files::read(&file)).await {
                Ok(Ok(bytes)) => stock::read(&shown, &String::from_utf8_lossy(&bytes), &target.host, &mut pairs)?,
                Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound && self.file.is_none() => {}
                Ok(Err(error)) => return Err(ConfigError::Unreadable { file: shown, reason: error.to_string() }),
                Err(undone) => return Err(ConfigError::Unreadable { file: shown, reason: undone.to_string() }),
            }
        }
        for (name, value) in [("user", target.settings.user.clone()), ("port", target.settings.port.map(|port| port.to_string()))] {
            if let Some(value) = value {
                pairs.retain(|(known, _)| known != name);
                pairs.push((name.to_owned(), value));
            }
        }
        let said: Vec<String> = pairs.iter().map(|(name, _)| name.clone()).collect();
        pairs.extend(stock::defaults(&target.host, &self.local_user).into_iter().filter(|(name, _)| !said.contains(name)));
        if let Some((name, _)) = pairs.iter().find(|(name, _)| treatment(name).is_none()) {
            let word = name.clone();
            return Err(ConfigError::NeedsClient { file: "the ssh configuration".to_owned(), line: 0, word });
        }
        Ok(pairs)
    }
}

/// A client newer than our table prints options that we do not know. They are harmless only at their own defaults.
fn refuse_unknown(pairs: &[Pair], stock: &[Pair]) -> Result<(), ConfigError> {
    match pairs.iter().find(|pair| treatment(&pair.0).is_none() && !stock.contains(pair)) {
        Some((name, value)) => {
            let why = "this option is not known here; it is accepted only at its default";
            Err(ConfigError::Refused { name: name.clone(), value: value.clone(), why })
        }
        None => Ok(()),
    }
}

fn pairs(text: &str) -> Vec<Pair> {
    let pair = |line: &str| match line.split_once(' ') {
        Some((name, value)) => (name.to_ascii_lowercase(), value.trim().to_owned()),
        None => (line.to_ascii_lowercase(), String::new()),
    };
    text.lines().filter(|line| !line.is_empty()).map(pair).collect()
}
