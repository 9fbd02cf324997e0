//! `kernel_module`: a module loaded now and at boot (modules-load.d(5)).

use super::at_rest::is_live;
use super::{AtRest, Contradiction, Describe, Effect, Resource, Shown};
use crate::words::{AbsPath, ModuleName};
use serde::{Deserialize, Serialize};

/// A module as it shall be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// Its name; `-` and `_` are the same (modprobe(8)).
    pub name: ModuleName,
    /// It shall be neither loaded nor loaded at boot.
    pub absent: bool,
    /// It is made so in an image: its kernel is the newest that is installed there, and does not run.
    #[serde(default, skip_serializing_if = "is_live")]
    pub at_rest: bool,
}

/// A module as found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// Whether it is in the kernel.
    pub state: State,
    /// The running kernel's module tree has it; at rest that of the newest one, where there is any.
    pub available: bool,
    /// The first line that has it loaded at boot; none: none does.
    pub asked_by: Option<String>,
    /// Another module that is loaded at boot and needs it. Asked for where it shall be absent.
    #[serde(default)]
    pub asked_with: Option<AskedWith>,
    /// The first line that keeps it from being loaded at boot; none: none does.
    pub forbidden: Option<Forbidden>,
    /// A container: the kernel is not this node's own.
    pub shared_kernel: bool,
}

/// Whether a module is in the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is not.
    NotLoaded,
    /// It was loaded: what holds it, modules by name, or how many others.
    Loaded {
        /// Empty: it may be taken out.
        used_by: Vec<String>,
    },
    /// It is part of the kernel's image.
    BuiltIn,
}

/// A line that has another module loaded at boot, which brings the ones that it needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedWith {
    /// Its file and line.
    pub place: String,
    /// The other module.
    pub module: String,
}

/// A line of modprobe.d(5), or of the kernel's command line, that keeps a module out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forbidden {
    /// Its file and line: `/etc/modprobe.d/x.conf:3`.
    pub place: String,
    /// The line.
    pub line: String,
    /// Whether it is that of our own file.
    pub ours: bool,
    /// The module that it speaks of, where that is one which this one needs.
    #[serde(default)]
    pub needed: Option<String>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Take away our own line that forbids it.
    Allow,
    /// Load it now.
    Load,
    /// Load it at boot.
    Store,
    /// Take it out of the running kernel.
    Unload,
    /// Do not load it at boot.
    Forget,
    /// Let nothing load it at boot.
    Forbid {
        /// What would.
        from: String,
    },
}

impl Describe for Change {
    fn shown(&self) -> Shown {
        match self {
            Self::Allow => Shown::new("at boot", "forbidden", "allowed"),
            Self::Load => Shown::new("module", "not loaded", "loaded"),
            Self::Store => Shown::new("at boot", "absent", "loaded"),
            Self::Unload => Shown::new("module", "loaded", "not loaded"),
            Self::Forget => Shown::new("at boot", "loaded", "absent"),
            Self::Forbid { from } => Shown::new("at boot", from, "forbidden"),
        }
    }
}

impl Desired {
    /// The file that loads it at boot.
    pub fn stored_in(&self) -> AbsPath {
        self.own_file("modules-load.d")
    }

    /// The file that keeps it from being loaded at boot.
    pub fn forbidden_in(&self) -> AbsPath {
        self.own_file("modprobe.d")
    }

