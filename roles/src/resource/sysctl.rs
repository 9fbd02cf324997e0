//! `sysctl`: a kernel setting, now and at boot (sysctl.d(5)).

use super::{Contradiction, Describe, Effect, Resource, Shown};
use crate::words::{AbsPath, SysctlName};
use serde::{Deserialize, Serialize};

/// A setting as it shall be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// Its name with dots.
    pub name: SysctlName,
    /// Its value; white space between words counts as one blank.
    pub value: String,
}

/// A setting as found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// The kernel's value; none: the kernel has no such setting.
    pub running: Option<String>,
    /// The value in our file of `/etc/sysctl.d`; none: no file.
    pub stored: Option<String>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Write the file read at boot.
    Store {
        /// What it holds.
        from: Option<String>,
        /// What it shall hold.
        to: String,
    },
    /// Set it in the running kernel.
    Set {
        /// What it is.
        from: String,
        /// What it shall be.
        to: String,
    },
}

impl Describe for Change {
    fn shown(&self) -> Shown {
        match self {
            Self::Store { from, to } => Shown::new("at boot", from.as_deref().unwrap_or("absent"), to),
            Self::Set { from, to } => Shown::new("value", from, to),
        }
    }
}

/// Words with one blank between them: how the kernel's tabs and an admin's blanks compare.
pub fn normal(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Desired {
    /// The file that sets it at boot.
    pub fn stored_in(&self) -> AbsPath {
        #[expect(clippy::expect_used, reason = "the alphabet of sysctl names has `/` only, replaced here, and no leading dot")]
        AbsPath::parse(&format!("/etc/sysctl.d/60-ostler-{}.conf", self.name.as_str().replace('/', ".")))
            .expect("a sysctl name is a file's name")
    }
}

impl Resource for Desired {
    type Observed = Observed;
    type Change = Change;

    fn key(&self) -> String {
        self.name.to_string()
    }

    fn diff(&self, observed: &Observed) -> Result<Vec<Change>, Contradiction> {
        let Some(running) = &observed.running else {
            return Err(Contradiction {
                why: format!("the running kernel has no setting {}", self.name),
                hint: "load the module that brings it in an earlier step, or check the name with `sysctl -a`".to_owned(),
            });
        };
        let mut changes = Vec::new();
        let wanted = normal(&self.value);
        if observed.stored.as_deref().map(normal).as_deref() != Some(&wanted) {
            changes.push(Change::Store { from: observed.stored.clone(), to: wanted.clone() });
        }
        if normal(running) != wanted {
            changes.push(Change::Set { from: normal(running), to: wanted });
        }
        Ok(changes)
    }

    fn provides(&self) -> Vec<Effect> {
        vec![Effect::Path(self.stored_in())]
    }

    fn needs(&self) -> Vec<Effect> {
        vec![Effect::Kernel, Effect::Path(self.stored_in())]
    }

    fn unchanged(&self, _observed: &Observed) -> String {
        format!("is {} now and at boot", normal(&self.value))
    }
}
