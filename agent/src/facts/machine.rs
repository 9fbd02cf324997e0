//! The kind of machine, in the words of systemd-detect-virt(1).

use super::text;
use crate::host::{Host, OsError};
use std::path::Path;

/// What kind of machine it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MachineKind {
    /// `none`, `kvm`, `systemd-nspawn`, ...
    pub(super) word: String,
    /// Whether the kernel is a host's.
    pub(super) container: bool,
}

/// The kind of machine, and whether its kernel is a host's.
///
/// # Errors
/// When it cannot be told.
pub fn virtualization(host: &Host) -> Result<(String, bool), OsError> {
    kind(host).map(|kind| (kind.word, kind.container))
}

pub(super) fn kind(host: &Host) -> Result<MachineKind, OsError> {
    if let Some(word) = container(host)? {
        return Ok(MachineKind { word, container: true });
    }
    Ok(MachineKind { word: machine(host)?, container: false })
}

/// What the container's manager left for those inside, in the order in which every account may read it: root and an ordinary
/// account must come to the same answer.
fn container(host: &Host) -> Result<Option<String>, OsError> {
    let named = text(host, "/run/systemd/container")?;
    if !named.trim().is_empty() {
        return Ok(Some(named.trim().to_owned()));
    }
    for (path, word) in [("/run/.containerenv", "podman"), ("/.dockerenv", "docker")] {
        if host.look(Path::new(path))?.is_some() {
            return Ok(Some(word.to_owned()));
        }
    }
    // Only root may read it; where systemd runs inside, the first file says the same to all.
    let environment = text(host, "/proc/1/environ").unwrap_or_default();
    let container = environment.split('\0').find_map(|variable| variable.strip_prefix("container="));
    Ok(container.filter(|word| !word.is_empty()).map(str::to_owned))
}

/// The init that this tree has, where what runs as process 1 is none of its programs: an image that is being built. Others than root cannot
/// tell, and are not there.
pub(super) fn init_of_tree(host: &Host) -> Option<String> {
    let (Ok(shown), Ok(runs)) = (rustix::fs::readlink("/proc/1/exe", Vec::new()), rustix::fs::stat("/proc/1/exe")) else { return None };
    let here = shown.to_str().ok().and_then(|path| host.look_through(Path::new(path)).ok().flatten());
    if here.is_some_and(|here| (here.device, here.inode) == (runs.st_dev, runs.st_ino)) {
        return None;
    }
    // One that is no link says nothing.
    let init = host.read_link(Path::new("/sbin/init")).unwrap_or_default();
    init.and_then(|init| Some(init.file_name()?.to_str()?.to_owned()))
}

fn machine(host: &Host) -> Result<String, OsError> {
    let mut firmware = Vec::new();
    for field in ["product_name", "sys_vendor", "board_vendor", "bios_vendor", "product_version"] {
        firmware.push(text(host, &format!("/sys/class/dmi/id/{field}")).unwrap_or_default());
    }
    let by_firmware = firmware.iter().find_map(|value| vendor(value.trim()));
    // These run on KVM or Xen, and their own word tells more (systemd src/basic/virt.c, detect_vm).
    if let Some(word) = by_firmware.filter(|word| ["oracle", "xen", "amazon", "parallels", "google"].contains(word)) {
        return Ok(word.to_owned());
    }
    if text(host, "/sys/hypervisor/type").is_ok_and(|word| word.trim() == "xen") {
        return Ok("xen".to_owned());
    }
    Ok(told(signature(host)?, by_firmware))
}

/// The word of processor and firmware together.
fn told(by_processor: Option<String>, by_firmware: Option<&str>) -> String {
    match (by_processor, by_firmware) {
        // A processor that names nobody known: what the firmware says is better.
        (Some(word), Some(firmware)) if word == UNKNOWN => firmware.to_owned(),
        (Some(word), _) => word,
        (None, firmware) => firmware.unwrap_or("none").to_owned(),
    }
}

/// A hypervisor that nobody here knows (systemd-detect-virt(1)).
const UNKNOWN: &str = "vm-other";

