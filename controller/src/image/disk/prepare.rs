//! What a tree needs to be booted from a disk: fstab, growth at first boot, console, initrd, and GRUB's files and configuration.

use super::super::error::ImageError;
use super::super::inside::{Inside, must};
use super::super::tree::Tree;
use super::{CORE_EFI, CORE_IMG, DiskSpec};

const FSTAB: &str = "/etc/fstab";
const PROBE: &str = include_str!("grub-probe.sh");
/// In the tree while GRUB's configuration is made, never after.
const PROBE_AT: &str = "/boot/grub/.ostler-grub-probe";
const EARLY_AT: &str = "/boot/grub/.ostler-early.cfg";

/// Modules that the loader has before it can read its own directory, and those that make a prompt useful.
const MODULES: &[&str] = &[
    "part_gpt",
    "part_msdos",
    "ext2",
    "fat",
    "search",
    "search_fs_uuid",
    "normal",
    "configfile",
    "linux",
    "boot",
    "echo",
    "test",
    "gzio",
    "serial",
    "terminal",
    "ls",
    "cat",
    "reboot",
    "halt",
];

/// A program or file that must be there, and the package that has it.
const NEEDED: &[(&str, &str)] = &[
    ("/usr/lib/systemd/systemd", "systemd-sysv"),
    ("/usr/bin/systemd-repart", "systemd-repart"),
    ("/usr/sbin/mkinitramfs", "initramfs-tools"),
    ("/usr/sbin/update-grub", "grub2-common"),
    ("/usr/bin/grub-mkimage", "grub-common"),
];

/// Writes the files that the kernel's and the loader's packages read when they are installed: called on a base, before any kernel, no
/// initrd is made twice. Returns whether something changed that is inside an initrd.
///
/// # Errors
/// When a file cannot be written.
pub fn configure(tree: &Tree, spec: &DiskSpec) -> Result<bool, ImageError> {
    let old = tree.read(FSTAB)?.unwrap_or_default();
    let checked = tree.has("/usr/sbin/fsck.ext4") || tree.has("/sbin/fsck.ext4");
    let mut initrd = tree.write(FSTAB, fstab(&String::from_utf8_lossy(&old), &spec.root_id(), checked).as_bytes(), 0o644)?;
    // Its kind is that of the machine's own root, which is the one that is running.
    tree.write("/etc/repart.d/50-ostler-root.conf", b"# The root takes all room that the disk has.\n[Partition]\nType=root\n", 0o644)?;
    // Without a swap partition, initramfs-tools waits for none.
    let modules = b"# This disk may be in any machine.\nMODULES=most\nRESUME=none\n";
    initrd |= tree.write("/etc/initramfs-tools/conf.d/ostler", modules, 0o644)?;
    tree.write("/etc/default/grub.d/00-ostler.cfg", defaults(spec).as_bytes(), 0o644)?;
    Ok(initrd)
}

