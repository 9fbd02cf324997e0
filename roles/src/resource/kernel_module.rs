//! `kernel_module`: a module loaded now and at boot (modules-load.d(5)).

use super::{Contradiction, Describe, Effect, Resource, Shown};
use crate::words::{AbsPath, ModuleName};
use serde::{Deserialize, Serialize};

/// A module as it shall be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// Its name; `-` and `_` are the same (modprobe(8)).
    pub name: ModuleName,
    /// It shall not be loaded at boot; a loaded one is left until then.
    pub absent: bool,
}

/// A module as found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// Loaded, or built into the kernel.
    pub loaded: bool,
    /// The running kernel's module tree has it.
    pub available: bool,
    /// Our file of `/etc/modules-load.d` names it.
    pub stored: bool,
    /// A container: the kernel is not this node's own.
    pub shared_kernel: bool,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Load it now.
    Load,
    /// Load it at boot.
    Store,
    /// Do not load it at boot.
    Forget,
}

impl Describe for Change {
    fn shown(&self) -> Shown {
        match self {
            Self::Load => Shown::new("module", "not loaded", "loaded"),
            Self::Store => Shown::new("at boot", "absent", "loaded"),
            Self::Forget => Shown::new("at boot", "loaded", "absent"),
        }
    }
}

impl Desired {
    /// The file that loads it at boot.
    pub fn stored_in(&self) -> AbsPath {
        #[expect(clippy::expect_used, reason = "the alphabet of module names has no `/` and no dot")]
        AbsPath::parse(&format!("/etc/modules-load.d/ostler-{}.conf", self.name)).expect("a module's name is a file's name")
    }
}

impl Resource for Desired {
    type Observed = Observed;
    type Change = Change;

    fn key(&self) -> String {
        self.name.to_string()
    }

    fn diff(&self, observed: &Observed) -> Result<Vec<Change>, Contradiction> {
        if self.absent {
            return Ok(if observed.stored { vec![Change::Forget] } else { Vec::new() });
        }
        if !observed.loaded && observed.shared_kernel {
            return Err(Contradiction {
                why: format!("{} is not loaded, and a container cannot load modules into its host's kernel", self.name),
                hint: format!("load it on the host: modprobe {}; or use a machine with a kernel of its own", self.name),
            });
        }
        if !observed.loaded && !observed.available {
            return Err(Contradiction {
                why: format!("the running kernel has no module {}", self.name),
                hint: "install the kernel package that brings it and reboot, or check the name with modinfo".to_owned(),
            });
        }
        let mut changes = Vec::new();
        if !observed.loaded {
            changes.push(Change::Load);
        }
        if !observed.stored {
            changes.push(Change::Store);
        }
        Ok(changes)
    }

    fn provides(&self) -> Vec<Effect> {
        vec![Effect::Kernel, Effect::Path(self.stored_in())]
    }

    fn needs(&self) -> Vec<Effect> {
        vec![Effect::Kernel, Effect::Path(self.stored_in())]
    }

    fn unchanged(&self, _observed: &Observed) -> String {
        if self.absent { "is not loaded at boot".to_owned() } else { "is loaded now and at boot".to_owned() }
    }
}
