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

    /// Ours, planning: the site is copied and has this role in place of the hundred resources.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn plan(&self, name: &str, site: &str, copy: &str, role: &str) -> Result<Entry, Fault> {
        let (from, to) = (self.dir.join(site), self.dir.join(copy));
        fs::create_dir_all(to.join("roles"))?;
        for file in ["ostler.yaml", "nodes.yaml"] {
            fs::copy(from.join(file), to.join(file))?;
        }
        fs::write(to.join("roles/bench.yaml"), role)?;
        Ok(Entry::new(name, [&self.tools.ostler.display().to_string(), "-C", &to.display().to_string(), "plan"]))
    }

    /// Gives a site large files that do not become smaller, in place of the hundred resources.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn large_files(&self, site: &str, count: usize, bytes: usize) -> Result<(), Fault> {
        let site = self.dir.join(site);
        fs::create_dir_all(site.join("files"))?;
        let mut role = "role: bench\nsummary: Large files.\nsteps:\n".to_owned();
        for number in 0..count {
            let mut noise = vec![0; bytes];
            std::io::Read::read_exact(&mut fs::File::open("/dev/urandom")?, &mut noise)?;
            fs::write(site.join(format!("files/large-{number}")), noise)?;
            role.push_str(&format!("  - file: {{path: /srv/large-{number}, from: files/large-{number}}}\n"));
        }
        Ok(fs::write(site.join("roles/bench.yaml"), role)?)
    }

    /// The key exchanges that OpenSSH and ours agree on with the first node, in a sentence.
    ///
    /// # Errors
    /// When either does not say.
    pub fn exchanges(&self, lab: &Lab) -> Result<String, Fault> {
        let after = |text: &str, mark: &str| -> Result<String, Fault> {
            let rest = text.split_once(mark).map(|(_, rest)| rest).ok_or_else(|| format!("no `{mark}` in: {text}"))?;
            Ok(rest.trim_start_matches('"').split(['"', ' ', '\n']).next().unwrap_or_default().to_owned())
        };
        let node = self.nodes.first().ok_or("no node")?;
        let mut ssh = self.ssh(node);
        ssh.splice(1..1, ["-v".to_owned()]);
        ssh.push("true".to_owned());
        let theirs = after(&lab.command(ssh).output()?.all(), "kex: algorithm: ")?;
        let site = self.dir.join("root").display().to_string();
        let words = [self.tools.ostler.display().to_string(), "-vv".to_owned(), "-C".to_owned(), site, "check".to_owned()];
        let mut command = lab.command(words).env("NO_COLOR", "1");
        for (name, value) in super::scenes::environment(self.tools) {
            command = command.env(name, value);
        }
        let ours = after(&command.output()?.all(), "kex=")?;
        Ok(format!("Key exchange: `ssh` {theirs}, ostler {ours}."))
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
