//! The stage: a site with one node in a lab, and a model of Jenkins that the lab reaches at `http://10.78.0.1:8080/`.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ostler::lab::{LabNode, Suite};
use ostler_tests::jenkins::door::Door;
use ostler_tests::jenkins::{Model, Permission, SshHost, User, Version};
use ostler_tests::site::{Ran, Site};
use ostler_tests::terminal::Terminal;

/// What must show up nowhere.
pub const PASSWORD: &str = "planted-password-51c0";
/// A private key that must reach the master alone.
pub const KEY: &str = "planted-private-key-7f3a";
const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(10, 78, 0, 1)), 8080);

const ROLE: &str = r#"role: ci-agent
summary: Runs jobs for the Jenkins of these tests.
params:
  launch: {type: text, choices: [ssh, inbound]}
  labels: {type: list(label), default: [debian, big]}
  proof:  {type: text, default: "true"}
  stamp:  {type: text, default: first}
steps:
  - user: {name: jenkins, home: /home/jenkins, shell: /bin/bash}
  - directory: {path: /home/jenkins/jobs, owner: jenkins, mode: "0755"}
  - file: {path: /etc/ci-stamp, content: "{{ stamp }}\n"}
executors:
  - master: ci
    user: jenkins
    count: 2
    jobs: any
    labels: "{{ labels }}"
    remote_fs: /home/jenkins/jobs
    launch: "{{ launch }}"
    credential: launch-key
smoke:
  - command: {name: proof, run: ["{{ proof }}"]}
"#;

const MASTER: &str = r#"id: stage
ssh: {user: admin, become: sudo}
masters:
  ci:
    jenkins:
      url: "http://10.78.0.1:8080/"
      user: narrow
      password: "{{ secret.jenkins }}"
      credentials:
        launch-key: {ssh_key: {user: jenkins, key: "{{ secret.launch }}"}}
"#;

/// How a job of the master's gets to the node: into a workspace of its own, as each job has one.
const ON_NODE: &str = "sudo -n -u jenkins sh -c 'cd \"$(mktemp -d)\" && exec /bin/sh -xe 2>&1'";

/// The version that this suite is run against, each node and each run of it: `OSTLER_JENKINS`, as in `2.426`; without it the newest.
#[expect(clippy::disallowed_methods, reason = "`make full-jenkins` says so which of the ends the suite is run against")]
pub fn version() -> Version {
    let Ok(wanted) = std::env::var("OSTLER_JENKINS") else { return Version::NEWEST };
    let found = Version::ALL.into_iter().find(|version| version.number() == wanted || version.number().starts_with(&format!("{wanted}.")));
    found.unwrap_or_else(|| panic!("OSTLER_JENKINS={wanted} is none of {:?}", Version::ALL.map(Version::number)))
}

/// Site, lab, model.
pub struct Stage {
    pub site: Site,
    pub model: Model,
    _door: Door,
}

fn narrow() -> User {
    let mut user = User::new("narrow", &Permission::ENOUGH);
    user.password = PASSWORD.to_owned();
    user
}

fn private_key(body: &str) -> String {
    format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{body}\n-----END OPENSSH PRIVATE KEY-----\n")
}

impl Stage {
    /// A node `n1` that is launched this way.
    pub fn up(launch: &str) -> Self {
        Self::with("ci-agent", &format!("launch: {launch}"))
    }

    /// Its master is of this version from the beginning.
    pub fn on(self, version: Version) -> Self {
        let mut state = self.model.state();
        state.version = version;
        state.hosts.iter_mut().for_each(|host| host.java = host.java.max(version.least_java()));
        drop(state);
        self
    }

    /// A node `n1` that has this role, with these parameters.
    pub fn with(role: &str, parameters: &str) -> Self {
        Self::of(1, role, parameters)
    }

    /// Nodes `n1`, `n2`, ..., all alike.
    pub fn of(count: u8, role: &str, parameters: &str) -> Self {
        Self::from(Suite::Bookworm, count, role, parameters)
    }

