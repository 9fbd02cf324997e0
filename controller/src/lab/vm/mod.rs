//! A virtual machine node: qemu without hardware acceleration, restored from a snapshot of its booted image.
//!
//! It shows what containers cannot: an own kernel with modules, every sysctl, a clock, a real disk, a power cut.

mod control;
pub(crate) mod image;

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::cgroup::Cgroup;
use super::child::NodeProcess;
use super::container::identity;
use super::error::LabError;
use super::net::link;
use super::paths::{LabPaths, create_private};
use super::protocol::Plan;
use super::spec::{LabNode, PREFIX, Sudo};
use crate::private;
use control::LivenessCheck;

/// Name of the snapshot an image carries.
const SNAPSHOT: &str = "ready";
/// A restored machine answers on its port within seconds; a loaded host may need more.
pub(crate) const IDENTITY_LIMIT: Duration = Duration::from_secs(90);

/// Where one machine's qemu meets the host.
#[derive(Debug)]
pub(crate) struct QemuPaths {
    /// The copy-on-write disk; its base lies in the image.
    pub(crate) disk: PathBuf,
    /// TAP device of its network card.
    pub(crate) tap: String,
    /// Socket of the virtio port behind which a root shell waits.
    pub(crate) port: PathBuf,
    /// Socket of qemu's own control.
    pub(crate) control: PathBuf,
    /// File its serial console is written to.
    pub(crate) console: PathBuf,
}

impl QemuPaths {
    /// Returns the ends of a lab node; the sockets lie in the lab's private `/run`, whose paths are short.
    pub(crate) fn of_node(place: &LabPaths, name: &str, index: usize) -> Self {
        Self {
            disk: place.dir().join("disks").join(format!("{name}.qcow2")),
            tap: link(index),
            port: Path::new("/run").join(format!("{name}.port")),
            control: Path::new("/run").join(format!("{name}.qmp")),
            console: place.console(name),
        }
    }
}

/// Returns qemu's arguments: the same at the save and at every restore, but for paths (a snapshot fits one machine only).
pub(crate) fn arguments(image: &Path, ends: &QemuPaths) -> Vec<String> {
    let fixed = "-M q35 -accel tcg,thread=multi,tb-size=256 -cpu qemu64 -smp 2 -m 1024 -nodefaults -no-user-config -display none \
                 -device virtio-net-pci,netdev=net,mac=52:54:00:78:00:01 -device virtio-rng-pci -device virtio-serial-pci \
                 -device virtserialport,chardev=port,name=lab";
    let kernel = "root=/dev/vda rw console=ttyS0 quiet net.ifnames=0 mitigations=off nokaslr systemd.show_status=false";
    let mut words: Vec<String> = fixed.split_whitespace().map(str::to_owned).collect();
    let drive = format!(
        // writeback: what the guest has synced is on the host's disk, what it has not is lost with a power cut.
        "file={},if=virtio,format=qcow2,cache=writeback,discard=unmap,backing.driver=raw,backing.file.filename={}",
        escaped(&ends.disk),
        escaped(&image.join("base.raw"))
    );
    for (option, value) in [
        ("-kernel", image.join("vmlinuz").display().to_string()),
        ("-initrd", image.join("initrd").display().to_string()),
        ("-append", kernel.to_owned()),
        ("-drive", drive),
        ("-netdev", format!("tap,id=net,ifname={},script=no,downscript=no", ends.tap)),
        ("-chardev", format!("socket,id=port,path={},server=on,wait=off", ends.port.display())),
        ("-qmp", format!("unix:{},server=on,wait=off", ends.control.display())),
        // Appended to: the log of the boots before, and what qemu itself said, must stay.
        ("-chardev", format!("file,id=console,path={},append=on", escaped(&ends.console))),
        ("-serial", "chardev:console".to_owned()),
    ] {
        words.extend([option.to_owned(), value]);
    }
    words
}

