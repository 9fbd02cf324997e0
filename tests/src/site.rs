//! A site in a scratch directory, its own lab, and the real program run on it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ostler::lab::{Lab, LabNode, LabSpec, Machine};
use ostler::secret::Identities;
use ostler_roles::words::Digest;
use serde_json::Value;

use crate::lab;

/// A site and its lab; both go with it.
#[derive(Debug)]
pub struct Site {
    // Dropped before the directory that it lives in.
    lab: Option<Lab>,
    dir: tempfile::TempDir,
}

/// What one run of the program left behind.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code; -1 for a signal.
    pub exit: i32,
    /// Its standard output, line by line.
    pub lines: Vec<Value>,
    /// Its standard error.
    pub errors: String,
}

#[expect(clippy::expect_used, clippy::missing_panics_doc, reason = "test support: what cannot be set up stops the test at once")]
impl Site {
    /// Writes a site whose `ostler.yaml` begins with this text, and brings up the lab of its nodes.
    #[must_use]
    pub fn up(ostler_yaml: &str, nodes_yaml: &str, nodes: impl IntoIterator<Item = LabNode>) -> Self {
        let dir = tempfile::Builder::new().prefix("site-").tempdir().expect("scratch directory");
        let mut site = Self { lab: None, dir };
        std::fs::create_dir_all(site.root()).expect("site directory");
        let recipient = Identities::create(&site.identity()).expect("an identity");
        let spec = LabSpec::new(nodes);
        let mut text = format!("edition: 1\nsecrets: {{recipients: [{recipient}]}}\nlab:\n  nodes:\n");
        for node in &spec.nodes {
            let vm = if node.machine == Machine::Vm { ", vm: true" } else { "" };
            writeln!(text, "    {}: {{suite: {}{vm}}}", node.name, node.suite).expect("text");
        }
        site.write("ostler.yaml", &format!("{text}{ostler_yaml}"));
        site.write("nodes.yaml", nodes_yaml);
        // Where the program looks for the lab of this site.
        let root = site.root().canonicalize().expect("site directory");
        let id = Digest::of(root.to_string_lossy().as_bytes()).short();
        site.lab = Some(lab::up(&site.state().join("ostler/labs").join(id), spec).expect("the lab is up"));
        site
    }

    /// The site's directory.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("site")
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    fn identity(&self) -> PathBuf {
        self.dir.path().join("identity.txt")
    }

    /// The lab.
    #[must_use]
    pub fn lab(&self) -> &Lab {
        self.lab.as_ref().expect("up since `Site::up`")
    }

