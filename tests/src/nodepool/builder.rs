//! One nodepool-builder with the fake provider, and what ZooKeeper says of its images.

use super::ZooKeeper;
use crate::buildbot::{installed, start};
use crate::house::root;
use serde::Deserialize;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// One of `diskimages`.
#[derive(Debug, Clone)]
pub struct DiskImage {
    /// `name`, and the one of `elements`.
    pub name: String,
    /// `dib-cmd`.
    pub command: String,
    /// `formats`.
    pub formats: Vec<String>,
    /// Other keys, each a line of YAML.
    pub rest: Vec<String>,
    /// All of it, where a page has it.
    pub written: Option<String>,
}

impl DiskImage {
    /// With the formats qcow2 and raw, built by the script that keeps the contract.
    pub fn new(name: &str) -> Self {
        let command = data("dib-cmd").display().to_string();
        Self { name: name.to_owned(), command, formats: Vec::new(), rest: Vec::new(), written: None }.formats(&["qcow2", "raw"])
    }

    /// As a page of the guide has it, by another command.
    ///
    /// # Panics
    /// When the page has none, or not with this name.
    pub fn of_page(page: &str, name: &str, command: &str) -> Self {
        let block = yaml_of(page, "diskimages:\n");
        assert!(block.contains(&format!("  - name: {name}\n")), "{block}");
        let lines = block.lines().skip(1).map(|line| {
            let is_command = line.trim_start().starts_with("dib-cmd: ");
            if is_command { format!("    dib-cmd: {command}\n") } else { format!("{line}\n") }
        });
        Self { written: Some(lines.collect()), ..Self::new(name) }
    }

    /// By another command.
    pub fn by(mut self, command: &str) -> Self {
        command.clone_into(&mut self.command);
        self
    }

    /// In other formats.
    pub fn formats(mut self, formats: &[&str]) -> Self {
        self.formats = formats.iter().map(|format| (*format).to_owned()).collect();
        self
    }

    /// With one more key.
    pub fn with(mut self, line: &str) -> Self {
        self.rest.push(line.to_owned());
        self
    }

    fn stanza(&self) -> String {
        if let Some(written) = &self.written {
            return written.clone();
        }
        let rest: String = self.rest.iter().map(|line| format!("    {line}\n")).collect();
        let formats = self.formats.join(", ");
        format!("  - name: {0}\n    elements: [{0}]\n    formats: [{formats}]\n    dib-cmd: {1}\n{rest}", self.name, self.command)
    }
}

/// A build, as ZooKeeper has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Build {
    /// `NAME-ID` is what its files are called by.
    pub id: String,
    /// `building`, `ready`, `failed`, `deleting`.
    pub state: String,
    /// What was asked for, sorted.
    pub formats: Vec<String>,
    /// Where it went.
    pub uploads: Vec<Upload>,
}

/// An upload, as ZooKeeper has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Upload {
    /// To whom.
    pub provider: String,
    /// `uploading`, `ready`, `failed`, `deleting`.
    pub state: String,
    /// Which of the files.
    pub format: Option<String>,
    /// What the provider calls it.
    pub external: Option<String>,
}

/// The command lines of processes that name this path.
pub fn processes_of(path: &Path) -> Vec<String> {
    let path = path.display().to_string();
    let all = std::fs::read_dir("/proc").expect("/proc is mounted").flatten();
    let lines = all.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ")).filter(|line| line.contains(&path)).collect()
}

/// The block of YAML of a page that begins so.
///
/// # Panics
/// When it has none.
pub fn yaml_of(page: &str, beginning: &str) -> String {
    let text = std::fs::read_to_string(root().join(page)).expect("the page");
    let blocks = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.map(str::to_owned).find(|block| block.starts_with(beginning)).expect("the block of the page")
}

