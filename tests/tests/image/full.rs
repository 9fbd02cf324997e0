//! A disk that is full, at each stage: a clear error, and nothing half there.

use super::disk::{built, spec};
use ostler::image::ImageError;
use ostler::image::disk::{self, Qcow2};
use ostler::image::output::{HalfBuild, Readable, builds};
use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A file system of a few MiB in a mount namespace of its own: gone with its process, which goes with this one.
struct SmallDisk(Child);

impl SmallDisk {
    fn of(mib: u64) -> Self {
        let script = format!("mount -t tmpfs -o size={mib}m tmpfs /mnt && echo ready && exec sleep 600");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "unshare", "--mount", "sh", "-c", &script]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("started");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("read");
        assert_eq!(line, "ready\n");
        Self(child)
    }

    fn path(&self) -> PathBuf {
        format!("/proc/{}/root/mnt", self.0.id()).into()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).expect("it ended");
    }
}

/// Makes a disk and packs it there, as a build does.
fn build(small: &SmallDisk, manifest: &str) -> Result<(), ImageError> {
    let half = HalfBuild::next(&small.path(), "demo", Readable::All)?;
    let raw = half.aside("raw");
    disk::make(&built().tree, &spec(), &raw)?;
    disk::qcow2(&raw, &spec(), Qcow2::default(), &half.aside("qcow2"))?;
    half.commit(&["raw", "qcow2"], &[("packages", manifest.into())]).map(drop)
}

fn chain(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {}", chain(cause)))
}

#[test]
fn a_full_disk_is_told_at_each_stage_and_nothing_half_is_left() {
    use std::os::unix::fs::MetadataExt as _;
    let built = built();
    let taken = |name: &str| fs::metadata(built.at(name)).expect("there").blocks() * 512;
    let (raw, packed) = (taken("raw").div_ceil(1 << 20), taken("qcow2").div_ceil(1 << 20));
    let whole = raw + packed + 8;
    let long = "x".repeat(16 << 20);
    for (mib, manifest, stage) in [
        (1, "", "`/usr/bin/mformat "),
        (raw / 2, "", "`/usr/sbin/mke2fs "),
        (raw + packed / 2, "", "`/usr/bin/qemu-img convert "),
        (whole, &*long, "write /proc/"),
    ] {
        let small = SmallDisk::of(mib);
        let told = chain(&build(&small, manifest).expect_err("full"));
        assert!(told.starts_with(stage) && told.to_lowercase().contains("no space left"), "{mib} MiB: {told}");
        assert_eq!(fs::read_dir(small.path()).expect("there").count(), 0, "{mib} MiB: {told}");
    }
    let small = SmallDisk::of(whole);
    build(&small, "").expect("it fits");
    assert_eq!(builds(&small.path(), "demo").expect("listed")[0].formats, ["qcow2", "raw"]);
}