    /// Writes a file of the site.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.root().join(name);
        std::fs::create_dir_all(path.parent().expect("below the site")).expect("directory");
        std::fs::write(path, text).expect("file of the site");
    }

    /// Replaces what stands once in a file of the site.
    pub fn replace(&self, name: &str, old: &str, new: &str) {
        let text = std::fs::read_to_string(self.root().join(name)).expect("file of the site");
        assert_eq!(text.matches(old).count(), 1, "{old:?} in {name}");
        self.write(name, &text.replace(old, new));
    }

    /// Sets a secret of the site.
    pub fn secret(&self, name: &str, value: &str) {
        let file = self.dir.path().join("value");
        std::fs::write(&file, value).expect("value");
        let file = file.to_str().expect("utf-8");
        self.run(&["secret", "set", name, "--from", file]).good();
    }

    /// Copies the pinned wheels to where the lab serves `http://10.78.0.1:8088/wheels/`.
    pub fn serve_wheels(&self) {
        crate::buildbot::serve_wheels(self.lab());
    }

    /// The program on this site, in an environment of its own.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(lab::program());
        let home = self.dir.path().join("home");
        command.args(["--output", "json"]).args(words).current_dir(self.root()).env_clear().stdin(Stdio::null());
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", home).env("USER", "tester");
        command.env("XDG_STATE_HOME", self.state()).env("OSTLER_IDENTITY", self.identity());
        command
    }

    /// Runs the program to its end.
    #[must_use]
    pub fn run(&self, words: &[&str]) -> Ran {
        self.run_with(words, &[])
    }

    /// Runs the program to its end, with other directories in its environment.
    #[must_use]
    pub fn run_with(&self, words: &[&str], environment: &[(&str, &Path)]) -> Ran {
        let output = self.command(words).envs(environment.iter().copied()).output().expect("the program runs");
        let text = String::from_utf8_lossy(&output.stdout);
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: no JSON: {line}"));
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        Ran { exit: output.status.code().unwrap_or(-1), lines: text.lines().map(parse).collect(), errors }
    }

    /// Applies without asking.
    #[must_use]
    pub fn apply(&self) -> Ran {
        self.run(&["apply", "--yes"])
    }

    /// Waits until a run that goes on has told this: it stands in a log on the controller.
    pub fn is_told(&self, text: &str) {
        let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
        let stands = || Command::new("grep").args(["-rqF", "--", text]).arg(self.state()).status().expect("grep runs").success();
        while !stands() {
            assert!(std::time::Instant::now() < end, "not told within 60 s: {text}");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }

    /// Runs a program as root on a node, past everything that is tested; it must succeed.
    pub fn on(&self, node: &str, argv: &[&str]) -> String {
        let output = self.lab().node_command(node, argv).output().expect("started");
        assert!(output.ended.is_success(), "{node}: {argv:?}: {}", output.all());
        output.text()
    }

    /// The words that run this shell line on a node, logged in over SSH as this account; its input is theirs.
    pub fn over_ssh(&self, account: &str, node: &str, line: &str) -> Vec<String> {
        let ostler = self.command(&["lab", "exec", "--", "ssh", "-F"]);
        let environment = ostler.get_envs().filter_map(|(name, value)| Some(format!("{}={}", name.to_str()?, value?.to_str()?)));
        let words = ostler.get_args().map(|word| word.to_string_lossy().into_owned());
        let start = ["env".to_owned(), format!("--chdir={}", self.root().display())];
        let program = ostler.get_program().to_string_lossy().into_owned();
        let login = [self.lab().ssh_config().display().to_string(), "-l".to_owned(), account.to_owned(), node.to_owned(), line.to_owned()];
        start.into_iter().chain(environment).chain([program]).chain(words).chain(login).collect()
    }

    /// Runs a shell's words as root on a node.
    pub fn sh(&self, node: &str, script: &str) -> String {
        self.on(node, &["sh", "-euc", script])
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// `KIND KEY`, as plans show it.
fn id(value: &Value) -> String {
    let word = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
    format!("{} {}", word("kind"), word("key"))
}

#[expect(clippy::missing_panics_doc, reason = "test support: what is not as expected stops the test at once")]
impl Ran {
    /// Itself, having ended well.
    #[must_use = "or say `drop`"]
    pub fn good_with(self, exit: i32) -> Self {
        assert_eq!(self.exit, exit, "{}", self.told());
        self
    }

    /// It has ended well.
    pub fn good(&self) {
        assert_eq!(self.exit, 0, "{}", self.told());
    }

    /// Everything it said: for the message of a failing test. What went wrong comes first: a long message may be cut where it is shown.
    #[must_use]
    pub fn told(&self) -> String {
        let is_ill = |line: &String| {
            [r#""failed""#, r#""fail":"#, r#""type":"recap""#, r#""type":"trouble""#].iter().any(|sign| line.contains(sign))
        };
        let (ill, well): (Vec<String>, Vec<String>) = self.lines.iter().map(Value::to_string).partition(is_ill);
        format!("exit {}\n{}\n{}\n{}", self.exit, self.errors, ill.join("\n"), well.join("\n"))
    }

    fn of<'a>(&'a self, node: &'a str, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.lines.iter().filter(move |line| text(line, "type") == kind && text(line, "node") == node)
    }

    fn events<'a>(&'a self, node: &'a str, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.of(node, "run").filter_map(move |line| line["event"].get(kind))
    }

    fn done(&self, node: &str, outcome: &str) -> Vec<String> {
        self.events(node, "step_done").filter(|done| done["outcome"].get(outcome).is_some()).map(|done| id(&done["id"])).collect()
    }

    /// Resources that were changed on a node, in order.
    #[must_use]
    pub fn changed(&self, node: &str) -> Vec<String> {
        self.done(node, "changed")
    }

    /// Resources that were as wanted already, in order.
    #[must_use]
    pub fn unchanged(&self, node: &str) -> Vec<String> {
        self.done(node, "unchanged")
    }

    /// Resources whose turn did not come.
    #[must_use]
    pub fn not_started(&self, node: &str) -> Vec<String> {
        self.done(node, "not_started")
    }

    /// Resources that failed, each with what was said.
    #[must_use]
    pub fn failed(&self, node: &str) -> Vec<(String, String)> {
        let failed = self.events(node, "step_done").filter_map(|done| Some((id(&done["id"]), done["outcome"].get("failed")?.to_string())));
        failed.collect()
    }

    /// What a changed resource wants known though it is no failure.
    #[must_use]
    pub fn notes(&self, node: &str, resource: &str) -> Vec<String> {
        let done = self.events(node, "step_done").filter(|done| id(&done["id"]) == resource);
        let notes = done.filter_map(|done| done["outcome"]["changed"]["notes"].as_array()).flatten();
        notes.filter_map(|note| note.as_str().map(str::to_owned)).collect()
    }

    /// What was restarted, reloaded or run because something changed: `restart service nginx`.
    #[must_use]
    pub fn triggered(&self, node: &str) -> Vec<String> {
        self.events(node, "triggered").map(|event| format!("{} {}", text(event, "action"), id(&event["id"]))).collect()
    }

    /// Steps of a node's plan that are not unchanged, each with its plan.
    #[must_use]
    pub fn planned(&self, node: &str) -> Vec<(String, Value)> {
        self.of(node, "step").map(|line| (text(line, "id").to_owned(), line["planned"].clone())).collect()
    }

    /// Names of the steps that a plan changes or may change.
    #[must_use]
    pub fn plan(&self, node: &str) -> Vec<String> {
        self.planned(node).into_iter().map(|(id, _)| id).collect()
    }

    /// Where in the roles the steps stand that changed something: `library/roles/base.yaml:10:5`.
    #[must_use]
    pub fn places(&self, node: &str) -> Vec<String> {
        let changed = self.changed(node);
        let steps = self.of(node, "step").filter(|line| changed.iter().any(|id| id == text(line, "id")));
        steps.map(|line| text(line, "at").to_owned()).collect()
    }

    /// Why steps of the plan are impossible.
    #[must_use]
    pub fn impossible(&self, node: &str) -> Vec<(String, String)> {
        let steps = self.planned(node).into_iter();
        steps.filter_map(|(id, planned)| Some((id, planned.get("impossible")?.to_string()))).collect()
    }

    /// Requirements that do not hold: the check, and its verdict.
    #[must_use]
    pub fn refused(&self, node: &str) -> Vec<(String, Value)> {
        let failing = self.of(node, "requirement").filter(|line| line["verdict"].get("pass").is_none());
        failing.map(|line| (text(line, "check").to_owned(), line["verdict"].clone())).collect()
    }

    /// Proofs after the steps that held.
    #[must_use]
    pub fn proofs(&self, node: &str) -> Vec<String> {
        let held = self.events(node, "verified").filter(|event| event["verdict"].get("pass").is_some());
        held.map(|event| text(event, "name").to_owned()).collect()
    }

    /// What masters said about a node.
    #[must_use]
    pub fn masters(&self, node: &str) -> Vec<String> {
        self.of(node, "master").map(|line| text(line, "text").to_owned()).collect()
    }

    /// A node's line of the recap.
    #[must_use]
    pub fn recap(&self, node: &str) -> &Value {
        let nodes = self.lines.iter().find(|line| text(line, "type") == "recap").map(|line| &line["nodes"]);
        let found = nodes.and_then(Value::as_array).and_then(|nodes| nodes.iter().find(|one| text(one, "node") == node));
        found.unwrap_or_else(|| panic!("no recap of {node}: {}", self.told()))
    }

    /// A run that found nothing to do, anywhere: it started no runner, and only the proofs were asked again.
    pub fn nothing_to_do(&self) {
        self.good();
        let is_work = |line: &&Value| match text(line, "type") {
            "step" | "going" => true,
            "run" => line["event"].get("verified").is_none_or(|event| event["verdict"].get("pass").is_none()),
            _ => false,
        };
        let busy: Vec<&Value> = self.lines.iter().filter(is_work).collect();
        assert!(busy.is_empty(), "{}", self.told());
    }
}

/// The data directory of the tests.
#[must_use]
pub fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data")
}
