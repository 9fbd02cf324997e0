//! The same hundred resources, written for every contestant: what each tool's own manual would have one write.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Small packages without questions; three of them bring a service.
const PACKAGES: [&str; 10] = ["at", "bc", "cron", "jq", "less", "lsof", "rsync", "tree", "unzip", "wget"];
/// Unit, whether it runs and starts with the machine.
const SERVICES: [(&str, bool); 4] = [("cron", true), ("atd", true), ("ssh", true), ("rsync", false)];

/// One node as the contestants' inventories name it.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
}

/// How the lab is logged in to.
#[derive(Debug, Clone)]
pub struct Keys {
    /// The private key.
    pub identity: PathBuf,
    /// The nodes' host keys.
    pub known_hosts: PathBuf,
    /// An ssh configuration with both.
    pub config: PathBuf,
}

fn directories() -> Vec<String> {
    (1..=20).map(|n| format!("/srv/bench/d{n:02}")).collect()
}

/// Forty files of one to two kilobytes.
fn files() -> Vec<(String, String)> {
    let content = |n: usize| {
        let mut text = format!("# configuration file {n:02}\n");
        for line in 0..(20 + n % 20) {
            let _ = writeln!(text, "setting_{line:02} = value {n:02}-{line:02} of the reference workload");
        }
        text
    };
    (1..=40).map(|n| (format!("/srv/bench/d{:02}/f{n:02}.conf", (n - 1) % 20 + 1), content(n))).collect()
}

fn links() -> Vec<(String, String)> {
    (1..=10).map(|n| (format!("/srv/bench/l{n:02}"), format!("/srv/bench/d{n:02}"))).collect()
}

fn lines() -> Vec<(String, String)> {
    (1..=6).map(|n| (format!("/etc/bench-{}.conf", (n - 1) / 3 + 1), format!("option_{n} = {n}"))).collect()
}

fn groups() -> Vec<(String, u32)> {
    (1..=5).map(|n| (format!("bgroup{n}"), 3000 + n)).collect()
}

fn users() -> Vec<(String, u32, String)> {
    (1..=5).map(|n| (format!("buser{n}"), 3100 + n, format!("bgroup{n}"))).collect()
}

/// A site of ours.
///
/// # Errors
/// When it cannot be written.
pub fn site(at: &Path, user: &str, keys: &Keys, nodes: &[Place]) -> io::Result<()> {
    fs::create_dir_all(at.join("roles"))?;
    let escalate = if user == "root" { "" } else { ", become: sudo" };
    let (identity, known) = (keys.identity.display(), keys.known_hosts.display());
    fs::write(
        at.join("ostler.yaml"),
        format!("edition: 1\nssh: {{user: {user}, identity: {identity}, known_hosts: {known}{escalate}}}\n"),
    )?;
    let mut text = "nodes:\n".to_owned();
    for node in nodes {
        let _ = writeln!(text, "  {}: {{host: {}, roles: [bench]}}", node.name, node.address);
    }
    fs::write(at.join("nodes.yaml"), text)?;
    fs::write(at.join("roles/bench.yaml"), role())
}

fn role() -> String {
    let mut text = "role: bench\nsummary: A hundred resources of the usual kinds.\nsteps:\n".to_owned();
    let _ = writeln!(text, "  - package: {{install: [{}]}}", PACKAGES.join(", "));
    for (name, gid) in groups() {
        let _ = writeln!(text, "  - group: {{name: {name}, gid: {gid}}}");
    }
    for (name, uid, group) in users() {
        let _ = writeln!(text, "  - user: {{name: {name}, uid: {uid}, group: {group}, home: /home/{name}, shell: /bin/bash}}");
    }
    for path in directories() {
        let _ = writeln!(text, "  - directory: {{path: {path}}}");
    }
    for (path, content) in files() {
        let _ = writeln!(text, "  - file:\n      path: {path}\n      content: |\n{}", indented(&content, 8));
    }
    for (path, to) in links() {
        let _ = writeln!(text, "  - link: {{path: {path}, to: {to}}}");
    }
    for (path, line) in lines() {
        let _ = writeln!(text, "  - line: {{path: {path}, line: \"{line}\"}}");
    }
    for (name, on) in SERVICES {
        let state = if on { "running" } else { "stopped" };
        let _ = writeln!(text, "  - service: {{name: {name}, state: {state}, enabled: {on}}}");
    }
    text
}

fn indented(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{:by$}{line}", "")).collect::<Vec<_>>().join("\n")
}

/// A script for `ssh HOST bash -s`: asks before it acts, as one written by hand would.
pub fn script() -> String {
    let mut text = include_str!("head.sh").to_owned();
    let _ = writeln!(text, "packages {}", PACKAGES.join(" "));
    for (name, gid) in groups() {
        let _ = writeln!(text, "group {name} {gid}");
    }
    for (name, uid, group) in users() {
        let _ = writeln!(text, "user {name} {uid} {group}");
    }
    for path in directories() {
        let _ = writeln!(text, "dir {path}");
    }
    for (path, content) in files() {
        let _ = write!(text, "file {path} <<'EOF'\n{content}EOF\n");
    }
    for (path, to) in links() {
        let _ = writeln!(text, "link {path} {to}");
    }
    for (path, line) in lines() {
        let _ = writeln!(text, "line {path} '{line}'");
    }
    for (name, on) in SERVICES {
        let _ = writeln!(text, "service {name} {}", if on { "on" } else { "off" });
    }
    text
}

