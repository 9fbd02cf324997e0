//! A site, its lab, and the real program run on them: what a person has, in a scratch directory of its own.

use crate::lab::program;
use ostler::environment::Environment;
use ostler::lab::{Lab, LabSpec, Setup};
use ostler_roles::words::Digest;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long one call of the program may take before the test stops it.
pub const LIMIT: Duration = Duration::from_secs(90);

/// A site with its lab.
#[derive(Debug)]
pub struct Field {
    // Before the directory it lies in.
    lab: Lab,
    dir: tempfile::TempDir,
    roots: Vec<String>,
}

/// Returns the program to test, which must carry its agent.
///
/// # Panics
/// When it does not: it could not do anything on a node.
#[must_use]
pub fn whole_program() -> PathBuf {
    let program = program();
    let output = Command::new(&program).args(["-C", "/nonexistent", "check"]).output().expect("the program starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !said.contains("carries no agent"),
        "{} carries no agent: run `make test`, or build it with OSTLER_AGENT naming a static agent (`make agent`)",
        program.display()
    );
    program
}

impl Field {
    /// A site in which every node of the lab has its address and `nodes` says the rest of each: `{roles: [base]}` without the braces.
    ///
    /// # Panics
    /// When the lab does not come up.
    #[must_use]
    pub fn up(spec: LabSpec, rest: &str, files: &[(&str, &str)]) -> Self {
        let program = whole_program();
        let dir = tempfile::Builder::new().prefix("e2e-").tempdir().expect("a scratch directory");
        let site = dir.path().join("site");
        std::fs::create_dir(&site).expect("a site");
        let names: Vec<String> = spec.nodes.iter().map(|node| node.name.clone()).collect();
        let lines: Vec<String> = spec.nodes.iter().map(|node| format!("  {}: {{host: {}, {rest}}}\n", node.name, node.address)).collect();
        let suites: Vec<String> = spec.nodes.iter().map(|node| format!("    {}: {{suite: {}}}\n", node.name, node.suite)).collect();
        std::fs::write(site.join("nodes.yaml"), format!("nodes:\n{}", lines.concat())).expect("written");
        let start = format!("edition: 1\nssh: {{user: admin, become: sudo}}\nlab:\n  nodes:\n{}", suites.concat());
        std::fs::write(site.join("ostler.yaml"), start).expect("written");
        let environment = Environment::read();
        let id = Digest::of(site.canonicalize().expect("a site").to_string_lossy().as_bytes()).short();
        let setup = Setup {
            state_dir: dir.path().join("state/ostler/labs").join(id),
            cache_dir: environment.cache.join("lab"),
            program,
            outlives: false,
            environment,
        };
        let lab = Lab::up(spec, &setup, &|_| {}).expect("the lab comes up");
        let field = Self { lab, dir, roots: names };
        for (path, text) in files {
            field.write(path, text);
        }
        field
    }

    /// The lab.
    #[must_use]
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// The scratch directory: `site`, `state`, `home`.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Names of its nodes, in order.
    #[must_use]
    pub fn nodes(&self) -> &[String] {
        &self.roots
    }