/// Makes a tree bootable from a disk of this kind.
///
/// # Errors
/// When packages are missing, which are told, or a program of the tree fails.
pub fn prepare(root: &dyn Inside, spec: &DiskSpec) -> Result<(), ImageError> {
    let tree = Tree::open(&root.tree())?;
    let kernels = check(&tree, spec)?;
    let changed = configure(&tree, spec)?;
    let epoch = spec.epoch.to_string();
    let env: &[(&str, &str)] = &[("SOURCE_DATE_EPOCH", &epoch), ("LC_ALL", "C.UTF-8"), ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")];
    for kernel in kernels {
        if changed || !tree.has(&format!("/boot/initrd.img-{kernel}")) {
            must(root, &["update-initramfs", "-c", "-k", &kernel], env)?;
        }
    }
    let made = loader(root, &tree, spec, env);
    tree.remove(EARLY_AT)?;
    tree.remove(PROBE_AT)?;
    made
}

/// Returns the kernels that are there.
fn check(tree: &Tree, spec: &DiskSpec) -> Result<Vec<String>, ImageError> {
    let names = tree.names("/boot")?;
    let kernels: Vec<String> = names.iter().filter_map(|name| name.to_str()?.strip_prefix("vmlinuz-").map(str::to_owned)).collect();
    let mut missing = Vec::new();
    if kernels.is_empty() {
        missing.push(if tree.has("/usr/share/doc/ubuntu-keyring") { "linux-image-virtual" } else { "linux-image-amd64" });
    }
    let platforms = [
        ("/usr/lib/grub/i386-pc/boot.img", "grub-pc-bin", spec.firmware.bios()),
        ("/usr/lib/grub/x86_64-efi/moddep.lst", "grub-efi-amd64-bin", spec.firmware.uefi()),
    ];
    let wanted = platforms.into_iter().filter(|(_, _, wanted)| *wanted).map(|(path, package, _)| (path, package));
    missing.extend(NEEDED.iter().copied().chain(wanted).filter(|(path, _)| !tree.has(path)).map(|(_, package)| package));
    if missing.is_empty() {
        return Ok(kernels);
    }
    let list = missing.join(", ");
    Err(ImageError::refused(
        format!("a disk of this tree could not be booted: it lacks {list}"),
        format!("add a step to a role of the image: package: [{list}]"),
    ))
}

fn loader(root: &dyn Inside, tree: &Tree, spec: &DiskSpec, env: &[(&str, &str)]) -> Result<(), ImageError> {
    let id = spec.root_id();
    tree.write(EARLY_AT, format!("search.fs_uuid {id} root\nset prefix=($root)/boot/grub\n").as_bytes(), 0o644)?;
    for (platform, core, own, wanted) in [
        ("i386-pc", CORE_IMG, &["biosdisk"][..], spec.firmware.bios()),
        ("x86_64-efi", CORE_EFI, &["efi_gop", "efi_uga"][..], spec.firmware.uefi()),
    ] {
        if !wanted {
            continue;
        }
        let (from, to) = (format!("/usr/lib/grub/{platform}"), format!("/boot/grub/{platform}"));
        must(root, &["cp", "--archive", "--no-target-directory", &from, &to], env)?;
        let mut argv = vec![
            "grub-mkimage",
            "--format",
            platform,
            "--directory",
            &from,
            "--output",
            core,
            "--prefix",
            "/boot/grub",
            "--config",
            EARLY_AT,
        ];
        argv.extend(own.iter().chain(MODULES));
        must(root, &argv, env)?;
    }
    tree.write(PROBE_AT, PROBE.replace("@ROOT@", &id).as_bytes(), 0o755)?;
    // In a mount namespace of its own: the answer is bound over the real program for as long as this takes.
    let script = "mount --bind \"$1\" /usr/sbin/grub-probe && mount --bind \"$1\" /usr/bin/grub-mkrelpath && exec update-grub";
    must(root, &["unshare", "--mount", "sh", "-c", script, "sh", PROBE_AT], env)?;
    let cfg = tree.read("/boot/grub/grub.cfg")?.unwrap_or_default();
    if String::from_utf8_lossy(&cfg).contains(&format!("root=UUID={id}")) {
        return Ok(());
    }
    Err(ImageError::refused(
        "update-grub made a configuration that does not name the image's root",
        "look at /etc/default/grub and /etc/grub.d of the tree",
    ))
}

/// Returns an fstab with our root: what it said of the root and of loaders' partitions was another disk's.
fn fstab(old: &str, id: &str, checked: bool) -> String {
    let foreign = |line: &str| {
        let mut words = line.split_whitespace().filter(|word| !line.starts_with('#') && !word.is_empty());
        words.nth(1).is_some_and(|place| ["/", "/boot", "/boot/efi"].contains(&place))
    };
    let root = format!("UUID={id} / ext4 defaults,x-systemd.growfs 0 {}\n", u8::from(checked));
    let kept = old.lines().filter(|line| !foreign(line) && !line.starts_with("# UNCONFIGURED FSTAB"));
    kept.fold(root, |text, line| format!("{text}{line}\n"))
}

/// Returns GRUB's settings: the least that the image needs, all but the consoles given way to what a role says in /etc/default/grub.
fn defaults(spec: &DiskSpec) -> String {
    let consoles: String = spec.console.iter().map(|console| format!(" console={console}")).collect();
    let serial = spec.console.iter().find_map(|console| console.strip_prefix("ttyS"));
    let mut text = "# The image's own; what /etc/default/grub says comes first.\n".to_owned();
    text.push_str(": \"${GRUB_TIMEOUT=0}\" \"${GRUB_RECORDFAIL_TIMEOUT=0}\" \"${GRUB_CMDLINE_LINUX_DEFAULT=quiet}\" \"${GRUB_DISABLE_OS_PROBER=true}\"\n");
    match serial {
        Some(line) => {
            let (unit, speed) = line.split_once(',').unwrap_or((line, "115200"));
            let speed: String = speed.chars().take_while(char::is_ascii_digit).collect();
            text.push_str(": \"${GRUB_TERMINAL=console serial}\"\n");
            text.push_str(&format!(": \"${{GRUB_SERIAL_COMMAND=serial --unit={unit} --speed={speed}}}\"\n"));
        }
        None => text.push_str(": \"${GRUB_TERMINAL=console}\"\n"),
    }
    if !consoles.is_empty() {
        text.push_str(&format!("GRUB_CMDLINE_LINUX=\"${{GRUB_CMDLINE_LINUX:+$GRUB_CMDLINE_LINUX }}{}\"\n", consoles.trim_start()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::disk::Firmware;

    #[test]
    fn an_fstab_loses_another_disks_root_and_nothing_else() {
        let cloud =
            "LABEL=root / ext4 discard 0 1\nLABEL=UEFI\t/boot/efi vfat umask=0077 0 1\n# / is above\ntmpfs /tmp tmpfs size=1g 0 0\n";
        assert_eq!(fstab(cloud, "ID", true), "UUID=ID / ext4 defaults,x-systemd.growfs 0 1\n# / is above\ntmpfs /tmp tmpfs size=1g 0 0\n");
        assert_eq!(fstab("# UNCONFIGURED FSTAB FOR BASE SYSTEM\n", "ID", false), "UUID=ID / ext4 defaults,x-systemd.growfs 0 0\n");
        assert_eq!(fstab(&fstab(cloud, "ID", true), "ID", true), fstab(cloud, "ID", true));
    }

    #[test]
    fn a_role_may_say_otherwise_but_for_the_consoles() {
        let spec =
            DiskSpec { size: 0, epoch: 0, firmware: Firmware::Both, console: vec!["tty0".into(), "ttyS1,9600n8".into()], seed: "x".into() };
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("grub.cfg");
        std::fs::write(&file, defaults(&spec)).unwrap();
        let script = "GRUB_TIMEOUT=5; GRUB_CMDLINE_LINUX=net.ifnames=0; . \"$1\"; echo \"$GRUB_TIMEOUT|$GRUB_CMDLINE_LINUX|$GRUB_TERMINAL|$GRUB_SERIAL_COMMAND\"";
        let said = std::process::Command::new("sh").args(["-uc", script, "sh"]).arg(&file).output().unwrap();
        assert_eq!(
            String::from_utf8_lossy(&said.stdout),
            "5|net.ifnames=0 console=tty0 console=ttyS1,9600n8|console serial|serial --unit=1 --speed=9600\n"
        );
    }

    #[test]
    fn a_tree_that_cannot_be_booted_is_refused_with_the_packages_to_add() {
        let dir = tempfile::tempdir().unwrap();
        let spec = DiskSpec { size: 0, epoch: 0, firmware: Firmware::Uefi, console: vec![], seed: "x".into() };
        let refused = check(&Tree::open(dir.path()).unwrap(), &spec).expect_err("nothing there");
        let ImageError::Refused { hint, .. } = refused else { panic!("{refused}") };
        assert_eq!(
            hint,
            "add a step to a role of the image: package: [linux-image-amd64, systemd-sysv, systemd-repart, initramfs-tools, grub2-common, grub-common, grub-efi-amd64-bin]"
        );
    }
}
