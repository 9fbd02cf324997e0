//! A container node: its root on an overlay over a cached tree, its identity, its systemd-nspawn process.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::pipe::{PipeFlags, pipe_with};

use super::cgroup::Cgroup;
use super::child::{self, NodeProcess, feed, run};
use super::error::LabError;
use super::net;
use super::paths::LabPaths;
use super::protocol::Plan;
use super::spec::{BRIDGE, GATEWAY_PORT, LabNode, Sudo};

/// The exit status by which systemd-nspawn says that the container asked for a reboot (systemd-nspawn(1)).
pub(crate) const REBOOT: i32 = 133;
/// The login user's id in every tree.
const ADMIN: u32 = 1000;

/// Mounts the node's root and gives it its identity; returns the root.
pub(crate) fn make_root(place: &LabPaths, plan: &Plan, node: &LabNode, tree: &Path, disk_mb: Option<u64>) -> Result<PathBuf, LabError> {
    let home = place.scratch().join(&node.name);
    mkdir(&home)?;
    // A real sync needs a real disk below the upper layer, which has no limit but its own.
    let on_disk = plan.spec.real_sync && disk_mb.is_none();
    if !on_disk {
        // The overlay's upper side lies on it, so `df /` in the node tells this size; each has its own, so that one that fills it stops no other.
        let megabytes = disk_mb.unwrap_or_else(|| share(memory_mb(), plan.spec.nodes.len()));
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={megabytes}m,mode=755"), "lab"]).arg(&home))?;
    }
    let layer = if on_disk { place.disks().join(&node.name) } else { home.clone() };
    let [up, work, root] = [layer.join("up"), layer.join("work"), home.join("root")];
    for dir in [&up, &work, &root] {
        mkdir(dir)?;
    }
    let layers = format!("lowerdir={},upperdir={},workdir={}", tree.display(), up.display(), work.display());
    run(Command::new("mount").args(["-t", "overlay", "-o", &layers]).arg(format!("lab-{}", node.name)).arg(&root))?;
    give_identity(place, plan, node, &root)?;
    Ok(root)
}

/// The least that a node's disk has where none is written: an apt run, a Java and a git cache go into it.
const LEAST_DISK_MB: u64 = 4096;

/// The size of a disk that is not written: an equal share of half the memory.
fn share(memory_mb: u64, nodes: usize) -> u64 {
    (memory_mb / 2 / (nodes as u64).max(1)).max(LEAST_DISK_MB)
}

/// This machine's memory.
fn memory_mb() -> u64 {
    let system = rustix::system::sysinfo();
    let bytes = system.totalram.saturating_mul(u64::from(system.mem_unit));
    bytes >> 20
}

fn mkdir(dir: &Path) -> Result<(), LabError> {
    fs::create_dir_all(dir).map_err(LabError::file("create directory", dir))
}

fn give_identity(place: &LabPaths, plan: &Plan, node: &LabNode, root: &Path) -> Result<(), LabError> {
    let public = place.private_key().with_extension("pub");
    let authorized = fs::read(&public).map_err(LabError::file("read", &public))?;
    let key_path = place.host_key(&node.name);
    let host_key = fs::read(&key_path).map_err(LabError::file("read", &key_path))?;
    let public_path = key_path.with_extension("pub");
    let public_key = fs::read(&public_path).map_err(LabError::file("read", &public_path))?;
    for (path, content, mode) in identity(plan, node)? {
        put(root, &path, content.as_bytes(), mode)?;
    }
    put(root, "etc/ssh/ssh_host_ed25519_key", &host_key, 0o600)?;
    put(root, "etc/ssh/ssh_host_ed25519_key.pub", &public_key, 0o644)?;
    put(root, "root/.ssh/authorized_keys", &authorized, 0o600)?;
    put(root, "home/admin/.ssh/authorized_keys", &authorized, 0o600)?;
    for path in ["home/admin/.ssh/authorized_keys", "home/admin/.bashrc"] {
        let path = root.join(path);
        chown(&path, Some(ADMIN), Some(ADMIN)).map_err(LabError::file("chown", &path))?;
    }
    if let Sudo::Password(password) = &node.sudo {
        set_password(root, &password.0)?;
    }
    Ok(())
}

