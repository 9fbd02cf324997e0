//! A tree becomes a disk that both firmwares boot, and two clones of it are two machines.

use ostler::image::boot::{BootFirmware, BootSpec, Machine};
use ostler::image::disk::{self, Compat, Compression, DiskSpec, Firmware, Qcow2};
use ostler::image::seal::{self, Builder, SealOptions};
use ostler_tests::bootable::{Chroot, bootable, copy};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A cold boot without acceleration, on a machine that builds other things meanwhile.
const BOOT_LIMIT: Duration = Duration::from_secs(300);
const SIZE: u64 = 6 << 30;

pub(crate) fn spec() -> DiskSpec {
    DiskSpec {
        size: SIZE,
        epoch: 1_700_000_000,
        firmware: Firmware::Both,
        console: vec!["tty0".into(), "ttyS0,115200".into()],
        seed: "bookworm-test".into(),
    }
}

/// A tree that was prepared and sealed, and its disk.
pub(crate) struct Built {
    dir: TempDir,
    pub(crate) tree: PathBuf,
}

impl Built {
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// One for all tests that run at a time; gone with the last of them.
pub(crate) fn built() -> Arc<Built> {
    static BUILT: Mutex<Weak<Built>> = Mutex::new(Weak::new());
    let mut last = BUILT.lock().expect("no test ended while it built");
    if let Some(built) = last.upgrade() {
        return built;
    }
    let built = Arc::new(build());
    *last = Arc::downgrade(&built);
    built
}

fn build() -> Built {
    let dir = tempfile::tempdir().expect("scratch");
    let tree = copy(&bootable(), &dir.path().join("tree"));
    let network = tree.join("etc/systemd/network/80-dhcp.network");
    fs::write(network, "[Match]\nName=en*\n[Network]\nDHCP=yes\n").expect("written");
    let root = Chroot(tree.clone());
    let run = |argv: &[&str]| ostler::image::inside::Inside::run(&root, argv, &[]).expect("started");
    assert!(run(&["systemctl", "enable", "--quiet", "systemd-networkd"]).status.success());
    let begun = Instant::now();
    disk::prepare(&root, &spec()).expect("prepared");
    eprintln!("prepared in {:?}", begun.elapsed());
    let options = SealOptions { builder: Builder::of_this_machine(), secrets: vec![b"nobody-has-this".to_vec()], ..SealOptions::default() };
    let begun = Instant::now();
    let sealed = seal::seal(&tree, &options).expect("sealed");
    eprintln!("sealed in {:?}: {sealed:?}", begun.elapsed());
    let built = Built { dir, tree };
    let begun = Instant::now();
    disk::make(&built.tree, &spec(), &built.at("raw")).expect("made");
    eprintln!("made in {:?}", begun.elapsed());
    let begun = Instant::now();
    disk::qcow2(&built.at("raw"), &spec(), Qcow2::default(), &built.at("qcow2")).expect("packed");
    eprintln!("packed in {:?}", begun.elapsed());
    built
}

fn digest(path: &Path) -> String {
    out(Command::new("sha256sum").arg("--binary").stdin(File::open(path).expect("there")))
}

fn out(command: &mut Command) -> String {
    let output = command.env("LC_ALL", "C").output().expect("started");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

#[test]
fn two_trees_of_different_hours_make_the_same_raw_and_the_same_qcow2() {
    let first = built();
    let dir = tempfile::tempdir().expect("scratch");
    let tree = copy(&first.tree, &dir.path().join("another"));
    // Both newer than the epoch: of neither hour anything is seen.
    File::open(tree.join("etc/hosts")).and_then(|file| file.set_modified(std::time::SystemTime::now())).expect("touched");
    let (raw, packed) = (dir.path().join("raw"), dir.path().join("qcow2"));
    disk::make(&tree, &spec(), &raw).expect("made");
    assert!(digest(&raw) == digest(&first.at("raw")), "the raws differ");
    disk::qcow2(&raw, &spec(), Qcow2::default(), &packed).expect("packed");
    assert!(digest(&packed) == digest(&first.at("qcow2")), "the qcow2s differ");
    assert!(digest(&raw) == digest(&first.at("raw")), "packing has changed the raw");
    let old = Qcow2 { compression: Compression::Zlib, compat: Compat::V0 };
    disk::qcow2(&raw, &spec(), old, &packed).expect("packed for old clouds");
    let info = out(Command::new("qemu-img").args(["info", "--output=json"]).arg(&packed));
    let info: serde_json::Value = serde_json::from_str(&info).expect("json");
    assert_eq!((&info["format-specific"]["data"]["compat"], &info["virtual-size"]), (&"0.10".into(), &SIZE.into()));
}

#[test]
fn others_find_no_fault_in_a_disk() {
    let built = built();
    let raw = built.at("raw");
    let table = out(Command::new("sfdisk").arg("--verify").arg(&raw));
    assert!(table.contains("No errors detected."), "{table}");
    let bytes = fs::metadata(&raw).expect("there").len();
    let root = built.at("root.ext4");
    let from = format!("skip={}", 66 << 20);
    out(Command::new("dd")
        .args(["bs=1M", "iflag=skip_bytes", "conv=sparse", &from])
        .arg(format!("if={}", raw.display()))
        .arg(format!("of={}", root.display())));
    File::options().write(true).open(&root).and_then(|file| file.set_len(bytes - (67 << 20))).expect("sized");
    out(Command::new("e2fsck").args(["-f", "-n"]).arg(&root));
    let listed = out(Command::new("mdir").args(["-i", &format!("{}@@{}", raw.display(), 2 << 20), "-b", "::/EFI/BOOT"]));
    assert_eq!(listed.trim(), "::/EFI/BOOT/BOOTX64.EFI");
    // Nothing of it is newer than its epoch, and it is sparse.
    let stat = out(Command::new("debugfs").args(["-R", "stat /etc/hosts"]).arg(&root));
    assert!(["ctime", "atime", "mtime", "crtime"].iter().all(|time| stat.contains(&format!("{time}: 0x6553f100:00000000"))), "{stat}");
    let taken = std::os::unix::fs::MetadataExt::blocks(&fs::metadata(&raw).expect("there")) * 512;
    assert!(taken < bytes * 9 / 10, "{taken} of {bytes}");
}

/// A booted clone, entered as root.
struct Entered {
    machine: Machine,
    key: PathBuf,
    dir: TempDir,
}

impl Entered {
    /// Boots a clone under this firmware, with a disk of this size.
    fn boot(disk: &Path, firmware: BootFirmware, bytes: Option<u64>) -> Self {
        let dir = tempfile::tempdir().expect("scratch");
        let key = dir.path().join("key");
        out(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key));
        let mut wanted = BootSpec::of(disk, firmware);
        wanted.disk_bytes = bytes;
        wanted.root_key = Some(fs::read_to_string(key.with_extension("pub")).expect("a key"));
        let begun = Instant::now();
        let machine = Machine::start(&wanted, dir.path()).expect("started");
        let banner = machine.wait_for_ssh(BOOT_LIMIT).expect("an ssh server");
        eprintln!("{firmware:?}: {banner} after {:?}", begun.elapsed());
        Self { machine, key, dir }
    }

    fn run(&self, script: &str) -> String {
        let (enter, port) = self.machine.enter();
        let mut command = Command::new(&enter[0]);
        command.args(&enter[1..]).args([
            "ssh",
            "-F",
            "/dev/null",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=accept-new",
            "-o",
            "LogLevel=ERROR",
        ]);
        command.arg("-o").arg(format!("UserKnownHostsFile={}", self.dir.path().join("known").display()));
        command.arg("-i").arg(&self.key).args(["-p", &port.to_string(), "root@127.0.0.1", script]);
        out(&mut command)
    }

    /// Waits until systemd has started all that it starts; returns what of it failed, and what that logged.
    fn failed_units(&self) -> String {
        let end = Instant::now() + BOOT_LIMIT;
        // 252 of systemd says `running` before the last job, where it was asked to wait: the state is asked for again.
        while !["running", "degraded"].contains(&self.run("systemctl is-system-running || true").trim()) {
            assert!(Instant::now() < end, "it does not come up: {}", self.run("systemctl list-jobs"));
            std::thread::sleep(Duration::from_millis(500));
        }
        self.run(
            "for unit in $(systemctl --failed --plain --no-legend | cut -d' ' -f1); do echo $unit; journalctl -b -o cat -u $unit; done",
        )
    }
}

#[test]
fn clones_boot_under_both_firmwares_grow_to_their_disks_and_share_no_identity() {
    let built = built();
    let disk = built.at("qcow2");
    // One with the disk that it was built for, one with a larger: there the partition has to grow first.
    let larger = SIZE + (3 << 30);
    let (bios, uefi) = std::thread::scope(|scope| {
        let bios = scope.spawn(|| Entered::boot(&disk, BootFirmware::Bios, None));
        let uefi = scope.spawn(|| Entered::boot(&disk, BootFirmware::Uefi, Some(larger)));
        (bios.join().expect("booted"), uefi.join().expect("booted"))
    });
    assert_eq!(uefi.run("test -d /sys/firmware/efi && echo UEFI").trim(), "UEFI");
    assert_eq!(bios.run("test -d /sys/firmware/efi || echo BIOS").trim(), "BIOS");
    for clone in [&bios, &uefi] {
        assert_eq!(clone.failed_units(), "");
    }
    let ask = |script: &str| (bios.run(script).trim().to_owned(), uefi.run(script).trim().to_owned());
    for (what, script, length) in [
        ("machine ids", "cat /etc/machine-id", 32),
        ("host keys", "cut -d' ' -f2 /etc/ssh/ssh_host_ed25519_key.pub", 68),
        ("certificates", "sha256sum < /etc/ssl/certs/ssl-cert-snakeoil.pem | cut -c1-64", 64),
    ] {
        let (one, other) = ask(script);
        assert!(one != other && one.len() == length && other.len() == length, "{what}: {one:?} {other:?}");
    }
    let (one, other) = ask("ls /etc/ssh/ssh_host_*_key | wc -l");
    assert_eq!((&*one, &*other), ("3", "3"));
    let (one, other) = ask("df --output=size --block-size=1M / | tail -1");
    let sizes: Vec<u64> = [one, other].iter().map(|size| size.parse().expect("a number")).collect();
    assert!((SIZE >> 20) - 300 < sizes[0] && sizes[0] < SIZE >> 20, "{sizes:?}");
    assert!((larger >> 20) - 400 < sizes[1] && sizes[1] < larger >> 20, "{sizes:?}");
    // A kernel that comes later is the default of this machine's own configuration.
    assert_eq!(
        bios.run("update-grub 2>/dev/null && grep -c \"linux./boot/vmlinuz.*root=UUID=$(findmnt -no UUID /)\" /boot/grub/grub.cfg").trim(),
        "3"
    );
    bios.run("systemctl poweroff --no-block");
    bios.machine.wait_for_end(BOOT_LIMIT).expect("it goes when it is asked to");
}