/// A playbook, its inventory and its configuration: pipelining, no facts, loops where a module takes one thing.
///
/// # Errors
/// When they cannot be written.
pub fn playbook(at: &Path, keys: &Keys, nodes: &[Place]) -> io::Result<()> {
    fs::create_dir_all(at.join("files"))?;
    let arguments = format!("-F {} -o ControlMaster=auto -o ControlPersist=60s", keys.config.display());
    let configuration = format!(
        "[defaults]\ninventory = hosts\nforks = 10\nretry_files_enabled = false\ninterpreter_python = /usr/bin/python3\n[ssh_connection]\npipelining = true\nssh_args = {arguments}\ncontrol_path_dir = {}\n",
        at.join("cp").display()
    );
    fs::write(at.join("ansible.cfg"), configuration)?;
    let hosts: String = nodes.iter().map(|node| format!("{} ansible_user=root\n", node.name)).collect();
    fs::write(at.join("hosts"), hosts)?;
    let item = |fields: &[(&str, &str)]| {
        let fields: Vec<String> = fields.iter().map(|(key, value)| format!("{key}: \"{value}\"")).collect();
        format!("        - {{{}}}\n", fields.join(", "))
    };
    let mut text = "- hosts: all\n  gather_facts: false\n  tasks:\n".to_owned();
    let mut task = |module: &str, arguments: &str, items: String| {
        let looped = if items.is_empty() { String::new() } else { format!("      loop:\n{items}") };
        let _ = write!(text, "    - ansible.builtin.{module}: {arguments}\n{looped}");
    };
    task("apt", &format!("{{name: [{}], install_recommends: false, cache_valid_time: 86400}}", PACKAGES.join(", ")), String::new());
    let items = groups().iter().map(|(name, gid)| item(&[("name", name), ("gid", &gid.to_string())])).collect();
    task("group", "{name: '{{ item.name }}', gid: '{{ item.gid }}'}", items);
    let items = users().iter().map(|(name, uid, group)| item(&[("name", name), ("uid", &uid.to_string()), ("group", group)])).collect();
    task("user", "{name: '{{ item.name }}', uid: '{{ item.uid }}', group: '{{ item.group }}', shell: /bin/bash}", items);
    let items = directories().iter().map(|path| item(&[("path", path)])).collect();
    task("file", "{path: '{{ item.path }}', state: directory, owner: root, group: root, mode: '0755'}", items);
    let items = files().iter().map(|(path, _)| item(&[("path", path), ("src", &source(path))])).collect();
    task("copy", "{src: '{{ item.src }}', dest: '{{ item.path }}', owner: root, group: root, mode: '0644'}", items);
    let items = links().iter().map(|(path, to)| item(&[("path", path), ("to", to)])).collect();
    task("file", "{path: '{{ item.path }}', src: '{{ item.to }}', state: link}", items);
    let items = lines().iter().map(|(path, line)| item(&[("path", path), ("line", line)])).collect();
    task("lineinfile", "{path: '{{ item.path }}', line: '{{ item.line }}', create: true, mode: '0644'}", items);
    let state = |on: bool| if on { ("started", "true") } else { ("stopped", "false") };
    let items = SERVICES.iter().map(|(name, on)| item(&[("name", name), ("state", state(*on).0), ("enabled", state(*on).1)])).collect();
    task("systemd", "{name: '{{ item.name }}', state: '{{ item.state }}', enabled: '{{ item.enabled }}'}", items);
    fs::write(at.join("site.yml"), text)?;
    write_sources(at)
}

fn source(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

fn write_sources(at: &Path) -> io::Result<()> {
    files().iter().try_for_each(|(path, content)| fs::write(at.join("files").join(source(path)), content))
}

/// A pyinfra deploy with its inventory.
///
/// # Errors
/// When they cannot be written.
pub fn deploy(at: &Path, keys: &Keys, nodes: &[Place]) -> io::Result<()> {
    fs::create_dir_all(at.join("files"))?;
    let data = format!(
        "{{\"ssh_user\": \"root\", \"ssh_key\": \"{}\", \"ssh_known_hosts_file\": \"{}\", \"ssh_strict_host_key_checking\": \"yes\"}}",
        keys.identity.display(),
        keys.known_hosts.display()
    );
    let hosts: String = nodes.iter().map(|node| format!("    (\"{}\", {data}),\n", node.address)).collect();
    fs::write(at.join("inventory.py"), format!("nodes = [\n{hosts}]\n"))?;
    let mut text = "from pyinfra.operations import apt, files, server, systemd\n\n".to_owned();
    let quoted: Vec<String> = PACKAGES.iter().map(|name| format!("\"{name}\"")).collect();
    let _ = writeln!(text, "apt.packages(packages=[{}], no_recommends=True, update=True, cache_time=86400)", quoted.join(", "));
    for (name, gid) in groups() {
        let _ = writeln!(text, "server.group(group=\"{name}\", gid={gid})");
    }
    for (name, uid, group) in users() {
        let _ = writeln!(
            text,
            "server.user(user=\"{name}\", uid={uid}, group=\"{group}\", home=\"/home/{name}\", create_home=True, shell=\"/bin/bash\")"
        );
    }
    for path in directories() {
        let _ = writeln!(text, "files.directory(path=\"{path}\", user=\"root\", group=\"root\", mode=\"755\")");
    }
    for (path, _) in files() {
        let _ = writeln!(text, "files.put(src=\"files/{}\", dest=\"{path}\", user=\"root\", group=\"root\", mode=\"644\")", source(&path));
    }
    for (path, to) in links() {
        let _ = writeln!(text, "files.link(path=\"{path}\", target=\"{to}\")");
    }
    for (path, line) in lines() {
        let _ = writeln!(text, "files.line(path=\"{path}\", line=\"{line}\")");
    }
    for (name, on) in SERVICES {
        let on = if on { "True" } else { "False" };
        let _ = writeln!(text, "systemd.service(service=\"{name}\", running={on}, enabled={on})");
    }
    fs::write(at.join("deploy.py"), text)?;
    write_sources(at)
}
