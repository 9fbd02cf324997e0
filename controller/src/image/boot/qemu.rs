//! How qemu is started: a clone of the disk, a network of its own, the key of who is to get in.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::error::ImageError;
use super::super::tools;

pub(super) const PROGRAM: &str = "qemu-system-x86_64";
/// Where the guest's port 22 is, in the namespace of the machine's own.
pub(super) const PORT: u16 = 22;
/// Code and variables of the firmware, as the package `ovmf` has had them from Debian 12 and Ubuntu 22.04 on.
const OVMF: (&str, &str) = ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd");

/// What starts the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootFirmware {
    /// SeaBIOS.
    Bios,
    /// OVMF, without secure boot.
    Uefi,
}

/// What runs the guest's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Accelerator {
    /// Emulation: slow, and everywhere.
    #[default]
    Emulated,
    /// The processor itself.
    Kvm,
}

/// A machine to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootSpec {
    /// A qcow2 or raw disk, which stays as it is: what the machine writes goes into a clone.
    pub disk: PathBuf,
    /// The disk's format (`qcow2`, `raw`).
    pub format: &'static str,
    /// What starts it.
    pub firmware: BootFirmware,
    /// What runs it.
    pub accelerator: Accelerator,
    /// Size of the disk that the machine sees; none for that of the image.
    pub disk_bytes: Option<u64>,
    /// A line of authorized_keys that lets root in, though the image has none: a credential for systemd-tmpfiles, from 252 on.
    pub root_key: Option<String>,
    /// Memory in MiB.
    pub memory: u32,
    /// Processors.
    pub processors: u8,
}

impl BootSpec {
    /// A machine of two processors and a GiB of memory, emulated.
    #[must_use]
    pub fn of(disk: &Path, firmware: BootFirmware) -> Self {
        Self {
            disk: disk.to_owned(),
            format: "qcow2",
            firmware,
            accelerator: Accelerator::Emulated,
            disk_bytes: None,
            root_key: None,
            memory: 1024,
            processors: 2,
        }
    }
}

/// What a machine leaves in its directory.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) clone: PathBuf,
    pub(super) variables: PathBuf,
    pub(super) console: PathBuf,
    pub(super) words: PathBuf,
}

impl Files {
    pub(super) fn below(dir: &Path) -> Self {
        let at = |name: &str| dir.join(name);
        Self { clone: at("clone.qcow2"), variables: at("variables.fd"), console: at("console.log"), words: at("qemu.log") }
    }
}

/// Whether this machine has what boots a disk so.
///
/// # Errors
/// What is not installed, with its package.
pub fn available(firmware: BootFirmware) -> Result<(), ImageError> {
    for (program, package) in [(PROGRAM, "qemu-system-x86"), ("qemu-img", "qemu-utils"), ("ip", "iproute2")] {
        tools::program(program, package)?;
    }
    if firmware == BootFirmware::Uefi && ![OVMF.0, OVMF.1].iter().all(|file| Path::new(file).is_file()) {
        return Err(ImageError::MissingProgram { program: "OVMF", package: "ovmf" });
    }
    Ok(())
}

/// Makes the clone, and the variables that this machine's firmware keeps.
pub(super) fn clone(spec: &BootSpec, files: &Files) -> Result<(), ImageError> {
    let disk = std::path::absolute(&spec.disk).map_err(ImageError::file("find", &spec.disk))?;
    let mut create = tools::program("qemu-img", "qemu-utils")?;
    create.args(["create", "-q", "-f", "qcow2", "-F", spec.format, "-b"]).arg(disk).arg(&files.clone);
    tools::run(create.args(spec.disk_bytes.map(|bytes| bytes.to_string())))?;
    if spec.firmware == BootFirmware::Uefi {
        let from = Path::new(OVMF.1);
        if !from.is_file() {
            return Err(ImageError::MissingProgram { program: "OVMF", package: "ovmf" });
        }
        std::fs::copy(from, &files.variables).map_err(ImageError::file("copy", from))?;
    }
    Ok(())
}