    /// The same, of this Debian.
    pub fn from(suite: Suite, count: u8, role: &str, parameters: &str) -> Self {
        let address = |number: u8| Ipv4Addr::new(10, 78, 0, 10 + number);
        let line =
            |number: u8| format!("  n{number}: {{host: {}, roles: [{role}], vars: {{{role}: {{{parameters}}}}}}}\n", address(number));
        let nodes = format!("nodes:\n{}", (1..=count).map(line).collect::<String>());
        let site = Site::up(MASTER, &nodes, (1..=count).map(|number| LabNode::new(format!("n{number}"), suite, address(number))));
        site.write("roles/ci-agent.yaml", ROLE);
        site.secret("jenkins", PASSWORD);
        site.secret("launch", &private_key(KEY));
        let model = Model::of(version(), vec![narrow()]).unwrap();
        model.state().root_url = format!("http://{ADDRESS}/");
        model.state().quiet_period = Duration::ZERO;
        let known = std::fs::read_to_string(site.lab().known_hosts()).unwrap();
        let host = |number: u8| {
            let names = format!("n{number},{} ", address(number));
            let host_key = known.lines().find_map(|line| line.strip_prefix(&names)).unwrap().to_owned();
            SshHost { host: address(number).to_string(), port: 22, host_key, java: version().least_java().max(17) }
        };
        model.state().hosts = (1..=count).map(host).collect();
        model.state().build_elsewhere = site.over_ssh("admin", "n1", ON_NODE);
        for name in (2..=count).map(|number| format!("n{number}")) {
            let there = site.over_ssh("admin", &name, ON_NODE);
            model.state().build_on.insert(name, there);
        }
        let door = Door::open(site.lab(), env!("CARGO_BIN_EXE_lab-door"), ADDRESS, model.address());
        model.take_log();
        Self { site, model, _door: door }
    }

    /// Another value for a parameter of the role, from now on.
    pub fn set(&self, parameter: &str, value: &str) {
        let file = self.site.root().join("ostler.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        let text = if text.contains("\nvars:\n") { text } else { format!("{text}vars:\n  ci-agent:\n") };
        let kept: Vec<&str> = text.lines().filter(|line| !line.starts_with(&format!("    {parameter}: "))).collect();
        self.site.write("ostler.yaml", &format!("{}\n    {parameter}: {value}\n", kept.join("\n")));
    }

    /// The master is outside the lab from now on, and the node has a second executor, which is launched with this credential.
    pub fn move_outside_with(&self, credential: &str) {
        self.site.replace("ostler.yaml", &format!("http://{ADDRESS}/"), &self.model.url());
        let second = format!(
            "executors:\n  - master: ci\n    name: second\n    user: jenkins\n    labels: [small]\n    remote_fs: /home/jenkins/jobs\n    launch: ssh\n    credential: {credential}\n"
        );
        self.site.replace("roles/ci-agent.yaml", "executors:\n", &second);
    }

    /// The role has a step more, which waits for a word on its node, and one behind it.
    pub fn gate(&self) {
        let gate = "  - command: {name: gate, run: [sh, -c, \"touch /srv/here; until test -e /srv/open; do sleep 0.05; done\"], unless: [test, -e, /srv/open]}\n  \
            - file: {path: /etc/ci-after, content: \"{{ stamp }}\\n\"}\nexecutors:\n";
        self.site.replace("roles/ci-agent.yaml", "executors:\n", gate);
    }

    /// Another private key for the credential.
    pub fn rotate(&self, body: &str) {
        let file = self.site.root().join("../key");
        std::fs::write(&file, private_key(body)).unwrap();
        self.site.run(&["secret", "set", "launch", "--replace", "--from", file.to_str().unwrap()]).good();
    }

    /// What was written to the master since the last call.
    pub fn writes(&self) -> Vec<String> {
        let log = self.model.take_log();
        log.iter().filter(|request| request.method != "GET").map(|request| format!("{} {}", request.method, request.path)).collect()
    }

    /// The labels that the master shows.
    pub fn labels(&self) -> String {
        let label = self.model.state().nodes["n1"].label.clone();
        let mut words: Vec<&str> = label.split_whitespace().collect();
        words.sort_unstable();
        words.join(" ")
    }

    /// A second run: nothing is done on the node, nothing is written to the master, and people are told so.
    pub fn nothing_to_do(&self) {
        self.writes();
        let runs = self.runs();
        let again = self.site.apply();
        again.nothing_to_do();
        assert_eq!(self.writes(), Vec::<String>::new(), "{}", again.told());
        assert_eq!(self.runs(), runs, "{}", again.told());
        let said = self.human(&["apply", "--yes"]);
        assert!(said.contains("Nothing to change. 1 node verified in "), "{said}");
    }

    /// Applies as another admin would, from a machine of his own: it keeps nothing of what ours keeps, but the way into the lab.
    pub fn apply_elsewhere(&self) -> Ran {
        self.elsewhere(&["apply", "--yes"])
    }

    /// The same, with other words.
    pub fn elsewhere(&self, words: &[&str]) -> Ran {
        let (ours, theirs) = (self.site.root().join("../state/ostler/labs"), self.site.root().join("../their-state"));
        let labs = theirs.join("ostler/labs");
        if !labs.exists() {
            std::fs::create_dir_all(theirs.join("ostler")).unwrap();
            std::os::unix::fs::symlink(ours, labs).unwrap();
        }
        self.site.run_with(words, &[("XDG_STATE_HOME", &theirs)])
    }

    /// Waits until a run that goes on has told this; its log on the controller says so.
    pub fn is_told(&self, text: &str) {
        self.site.is_told(text);
    }

    /// The program as people call it.
    fn call(&self, words: &[&str]) -> Command {
        let json = self.site.command(words);
        let mut command = Command::new(json.get_program());
        command.args(words).current_dir(self.site.root()).env_clear();
        command.envs(json.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    }

    /// What people see of a run that ends well.
    pub fn human(&self, words: &[&str]) -> String {
        let (exit, said) = self.human_with(words);
        assert_eq!(exit, Some(0), "{said}");
        said
    }

    /// What people see of a run, behind its exit code.
    pub fn human_with(&self, words: &[&str]) -> (Option<i32>, String) {
        let output = self.call(words).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.code(), said)
    }

    /// A run at a terminal, which can be halted in the midst of it.
    pub fn at_terminal(&self, words: &[&str]) -> Terminal {
        Terminal::start(&self.call(words))
    }

    /// Runs that the node remembers.
    fn runs(&self) -> String {
        self.site.sh("n1", "ls /var/lib/ostler/runs")
    }

    /// Looks for what was planted, and for every crumb and session that the master gave: in what was said, in the controller's state, in
    /// everything that our programs left on the node.
    pub fn finds_nowhere(&self, planted: &[&str], ran: &[&Ran]) {
        let given: Vec<String> = self
            .model
            .state()
            .crumbs
            .iter()
            .flat_map(|crumb| [crumb.value.clone(), crumb.session.clone()])
            .filter(|text| !text.is_empty())
            .collect();
        assert!(!given.is_empty(), "it logs in by password: there were crumbs");
        for secret in planted.iter().copied().chain(given.iter().map(String::as_str)) {
            for ran in ran {
                assert!(!ran.told().contains(secret), "{secret} was said: {}", ran.told());
            }
            let state = self.site.root().join("../state");
            let found = Command::new("grep").args(["-rlF", secret]).arg(state).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&found.stdout), "", "{secret} in the controller's state");
            let script = "grep -rlF -- \"$0\" /var/lib/ostler /run/ostler /home/admin /root/.cache /tmp/ostler* 2>/dev/null || true; journalctl -q --grep \"$0\" || true";
            let found = self.site.on("n1", &["sh", "-c", script, secret]);
            assert_eq!(found, "", "{secret} on the node");
        }
    }
}