/// What a machine's firmware calls itself (systemd src/basic/virt.c, `dmi_vendors`).
fn vendor(text: &str) -> Option<&'static str> {
    let known = [
        ("KVM", "kvm"),
        ("OpenStack", "kvm"),
        ("KubeVirt", "kvm"),
        ("Amazon EC2", "amazon"),
        ("QEMU", "qemu"),
        ("VMware", "vmware"),
        ("VMW", "vmware"),
        ("innotek GmbH", "oracle"),
        ("VirtualBox", "oracle"),
        ("Oracle Corporation", "oracle"),
        ("Xen", "xen"),
        ("Bochs", "bochs"),
        ("Parallels", "parallels"),
        ("BHYVE", "bhyve"),
        ("Hyper-V", "microsoft"),
        ("Apple Virtualization", "apple"),
        ("Google Compute Engine", "google"),
    ];
    known.iter().find(|(start, _)| text.starts_with(start)).map(|(_, word)| *word)
}

/// What the processor says of its hypervisor (CPUID leaf 0x40000000).
#[cfg(target_arch = "x86_64")]
fn signature(host: &Host) -> Result<Option<String>, OsError> {
    let flags = text(host, "/proc/cpuinfo")?;
    let flags = flags.lines().find(|line| line.starts_with("flags")).unwrap_or("");
    if !flags.split_whitespace().any(|flag| flag == "hypervisor") {
        return Ok(None);
    }
    let leaf = std::arch::x86_64::__cpuid(0x4000_0000);
    let bytes: Vec<u8> = [leaf.ebx, leaf.ecx, leaf.edx].into_iter().flat_map(u32::to_le_bytes).collect();
    let known = [
        ("XenVMMXenVMM", "xen"),
        ("KVMKVMKVM", "kvm"),
        ("Linux KVM Hv", "kvm"),
        ("TCGTCGTCGTCG", "qemu"),
        ("VMwareVMware", "vmware"),
        ("Microsoft Hv", "microsoft"),
        ("bhyve bhyve ", "bhyve"),
        ("QNXQVMBSQG", "qnx"),
        ("ACRNACRNACRN", "acrn"),
        ("SRESRESRESRE", "sre"),
    ];
    let found = known.iter().find(|(signature, _)| bytes.starts_with(signature.as_bytes()));
    Ok(Some(found.map_or_else(|| UNKNOWN.to_owned(), |(_, word)| (*word).to_owned())))
}

/// Other processors have no such leaf: firmware is all there is.
#[cfg(not(target_arch = "x86_64"))]
fn signature(host: &Host) -> Result<Option<String>, OsError> {
    let hypervisor = text(host, "/proc/device-tree/hypervisor/compatible")?;
    Ok((!hypervisor.is_empty()).then(|| hypervisor.trim_matches('\0').rsplit(',').next().unwrap_or(UNKNOWN).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Host) {
        let tree = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = tree.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let host = Host::at(tree.path()).unwrap();
        (tree, host)
    }

    #[test]
    fn a_container_is_told_by_what_its_manager_left() {
        for (files, word) in [
            (&[("run/systemd/container", "systemd-nspawn\n")][..], "systemd-nspawn"),
            (&[(".dockerenv", "")], "docker"),
            (&[("run/.containerenv", "")], "podman"),
            (&[("proc/1/environ", "PATH=/bin\0container=lxc\0")], "lxc"),
        ] {
            let (_tree, host) = tree(files);
            assert_eq!(kind(&host).unwrap(), MachineKind { word: word.to_owned(), container: true });
        }
    }

    #[test]
    fn firmware_tells_only_what_the_processor_does_not() {
        for (processor, firmware, word) in [
            (Some(UNKNOWN), Some("qemu"), "qemu"),
            (Some(UNKNOWN), None, UNKNOWN),
            (Some("kvm"), Some("qemu"), "kvm"),
            (None, Some("vmware"), "vmware"),
            (None, None, "none"),
        ] {
            assert_eq!(told(processor.map(str::to_owned), firmware), word, "{processor:?} {firmware:?}");
        }
    }

    #[test]
    fn a_machine_is_told_by_its_firmware() {
        for (files, word) in [
            (&[("sys/class/dmi/id/sys_vendor", "QEMU\n")][..], "qemu"),
            (&[("sys/class/dmi/id/product_name", "KVM\n"), ("sys/class/dmi/id/sys_vendor", "Red Hat")], "kvm"),
            (&[("sys/class/dmi/id/product_name", "VirtualBox\n")], "oracle"),
            (&[("sys/class/dmi/id/sys_vendor", "Dell Inc.\n")], "none"),
            (&[("proc/cpuinfo", "flags\t\t: fpu vme sse\n")], "none"),
        ] {
            let (_tree, host) = tree(files);
            assert_eq!(kind(&host).unwrap(), MachineKind { word: word.to_owned(), container: false });
        }
    }
}