/// Returns the command that becomes qemu, in a network namespace of its own: its process is the namespace's, and no port of this machine
/// is taken.
pub(super) fn command(spec: &BootSpec, files: &Files) -> Result<Command, ImageError> {
    tools::program(PROGRAM, "qemu-system-x86")?;
    let mut command = tools::program("unshare", "util-linux")?;
    let script = "ip link set lo up && exec \"$@\"";
    command.args(["--net", "sh", "-c", script, "sh", PROGRAM]).args(arguments(spec, files));
    Ok(command)
}

fn arguments(spec: &BootSpec, files: &Files) -> Vec<String> {
    let accelerator = match spec.accelerator {
        Accelerator::Emulated => "-accel tcg,thread=multi,tb-size=256 -cpu qemu64",
        Accelerator::Kvm => "-accel kvm -cpu host",
    };
    let fixed = format!(
        "-M q35 {accelerator} -nodefaults -no-user-config -no-reboot -display none -monitor none -device virtio-rng-pci \
         -netdev user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{PORT}-:22 -device virtio-net-pci,netdev=net,romfile="
    );
    let mut words: Vec<String> = fixed.split_whitespace().map(str::to_owned).collect();
    let drive = |file: &Path, rest: &str| ("-drive", format!("file={},{rest}", escaped(file)));
    let mut options = vec![
        ("-smp", spec.processors.to_string()),
        ("-m", spec.memory.to_string()),
        // A clone is thrown away: nothing in it need be on this machine's disk.
        drive(&files.clone, "if=virtio,format=qcow2,cache=unsafe,discard=unmap"),
        ("-chardev", format!("file,id=console,path={}", escaped(&files.console))),
        ("-serial", "chardev:console".to_owned()),
    ];
    if spec.firmware == BootFirmware::Uefi {
        options.push(drive(Path::new(OVMF.0), "if=pflash,unit=0,format=raw,readonly=on"));
        options.push(drive(&files.variables, "if=pflash,unit=1,format=raw"));
    }
    if let Some(key) = &spec.root_key {
        // systemd.system-credentials(7), tmpfiles.d(5): `~` is for content in base64.
        let lines = format!(
            "d /root/.ssh 0700 root root -\nf~ /root/.ssh/authorized_keys 0600 root root - {}\n",
            STANDARD.encode(format!("{}\n", key.trim_end()))
        );
        let value = format!("io.systemd.credential.binary:tmpfiles.extra={}", STANDARD.encode(lines));
        options.push(("-smbios", format!("type=11,value={}", value.replace(',', ",,"))));
    }
    words.extend(options.into_iter().flat_map(|(option, value)| [option.to_owned(), value]));
    words
}

/// A path as a value among qemu's comma-separated options.
fn escaped(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_given_by_the_firmware_and_no_port_of_this_machine_is_named_twice() {
        let mut spec = BootSpec::of(Path::new("/d,isk"), BootFirmware::Uefi);
        spec.root_key = Some("ssh-ed25519 AAAA me\n".into());
        let words = arguments(&spec, &Files::below(Path::new("/a,b")));
        let value = words.iter().find_map(|word| word.strip_prefix("type=11,value=io.systemd.credential.binary:tmpfiles.extra=")).unwrap();
        let lines = String::from_utf8(STANDARD.decode(value).unwrap()).unwrap();
        assert_eq!(lines, "d /root/.ssh 0700 root root -\nf~ /root/.ssh/authorized_keys 0600 root root - c3NoLWVkMjU1MTkgQUFBQSBtZQo=\n");
        assert!(words.contains(&"file=/a,,b/clone.qcow2,if=virtio,format=qcow2,cache=unsafe,discard=unmap".to_owned()), "{words:?}");
        assert_eq!(words.iter().filter(|word| word.contains("if=pflash")).count(), 2);
    }
}
