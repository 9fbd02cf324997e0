//! Processes as /proc shows them: who runs one of our programs on this system, whatever became of its files.

use ostler_roles::words::Span;
use std::ffi::OsStr;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Clock ticks a second in /proc/PID/stat: USER_HZ, 100 on every architecture of ours (proc_pid_stat(5), time(7)).
const TICKS: u64 = 100;

/// Bytes of a command line that are read: ours are shorter.
const COMMAND_LINE: u64 = 4096;

/// A process of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its arguments, the program's name left out.
    pub arguments: Vec<String>,
    /// How long it has been running.
    pub age: Span,
}

/// The processes of root or ours whose program lies in `directory`, or lay there before it was removed. Those of containers on this
/// machine, which have a root of their own, are not of this system. Root looks at the programs themselves; others see only what each
/// process says of itself.
pub fn of_programs_in(directory: &Path) -> Vec<Process> {
    let own = rustix::process::geteuid();
    let root = std::fs::metadata("/").map(|root| (root.dev(), root.ino())).ok();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let place = entry.path();
        // Whoever ends while it is looked at is no longer at work.
        let Ok(owner) = entry.metadata().map(|metadata| metadata.uid()) else { continue };
        // Nothing that another account says of itself is read.
        if owner != 0 && owner != own.as_raw() {
            continue;
        }
        if own.is_root() {
            let here = std::fs::metadata(place.join("root")).map(|root| (root.dev(), root.ino())).ok();
            let program = std::fs::read_link(place.join("exe")).unwrap_or_default();
            if here != root || without_mark(&program).parent() != Some(directory) {
                continue;
            }
        }
        let Some((named, arguments)) = command_line(&place) else { continue };
        if named.parent() != Some(directory) {
            continue;
        }
        found.push(Process { pid, arguments, age: age(&place).unwrap_or_default() });
    }
    found
}

/// The name of a program whose file was removed meanwhile, without the kernel's mark (proc_pid_exe(5)).
pub fn without_mark(program: &Path) -> &Path {
    program.as_os_str().as_bytes().strip_suffix(b" (deleted)").map_or(program, |name| Path::new(OsStr::from_bytes(name)))
}

fn command_line(place: &Path) -> Option<(PathBuf, Vec<String>)> {
    let mut bytes = Vec::new();
    std::fs::File::open(place.join("cmdline")).ok()?.take(COMMAND_LINE).read_to_end(&mut bytes).ok()?;
    // One that is longer is none of ours: it does not end where we stop.
    let mut words = bytes.strip_suffix(&[0])?.split(|byte| *byte == 0);
    let program = PathBuf::from(OsStr::from_bytes(words.next()?));
    Some((program, words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()))
}

fn age(place: &Path) -> Option<Span> {
    let stat = std::fs::read_to_string(place.join("stat")).ok()?;
    // Behind the name, which may hold blanks and brackets, field 22 is the twentieth.
    let began: u64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
    let uptime: u64 = uptime.split('.').next()?.parse().ok()?;
    Some(Span::seconds(uptime.saturating_sub(began / TICKS)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, Stdio};

    #[test]
    fn a_program_of_ours_is_found_also_when_its_file_is_gone_and_its_likeness_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().canonicalize().unwrap();
        let program = place.join("agent-1");
        std::fs::copy("/bin/cat", &program).unwrap();
        let mut ours = Command::new(&program).arg("-").stdin(Stdio::piped()).spawn().unwrap();
        // It only calls itself so.
        let mut likeness = Command::new("/bin/cat").arg0(&program).stdin(Stdio::piped()).spawn().unwrap();
        let numbers = || of_programs_in(&place).into_iter().map(|process| process.pid).collect::<Vec<_>>();
        assert!(numbers().contains(&ours.id()));
        std::fs::remove_file(&program).unwrap();
        let found = of_programs_in(&place);
        let found: Vec<_> = found.iter().filter(|process| process.pid == ours.id()).collect();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].arguments, ["-"]);
        if rustix::process::geteuid().is_root() {
            assert!(!numbers().contains(&likeness.id()), "a name is no proof");
        }
        // Of one that calls itself by more than is read, nothing is believed.
        std::fs::copy("/bin/cat", &program).unwrap();
        let mut long = Command::new(&program).arg("x".repeat(3 * 4096)).stdin(Stdio::piped()).spawn().unwrap();
        assert!(command_line(Path::new(&format!("/proc/{}", long.id()))).is_none());
        long.kill().unwrap();
        long.wait().unwrap();
        for child in [&mut ours, &mut likeness] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert!(!numbers().contains(&ours.id()));
    }
}