/// What a Python program of `tests/data/nodepool` answers to this on its standard input.
///
/// # Panics
/// When it fails.
pub fn told(program: &str, input: &str) -> String {
    let mut command = Command::new(python());
    let mut child = command.arg(data(program)).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Python starts");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
    let done = child.wait_with_output().expect("it ends");
    assert!(done.status.success(), "{program}");
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// The mounts of this machine that have to do with this path, in any mount namespace of a process.
pub fn mounts_of(path: &Path) -> Vec<String> {
    let path = path.display().to_string();
    let all = std::fs::read_dir("/proc").expect("/proc is mounted").flatten();
    let tables = all.filter_map(|process| std::fs::read_to_string(process.path().join("mountinfo")).ok());
    let mut found: Vec<String> = tables.flat_map(|table| table.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    found.retain(|line| line.contains(&path));
    found
}

/// A file of `tests/data/nodepool`.
pub fn data(name: &str) -> PathBuf {
    root().join("tests/data/nodepool").join(name)
}

/// Everything, gone with this value.
#[derive(Debug)]
pub struct Rig {
    builder: Child,
    answers: Mutex<Answers>,
    zookeeper: ZooKeeper,
    scratch: tempfile::TempDir,
    limit: Duration,
}

#[derive(Debug)]
struct Answers {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Rig {
    /// Starts all with these images. The cleanup looks every second, or not at all.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start(images: &[DiskImage], has_cleanup: bool) -> Self {
        let scratch = tempfile::Builder::new().prefix("nodepool-").tempdir().expect("a scratch directory");
        let python = python();
        for below in ["images", "logs", "home/.config/openstack"] {
            std::fs::create_dir_all(scratch.path().join(below)).expect("a scratch directory");
        }
        let zookeeper = ZooKeeper::start(scratch.path());
        let write = |name: &str, text: &str| std::fs::write(scratch.path().join(name), text).expect("a file in the scratch directory");
        // The fake provider's cloud must be one that openstacksdk knows; nothing is ever asked there.
        write("home/.config/openstack/clouds.yaml", "clouds: {fake: {auth: {auth_url: 'http://127.0.0.1:9/v3'}}}\n");
        write("nodepool.yaml", &configuration(scratch.path(), &zookeeper, images));
        let [cert, key, ca] = zookeeper.client();
        let mut asked = Command::new("setpriv");
        asked.args(["--pdeathsig", "KILL", "--"]).arg(&python).arg(data("ask.py")).args([zookeeper.server(), cert, key, ca]);
        let log = std::fs::File::create(scratch.path().join("ask.log")).expect("a log file");
        let mut child = asked.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn().expect("setpriv (util-linux) starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe"));
        let home = scratch.path().join("home");
        let program = data("builder.py").display().to_string();
        let cleanup = if has_cleanup { "CLEANUP_INTERVAL=1" } else { "CLEANUP_INTERVAL=0" };
        let python = python.display().to_string();
        let words = [cleanup, &python, &program, "builder", "-c", "../nodepool.yaml", "-f"];
        let builder = start(Path::new("env"), &words, &home, &scratch.path().join("builder.log"));
        Self { builder, answers: Mutex::new(Answers { child, lines }), zookeeper, scratch, limit: Duration::from_secs(60) }
    }

    /// The same, waiting longer for what builds come to.
    #[must_use]
    pub fn patient(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    fn ask(&self, verb: &str, image: &str) -> serde_json::Value {
        let mut answers = self.answers.lock().expect("no answer was cut");
        let Answers { child, lines } = &mut *answers;
        let told = writeln!(child.stdin.as_mut().expect("a pipe"), "{verb} {image}");
        let mut line = String::new();
        let read = told.and_then(|()| lines.read_line(&mut line));
        assert!(read.is_ok() && !line.is_empty(), "ask.py is gone:\n{}\n{}", self.text("ask.log"), self.zookeeper.log());
        serde_json::from_str(&line).expect("a line of JSON")
    }

    /// An image's builds, oldest first.
    pub fn builds(&self, image: &str) -> Vec<Build> {
        serde_json::from_value(self.ask("states", image)).expect("builds")
    }

    /// Asks for a build, as `nodepool image-build` does.
    pub fn request(&self, image: &str) {
        self.ask("build", image);
    }

    /// No more builds of it, as `nodepool image-pause` does.
    pub fn pause(&self, image: &str) {
        self.ask("pause", image);
    }

    /// Waits until the image's builds are as wanted, and returns them.
    ///
    /// # Panics
    /// After 60 s, or what [`Rig::patient`] says; the logs are shown.
    pub fn until(&self, image: &str, what: &str, holds: impl Fn(&[Build]) -> bool) -> Vec<Build> {
        let began = Instant::now();
        let limit = self.limit;
        loop {
            let builds = self.builds(image);
            if holds(&builds) {
                return builds;
            }
            assert!(
                began.elapsed() < limit,
                "not within {limit:?}: {what}\n{builds:#?}\n{:?}\n{}\n{}",
                self.files(),
                self.text("builder.log"),
                builds.iter().map(|build| self.log_of(image, build)).collect::<String>()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits for its first build that has this state and, where that is wanted, an upload with that one.
    pub fn first(&self, image: &str, state: &str, upload: Option<&str>) -> Build {
        let fits =
            |build: &&Build| build.state == state && upload.is_none_or(|wanted| build.uploads.iter().any(|upload| upload.state == wanted));
        let builds =
            self.until(image, &format!("a build is {state}, its upload {upload:?}"), |builds| builds.iter().any(|build| fits(&build)));
        builds.into_iter().find(|build| fits(&build)).expect("it was there")
    }

    /// The log of a build, in `build-log-dir`.
    pub fn log_of(&self, image: &str, build: &Build) -> String {
        self.text(&format!("logs/{image}-{}.log", build.id))
    }

    /// The builder's own log.
    pub fn log(&self) -> String {
        self.text("builder.log")
    }

    /// What lies in `images-dir`, sorted, without the builder's own file.
    pub fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.images()).expect("the directory of images").flatten();
        let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.retain(|name| name != "builder_id.txt");
        names.sort();
        names
    }

    /// `images-dir`.
    pub fn images(&self) -> PathBuf {
        self.scratch.path().join("images")
    }

    /// `nodepool.yaml`.
    pub fn configuration(&self) -> String {
        self.text("nodepool.yaml")
    }

    /// What the real `nodepool` prints.
    ///
    /// # Panics
    /// When it fails.
    pub fn nodepool(&self, words: &[&str]) -> String {
        let mut command = Command::new(python());
        command.arg(data("builder.py")).args(["nodepool", "-c"]).arg(self.scratch.path().join("nodepool.yaml")).args(words);
        let done = command.env("HOME", self.scratch.path().join("home")).output().expect("Python starts");
        assert!(done.status.success(), "nodepool {words:?}:\n{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.scratch.path().join(name)).unwrap_or_default()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let answers = self.answers.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        for child in [&mut self.builder, &mut answers.child] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The environment's Python, made once.
fn python() -> PathBuf {
    let cache = ostler::environment::Environment::read().cache;
    installed("nodepool", &data("requirements.txt"), &cache.join("nodepool-wheels")).join("bin/python")
}

fn configuration(at: &Path, zookeeper: &ZooKeeper, images: &[DiskImage]) -> String {
    let (at, stanzas) = (at.display(), images.iter().map(DiskImage::stanza).collect::<String>());
    let names: String = images.iter().map(|image| format!("      - name: {}\n", image.name)).collect();
    format!(
        "images-dir: {at}/images\nbuild-log-dir: {at}/logs\n{}\ndiskimages:\n{stanzas}\nlabels:\n  - name: node\n\nproviders:\n  \
         - name: cloud\n    driver: fake\n    cloud: fake\n    diskimages:\n{names}    pools:\n      - name: main\n        max-servers: 1\n        \
         labels: [{{name: node, diskimage: {}, min-ram: 1024}}]\n",
        zookeeper.stanza(),
        images[0].name
    )
}
