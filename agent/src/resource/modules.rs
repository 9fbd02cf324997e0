//! What the running kernel has and can have of modules.

use super::fault::unread;
use super::node::Node;
use crate::facts;
use crate::host::OsError;
use ostler_roles::outcome::Failure;
use ostler_roles::resource::kernel_module::State;
use ostler_roles::words::{Version, count};
use std::path::Path;

/// The index of a distribution's kernel has 1 MB.
const CAP: u64 = 32 << 20;
/// Where kernels have their modules.
const TREES: &str = "/lib/modules";

impl Node {
    /// Whether a module is loaded, or built into the kernel.
    pub(super) fn module_loaded(&self, name: &str) -> Result<bool, Failure> {
        Ok(self.module_state(name)? != State::NotLoaded)
    }

    /// Whether a module is in the kernel, and what holds it there (proc_modules(5): name, size, count of uses, modules that use it).
    pub(super) fn module_state(&self, name: &str) -> Result<State, Failure> {
        let name = name.replace('-', "_");
        let loaded = self.small_text("/proc/modules").map_err(unread)?;
        let line = loaded.lines().map(|line| line.split(' ').collect::<Vec<_>>()).find(|words| words.first() == Some(&name.as_str()));
        if let Some(words) = line {
            let modules = words.get(3).copied().unwrap_or_default().split(',');
            let mut used_by: Vec<String> = modules.filter(|by| !["", "-"].contains(by)).map(str::to_owned).collect();
            let uses: usize = words.get(2).and_then(|count| count.parse().ok()).unwrap_or(0);
            if uses > used_by.len() {
                used_by.push(count(uses - used_by.len(), "other use"));
            }
            return Ok(State::Loaded { used_by });
        }
        // Built-in ones that have parameters, and those of the index.
        let built_in = self.host.look(&Path::new("/sys/module").join(&name)).map_err(unread)?.is_some();
        Ok(if built_in || self.running_modules()?.is_built_in(&name)? { State::BuiltIn } else { State::NotLoaded })
    }

    /// The running kernel's modules.
    pub(super) fn running_modules(&self) -> Result<ModuleTree<'_>, Failure> {
        Ok(ModuleTree { node: self, release: Some(facts::release().map_err(unread)?) })
    }

    /// Those of the newest kernel that is installed, which the next boot takes.
    pub(super) fn newest_modules(&self) -> Result<ModuleTree<'_>, Failure> {
        let mut newest: Option<Version> = None;
        for name in self.host.list(Path::new(TREES)).map_err(unread)?.unwrap_or_default() {
            let release = Version(name.to_string_lossy().into_owned());
            let is_newer = newest.as_ref().is_none_or(|newest| release.cmp_release(newest).is_gt());
            if is_newer && self.host.look(&Path::new(TREES).join(&name).join("modules.dep")).map_err(unread)?.is_some() {
                newest = Some(release);
            }
        }
        Ok(ModuleTree { node: self, release: newest })
    }

    fn small_text(&self, path: &str) -> Result<String, OsError> {
        Ok(String::from_utf8_lossy(&self.host.read(Path::new(path), CAP)?.unwrap_or_default()).into_owned())
    }
}

/// What a kernel can have of modules, as the index of its tree says.
pub(super) struct ModuleTree<'n> {
    node: &'n Node,
    /// Whose; none: no kernel is installed.
    release: Option<Version>,
}

impl ModuleTree<'_> {
    /// Whether a module is part of its image.
    pub(super) fn is_built_in(&self, name: &str) -> Result<bool, Failure> {
        self.names("modules.builtin", name)
    }

    /// Whether it has a module. A kernel that is not there yet may have any.
    pub(super) fn has(&self, name: &str) -> Result<bool, Failure> {
        Ok(self.release.is_none() || self.names("modules.dep", name)?)
    }

    /// What a module needs, directly or not (modules.dep(5)).
    pub(super) fn needs(&self, name: &str) -> Result<Vec<String>, Failure> {
        let name = name.replace('-', "_");
        let text = self.index("modules.dep")?;
        let line = text.lines().find(|line| module_of(line).is_some_and(|module| module == name));
        let needed = line.and_then(|line| line.split_once(':')).map_or("", |(_, needed)| needed);
        Ok(needed.split_whitespace().filter_map(module_of).collect())
    }

    fn names(&self, index: &str, name: &str) -> Result<bool, Failure> {
        let name = name.replace('-', "_");
        Ok(self.index(index)?.lines().any(|line| module_of(line).is_some_and(|module| module == name)))
    }

    fn index(&self, index: &str) -> Result<String, Failure> {
        let Some(release) = &self.release else { return Ok(String::new()) };
        self.node.small_text(&format!("{TREES}/{release}/{index}")).map_err(unread)
    }
}

