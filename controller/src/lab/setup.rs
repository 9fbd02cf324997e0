//! Where a lab lives, and what is told while it comes up.

use std::path::PathBuf;

use super::error::LabError;
use crate::environment::Environment;

/// Where a lab lives and what holds it.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Its state directory: keys, socket, logs, `www`.
    pub state_dir: PathBuf,
    /// Root trees, images and packages, shared by all labs.
    pub cache_dir: PathBuf,
    /// The `ostler` program: it runs again as the holder.
    pub program: PathBuf,
    /// Leaves the lab up when this process ends. Off, it ends with whoever brought it up, however that ends.
    pub outlives: bool,
    /// The environment, as read at the start.
    pub environment: Environment,
}

impl Setup {
    /// Returns the setup of the command line: default directories, this very program, up until it is taken down.
    ///
    /// # Errors
    /// When this program cannot be named.
    pub fn of_command_line(environment: &Environment) -> Result<Self, LabError> {
        let program = std::env::current_exe().map_err(LabError::system("find this program"))?;
        let (state_dir, cache_dir) = (environment.state.join("lab"), environment.cache.join("lab"));
        Ok(Self { state_dir, cache_dir, program, outlives: true, environment: environment.clone() })
    }
}

/// What happens while a lab comes up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// A root tree or an image is being built, once; the builder says this.
    Building {
        /// Which one.
        what: String,
        /// Its latest line.
        line: String,
    },
    /// A node answers on ssh.
    NodeUp(String),
    /// Something the user should know.
    Notice(String),
}
