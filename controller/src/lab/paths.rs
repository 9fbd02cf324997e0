//! Where a lab keeps what belongs to it: one directory per lab, one cache for all.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::LabError;
use crate::private::{self, Durable};

/// One lab's state directory. Several labs run at once in different directories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabPaths {
    dir: PathBuf,
}

impl LabPaths {
    /// Makes the directory (mode 0700) where it is missing and returns its place.
    ///
    /// # Errors
    /// When it cannot be made, is there but is not this user's alone, lies where the lab mounts something of its own, or has a path that
    /// the programs of the lab would misread.
    pub fn create(dir: &Path) -> Result<Self, LabError> {
        legible("state directory", dir, MISREAD)?;
        private::make_directory(dir).map_err(LabError::file("create directory", dir))?;
        let dir = fs::canonicalize(dir).map_err(LabError::file("resolve", dir))?;
        legible("state directory", &dir, MISREAD)?;
        // Keys and the socket lie in there: whoever may enter has every node, and whoever may write leads root astray.
        let found = fs::symlink_metadata(&dir).map_err(LabError::file("look at", &dir))?;
        let (owner, mode, us) = (found.uid(), found.mode() & 0o7777, rustix::process::geteuid().as_raw());
        if owner != us || mode & 0o077 != 0 {
            return Err(LabError::NotPrivate { dir, owner, mode, us });
        }
        // Inside the lab these are covered by mounts of its own: its files would be out of sight.
        for covered in ["/run", "/sys", "/proc", "/dev"] {
            if dir.starts_with(covered) {
                return Err(LabError::Spec(format!("state directory {} must not lie under {covered}", dir.display())));
            }
        }
        // sun_path holds 108 bytes (unix(7)).
        if dir.as_os_str().len() > 90 {
            return Err(LabError::Spec(format!("state directory {} is too long for a socket path", dir.display())));
        }
        Ok(Self { dir })
    }

    /// Returns the place of a directory that is not there, if it would be found.
    pub(crate) fn of_missing(dir: &Path) -> Option<Self> {
        Some(Self { dir: fs::canonicalize(dir.parent()?).ok()?.join(dir.file_name()?) })
    }

    /// Returns the directory itself.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Name that the lab's cgroups carry: found again from the directory alone, after any crash.
    #[must_use]
    pub fn id(&self) -> String {
        let digest = Sha256::digest(self.dir.as_os_str().as_encoded_bytes());
        digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.join("holder.sock")
    }

    /// Locked by the holder for as long as it lives. It stays: who waits for a lock file that was removed waits for nobody.
    pub(crate) fn lock(&self) -> PathBuf {
        self.dir.join("holder.lock")
    }

    /// Locked by whoever brings a lab up here or takes it down. It stays too.
    pub(crate) fn up_lock(&self) -> PathBuf {
        self.dir.join("up.lock")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join("holder.log")
    }

    /// The plan the holder was started with.
    pub(crate) fn plan(&self) -> PathBuf {
        self.dir.join("lab.json")
    }

    pub(crate) fn private_key(&self) -> PathBuf {
        self.dir.join("id_ed25519")
    }

    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.dir.join("known_hosts")
    }

    pub(crate) fn ssh_config(&self) -> PathBuf {
        self.dir.join("ssh_config")
    }

    pub(crate) fn host_key(&self, node: &str) -> PathBuf {
        self.dir.join("host-keys").join(node)
    }

    pub(crate) fn console(&self, node: &str) -> PathBuf {
        self.dir.join("console").join(format!("{node}.log"))
    }

    /// Served as `http://10.78.0.1:8088/` inside.
    #[must_use]
    pub fn www(&self) -> PathBuf {
        self.dir.join("www")
    }

    /// Mount point of the lab's memory file system: exists only in the lab's mount namespace.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.dir.join("scratch")
    }

    /// Disks of virtual machines, and the written half of containers that really sync; gone with the lab.
    pub(crate) fn disks(&self) -> PathBuf {
        self.dir.join("disks")
    }

    /// Makes the directories inside, empty of what an earlier lab left.
    pub(crate) fn prepare(&self) -> Result<(), LabError> {
        remove(&self.dir.join("console"))?;
        for name in ["host-keys", "console", "www", "scratch"] {
            let dir = self.dir.join(name);
            fs::create_dir_all(&dir).map_err(LabError::file("create directory", &dir))?;
        }
        Ok(())
    }

    /// Removes what only a running lab needs, its keys and disks included; logs and `www` stay for whoever looks afterwards.
    pub(crate) fn forget(&self) -> Result<(), LabError> {
        let key = self.private_key();
        let files = [self.socket(), self.plan(), self.ssh_config(), self.known_hosts(), key.with_extension("pub"), key];
        let dirs = [self.dir.join("host-keys"), self.disks(), self.scratch()];
        files.iter().chain(&dirs).try_for_each(|path| remove(path))
    }
}