    /// Writes a file of the site.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.dir.path().join("site").join(path);
        std::fs::create_dir_all(path.parent().expect("inside the site")).expect("a directory");
        std::fs::write(path, text).expect("written");
    }

    /// Adds lines to a file of the site.
    pub fn append(&self, path: &str, text: &str) {
        let before = std::fs::read_to_string(self.dir.path().join("site").join(path)).expect("there");
        self.write(path, &format!("{before}{text}"));
    }

    /// What a shell script prints on a node, as root.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn said(&self, node: &str, script: &str) -> String {
        let output = self.lab.node_command(node, ["sh", "-c", script]).output().expect("the lab runs it");
        assert!(output.ended.is_success(), "{script}: {}", output.all());
        output.text()
    }

    /// Runs a shell script on a node, as root.
    pub fn run(&self, node: &str, script: &str) {
        let _ = self.said(node, script);
    }

    /// Waits until a shell script succeeds on a node.
    ///
    /// # Panics
    /// When it does not within 30 seconds.
    pub fn wait_for(&self, node: &str, script: &str) {
        let end = Instant::now() + Duration::from_secs(30);
        while !self.lab.node_command(node, ["sh", "-c", script]).output().is_ok_and(|output| output.ended.is_success()) {
            assert!(Instant::now() < end, "{node}: {script}: not within 30 s");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A call of the program for this site, not yet started.
    #[must_use]
    pub fn call<T: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = T>) -> Command {
        let mut command = Command::new(program());
        let home = self.dir.path().join("home");
        std::fs::create_dir_all(&home).expect("a home");
        command.args(arguments).env_clear().env("PATH", Environment::read().search.iter().fold(std::ffi::OsString::new(), joined));
        command.env("HOME", &home).env("USER", "tester").env("XDG_STATE_HOME", self.dir.path().join("state"));
        command.current_dir(self.dir.path().join("site")).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the program to its end.
    #[must_use]
    pub fn ostler<T: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = T>) -> Ran {
        Running::start(self.call(arguments)).end()
    }

    /// `apply --yes --output json` to its end.
    #[must_use]
    pub fn apply(&self) -> Ran {
        self.ostler(["apply", "--yes", "--output", "json"])
    }

    /// `apply --yes --output json`, under way.
    #[must_use]
    pub fn start_apply(&self) -> Running {
        Running::start(self.call(["apply", "--yes", "--output", "json"]))
    }
}

fn joined(mut all: std::ffi::OsString, one: &PathBuf) -> std::ffi::OsString {
    if !all.is_empty() {
        all.push(":");
    }
    all.push(one);
    all
}

/// How a call ended and all it said.
#[derive(Debug)]
pub struct Ran {
    /// Its exit status; 128 and the signal's number where one ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// When each line of standard output came, since the start.
    pub came: Vec<Duration>,
    /// How long it took.
    pub took: Duration,
}

impl Ran {
    /// Standard output as JSON lines.
    ///
    /// # Panics
    /// When a line is none.
    #[must_use]
    pub fn json(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}\n{self}"))).collect()
    }

    /// The lines of a type, of one node where it is named.
    #[must_use]
    pub fn of(&self, kind: &str, node: Option<&str>) -> Vec<Value> {
        let fits = |line: &Value| line["type"] == kind && node.is_none_or(|node| line["node"] == node);
        self.json().into_iter().filter(fits).collect()
    }

    /// A node's numbered events of its run: number and event.
    #[must_use]
    pub fn events(&self, node: &str) -> Vec<(u64, Value)> {
        let numbered = self.of("run", Some(node)).into_iter().map(|line| (line["seq"].as_u64().expect("a number"), line["event"].clone()));
        numbered.filter(|(seq, _)| *seq > 0).collect()
    }

    /// The steps of a node that changed, in order.
    #[must_use]
    pub fn changed(&self, node: &str) -> Vec<String> {
        let events = self.events(node);
        let done = events.iter().filter_map(|(_, event)| event.get("step_done")).filter(|done| done["outcome"].get("changed").is_some());
        done.map(|done| name(&done["id"])).collect()
    }

    /// A node's line of the recap.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn recap(&self, node: &str) -> Value {
        let recap = self.of("recap", None).pop().unwrap_or_else(|| panic!("no recap\n{self}"));
        let lines = recap["nodes"].as_array().expect("a list");
        lines.iter().find(|line| line["node"] == node).unwrap_or_else(|| panic!("{node} is not in the recap\n{self}")).clone()
    }

    /// Asserts that every node came through, with this many changes each.
    ///
    /// # Panics
    /// When one did not.
    pub fn assert_changed(&self, changes: u64) {
        assert_eq!(self.code, 0, "{self}");
        let recap = self.of("recap", None).pop().unwrap_or_else(|| panic!("no recap\n{self}"));
        for line in recap["nodes"].as_array().expect("a list") {
            assert_eq!((&line["changed"], &line["trouble"]), (&Value::from(changes), &Value::Null), "{self}");
        }
    }

    /// The chains of causes of a node's trouble, joined.
    #[must_use]
    pub fn trouble(&self, node: &str) -> String {
        let text = |line: &Value| line["chain"].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(": ");
        self.of("trouble", Some(node)).iter().map(text).collect::<Vec<_>>().join("\n")
    }
}

