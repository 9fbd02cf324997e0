//! A controller's end of the line, every wait with a deadline; and the bench that a fake agent works on.

use super::FakeNode;
use super::facilities::{BENCH, KILL, LOGIN};
use ostler_agent::engine::StatePaths;
use ostler_roles::catalog::Catalog;
use ostler_roles::outcome::Event;
use ostler_roles::plan::Plan;
use ostler_roles::wire::frame::{self, Decoder, MAGIC};
use ostler_roles::wire::message::{Become, BlobData, Hello, Hidden, Open, SCHEMA, SecretData, ToAgent, ToController};
use ostler_roles::words::{Digest, NodeName, RunId};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Longer than anything here takes; a hang is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// A directory with a fake node. In memory, because secrets want a tmpfs.
#[derive(Debug)]
pub struct Bench {
    directory: tempfile::TempDir,
    agent: PathBuf,
    runs: AtomicU32,
}

impl Bench {
    /// A bench with this node; `agent` is the fake agent's program.
    pub fn new(agent: &str, node: &FakeNode) -> Self {
        let directory = tempfile::tempdir_in("/dev/shm").expect("/dev/shm can be written");
        let bench = Self { directory, agent: PathBuf::from(agent), runs: AtomicU32::new(0) };
        bench.set_node(node);
        bench
    }
    /// The directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }
    /// Where the agent keeps its state.
    pub fn paths(&self) -> StatePaths {
        StatePaths::below(self.path())
    }
    /// The node as it is.
    pub fn node(&self) -> FakeNode {
        FakeNode::read(&self.path().join("node.json"))
    }
    /// Replaces the node.
    pub fn set_node(&self, node: &FakeNode) {
        node.write(&self.path().join("node.json"));
    }
    /// Opens a gate.
    pub fn open(&self, gate: &str) {
        std::fs::write(self.path().join(gate), b"").expect("the bench can be written");
    }
    /// Waits until a change stands at its gate.
    pub fn await_reached(&self, gate: &str) {
        self.await_that("the gate is reached", || self.path().join(format!("{gate}.reached")).exists());
    }
    /// Waits until something holds.
    pub fn await_that(&self, what: &str, holds: impl Fn() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !holds() {
            assert!(Instant::now() < end, "in time: {what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    /// Waits until no runner is at work.
    pub fn await_rest(&self) {
        let lock = self.paths().run_lock();
        self.await_that("the runner leaves", || !ostler_agent::engine::is_held(&lock).expect("the lock can be asked"));
    }
    /// The moments passed so far.
    pub fn moments(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path().join("moments")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
    /// A new run's id; later ones sort later.
    pub fn run_id(&self) -> RunId {
        let count = self.runs.fetch_add(1, Ordering::Relaxed);
        RunId::parse(&format!("019ab000-0000-7000-8000-{count:012}")).expect("an id")
    }
    /// Starts an agent.
    pub fn connect(&self) -> Conversation {
        self.start(None, false)
    }
    /// Starts an agent whose processes kill themselves at this moment.
    pub fn connect_killed_at(&self, moment: &str) -> Conversation {
        self.start(Some(moment), false)
    }
    /// Starts an agent that must become root.
    pub fn connect_as_login(&self) -> Conversation {
        self.start(None, true)
    }
    fn start(&self, kill: Option<&str>, login: bool) -> Conversation {
        let mut command = Command::new(&self.agent);
        command.arg("serve").env_clear().env(BENCH, self.path()).env("PATH", "/usr/bin:/bin");
        if let Some(moment) = kill {
            command.env(KILL, moment);
        }
        if login {
            command.env(LOGIN, "1");
        }
        Conversation::over(command)
    }
    /// Starts a run's runner by hand and waits for its end; whether that was a good one.
    pub fn run_by_hand(&self, run: &RunId) -> bool {
        let mut command = Command::new(&self.agent);
        command.arg("run").arg(run.as_str()).env_clear().env(BENCH, self.path());
        command.stderr(Stdio::null()).status().expect("the fake agent starts").success()
    }
    /// Whatever the agent wrote, anywhere, that is still there.
    pub fn everything_written(&self) -> Vec<(PathBuf, Vec<u8>)> {
        fn walk(directory: &Path, into: &mut Vec<(PathBuf, Vec<u8>)>) {
            for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    walk(&entry.path(), into);
                } else {
                    let bytes = std::fs::read(entry.path()).expect("a file can be read");
                    into.push((entry.path(), bytes));
                }
            }
        }
        let mut files = Vec::new();
        let paths = self.paths();
        for place in [&paths.state, &paths.run, &paths.shm] {
            walk(place, &mut files);
        }
        files
    }
}

/// An agent that is being talked to.
#[derive(Debug)]
pub struct Conversation {
    child: Child,
    stdin: Option<ChildStdin>,
    bytes: Receiver<Vec<u8>>,
    decoder: Decoder,
    begun: bool,
    patience: Duration,
    /// Every byte that came, for whoever looks for what must not be among them.
    pub heard: Vec<u8>,
}

impl Conversation {
    /// An agent that this command starts, or leads to.
    pub fn over(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().expect("the command starts");
        let stdin = child.stdin.take();
        let mut stdout = child.stdout.take().expect("a pipe");
        let (sender, bytes) = channel();
        // Ends with the agent's output.
        std::thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(count @ 1..) = stdout.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, stdin, bytes, decoder: Decoder::new(), begun: false, patience: PATIENCE, heard: Vec::new() }
    }
    /// Waits so long for each message from now on.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
    /// Sends raw bytes. An agent that is gone takes none.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        if let Some(stdin) = &mut self.stdin {
            let _ = stdin.write_all(bytes).and_then(|()| stdin.flush());
        }
    }
    /// The bytes of messages, the magic before the first.
    pub fn frames(&mut self, messages: &[ToAgent]) -> Vec<u8> {
        let mut bytes = if self.begun { Vec::new() } else { MAGIC.to_vec() };
        self.begun = true;
        for message in messages {
            bytes.extend_from_slice(&frame::encode(message).expect("a message fits"));
        }
        bytes
    }
    /// Sends messages.
    pub fn send(&mut self, messages: &[ToAgent]) {
        let bytes = self.frames(messages);
        self.send_bytes(&bytes);
    }
    /// The next message; none at the end of the stream. Heartbeats are left out.
    pub fn receive(&mut self) -> Option<ToController> {
        let end = Instant::now() + self.patience;
        loop {
            match self.decoder.message().expect("the agent sends frames") {
                Some(ToController::Alive) => continue,
                Some(message) => return Some(message),
                None => {}
            }
            match self.bytes.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(bytes) => {
                    self.heard.extend_from_slice(&bytes);
                    self.decoder.push(&bytes);
                }
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return None,
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("the agent says nothing"),
            }
        }
    }
    /// Opens the conversation.
    pub fn opening(r#become: Option<Become>) -> ToAgent {
        ToAgent::Open(Open { schema: SCHEMA, node: NodeName::parse("build-1").expect("a name"), r#become })
    }
    /// Opens the conversation and takes the hello.
    pub fn hello(&mut self) -> Hello {
        self.send(&[Self::opening(None)]);
        match self.receive() {
            Some(ToController::Hello(hello)) => *hello,
            other => panic!("a hello, not {other:?}"),
        }
    }
    /// A catalog's message.
    pub fn asking(catalog: &Catalog) -> ToAgent {
        ToAgent::Catalog {
            catalog: Box::new(catalog.clone()),
            base: None,
            part: false,
            want_old: false,
            secret_key: Hidden(b"key".to_vec()),
        }
    }
    /// Asks for a plan; what is needed for it comes with it.
    pub fn plan(&mut self, catalog: &Catalog) -> (Plan, Vec<Digest>) {
        self.send(&[Self::asking(catalog)]);
        let mut needed = Vec::new();
        loop {
            match self.receive() {
                Some(ToController::NeedBlobs(digests)) => needed = digests,
                Some(ToController::Planned(plan)) => return (*plan, needed),
                other => panic!("a plan, not {other:?}"),
            }
        }
    }
    /// Sends contents.
    pub fn give(&mut self, needed: &[Digest], contents: &BTreeMap<Digest, Vec<u8>>) {
        let data = |digest: &Digest| BlobData { digest: *digest, bytes: contents[digest].clone(), more: false };
        self.send(&[ToAgent::Blobs(needed.iter().map(data).collect())]);
    }
    /// `Go` for a plan.
    pub fn going(run: &RunId, plan: &Plan, secrets: Vec<SecretData>) -> ToAgent {
        let controller = "ada@desk".to_owned();
        let masked = secrets.iter().map(|secret| secret.value.clone()).collect();
        ToAgent::Go { run: run.clone(), plan: plan.digest(), generation: plan.generation, secrets, masked, controller, owes: true }
    }
    /// Every event with its number, to the end: `Done`, `Cut`, a refusal, a fault or the end of the stream.
    pub fn story(&mut self) -> (Vec<(u64, Event)>, Option<ToController>) {
        let mut events = Vec::new();
        loop {
            match self.receive() {
                Some(ToController::Event { seq: 0, .. } | ToController::Going { .. }) => {}
                Some(ToController::Event { seq, event }) => events.push((seq, *event)),
                end => return (events, end),
            }
        }
    }
    /// Asks for a run's events.
    pub fn attach(&mut self, run: &RunId, after: u64) -> (Vec<(u64, Event)>, Option<ToController>) {
        self.send(&[ToAgent::Attach { run: Some(run.clone()), after }]);
        self.story()
    }
    /// Ends the agent's input.
    pub fn hang_up(&mut self) {
        self.stdin = None;
    }
    /// Kills the serving process.
    pub fn kill(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
    /// Waits until the serving process has ended; whether it ended well.
    pub fn await_end(&mut self) -> bool {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                return status.success();
            }
            assert!(Instant::now() < end, "the agent ends");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        self.stdin = None;
        self.kill();
    }
}