/// Characters that mount(8) and ssh_config(5) give a meaning that no quoting takes away.
const MISREAD: &[char] = &[',', '\\', '"', '\''];
/// Characters with a meaning in a list of overlay layers (overlayfs, `lowerdir`).
pub(crate) const MISREAD_AS_LAYERS: &[char] = &[',', '\\', ':'];

/// Refuses a path that one of the programs of the lab would read as something else.
pub(crate) fn legible(what: &str, path: &Path, misread: &[char]) -> Result<(), LabError> {
    let text = path.to_string_lossy();
    // `${` begins a variable in ssh_config(5).
    let found = text.chars().find(|c| c.is_control() || misread.contains(c)).or(text.contains("${").then_some('{'));
    found.map_or(Ok(()), |found| Err(LabError::Spec(format!("{what} {} must not have {found:?} in its path", path.display()))))
}

/// Removes a file or a directory with all in it; one that is not there is fine.
fn remove(path: &Path) -> Result<(), LabError> {
    let removed = if path.symlink_metadata().is_ok_and(|found| found.is_dir()) { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(LabError::file("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Writes a file readable by its owner alone, in place of whatever is there.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<(), LabError> {
    private::write(path, content, Durable::No).map_err(LabError::file("write", path))
}

/// Creates a file readable by its owner alone; one that is there is an error, a link too.
pub(crate) fn create_private(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).expect("there").mode() & 0o7777
    }

    #[test]
    fn a_directory_that_others_may_enter_or_that_is_anothers_is_refused() {
        let dir = tempfile::tempdir().expect("scratch");
        assert_eq!(mode(LabPaths::create(&dir.path().join("new/one")).expect("made").dir()), 0o700);
        for open in [0o755, 0o750, 0o701, 0o1777] {
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(open)).expect("mode");
            let refused = LabPaths::create(dir.path()).expect_err("open to others").to_string();
            assert!(refused.contains(&format!("mode {open:04o}")) && refused.contains("chmod 700"), "{refused}");
            assert_eq!(mode(dir.path()), open, "and it is left as it is");
        }
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).expect("mode");
        LabPaths::create(dir.path()).expect("private");
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(dir.path(), Some(1000), None).expect("another's");
            let refused = LabPaths::create(dir.path()).expect_err("another's").to_string();
            assert!(refused.contains("owned by user 1000"), "{refused}");
        }
    }

    #[test]
    fn what_is_written_in_private_is_private_whatever_lay_there() {
        let dir = tempfile::tempdir().expect("scratch");
        let [path, far] = ["key", "far"].map(|name| dir.path().join(name));
        fs::write(&path, "an old one, longer than the new one").expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("mode");
        write_private(&path, b"new").expect("written");
        assert_eq!((fs::read_to_string(&path).expect("there").as_str(), mode(&path)), ("new", 0o600));

        fs::write(&far, "far").expect("written");
        fs::remove_file(&path).expect("removed");
        symlink(&far, &path).expect("link");
        write_private(&path, b"new").expect("written");
        assert_eq!((fs::read_to_string(&path).expect("there").as_str(), mode(&path)), ("new", 0o600));
        assert_eq!(fs::read_to_string(&far).expect("there"), "far");
    }
}
