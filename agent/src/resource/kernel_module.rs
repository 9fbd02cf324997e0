//! `kernel_module` at work: modprobe(8) now, modules-load.d(5) and modprobe.d(5) at boot.

use super::Act;
use super::fault::{unmade, unread};
use super::known::ModuleFiles;
use super::node::Node;
use crate::engine::ApplyContext;
use crate::facts;
use crate::host::OsError;
use crate::host::child::Program;
use ostler_roles::outcome::Failure;
use ostler_roles::resource::kernel_module::{Change, Desired, Observed, State};
use ostler_roles::words::{AbsPath, Mode};
use std::sync::Arc;

impl Act for Desired {
    fn observe(&self, node: &Node) -> Result<Observed, Failure> {
        let name = self.name.as_str();
        let (tree, files, state, shared_kernel) = if self.at_rest {
            let tree = node.newest_modules()?;
            let state = if tree.is_built_in(name)? { State::BuiltIn } else { State::NotLoaded };
            (tree, Arc::new(ModuleFiles::at_rest(&node.host).map_err(unread)?), state, false)
        } else {
            let (_, shared) = facts::virtualization(&node.host).map_err(unread)?;
            (node.running_modules()?, node.module_files().map_err(unread)?, node.module_state(name)?, shared)
        };
        let (own, forbidden_in) = (self.stored_in(), self.forbidden_in());
        let asks = !self.absent && !shared_kernel && files.keeps_out_what_is_needed();
        let needed = if asks { tree.needs(name)? } else { Vec::new() };
        let asked_with =
            if self.absent && !shared_kernel { files.asked_with(name, forbidden_in.as_path(), |module| tree.needs(module))? } else { None };
        let matters = !self.absent || self.at_rest;
        Ok(Observed {
            available: state != State::NotLoaded || (matters && tree.has(name)?),
            state,
            asked_by: files.asked_by(name, own.as_path()),
            asked_with,
            forbidden: files.forbidden(name, forbidden_in.as_path()).or_else(|| files.forbidden_among(&needed)),
            shared_kernel,
        })
    }

    fn apply(&self, node: &Node, changes: Vec<Change>, work: &ApplyContext<'_>) -> Result<Vec<String>, Failure> {
        let name = self.name.as_str();
        for change in changes {
            match change {
                Change::Allow => node.host.remove(self.forbidden_in().as_path()).map_err(unmade)?,
                Change::Load => {
                    let program = Program::new(["modprobe", "--", name]);
                    program.run_to_end(work.deadline).map_err(unmade)?.good(&format!("load module {name}"))?;
                }
                Change::Store => write(node, &self.stored_in(), &format!("{name}\n"))?,
                Change::Unload => {
                    let program = Program::new(["modprobe", "--remove", "--", name]);
                    program.run_to_end(work.deadline).map_err(unmade)?.good(&format!("unload module {name}"))?;
                }
                Change::Forget => node.host.remove(self.stored_in().as_path()).map_err(unmade)?,
                Change::Forbid { .. } => write(node, &self.forbidden_in(), &format!("blacklist {name}\n"))?,
            }
        }
        Ok(Vec::new())
    }
}

fn write(node: &Node, path: &AbsPath, text: &str) -> Result<(), Failure> {
    node.make_parents(path)?;
    node.host.write::<OsError>(path.as_path(), text.as_bytes(), node.roots(Mode::FILE), None).map_err(unmade)
}
