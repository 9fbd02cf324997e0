//! What a run knows of its node: databases that others own, each read by one file here, from the node's tree alone.

mod age;
pub(super) mod config_files;
pub(super) mod mirrors;
pub(super) mod module_files;
pub(super) mod offers;
pub(super) mod packages;
pub(super) mod sshd;
mod started_units;
pub(super) mod systemd;

pub(super) use age::is_merged;
pub(super) use config_files::ConfigFile;
pub(super) use mirrors::Mirrors;
pub(super) use module_files::ModuleFiles;
pub(super) use offers::Offers;
pub(super) use packages::Packages;
pub(super) use sshd::SshdConfiguration;
pub(super) use started_units::Started;
pub(super) use systemd::{Manager, UnitState};
