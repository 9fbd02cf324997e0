//! File systems with a server behind them: whoever asks one whose server is gone waits for ever, so it is asked once, in a thread that may
//! be left behind, before anything else is asked of it.

use super::deadline::within;
use super::mounts::{Mount, room};
use super::{Host, OsError};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// How long the server of a file system may take to tell its room. A disk of its own may have to start turning first.
const ANSWER: Duration = Duration::from_secs(10);

/// An answer says so little of what comes that it is good for so long only: a server dies in the midst of a run too.
const GOOD_FOR: Duration = Duration::from_secs(2);

/// What such file systems are called in /proc/self/mountinfo; those of FUSE begin with `fuse`. autofs is none of them: to ask it is to mount.
const SERVED: [&str; 11] = ["nfs", "nfs4", "cifs", "smb3", "ceph", "9p", "virtiofs", "lustre", "afs", "orangefs", "beegfs"];

/// Where such file systems are mounted, and which of them answer.
#[derive(Debug)]
pub(super) struct RemoteMounts {
    /// Read once.
    served: OnceLock<Vec<RemoteMount>>,
    answer: Duration,
}

/// A file system with a server behind it.
#[derive(Debug)]
struct RemoteMount {
    point: PathBuf,
    /// None until it was asked, and told or kept silent; and when that was.
    answers: Mutex<Option<(bool, Instant)>>,
}

impl RemoteMount {
    /// Whether it answers; one that was silent is not asked again. An error other than silence says nothing of the server.
    fn answers(&self, ask: impl FnOnce() -> Result<(), OsError>) -> Result<bool, Errno> {
        let mut known = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((answers, when)) = *known
            && (!answers || when.elapsed() < GOOD_FOR)
        {
            return Ok(answers);
        }
        let answers = match ask() {
            Ok(()) => true,
            Err(error) if error.source.kind() == ErrorKind::TimedOut => false,
            Err(error) => return Err(Errno::from_io_error(&error.source).unwrap_or(Errno::IO)),
        };
        *known = Some((answers, Instant::now()));
        Ok(answers)
    }
}

impl Default for RemoteMounts {
    fn default() -> Self {
        Self { served: OnceLock::new(), answer: ANSWER }
    }
}

fn is_served(mount: &Mount) -> bool {
    (mount.kind.starts_with("fuse") && mount.kind != "fusectl") || SERVED.contains(&mount.kind.as_str())
}

impl Host {
    fn served(&self) -> &[RemoteMount] {
        self.remote_mounts.served.get_or_init(|| {
            let mounts = self.mounts().unwrap_or_default();
            mounts.into_iter().filter(is_served).map(|mount| RemoteMount { point: mount.point, answers: Mutex::default() }).collect()
        })
    }

    /// Fails when the way to `path`, as programs outside of the tree call it, leads into a file system that does not answer.
    pub(super) fn answers(&self, path: &Path) -> Result<(), Errno> {
        for served in self.served().iter().filter(|served| path.starts_with(&served.point)) {
            let point = served.point.clone();
            // Any answer will do, a refusal too.
            let ask = || within("its file system", Instant::now() + self.remote_mounts.answer, move || drop(room(&point)));
            if !served.answers(ask)? {
                return Err(Errno::HOSTDOWN);
            }
        }
        Ok(())
    }

    /// The same, asked now whatever it said before.
    pub(super) fn answers_now(&self, path: &Path) -> Result<(), Errno> {
        for served in self.served().iter().filter(|served| path.starts_with(&served.point)) {
            let mut known = served.answers.lock().unwrap_or_else(PoisonError::into_inner);
            *known = known.take().filter(|(answers, _)| !answers);
        }
        self.answers(path)
    }

    /// The same for a name in an opened directory.
    pub(super) fn answers_in(&self, directory: &OwnedFd, name: &OsStr) -> Result<(), Errno> {
        if self.served().is_empty() {
            return Ok(());
        }
        // Told from memory, without a question to the file system.
        let here = std::fs::read_link(format!("/proc/self/fd/{}", directory.as_raw_fd())).map_err(|_| Errno::BADF)?;
        self.answers(&here.join(name))
    }

    /// A host that asks for so long only.
    #[cfg(test)]
    pub(crate) fn with_answer(mut self, answer: Duration) -> Self {
        self.remote_mounts = std::sync::Arc::new(RemoteMounts { answer, ..RemoteMounts::default() });
        self
    }
}