/// Returns a path as a value among qemu's comma-separated options.
fn escaped(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

/// Gives a new node its disk: a copy of the image's, snapshot included.
pub(crate) fn make_disk(ends: &QemuPaths, image: &Path) -> Result<(), LabError> {
    if let Some(dir) = ends.disk.parent() {
        private::make_directory(dir).map_err(LabError::file("create directory", dir))?;
    }
    let copied = fs::File::open(image.join("machine.qcow2")).and_then(|mut from| io::copy(&mut from, &mut create_private(&ends.disk)?));
    copied.map(drop).map_err(LabError::file("copy the image's disk to", &ends.disk))
}

/// Starts the machine in its cgroup: out of the snapshot, or with a cold boot from its disk.
pub(crate) fn boot(cgroup: &Cgroup, image: &Path, ends: &QemuPaths, restore: bool) -> Result<NodeProcess, LabError> {
    let log = fs::OpenOptions::new().create(true).append(true).open(&ends.console).map_err(LabError::file("open", &ends.console))?;
    let wrap = cgroup.wrap();
    let mut command = Command::new(&wrap[0]);
    command.args(&wrap[1..]).arg("qemu-system-x86_64").args(arguments(image, ends));
    if restore {
        command.args(["-loadvm", SNAPSHOT]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).process_group(0);
    let child = command.spawn().map_err(|source| LabError::Start { command: "qemu-system-x86_64".into(), source })?;
    // qemu goes on when it cannot write its log.
    Ok(NodeProcess { child, log: None })
}

/// Makes a restored machine this node: the time, its name, its keys, its address; then the door it came through is shut.
pub(crate) fn give_identity(
    place: &LabPaths,
    plan: &Plan,
    node: &LabNode,
    ends: &QemuPaths,
    pulse: LivenessCheck<'_>,
) -> Result<(), LabError> {
    let read = |path: &Path| fs::read_to_string(path).map_err(LabError::file("read", path));
    let authorized = read(&place.private_key().with_extension("pub"))?;
    let host_key = read(&place.host_key(&node.name))?;
    let public_key = read(&place.host_key(&node.name).with_extension("pub"))?;
    let mut files = identity(plan, node)?;
    files.push(("etc/ssh/ssh_host_ed25519_key.pub".into(), public_key, 0o644));
    files.push(("etc/ssh/ssh_host_ed25519_key".into(), host_key, 0o600));
    files.push(("root/.ssh/authorized_keys".into(), authorized.clone(), 0o600));
    files.push(("home/admin/.ssh/authorized_keys".into(), authorized, 0o600));
    files.push(("etc/lab-network".into(), network(node.address), 0o755));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut script = format!("set -e\ndate -s @{now} >/dev/null\n");
    for (path, content, mode) in files {
        script.push_str(&format!("cat > /{path} <<'{END}'\n{}\n{END}\nchmod {mode:o} /{path}\n", content.trim_end()));
    }
    if let Sudo::Password(password) = &node.sudo {
        script.push_str(&format!("chpasswd <<'{END}'\nadmin:{}\n{END}\n", password.0));
    }
    script.push_str("chown -R admin:admin /home/admin\nhostname -F /etc/hostname\n/etc/lab-network\n");
    script.push_str("systemctl restart ssh\nsystemctl disable --quiet lab-port\nsync\n");
    // A moment later: the door's own shell must still tell how all this went.
    script.push_str("(sleep 1; systemctl stop --no-block lab-port) </dev/null >/dev/null 2>&1 &\n");
    control::talk(&ends.port, &script, IDENTITY_LIMIT, pulse).map(drop)
}

/// Ends a here-document: a line no file of ours has.
const END: &str = "END-OF-LAB-FILE";

/// Returns the script that sets the network up, now and at every boot: each machine wakes with the image's hardware address.
/// On a busy machine this script may come before the driver has found the card.
fn network(address: Ipv4Addr) -> String {
    let [_, _, third, fourth] = address.octets();
    format!(
        "#!/bin/sh\nset -e\nip link set lo up\nuntil [ -e /sys/class/net/eth0 ]; do sleep 0.1; done\nip link set eth0 address 52:54:00:79:{third:02x}:{fourth:02x}\n\
         ip addr add {address}/{PREFIX} dev eth0\nip link set eth0 up\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn a_machines_disk_is_its_owners_alone_and_never_written_over() {
        let dir = tempfile::tempdir().expect("scratch");
        let image = dir.path().join("image");
        fs::create_dir(&image).expect("directory");
        fs::write(image.join("machine.qcow2"), "a disk").expect("written");
        let place = LabPaths::create(&dir.path().join("lab")).expect("place");
        let ends = QemuPaths::of_node(&place, "vm", 0);
        make_disk(&ends, &image).expect("made");
        assert_eq!(fs::read_to_string(&ends.disk).expect("there"), "a disk");
        let mode = |path: &Path| fs::metadata(path).expect("there").mode() & 0o7777;
        assert_eq!((mode(&ends.disk), mode(&place.disks())), (0o600, 0o700));
        assert!(matches!(make_disk(&ends, &image), Err(LabError::File { .. })));
    }
}
