//! An image of the same work by each: diskimage-builder, and a script with mmdebstrap; first, again, and after one change.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::Fault;
use super::contestants::Tools;

/// Who builds: a scene each, since one takes minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Builder {
    /// `disk-image-create` of diskimage-builder 3.43.
    Dib,
    /// mmdebstrap, `mke2fs -d`, `qemu-img convert`.
    Script,
}

impl Builder {
    fn title(self) -> &'static str {
        match self {
            Self::Dib => "An image by diskimage-builder 3.43",
            Self::Script => "An image by mmdebstrap and a script",
        }
    }

    fn program(self) -> &'static str {
        match self {
            Self::Dib => "dib.sh",
            Self::Script => "script.sh",
        }
    }
}

/// What is changed before each build, in the order of the builds.
const STAGES: [(&str, &str); 4] = [
    ("first", "true"),
    ("nothing changed", "true"),
    ("one late change", "echo late > work/late"),
    ("a package more", "echo strace >> work/packages"),
];

/// What a build took, as `images/meter.py` says it.
#[derive(Debug, Deserialize)]
struct Taken {
    code: i32,
    wall: f64,
    cpu: f64,
    bytes: u64,
}

/// The first so many builds, one upon the state that the one before left.
pub fn scene(tools: &Tools, builder: Builder, builds: usize) -> Result<String, Fault> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin/bench/images");
    let state = tools.scratch.join(builder.program());
    fs::create_dir_all(&state)?;
    let state = state.canonicalize()?;
    let out = state.join("out");
    run(Command::new(here.join("prepare.sh")).arg(&state))?;
    let mut rows = String::new();
    for (stage, change) in STAGES.iter().take(builds.max(1)) {
        run(Command::new("sh").args(["-ec", change]).current_dir(&state))?;
        let taken = measured(tools, &here, builder, &state, &out)?;
        let size = fs::metadata(out.with_extension("qcow2"))?.len();
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        let _ =
            writeln!(rows, "| {stage} | {:.0} | {:.1} | {:.1} | {:.0} |", taken.wall, taken.cpu, megabytes(taken.bytes), megabytes(size));
    }
    fs::remove_dir_all(&state)?;
    let words = "bookworm, a kernel, sshd, sudo, git, a headless JRE, a job user, ten repositories, a file of 100 MB; one compressed qcow2 with its sums.";
    Ok(format!(
        "### {}\n\n{words}\n\n| | wall s | CPU s, children too | MB fetched | MB of qcow2 |\n|---|---:|---:|---:|---:|\n{rows}\n",
        builder.title()
    ))
}

fn measured(tools: &Tools, here: &Path, builder: Builder, state: &Path, out: &Path) -> Result<Taken, Fault> {
    let path =
        std::env::join_paths([tools.venv.join("bin"), PathBuf::from("/usr/sbin"), "/usr/bin".into(), "/sbin".into(), "/bin".into()])?;
    let log = state.join("log");
    let done = Command::new("/usr/bin/python3")
        .arg(here.join("meter.py"))
        .arg(here.join(builder.program()))
        .args([state, out])
        .env("PATH", path)
        .env("MIRROR", mirror()?)
        .stderr(Stdio::from(fs::File::create(&log)?))
        .output()?;
    let taken: Taken = serde_json::from_slice(&done.stdout)?;
    if taken.code != 0 {
        let said = fs::read_to_string(&log)?;
        let tail: Vec<&str> = said.lines().rev().take(40).collect();
        return Err(format!("{}: {}\n{}", builder.program(), taken.code, tail.into_iter().rev().collect::<Vec<_>>().join("\n")).into());
    }
    Ok(taken)
}

/// The archive that this machine's apt is configured for.
fn mirror() -> Result<String, Fault> {
    let done =
        Command::new("apt-get").args(["indextargets", "--format", "$(REPO_URI)", "Codename: bookworm", "Component: main"]).output()?;
    let text = String::from_utf8(done.stdout)?;
    let first = text.lines().next().ok_or("apt knows no archive of bookworm: apt-get update")?;
    Ok(first.trim_end_matches('/').to_owned())
}

fn run(command: &mut Command) -> Result<(), Fault> {
    let done = command.output()?;
    if done.status.success() { Ok(()) } else { Err(format!("{command:?}: {}", String::from_utf8_lossy(&done.stderr)).into()) }
}
