//! Where a lab keeps what belongs to it: one directory per lab, one cache for all.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::LabError;

/// One lab's state directory. Several labs run at once in different directories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    dir: PathBuf,
}

impl Place {
    /// Makes the directory (mode 0700) where it is missing and returns its place.
    ///
    /// # Errors
    /// When it cannot be made, or lies where the lab mounts something of its own.
    pub fn create(dir: &Path) -> Result<Self, LabError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(LabError::file("create directory", dir))?;
        let dir = fs::canonicalize(dir).map_err(LabError::file("resolve", dir))?;
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

/// Removes a file or a directory with all in it; one that is not there is fine.
fn remove(path: &Path) -> Result<(), LabError> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(LabError::file("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Writes a file readable by its owner alone.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<(), LabError> {
    use std::io::Write;
    let open = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    open.and_then(|mut file| file.write_all(content)).map_err(LabError::file("write", path))
}
