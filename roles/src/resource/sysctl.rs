//! `sysctl`: a kernel setting, now and at boot (sysctl.d(5)).

use super::at_rest::is_live;
use super::{AtRest, Contradiction, Describe, Effect, Resource, Shown};
use crate::words::{AbsPath, SysctlName};
use serde::{Deserialize, Serialize};

/// A setting as it shall be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// Its name with dots.
    pub name: SysctlName,
    /// Its value; white space between words counts as one blank.
    pub value: String,
    /// It is made so in an image: the kernel that runs there is not this one's.
    #[serde(default, skip_serializing_if = "is_live")]
    pub at_rest: bool,
}

/// A setting as found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// The kernel's value; none: the kernel has no such setting.
    pub running: Option<String>,
    /// What will be set at boot; none: nothing.
    pub boot: Option<AtBoot>,
}

/// What systemd-sysctl(8) will set at boot, over all its files in their order (sysctl.d(5)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtBoot {
    /// The value; none: a line says that no pattern shall set it.
    pub value: Option<String>,
    /// File and line that say so.
    pub place: String,
    /// Whether they are read behind our own file.
    pub behind: bool,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Write the file that is the last to speak of it at boot.
    Store {
        /// What is set at boot, and by which line.
        from: Option<String>,
        /// What shall be set.
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
    /// The file that sets it at boot: behind `99-sysctl.conf`, which is /etc/sysctl.conf, and what else administrators and packages name so.
    pub fn stored_in(&self) -> AbsPath {
        self.stored("99-zz-ostler")
    }

    /// Where release 0.1 put it.
    pub fn stored_by_0_1(&self) -> AbsPath {
        self.stored("60-ostler")
    }

    fn stored(&self, before: &str) -> AbsPath {
        #[expect(clippy::expect_used, reason = "the alphabet of sysctl names has `/` only, replaced here, and no leading dot")]
        AbsPath::parse(&format!("/etc/sysctl.d/{before}-{}.conf", self.name.as_str().replace('/', ".")))
            .expect("a sysctl name is a file's name")
    }
}

impl Desired {
    /// A file that is read behind ours has the last word.
    fn overruled(&self, boot: &AtBoot) -> Contradiction {
        let says = match &boot.value {
            Some(value) => format!("sets {} to {}", self.name, normal(value)),
            None => format!("keeps {} from being set", self.name),
        };
        Contradiction {
            why: format!("at boot {} {says}, behind {}", boot.place, self.stored_in()),
            hint: "take that line out in an earlier step, or give its file a name that sorts before `99-zz`".to_owned(),
        }
    }
}

impl Resource for Desired {
    type Observed = Observed;
    type Change = Change;
    const AT_REST: &'static str = "It is stored for the next boot, and not set.";

    fn at_rest(&self) -> AtRest<Self> {
        AtRest::Part { desired: Self { at_rest: true, ..self.clone() }, later: "its value in the running kernel" }
    }

    fn key(&self) -> String {
        self.name.to_string()
    }

    fn diff(&self, observed: &Observed) -> Result<Vec<Change>, Contradiction> {
        if observed.running.is_none() && !self.at_rest {
            return Err(Contradiction {
                why: format!("the running kernel has no setting {}", self.name),
                hint: "load the module that brings it in an earlier step, or check the name with `sysctl -a`".to_owned(),
            });
        }
        let mut changes = Vec::new();
        let wanted = normal(&self.value);
        let stored = observed.boot.as_ref().and_then(|boot| boot.value.as_deref()).map(normal);
        if stored.as_deref() != Some(&wanted) {
            if let Some(boot) = observed.boot.as_ref().filter(|boot| boot.behind) {
                return Err(self.overruled(boot));
            }
            let from = observed.boot.as_ref().map(|boot| match &boot.value {
                Some(value) => format!("{} ({})", normal(value), boot.place),
                None => format!("kept from patterns ({})", boot.place),
            });
            changes.push(Change::Store { from, to: wanted.clone() });
        }
        if let Some(running) = observed.running.as_deref().map(normal).filter(|running| !self.at_rest && *running != wanted) {
            changes.push(Change::Set { from: running, to: wanted });
        }
        Ok(changes)
    }

    fn provides(&self) -> Vec<Effect> {
        vec![Effect::Own(self.stored_in())]
    }

    fn needs(&self) -> Vec<Effect> {
        // Whatever is read at boot has a word in it.
        let directories = ["/etc/sysctl.d", "/etc/sysctl.conf", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d"];
        let read = directories.iter().filter_map(|path| AbsPath::parse(path).ok()).map(Effect::Path);
        std::iter::once(Effect::Kernel).chain(read).collect()
    }

    fn unchanged(&self, _observed: &Observed) -> String {
        format!("is {} {}at boot", normal(&self.value), if self.at_rest { "" } else { "now and " })
    }
}