/// Returns the files that make this node itself: path below the root, text, mode.
pub(crate) fn identity(plan: &Plan, node: &LabNode) -> Result<Vec<(String, String, u32)>, LabError> {
    let random = Path::new("/proc/sys/kernel/random/uuid");
    let machine_id = fs::read_to_string(random).map_err(LabError::file("read", random))?.replace('-', "");
    let hosts = format!("127.0.0.1 localhost\n::1 localhost\n{}", net::hosts(&plan.spec));
    // Over the gateway every mirror is plain http: it speaks to the mirror as this machine does.
    let mirror = plan.sources.mirror.replacen("https://", "http://", 1);
    let proxy = format!(
        "Acquire::http::Proxy \"http://{BRIDGE}:{GATEWAY_PORT}\";\nAcquire::http::Pipeline-Depth \"0\";\nAcquire::Languages \"none\";\n"
    );
    let sudo = match node.sudo {
        Sudo::Free => "admin ALL=(ALL:ALL) NOPASSWD: ALL\n",
        Sudo::Password(_) => "admin ALL=(ALL:ALL) ALL\n",
    };
    // bash reads ~/.bashrc for a command over ssh as well (bash(1), "remote shell daemon").
    let noise = "echo 'Welcome to the machine room.'\necho 'Mind the cables.' >&2\n";
    Ok(vec![
        ("etc/hostname".into(), format!("{}\n", node.name), 0o644),
        ("etc/hosts".into(), hosts, 0o644),
        ("etc/machine-id".into(), machine_id, 0o444),
        ("etc/apt/sources.list".into(), format!("deb {mirror} {} main\n", node.suite), 0o644),
        ("etc/apt/apt.conf.d/80lab".into(), proxy, 0o644),
        ("etc/sudoers.d/admin".into(), sudo.into(), 0o440),
        ("home/admin/.bashrc".into(), if node.noisy_shell { noise.into() } else { String::new() }, 0o644),
    ])
}

/// Writes a file, unless it is so already: package sources that look newer than the package lists would have the lists read anew.
fn put(root: &Path, path: &str, content: &[u8], mode: u32) -> Result<(), LabError> {
    let path = root.join(path);
    let is_so = |found: &fs::Metadata| found.permissions().mode() & 0o7777 == mode && fs::read(&path).is_ok_and(|old| old == content);
    if fs::symlink_metadata(&path).is_ok_and(|found| found.is_file() && is_so(&found)) {
        return Ok(());
    }
    fs::write(&path, content).map_err(LabError::file("write", &path))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).map_err(LabError::file("chmod", &path))
}

/// Sets admin's password through the node's own chpasswd, over its stdin.
fn set_password(root: &Path, password: &str) -> Result<(), LabError> {
    let line = format!("admin:{password}\n");
    feed(Command::new("chroot").arg(root).args(["chpasswd", "-c", "SHA512"]), line.as_bytes()).map(drop)
}

/// Starts the node's systemd in its cgroup and its network namespace.
pub(crate) fn boot(place: &LabPaths, cgroup: &Cgroup, node: &LabNode, root: &Path, real_sync: bool) -> Result<NodeProcess, LabError> {
    let console_path = place.console(&node.name);
    let log = fs::OpenOptions::new().create(true).append(true).open(&console_path).map_err(LabError::file("open", &console_path))?;
    // Not the file itself: systemd-nspawn ends, and the node with it, when its output cannot be written.
    let (said, console) = pipe_with(PipeFlags::CLOEXEC).map_err(LabError::system("make a pipe"))?;
    let errors = console.try_clone().map_err(LabError::system("make a pipe"))?;
    let log = child::thread("start a thread for a console", move || keep(fs::File::from(said), log))?;
    let wrap = cgroup.wrap();
    let mut command = Command::new(&wrap[0]);
    command
        .args(&wrap[1..])
        .args(["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot", "--link-journal=no", "--resolv-conf=off"])
        .args(["--timezone=off", "--console=read-only"])
        .arg(format!("--suppress-sync={}", if real_sync { "no" } else { "yes" }))
        .arg(format!("--directory={}", root.display()))
        .arg(format!("--machine={}", node.name))
        .arg(format!("--network-namespace-path=/run/netns/{}", node.name))
        .stdin(Stdio::null())
        .stdout(console)
        .stderr(errors)
        .process_group(0);
    let child = command.spawn().map_err(|source| LabError::Start { command: "systemd-nspawn".into(), source })?;
    Ok(NodeProcess { child, log: Some(log) })
}

/// Writes what a console says into its log; what a full disk does not take is lost, and the node goes on.
fn keep(mut said: impl Read, mut log: impl Write) {
    let mut buffer = [0; 4096];
    loop {
        match said.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => drop(log.write_all(&buffer[..count])),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// Returns the node's own PID 1 as the lab's pid namespace numbers it: the only child of its systemd-nspawn.
pub(crate) fn leader(nspawn: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{nspawn}/task/{nspawn}/children")).ok()?;
    children.split_whitespace().last()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_not_written_is_a_share_of_half_the_memory_and_no_less_than_it_needs() {
        assert_eq!((share(64 << 10, 1), share(64 << 10, 4)), (32 << 10, 8 << 10));
        assert_eq!((share(64 << 10, 100), share(1024, 3), share(64 << 10, 0)), (LEAST_DISK_MB, LEAST_DISK_MB, 32 << 10));
    }
}