impl OsError {
    /// Whether the file system there does not answer.
    pub fn is_unreachable(&self) -> bool {
        self.source.raw_os_error() == Some(Errno::HOSTDOWN.raw_os_error())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::process::{Child, Command, Stdio};

    /// A file system in user space whose program never answers (fuse(4)); gone when it is dropped.
    pub(crate) struct Dead {
        program: Child,
        point: PathBuf,
    }

    /// Whether we are root, and a test can prove this; says so where it cannot.
    #[must_use]
    pub(crate) fn proves_as_root(what: &str) -> bool {
        let root = rustix::process::geteuid().is_root();
        if !root {
            eprintln!("note: not root, so this stays unproved: {what}");
        }
        root
    }

    /// Whether a shell script of an account without any right succeeds in a directory.
    pub(crate) fn as_nobody(directory: &Path, script: &str) -> bool {
        let mut command = Command::new("/bin/sh");
        let quiet = command.args(["-c", script]).current_dir(directory).stderr(Stdio::null());
        std::os::unix::process::CommandExt::uid(quiet, 65_534).status().unwrap().success()
    }

    /// A small ext4 of its own; gone when it is dropped.
    pub(crate) struct SmallDisk(PathBuf);

    impl SmallDisk {
        pub(crate) fn at(directory: &Path) -> Self {
            Self::made(directory, &[])
        }
        /// With words for mkfs.ext4(8).
        pub(crate) fn made(directory: &Path, with: &[&str]) -> Self {
            Self::of_size(directory, 64 << 20, with)
        }
        /// Of this many bytes.
        pub(crate) fn of_size(directory: &Path, size: u64, with: &[&str]) -> Self {
            let (image, point) = (directory.join("image"), directory.join("state"));
            std::fs::File::create(&image).unwrap().set_len(size).unwrap();
            std::fs::create_dir(&point).unwrap();
            let done = |program: &str, words: &[&Path]| {
                let output = Command::new(program).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").args(words).output().unwrap();
                assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
            };
            let words = ["-q"].iter().chain(with).map(Path::new).chain([image.as_path()]);
            done("mkfs.ext4", &words.collect::<Vec<_>>());
            Self::mounted(&image, point)
        }
        /// Whoever renames what is not on the disk yet is promised nothing, as on XFS.
        fn mounted(image: &Path, point: PathBuf) -> Self {
            let mut mount = Command::new("mount");
            assert!(mount.args(["-o", "loop,noauto_da_alloc"]).arg(image).arg(&point).status().unwrap().success());
            Self(point)
        }
        /// The disk as it were if the power went now, and somebody's fsync was the last that it did: what is in memory alone is lost.
        pub(crate) fn after_a_power_cut(&self, directory: &Path) -> Self {
            std::fs::File::create(self.0.join("somebody's")).and_then(|file| file.sync_all()).unwrap();
            let (image, point) = (directory.join("image"), directory.join("state"));
            std::fs::copy(self.0.with_file_name("image"), &image).unwrap();
            std::fs::create_dir(&point).unwrap();
            Self::mounted(&image, point)
        }
        pub(crate) fn path(&self) -> &Path {
            &self.0
        }
    }

    impl Drop for SmallDisk {
        fn drop(&mut self) {
            // Lazily: a test beside it that is about to start a program may hold a file of it open for a moment.
            let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        }
    }

    /// A file system in user space whose program takes every question and answers none; gone when it is dropped.
    pub(crate) struct Mute {
        point: PathBuf,
        taken: std::sync::Arc<std::sync::atomic::AtomicBool>,
    }

    impl Mute {
        /// None where we may not mount.
        pub(crate) fn at(point: &Path) -> Option<Self> {
            use std::io::{Read as _, Write as _};
            use std::os::fd::AsRawFd as _;
            if !proves_as_root("what a file system does whose program takes questions and answers none") {
                return None;
            }
            let mut device = std::fs::File::options().read(true).write(true).open("/dev/fuse").unwrap();
            let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
            let options = std::ffi::CString::new(options).unwrap();
            rustix::mount::mount("mute", point, "fuse", rustix::mount::MountFlags::empty(), options.as_c_str()).unwrap();
            let taken = std::sync::Arc::<std::sync::atomic::AtomicBool>::default();
            let seen = taken.clone();
            std::thread::spawn(move || {
                let mut block = vec![0; 1 << 20];
                // Ends when the connection is aborted.
                while let Ok(count) = device.read(&mut block) {
                    let word = |at: usize| block[at..count].first_chunk::<4>().map(|bytes| u32::from_ne_bytes(*bytes));
                    if word(4) != Some(26) {
                        seen.store(true, std::sync::atomic::Ordering::Release);
                        continue;
                    }
                    // FUSE_INIT: length, no error, its number, version 7.31, and limits.
                    let mut answer = [80u32.to_ne_bytes(), [0; 4]].concat();
                    answer.extend_from_slice(&block[8..16]);
                    for number in [7, 31, 0, 0, 0, 65_536, 1] {
                        answer.extend_from_slice(&u32::to_ne_bytes(number));
                    }
                    answer.resize(80, 0);
                    device.write_all(&answer).unwrap();
                }
            });
            Some(Self { point: point.to_owned(), taken })
        }
        pub(crate) fn has_taken(&self) -> bool {
            self.taken.load(std::sync::atomic::Ordering::Acquire)
        }
    }

    impl Drop for Mute {
        fn drop(&mut self) {
            // By force: whoever waits is answered.
            let flags = rustix::mount::UnmountFlags::FORCE | rustix::mount::UnmountFlags::DETACH;
            let _ = rustix::mount::unmount(&self.point, flags);
        }
    }

    impl Dead {
        /// None where we may not mount.
        pub(crate) fn at(point: &Path) -> Option<Self> {
            if !proves_as_root("what a file system without its server does") {
                return None;
            }
            let script =
                "exec 3<>/dev/fuse && mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 dead \"$1\" && echo up && exec cat";
            let mut command = Command::new("/bin/sh");
            let mut program = command.args(["-c", script, "dead"]).arg(point).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            let mut up = [0; 2];
            std::io::Read::read_exact(program.stdout.as_mut().unwrap(), &mut up).unwrap();
            Some(Self { program, point: point.to_owned() })
        }
    }

    impl Drop for Dead {
        fn drop(&mut self) {
            // Its end answers all who wait.
            let _ = self.program.kill();
            let _ = self.program.wait();
            let _ = Command::new("umount").arg("-l").arg(&self.point).status();
        }
    }

    #[test]
    fn a_file_system_whose_server_is_gone_is_not_waited_for_and_the_rest_goes_on() {
        let tree = tempfile::tempdir().unwrap();
        let real = tree.path().canonicalize().unwrap();
        for directory in ["mnt/dead", "srv"] {
            std::fs::create_dir_all(real.join(directory)).unwrap();
        }
        std::os::unix::fs::symlink("/mnt/dead", real.join("srv/link")).unwrap();
        std::os::unix::fs::symlink("../mnt", real.join("srv/above")).unwrap();
        std::fs::write(real.join("srv/file"), "alive").unwrap();
        let Some(_dead) = Dead::at(&real.join("mnt/dead")) else { return };
        let host = Host::at(&real).unwrap().with_answer(Duration::from_millis(300));
        let began = Instant::now();
        for path in ["/mnt/dead", "/mnt/dead/file", "/mnt/dead/a/b", "/srv/link/file", "/srv/above/dead", "/srv/above/dead/file"] {
            let told = host.look(Path::new(path)).unwrap_err();
            assert!(told.is_unreachable(), "{path}: {told:?}");
            assert!(
                host.open(Path::new(path)).unwrap_err().is_unreachable() && host.list(Path::new(path)).unwrap_err().is_unreachable(),
                "{path}"
            );
        }
        assert!(host.nearest(Path::new("/mnt/dead/a")).unwrap_err().is_unreachable());
        assert!(began.elapsed() < Duration::from_secs(2), "asked once: {:?}", began.elapsed());
        assert_eq!(host.read(Path::new("/srv/file"), 100).unwrap().unwrap(), b"alive");
        assert!(host.look(Path::new("/mnt/other")).unwrap().is_none());
        let told = host.look(Path::new("/mnt/dead/file")).unwrap_err().failure(ostler_roles::outcome::FailureKind::Observe);
        assert_eq!(told.causes, ["its file system does not answer: the server or program behind it is gone"]);
        assert_eq!(told.hint.as_deref(), Some("on the node: `findmnt -T /mnt/dead/file` names it"));
    }

    #[test]
    fn only_silence_means_that_a_server_is_gone_and_only_answers_are_remembered() {
        let served = RemoteMount { point: "/mnt".into(), answers: Mutex::default() };
        let wait = |source: std::io::Error| Err(OsError::new(crate::host::Operation::Wait, "its file system", source));
        assert_eq!(served.answers(|| wait(Errno::AGAIN.into())), Err(Errno::AGAIN), "no thread can be had");
        assert_eq!(served.answers(|| wait(std::io::Error::other("the question itself failed"))), Err(Errno::IO));
        assert_eq!(served.answers(|| wait(ErrorKind::TimedOut.into())), Ok(false));
        assert_eq!(served.answers(|| panic!("asked twice")), Ok(false));
    }

    #[test]
    fn only_file_systems_with_a_server_are_asked() {
        let kinds =
            |kind: &str| is_served(&Mount { point: "/".into(), kind: kind.to_owned(), source: String::new(), device: String::new() });
        assert!(["nfs4", "fuse.sshfs", "fuseblk", "fuse", "cifs"].into_iter().all(kinds));
        assert!(!["ext4", "fusectl", "autofs", "tmpfs", "overlay"].into_iter().any(kinds));
    }
}