/// Looks all the time, until this is over, and returns how often each of these was seen on a command line: of this process, and of those
/// that it started.
pub fn seen_on_command_lines<const N: usize>(process: u32, words: [&str; N], is_over: &AtomicBool) -> [usize; N] {
    let end = Instant::now() + Duration::from_secs(90);
    let mut seen = [0; N];
    loop {
        // The last look is one after the end.
        let is_last = is_over.load(Ordering::SeqCst) || Instant::now() > end;
        let lines = command_lines(process);
        for (seen, word) in seen.iter_mut().zip(words) {
            *seen += lines.iter().filter(|line| line.contains(word)).count();
        }
        if is_last {
            return seen;
        }
    }
}

/// The command lines of a process and of all that it started.
fn command_lines(process: u32) -> Vec<String> {
    let read = |file: &str| String::from_utf8_lossy(&std::fs::read(format!("/proc/{file}")).unwrap_or_default()).into_owned();
    let all = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    // proc(5): the parent stands behind the name, which ends with the last `)`, and the state.
    let parent =
        |id: u32| read(&format!("{id}/stat")).rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
    let mut lines: Vec<String> = all.filter(|id| parent(*id) == Some(process)).flat_map(command_lines).collect();
    lines.push(read(&format!("{process}/cmdline")));
    lines
}

/// Waits until it is so.
pub fn within(what: &str, holds: impl Fn() -> bool) {
    assert!(holds_within(holds), "in time: {what}");
}

/// Whether it comes to be so, within a minute.
pub fn holds_within(holds: impl Fn() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(60);
    while !holds() {
        if Instant::now() > end {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
    true
}
