//! The real `ostler` in a hermetic environment: nothing of this machine's but a search path, a home of its own, a fixed width.

#![expect(clippy::expect_used, reason = "test support: ground that gives way must stop the test at once")]

use crate::house::root;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// The program, built from what is here now.
pub fn ostler() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let here = std::env::current_exe().expect("this test's program");
        // target/PROFILE/deps/TEST -> target/PROFILE/ostler
        let profile = here.ancestors().nth(2).expect("below the profile's directory");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--locked", "--offline", "-p", "ostler", "--bin", "ostler"]).current_dir(root());
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        assert!(cargo.status().expect("cargo runs").success(), "ostler does not build");
        let program = profile.join("ostler");
        assert!(program.is_file(), "no {}", program.display());
        program
    })
}

/// A place to run it in: a home and a working directory that go away.
#[derive(Debug)]
pub struct Desk {
    directory: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

/// What it said and how it ended.
#[derive(Debug)]
pub struct Said {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Said {
    /// Of what a process left behind, without the paths of the desk.
    pub fn of(output: &Output, desk: &Desk) -> Self {
        let clean = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&desk.path().display().to_string(), "DESK");
        Self { code: output.status.code(), out: clean(&output.stdout), err: clean(&output.stderr) }
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let code = self.code.map_or("a signal".to_owned(), |code| code.to_string());
        write!(f, "exit: {code}\n----- stdout\n{}----- stderr\n{}", self.out, self.err)
    }
}

impl Default for Desk {
    fn default() -> Self {
        Self::new()
    }
}

impl Desk {
    /// An empty one.
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("ostler-desk-").tempdir().expect("a directory");
        std::fs::create_dir(directory.path().join("home")).expect("a home");
        std::fs::create_dir(directory.path().join("site")).expect("a working directory");
        Self { directory, variables: Vec::new() }
    }
    /// With a variable of the environment.
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }
    /// Its directory; `site` below it is where the program runs.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }
    /// A path in the working directory.
    pub fn at(&self, name: &str) -> PathBuf {
        self.path().join("site").join(name)
    }
    /// Writes a file of the working directory.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.at(name);
        std::fs::create_dir_all(path.parent().expect("a file has a directory")).expect("a directory");
        std::fs::write(path, text).expect("a file is written");
    }
    /// A first site, as `init` writes it.
    pub fn with_site(self) -> Self {
        let said = self.run(&["init", "."]);
        assert_eq!(said.code, Some(0), "{said}");
        self
    }
    /// The command, ready to start; standard input is closed.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(ostler());
        command
            .args(arguments)
            .current_dir(self.at(""))
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", self.path().join("home"))
            .env("USER", "tester")
            .env("NO_COLOR", "1")
            .env("COLUMNS", "100")
            .env("LANG", "C.UTF-8")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }
    /// Runs it to its end.
    pub fn run(&self, arguments: &[&str]) -> Said {
        Said::of(&self.command(arguments).output().expect("ostler runs"), self)
    }
    /// Runs it with something on standard input.
    pub fn run_with(&self, arguments: &[&str], input: &[u8]) -> Said {
        let mut child =
            self.command(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("ostler runs");
        // It may end before it has read everything; what it said is looked at, not this write.
        let _ = child.stdin.take().expect("a pipe").write_all(input);
        Said::of(&child.wait_with_output().expect("it ends"), self)
    }
}

/// Copies a directory of the repository to the working directory of a desk.
pub fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory of the repository").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a file is copied");
        }
    }
}
