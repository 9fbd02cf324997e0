//! The demo's stage: its site on disk, its lab, and the program itself run before everybody's eyes.

use super::super::{CommandError, Context, lab as lab_command, prepare};
use crate::cli::DemoArgs;
use crate::lab::Lab;
use crate::report::{Exit, Paint, Printer};
use crate::secret::Identities;
use ostler_roles::words::Digest;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// How many repositories the master serves.
const REPOSITORIES: usize = 24;
/// The downloaded file's size in bytes.
const FIXTURE: usize = 4 << 20;

const FILES: &[(&str, &str)] =
    &[("nodes.yaml", include_str!("nodes.yaml")), ("roles/build-node.yaml", include_str!("roles/build-node.yaml"))];

/// The demo's stage.
#[derive(Debug)]
pub struct Demo {
    directory: PathBuf,
    program: PathBuf,
    identity: PathBuf,
    wheels: PathBuf,
    state: PathBuf,
    printer: Printer,
    /// Ctrl-C was heard; the command that runs hears it as well.
    interrupted: Arc<AtomicBool>,
    /// Listens.
    _runtime: Runtime,
}

impl Demo {
    /// Writes the site.
    ///
    /// # Errors
    /// When it cannot be written, or the wheels are missing.
    pub fn set(context: &Context, args: &DemoArgs) -> Result<Self, CommandError> {
        let wheels = args.wheels.clone().unwrap_or_else(|| context.environment.cache.join("wheels"));
        if !wheels.is_dir() {
            return Err(CommandError::Usage {
                what: format!("{} does not exist: the Buildbot master is installed from wheels", wheels.display()),
                hint: "make wheels, or make demo, which does everything".to_owned(),
            });
        }
        let directory = args.directory.clone().unwrap_or_else(|| context.environment.state.join("demo"));
        let program = std::env::current_exe().map_err(|source| failed("find this program", source))?;
        let (runtime, interrupted) = listen()?;
        let stage = Self {
            interrupted,
            _runtime: runtime,
            identity: directory.join("identity.txt"),
            state: lab_command::state_dir(context, &directory),
            directory,
            program,
            wheels,
            printer: context.printer.clone(),
        };
        stage.clear()?;
        stage.write()?;
        Ok(stage)
    }

    /// Where the site is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A line of the story.
    pub fn say(&self, text: &str) {
        self.printer.line("");
        for line in self.printer.style.wrap(text, 2) {
            self.printer.line(&self.printer.style.paint(Paint::Strong, &format!("# {line}")));
        }
    }

    /// Runs this program, shows what it prints, and holds it against what is expected.
    ///
    /// # Errors
    /// When it ends otherwise, or does not print what the demo is to show.
    pub fn ostler(&self, words: &[&str], exit: Exit, expected: &[&str]) -> Result<(), CommandError> {
        let shown = if self.is_interrupted() { Ok(()) } else { self.show(words, exit, expected) };
        if self.is_interrupted() { Err(CommandError::Interrupted) } else { shown }
    }

    /// Takes the lab down, also after an interrupt.
    ///
    /// # Errors
    /// As for [`Self::ostler`].
    pub fn end(&self) -> Result<(), CommandError> {
        self.show(&["lab", "down"], Exit::Good, &["The lab is down."])
    }

    fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Acquire)
    }

    fn show(&self, words: &[&str], exit: Exit, expected: &[&str]) -> Result<(), CommandError> {
        self.printer.line(&format!("$ ostler {}", words.join(" ")));
        let mut command = Command::new(&self.program);
        let colour = if self.printer.style.colour { "always" } else { "never" };
        command.arg("--color").arg(colour).args(words).current_dir(&self.directory).env("OSTLER_IDENTITY", &self.identity);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(|source| failed("start this program", source))?;
        let mut said = String::new();
        if let Some(out) = child.stdout.take() {
            for line in BufReader::new(out.take(16 << 20)).lines() {
                let line = line.map_err(|source| failed("read this program's output", source))?;
                self.printer.line(&line);
                said.push_str(&crate::report::sanitize(&line, false));
                said.push('\n');
            }
        }
        let status = child.wait().map_err(|source| failed("wait for this program", source))?;
        if status.code() != Some(i32::from(exit.code())) {
            return Err(CommandError::Demo(format!("`ostler {}` ending with {}: it ended with {status}", words.join(" "), exit.code())));
        }
        match expected.iter().find(|text| !said.contains(*text)) {
            Some(missing) => Err(CommandError::Demo(format!("`{missing}` in what `ostler {}` printed", words.join(" ")))),
            None => Ok(()),
        }
    }

    /// Puts the wheels and the fixture where the lab serves files.
    ///
    /// # Errors
    /// When they cannot be copied.
    pub fn serve(&self) -> Result<(), CommandError> {
        let www = self.lab()?.www();
        let to = www.join("wheels");
        std::fs::create_dir_all(&to).map_err(|source| failed(&format!("make {}", to.display()), source))?;
        let entries = std::fs::read_dir(&self.wheels).map_err(|source| failed(&format!("read {}", self.wheels.display()), source))?;
        for entry in entries {
            let path = entry.map_err(|source| failed(&format!("read {}", self.wheels.display()), source))?.path();
            if let (Some(name), true) = (path.file_name(), path.extension().is_some_and(|end| end == "whl")) {
                std::fs::copy(&path, to.join(name)).map_err(|source| failed(&format!("copy {}", path.display()), source))?;
            }
        }
        put(&www.join("fixture.bin"), &fixture())
    }

    /// Proves that the refused run changed nothing: no node has a run or a file of ours.
    ///
    /// # Errors
    /// When one has.
    pub fn untouched(&self) -> Result<(), CommandError> {
        let lab = self.lab()?;
        for node in ["master", "build-1", "build-2"] {
            let probe = lab.node_command(
                node,
                ["sh", "-c", "ls -A /var/lib/ostler/runs 2>/dev/null | wc -l; ls /opt | wc -l; id buildbot jenkins 2>/dev/null | wc -l"],
            );
            let found = probe.output()?.text();
            if found.split_whitespace().any(|count| count != "0") {
                return Err(CommandError::Demo(format!("an untouched {node} after the refusal: {found}")));
            }
        }
        self.printer.line("(Looked at all three nodes: no run, no user, no file was made.)");
        Ok(())
    }

    /// Gives build-2 a larger disk.
    ///
    /// # Errors
    /// When it cannot be grown.
    pub fn grow(&self) -> Result<(), CommandError> {
        let disk = self.state.join("scratch/build-2");
        let words = ["mount".as_ref(), "-o".as_ref(), "remount,size=6g".as_ref(), disk.as_os_str()];
        let output = self.lab()?.command(words).output()?;
        if output.ended.is_success() { Ok(()) } else { Err(CommandError::Demo(format!("a larger disk of build-2: {}", output.all()))) }
    }

    /// Edits a file on build-1, past its sshd.
    ///
    /// # Errors
    /// When it cannot be edited.
    pub fn drift(&self) -> Result<(), CommandError> {
        self.printer.line("$ ostler lab ssh build-1 -- sudo sed -i /FIXTURES/d /etc/profile.d/ci.sh");
        let output = self.lab()?.node_command("build-1", ["sed", "-i", "/FIXTURES/d", "/etc/profile.d/ci.sh"]).output()?;
        if output.ended.is_success() { Ok(()) } else { Err(CommandError::Demo(format!("an edited file on build-1: {}", output.all()))) }
    }

    fn lab(&self) -> Result<Lab, CommandError> {
        Ok(Lab::attach(&self.state)?)
    }

    /// What an earlier demo left, a killed one too; a directory of anybody else's is left alone.
    fn clear(&self) -> Result<(), CommandError> {
        let first = |text: &str| text.lines().next().unwrap_or_default().to_owned();
        let ours = std::fs::read_to_string(self.directory.join("ostler.yaml"))
            .is_ok_and(|text| first(&text) == first(include_str!("ostler.yaml")));
        if !ours && std::fs::read_dir(&self.directory).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(CommandError::Usage {
                what: format!("{} holds something else than a demo", self.directory.display()),
                hint: "name an empty directory with --directory".to_owned(),
            });
        }
        Lab::down(&self.state)?;
        match std::fs::remove_dir_all(&self.directory) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(failed(&format!("clear {}", self.directory.display()), source)),
        }
    }

    fn write(&self) -> Result<(), CommandError> {
        let recipient = Identities::create(&self.identity)?;
        let names: Vec<String> = (1..=REPOSITORIES).map(|number| format!("lab/project-{number:02}")).collect();
        let site = include_str!("ostler.yaml")
            .replace("RECIPIENT", &recipient)
            .replace("REPOSITORIES", &names.join(", "))
            .replace("SHA256", &Digest::of(&fixture()).hex());
        put(&self.directory.join("ostler.yaml"), site.as_bytes())?;
        FILES.iter().try_for_each(|(name, text)| put(&self.directory.join(name), text.as_bytes()))
    }
}

/// Bytes that do not compress and are the same each time (xorshift64, Marsaglia 2003).
fn fixture() -> Vec<u8> {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut bytes = Vec::with_capacity(FIXTURE);
    while bytes.len() < FIXTURE {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), CommandError> {
    let write = || {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, bytes)
    };
    write().map_err(|source| failed(&format!("write {}", path.display()), source))
}

/// From here on Ctrl-C ends no more than the command that runs: the lab must not be left behind.
fn listen() -> Result<(Runtime, Arc<AtomicBool>), CommandError> {
    let runtime = prepare::runtime()?;
    let heard = Arc::new(AtomicBool::new(false));
    let mut interrupts = {
        let _inside = runtime.enter();
        signal(SignalKind::interrupt()).map_err(CommandError::Signals)?
    };
    let flag = Arc::clone(&heard);
    runtime.spawn(async move {
        while interrupts.recv().await.is_some() {
            flag.store(true, Ordering::Release);
        }
    });
    Ok((runtime, heard))
}

fn failed(what: &str, source: std::io::Error) -> CommandError {
    CommandError::File { what: what.to_owned(), source }
}
