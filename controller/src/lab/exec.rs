//! A program run inside the lab for a client: its own descriptors, its own cgroup, no longer alive than the client's connection.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::cgroup::Cgroup;
use super::error::LabError;
use super::protocol::{Exec, Reply};
use super::wire::{self, Wire};

/// What a command in a node finds in its environment: nothing of this machine's.
const NODE_ENVIRONMENT: &[(&str, &str)] = &[
    ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ("HOME", "/root"),
    ("USER", "root"),
    ("LANG", "C.UTF-8"),
    ("DEBIAN_FRONTEND", "noninteractive"),
];

/// How a command gets to where it runs.
#[derive(Debug)]
pub(crate) enum ExecTarget {
    /// It is there: the lab's own namespaces.
    Lab,
    /// Into all of a container's namespaces, through its PID 1.
    Container(u32),
    /// As root over ssh: a machine's own kernel has no other way in.
    Machine { ssh_config: PathBuf, name: String },
}

/// Runs the program and tells the client how it ended. When the client ends first, everything it started is killed.
pub(crate) fn run_for(client: &Wire, exec: &Exec, target: &ExecTarget, descriptors: Vec<OwnedFd>, cgroup: &Cgroup) -> Result<(), LabError> {
    let mut child = start(exec, target, descriptors, cgroup)?;
    client.send(&Reply::Started, &[])?;
    let ended = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or_else(|| LabError::Spec("no process id".into()))?;
    let ended = pidfd_open(ended, PidfdFlags::empty()).map_err(LabError::system("open a pidfd"))?;
    // The client never speaks again: anything from it is its end.
    let ready = wire::readable(&[client.as_fd(), ended.as_fd()], None);
    // A background child must not outlive the command either. First the process itself: one that has not entered its cgroup yet
    // has no children, and the children of one that has are in there.
    let _ = child.kill();
    cgroup.kill()?;
    let status = child.wait().map_err(LabError::system("wait for a command"))?;
    wait_until_empty(cgroup);
    if ready?[1] {
        let reply = match (status.code(), status.signal()) {
            (Some(code), _) => Reply::Exited(code),
            (None, signal) => Reply::Killed(signal.unwrap_or(0)),
        };
        client.send(&reply, &[])?;
    }
    Ok(())
}

fn start(exec: &Exec, target: &ExecTarget, descriptors: Vec<OwnedFd>, cgroup: &Cgroup) -> Result<Child, LabError> {
    let [input, output, errors] =
        <[OwnedFd; 3]>::try_from(descriptors).map_err(|got| LabError::Wire(format!("{} descriptors came, not 3", got.len())))?;
    let wrap = cgroup.wrap();
    let mut command = Command::new(&wrap[0]);
    command.args(&wrap[1..]).env_clear();
    match target {
        ExecTarget::Lab => {
            command.envs(exec.environment.iter().map(|(name, value)| (name, value))).current_dir(&exec.directory).args(&exec.argv);
        }
        ExecTarget::Container(leader) => {
            command.envs(NODE_ENVIRONMENT.iter().copied());
            command.args(["nsenter", "--all", "--root", "--wd", "--target", &leader.to_string(), "--"]).args(&exec.argv);
        }
        ExecTarget::Machine { ssh_config, name } => {
            let words: Vec<String> = exec.argv.iter().map(|word| quoted(&word.to_string_lossy())).collect();
            command.envs(NODE_ENVIRONMENT.iter().copied());
            command.arg("ssh").arg("-F").arg(ssh_config).args(["-lroot", name, "--", &words.join(" ")]);
        }
    }
    command.stdin(input).stdout(output).stderr(errors).process_group(0);
    command.spawn().map_err(|source| LabError::Start { command: format!("{:?}", exec.argv), source })
}

/// Quotes a word for the shell that sshd hands the command to.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn wait_until_empty(cgroup: &Cgroup) {
    let end = Instant::now() + Duration::from_secs(2);
    while !cgroup.remove() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_word_is_one_word_to_a_shell() {
        for word in ["", "plain", "two words", "it's", "$(reboot)", "a;b\nc"] {
            let script = format!("printf %s {}", quoted(word));
            let output = Command::new("sh").args(["-c", &script]).output().expect("sh");
            assert_eq!(String::from_utf8_lossy(&output.stdout), word);
        }
    }
}
