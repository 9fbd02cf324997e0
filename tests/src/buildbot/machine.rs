//! The master's machine: its files are written and the master reloaded, as a node's agent would.

use super::Master;
use ostler::masters::buildbot::WorkerFile;
use ostler::masters::files::{Install, InstallError};
use rustix::process::{Pid, Signal, kill_process};
use std::path::PathBuf;

/// What goes wrong on the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tampering {
    /// Nothing.
    None,
    /// The files are written, then the link is cut before the reload.
    CutBeforeReload,
    /// All is done, then the link is cut.
    CutAfterReload,
    /// The files are written, and spoilt.
    Spoil,
    /// `master.cfg` itself is spoilt.
    SpoilConfiguration,
}

/// The master's directory and process.
#[derive(Debug)]
pub struct Folder {
    home: PathBuf,
    pid: u32,
    /// Every file that was written, in order.
    pub written: Vec<String>,
    /// What goes wrong next.
    pub meddling: Tampering,
}

impl Folder {
    /// The machine of this master.
    pub fn of(master: &Master) -> Self {
        Self { home: master.home(), pid: master.pid(), written: Vec::new(), meddling: Tampering::None }
    }

    /// Asks the master to read its files again.
    ///
    /// # Panics
    /// When it is gone.
    pub fn reload(&self) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).expect("a process number");
        kill_process(pid, Signal::HUP).expect("the master is there");
    }
}

impl Install<WorkerFile> for Folder {
    fn install(&mut self, files: &[WorkerFile]) -> Result<(), InstallError> {
        let cut = || InstallError::new(Box::new(std::io::Error::from(std::io::ErrorKind::ConnectionReset)));
        for file in files {
            let path = self.home.join(&file.path);
            let aside = path.with_extension("new");
            let bytes: &[u8] = if self.meddling == Tampering::Spoil { b"{\"name\": " } else { &file.bytes };
            let Some(stage) = file.stage else {
                let gone = std::fs::remove_file(&path);
                gone.or_else(|error| if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
                    .map_err(|error| InstallError::new(Box::new(error)))?;
                self.written.push(format!("gone {}", file.path));
                continue;
            };
            std::fs::write(&aside, bytes)
                .and_then(|()| std::fs::rename(&aside, &path))
                .map_err(|error| InstallError::new(Box::new(error)))?;
            self.written.push(format!("{stage:?} {}", file.path));
        }
        if self.meddling == Tampering::CutBeforeReload {
            return Err(cut());
        }
        if self.meddling == Tampering::SpoilConfiguration {
            std::fs::write(self.home.join("master.cfg"), "this is not Python (").map_err(|error| InstallError::new(Box::new(error)))?;
        }
        self.reload();
        if self.meddling == Tampering::CutAfterReload {
            return Err(cut());
        }
        Ok(())
    }
}
