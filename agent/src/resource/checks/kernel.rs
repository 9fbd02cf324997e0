//! `kernel`: release, modules, whether it is a host's.

use super::super::fault::unread;
use super::Reading;
use crate::facts;
use ostler_roles::check::{Kernel, kernel::Evidence};
use ostler_roles::outcome::Failure;

pub(super) fn read(kernel: &Kernel, reading: &Reading<'_>) -> Result<Evidence, Failure> {
    let node = reading.node;
    let (_, shared) = facts::virtualization(&node.host).map_err(unread)?;
    let mut missing_modules = Vec::new();
    for module in &kernel.modules {
        // A container can have only what its host has loaded.
        let there = node.module_loaded(module.as_str())? || (!shared && node.running_modules()?.has(module.as_str())?);
        if !there {
            missing_modules.push(module.clone());
        }
    }
    Ok(Evidence { release: facts::release().map_err(unread)?, shared, missing_modules })
}
