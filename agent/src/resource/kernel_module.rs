//! `kernel_module` at work: modprobe(8) now, /etc/modules-load.d at boot.

use super::Act;
use super::fault::{unmade, unread};
use super::node::Node;
use crate::engine::ApplyContext;
use crate::facts;
use crate::host::OsError;
use crate::host::child::Program;
use ostler_roles::outcome::Failure;
use ostler_roles::resource::kernel_module::{Change, Desired, Observed};
use ostler_roles::words::Mode;

impl Act for Desired {
    fn observe(&self, node: &Node) -> Result<Observed, Failure> {
        let name = self.name.as_str();
        let text = node.host.read(self.stored_in().as_path(), 64 << 10).map_err(unread)?.unwrap_or_default();
        let text = String::from_utf8_lossy(&text).replace('-', "_");
        let stored = text.lines().any(|line| line.trim() == name.replace('-', "_"));
        if self.absent {
            return Ok(Observed { loaded: false, available: false, stored, shared_kernel: false });
        }
        let loaded = node.module_loaded(name)?;
        let (_, shared_kernel) = facts::virtualization(&node.host).map_err(unread)?;
        Ok(Observed { loaded, available: loaded || node.module_available(name)?, stored, shared_kernel })
    }

    fn apply(&self, node: &Node, changes: Vec<Change>, work: &ApplyContext<'_>) -> Result<Vec<String>, Failure> {
        let path = self.stored_in();
        for change in changes {
            match change {
                Change::Load => {
                    let program = Program::new(["modprobe", "--", self.name.as_str()]);
                    program.run_to_end(work.deadline).map_err(unmade)?.good(&format!("load module {}", self.name))?;
                }
                Change::Store => {
                    for parent in node.host.missing_parents(&path).map_err(unmade)? {
                        node.host.make_parent(parent.as_path()).map_err(unmade)?;
                    }
                    let text = format!("{}\n", self.name);
                    node.host.write::<OsError>(path.as_path(), text.as_bytes(), node.roots(Mode::FILE), None).map_err(unmade)?;
                }
                Change::Forget => node.host.remove(path.as_path()).map_err(unmade)?,
            }
        }
        Ok(Vec::new())
    }
}