/// `kernel/net/bridge/br_netfilter.ko.xz: kernel/...` speaks of `br_netfilter` (modules.dep(5)).
fn module_of(line: &str) -> Option<String> {
    let file = line.split(':').next()?.trim().rsplit('/').next()?;
    Some(file.split(".ko").next()?.replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Host;

    #[test]
    fn an_index_line_names_its_module() {
        assert_eq!(module_of("kernel/net/802/p8022.ko.xz: kernel/net/llc/llc.ko.xz").as_deref(), Some("p8022"));
        assert_eq!(module_of("kernel/sound/snd-hda-intel.ko:").as_deref(), Some("snd_hda_intel"));
        assert_eq!(module_of("kernel/fs/ext4/ext4.ko").as_deref(), Some("ext4"));
    }

    #[test]
    fn loaded_built_in_and_available_are_told_apart() {
        let tree = tempfile::tempdir().unwrap();
        let release = facts::release().unwrap();
        let modules = tree.path().join(format!("lib/modules/{release}"));
        std::fs::create_dir_all(&modules).unwrap();
        std::fs::create_dir_all(tree.path().join("proc")).unwrap();
        std::fs::create_dir_all(tree.path().join("sys/module/overlay")).unwrap();
        std::fs::write(modules.join("modules.dep"), "kernel/net/bridge/br_netfilter.ko: kernel/net/bridge/bridge.ko\n").unwrap();
        std::fs::write(modules.join("modules.builtin"), "kernel/fs/ext4/ext4.ko\n").unwrap();
        std::fs::write(tree.path().join("proc/modules"), "bridge 1 3 br_netfilter,stp, Live 0x0\nloop 4096 0 - Live 0x0\n").unwrap();
        let node = Node::new(Host::at(tree.path()).unwrap(), None);
        for (name, loaded, available) in [
            ("overlay", true, false),
            ("ext4", true, false),
            ("bridge", true, false),
            ("br-netfilter", false, true),
            ("none", false, false),
        ] {
            let tree = node.running_modules().unwrap();
            assert_eq!((node.module_loaded(name).unwrap(), tree.has(name).unwrap()), (loaded, available), "{name}");
        }
        assert_eq!(node.running_modules().unwrap().needs("br-netfilter").unwrap(), ["bridge"]);
        assert!(node.running_modules().unwrap().needs("none").unwrap().is_empty());
        let used_by = ["br_netfilter", "stp", "1 other use"].map(str::to_owned).to_vec();
        assert_eq!(node.module_state("bridge").unwrap(), State::Loaded { used_by });
        assert_eq!(node.module_state("loop").unwrap(), State::Loaded { used_by: Vec::new() });
        assert_eq!((node.module_state("overlay").unwrap(), node.module_state("none").unwrap()), (State::BuiltIn, State::NotLoaded));
    }
    #[test]
    fn the_newest_kernel_of_a_tree_is_asked_and_one_that_is_not_there_may_have_any_module() {
        let tree = tempfile::tempdir().unwrap();
        let node = Node::new(Host::at(tree.path()).unwrap(), None);
        let has = |name: &str| node.newest_modules().unwrap().has(name).unwrap();
        assert!(has("wireguard") && !node.newest_modules().unwrap().is_built_in("wireguard").unwrap());
        for (release, index) in [("6.1.0-9-amd64", "a.ko:\n"), ("6.1.0-48-amd64", "b.ko: a.ko\n")] {
            let modules = tree.path().join("lib/modules").join(release);
            std::fs::create_dir_all(&modules).unwrap();
            std::fs::write(modules.join("modules.dep"), index).unwrap();
        }
        // What is left of one that was removed.
        std::fs::create_dir_all(tree.path().join("lib/modules/6.1.0-50-amd64")).unwrap();
        assert_eq!((has("a"), has("b"), has("wireguard")), (false, true, false));
        assert_eq!(node.newest_modules().unwrap().needs("b").unwrap(), ["a"]);
    }
}