/// A resource's name as a person reads it.
#[must_use]
pub fn name(id: &Value) -> String {
    format!("{} {}", id["kind"].as_str().unwrap_or_default(), id["key"].as_str().unwrap_or_default())
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit {} after {:?}\n--- stdout\n{}--- stderr\n{}", self.code, self.took, self.stdout, self.stderr)
    }
}

/// A call under way. Dropped, it is killed.
#[derive(Debug)]
pub struct Running {
    child: Child,
    begin: Instant,
    lines: Receiver<(Duration, String)>,
    seen: Vec<(Duration, String)>,
    stderr: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts it.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(mut command: Command) -> Self {
        let begin = Instant::now();
        let mut child = command.spawn().expect("the program starts");
        let (stdout, stderr) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // The test has what it wanted.
                let _ = send.send((begin.elapsed(), line));
            }
        });
        let said = Arc::new(Mutex::new(String::new()));
        let sink = Arc::clone(&said);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                sink.lock().expect("no panic").push_str(&format!("{line}\n"));
            }
        });
        Self { child, begin, lines, seen: Vec::new(), stderr: said, reader: Some(reader) }
    }

    /// Waits for a line of standard output that holds this.
    ///
    /// # Panics
    /// When none comes.
    pub fn wait_for(&mut self, text: &str) {
        let end = Instant::now() + LIMIT;
        while !self.seen.iter().any(|(_, line)| line.contains(text)) {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen.push(line),
                Err(_) => panic!("no line with {text:?}: {:#?}", self.seen),
            }
        }
    }

    /// Waits for a line of standard output that holds this and was not waited for before.
    ///
    /// # Panics
    /// When none comes.
    pub fn wait_for_another(&mut self, text: &str) {
        let end = Instant::now() + LIMIT;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen.push(line),
                Err(_) => panic!("no further line with {text:?}: {:#?}", self.seen),
            }
            if self.seen.last().is_some_and(|(_, line)| line.contains(text)) {
                return;
            }
        }
    }

    /// Waits until standard error holds this.
    ///
    /// # Panics
    /// When it does not come to.
    pub fn wait_for_stderr(&self, text: &str) {
        let end = Instant::now() + LIMIT;
        while !self.stderr.lock().expect("no panic").contains(text) {
            assert!(Instant::now() < end, "no {text:?}: {:?}", self.stderr);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended.
    ///
    /// # Panics
    /// When the system does not say.
    pub fn is_over(&mut self) -> bool {
        self.child.try_wait().expect("asked").is_some()
    }

    /// Sends it a signal by name.
    ///
    /// # Panics
    /// When it is not there any more.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().expect("kill");
        assert!(sent.success(), "signal {name}");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it takes longer than the limit.
    #[must_use]
    pub fn end(mut self) -> Ran {
        let end = self.begin + LIMIT;
        let mut late = false;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    late = true;
                    let _ = self.child.kill();
                    break;
                }
            }
        }
        let status = self.child.wait().expect("waited");
        if let Some(reader) = self.reader.take() {
            reader.join().expect("read");
        }
        let stderr = self.stderr.lock().expect("no panic").clone();
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        let seen = std::mem::take(&mut self.seen);
        let stdout = seen.iter().map(|(_, line)| format!("{line}\n")).collect();
        let ran = Ran { code, stdout, stderr, came: seen.iter().map(|(at, _)| *at).collect(), took: self.begin.elapsed() };
        assert!(!late, "not within {LIMIT:?}: {ran}");
        ran
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