    fn which_kernel(&self) -> &'static str {
        if self.at_rest { "image's newest" } else { "running" }
    }

    fn own_file(&self, directory: &str) -> AbsPath {
        #[expect(clippy::expect_used, reason = "the alphabet of module names has no `/` and no dot")]
        AbsPath::parse(&format!("/etc/{directory}/ostler-{}.conf", self.name)).expect("a module's name is a file's name")
    }

    /// What keeps it out is told; only our own line is ours to take away.
    fn allowed(&self, observed: &Observed) -> Result<Option<Change>, Contradiction> {
        match &observed.forbidden {
            // What is part of the kernel is not loaded; a container's files are read by nobody.
            Some(_) if observed.state == State::BuiltIn || observed.shared_kernel => Ok(None),
            Some(forbidden) if forbidden.ours => Ok(Some(Change::Allow)),
            Some(Forbidden { place, line, needed, .. }) => Err(Contradiction {
                why: match needed {
                    Some(needed) => format!("{} would not be loaded at boot: it needs {needed}, and {place} says `{line}`", self.name),
                    None => format!("{} would not be loaded at boot: {place} says `{line}`", self.name),
                },
                hint: match place.rsplit_once(':').filter(|_| place.starts_with("/etc/")) {
                    Some((path, _)) => format!("take it out in an earlier step: `line: {{path: {path}, line: \"{line}\", absent: true}}`"),
                    None => "take it out by hand, or use another module".to_owned(),
                },
            }),
            None => Ok(None),
        }
    }

    fn gone(&self, observed: &Observed) -> Result<Vec<Change>, Contradiction> {
        let name = &self.name;
        let cannot = |why: String, hint: String| Err(Contradiction { why, hint });
        let mut changes = Vec::new();
        let own = self.stored_in();
        if observed.asked_by.as_ref().is_some_and(|place| place.starts_with(own.as_str())) {
            changes.push(Change::Forget);
        }
        let loaded = match &observed.state {
            State::BuiltIn => {
                return cannot(
                    format!("{name} is built into the {} kernel", self.which_kernel()),
                    "use a kernel without it, or leave this step out".to_owned(),
                );
            }
            State::Loaded { .. } if observed.shared_kernel => {
                let why = format!("{name} is loaded, and a container cannot unload modules of its host's kernel");
                return cannot(why, format!("unload it on the host: modprobe -r {name}; or use a machine with a kernel of its own"));
            }
            State::Loaded { used_by } if !used_by.is_empty() => {
                let why = format!("{name} is loaded and in use by {}", used_by.join(", "));
                return cannot(why, "end what uses it first (on the node: lsmod, lsof)".to_owned());
            }
            State::Loaded { .. } => true,
            State::NotLoaded => false,
        };
        if let Some(AskedWith { place, module }) = &observed.asked_with {
            let why = format!("{name} would be loaded at boot: {place} asks for {module}, which needs it");
            return cannot(why, format!("take that out in an earlier step: `kernel_module: {{name: {module}, absent: true}}`"));
        }
        let asked_by = observed.asked_by.as_ref().filter(|place| !place.starts_with(own.as_str()));
        // What a machine would load by itself is not known before it runs.
        let may_load = loaded || asked_by.is_some() || self.at_rest && observed.available;
        if observed.forbidden.is_none() && !observed.shared_kernel && may_load {
            changes.push(Change::Forbid { from: asked_by.map_or_else(|| "allowed".to_owned(), |place| format!("loaded ({place})")) });
        }
        if loaded {
            changes.push(Change::Unload);
        }
        Ok(changes)
    }
}

impl Resource for Desired {
    type Observed = Observed;
    type Change = Change;
    const AT_REST: &'static str = "It is stored for the next boot, of the newest kernel that the image has, and neither loaded nor taken out. One that shall be absent is forbidden, whatever would load it.";

    fn at_rest(&self) -> AtRest<Self> {
        let later = if self.absent { "that it is taken out of the running kernel" } else { "that it is loaded" };
        AtRest::Part { desired: Self { at_rest: true, ..self.clone() }, later }
    }

    fn key(&self) -> String {
        self.name.to_string()
    }

    fn diff(&self, observed: &Observed) -> Result<Vec<Change>, Contradiction> {
        if self.absent {
            return self.gone(observed);
        }
        let loaded = observed.state != State::NotLoaded;
        if !loaded && observed.shared_kernel {
            return Err(Contradiction {
                why: format!("{} is not loaded, and a container cannot load modules into its host's kernel", self.name),
                hint: format!("load it on the host: modprobe {}; or use a machine with a kernel of its own", self.name),
            });
        }
        if !loaded && !observed.available {
            return Err(Contradiction {
                why: format!("the {} kernel has no module {}", self.which_kernel(), self.name),
                hint: match self.at_rest {
                    true => "install the kernel package that brings it in an earlier step, or check the name with modinfo".to_owned(),
                    false => "install the kernel package that brings it and reboot, or check the name with modinfo".to_owned(),
                },
            });
        }
        let mut changes: Vec<Change> = self.allowed(observed)?.into_iter().collect();
        if !loaded && !self.at_rest {
            changes.push(Change::Load);
        }
        if observed.asked_by.is_none() {
            changes.push(Change::Store);
        }
        Ok(changes)
    }

    fn provides(&self) -> Vec<Effect> {
        vec![Effect::Kernel, Effect::Own(self.stored_in()), Effect::Own(self.forbidden_in())]
    }

    fn needs(&self) -> Vec<Effect> {
        // Whatever is read at boot has a word in it.
        let read = ["/etc/modules", "/etc/modules-load.d", "/etc/modprobe.d"];
        let read = read.iter().filter_map(|path| AbsPath::parse(path).ok()).map(Effect::Path);
        std::iter::once(Effect::Kernel).chain(read).collect()
    }

    fn unchanged(&self, _observed: &Observed) -> String {
        match (self.absent, self.at_rest) {
            (true, false) => "is not loaded, neither now nor at boot",
            (true, true) => "is not loaded at boot",
            (false, false) => "is loaded now and at boot",
            (false, true) => "is loaded at boot",
        }
        .to_owned()
    }
}
