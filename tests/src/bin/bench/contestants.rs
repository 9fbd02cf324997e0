//! Who takes part, and with which command.

use std::fs;
use std::path::{Path, PathBuf};

use ostler::lab::Lab;

use super::Fault;
use super::stopwatch::Entry;
use super::workload::{self, Keys, Place};

/// The yardstick's name.
pub const YARDSTICK: &str = "`ssh host true`";
/// Ours, logged in as root.
pub const OURS: &str = "ostler, as root";
/// Ours, logged in as admin, with sudo.
pub const OURS_SUDO: &str = "ostler, as admin with sudo";
/// The script.
pub const SCRIPT: &str = "bash script over ssh";
/// The first of the two from the package index.
pub const ANSIBLE: &str = "Ansible, pipelining";
/// The second.
pub const PYINFRA: &str = "pyinfra 3";

/// Where everything is.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The program measured.
    pub ostler: PathBuf,
    /// The virtual environment with Ansible and pyinfra.
    pub venv: PathBuf,
    /// A scratch directory.
    pub scratch: PathBuf,
}

/// The commands for one set of nodes of a lab.
#[derive(Debug)]
pub struct Contestants<'a> {
    tools: &'a Tools,
    keys: Keys,
    nodes: Vec<Place>,
    dir: PathBuf,
}

impl<'a> Contestants<'a> {
    /// Writes what each contestant needs to reach these nodes of the lab.
    ///
    /// # Errors
    /// When it cannot be written, or a node is not in the lab.
    pub fn write(tools: &'a Tools, lab: &Lab, nodes: &[&str]) -> Result<Self, Fault> {
        let keys = Keys { identity: lab.ssh_key(), known_hosts: lab.known_hosts(), config: lab.ssh_config() };
        let place = |name: &&str| lab.node(name).map(|node| Place { name: node.name.clone(), address: node.address.to_string() });
        let nodes: Vec<Place> = nodes.iter().map(place).collect::<Result<_, _>>()?;
        let dir = tools.scratch.join(nodes.iter().map(|node| node.name.as_str()).collect::<Vec<_>>().join("-"));
        fs::create_dir_all(&dir)?;
        workload::site(&dir.join("root"), "root", &keys, &nodes)?;
        workload::site(&dir.join("admin"), "admin", &keys, &nodes)?;
        workload::playbook(&dir.join("ansible"), &keys, &nodes)?;
        workload::deploy(&dir.join("pyinfra"), &keys, &nodes)?;
        fs::write(dir.join("bench.sh"), workload::script())?;
        Ok(Self { tools, keys, nodes, dir })
    }

    fn ssh(&self, node: &Place) -> Vec<String> {
        let config = self.keys.config.display().to_string();
        ["ssh", "-F", &config, "-l", "root", &node.name].map(str::to_owned).to_vec()
    }

    fn shell(script: String) -> Vec<String> {
        vec!["/bin/sh".to_owned(), "-c".to_owned(), script]
    }

    /// The yardstick: OpenSSH as it comes, once for every node, all at the same time.
    pub fn yardstick(&self) -> Entry {
        let mut one = Entry::new::<String>(YARDSTICK, []);
        one.together = self.nodes.iter().map(|node| [self.ssh(node), vec!["true".to_owned()]].concat()).collect();
        one
    }

    /// Ours.
    pub fn ours(&self, name: &str, site: &str) -> Entry {
        let (program, site) = (self.tools.ostler.display().to_string(), self.dir.join(site).display().to_string());
        Entry::new(name, [program.as_str(), "-C", &site, "apply", "--yes"])
    }

    /// The script.
    pub fn script(&self) -> Entry {
        let script = self.dir.join("bench.sh");
        let mut one = Entry::new::<String>(SCRIPT, []);
        one.together =
            self.nodes.iter().map(|node| Self::shell(format!("exec {} bash -s <{}", self.ssh(node).join(" "), script.display()))).collect();
        one
    }

    /// A line of shell on the first node.
    pub fn shell_there(&self, script: &str) -> Vec<String> {
        let mut argv = self.nodes.first().map(|node| self.ssh(node)).unwrap_or_default();
        argv.push(script.to_owned());
        argv
    }

    /// Ansible.
    pub fn ansible(&self) -> Entry {
        Entry::new(ANSIBLE, Self::shell(self.inside("ansible", "ansible-playbook site.yml")))
    }

    /// pyinfra.
    pub fn pyinfra(&self) -> Entry {
        Entry::new(PYINFRA, Self::shell(self.inside("pyinfra", "pyinfra -y inventory.py deploy.py")))
    }

    fn inside(&self, directory: &str, command: &str) -> String {
        let bin = self.tools.venv.join("bin");
        format!("cd {} && exec {}/{command}", self.dir.join(directory).display(), bin.display())
    }

    /// The directory for what is written.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}
