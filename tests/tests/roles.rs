//! The role library on real nodes: each role applied twice, first the exact set of changed resources, then none.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use ostler::lab::{BRIDGE, LabNode, Suite};
use ostler_tests::jenkins::door::Door;
use ostler_tests::jenkins::{Model, Permission, SshHost, User};
use ostler_tests::library::assert_skips_are_reviewed;
use ostler_tests::site::Site;

const SSH: &str = "ssh: {user: admin, become: sudo}\n";
/// A key whose private half nobody has.
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEuZxsRzUqCg0XyG4dkIKXMXe6Y4yN1RZvFGzPfE5n9w launch@master";

fn node(name: &str, last: u8) -> LabNode {
    LabNode::new(name, Suite::Bookworm, Ipv4Addr::new(10, 78, 0, last))
}

/// The lab's trees have the timers masked: as a machine has them from Debian, they run.
fn start_timers(site: &Site, node: &str) {
    site.sh(
        node,
        "cd /etc/systemd/system; rm apt-daily.timer apt-daily-upgrade.timer; systemctl daemon-reload;
         systemctl enable --now --quiet apt-daily.timer apt-daily-upgrade.timer",
    );
}

const FRESH: [&str; 4] = ["package wget", "package ssl-cert", "file /etc/ssh/sshd_config.d/60-ostler.conf", "service ssh"];

const BASE: [&str; 7] = [
    "package wget",
    "package ssl-cert",
    "service apt-daily.timer",
    "service apt-daily-upgrade.timer",
    "file /etc/ssh/sshd_config.d/60-ostler.conf",
    "service ssh",
    "user jenkins",
];

#[test]
fn base_and_job_user_make_an_account_that_logs_in_and_may_do_as_it_is_told() {
    let yaml = format!("{SSH}vars:\n  job-user: {{sudo: true, authorized_keys: [\"{KEY}\"]}}\n");
    let site = Site::up(&yaml, "nodes:\n  n1: {host: 10.78.0.11, roles: [job-user]}\n", [node("n1", 11)]);
    start_timers(&site, "n1");
    let lists = site.sh("n1", "ls -l --time-style=full-iso /var/lib/apt/lists");
    let planned = site.run(&["plan"]);
    planned.good();
    assert_eq!(lists, site.sh("n1", "ls -l --time-style=full-iso /var/lib/apt/lists"), "a plan writes nothing");

    let first = site.apply();
    first.good();
    let own = ["directory /home/jenkins/.ssh", "authorized_key jenkins/ssh-ed25519 ...ZvFGzPfE5n9w", "file /etc/sudoers.d/50-jenkins"];
    assert_eq!(first.changed("n1"), [&BASE[..], &own[..]].concat(), "{}", first.told());
    assert_eq!(first.triggered("n1"), ["reload service ssh"]);
    assert_eq!(first.proofs("n1"), ["login jenkins", "command sudo-works"]);
    assert_skips_are_reviewed("job-user", &[(&first, "n1")], &["base", "job-user"]);
    assert_eq!(
        site.sh("n1", "systemctl is-enabled apt-daily.timer || true; systemctl is-active apt-daily.timer || true"),
        "disabled\ninactive"
    );
    assert_eq!(site.sh("n1", "sshd -T | grep -c '^maxstartups'"), "1");
    assert_eq!(site.sh("n1", "stat -c '%U %a' /home/jenkins/.ssh/authorized_keys /etc/sudoers.d/50-jenkins"), "jenkins 600\nroot 440");
    assert_eq!(site.sh("n1", "runuser -u jenkins -- sudo -n id -u"), "0");
    site.apply().nothing_to_do();

    // Taken away again: the account stays, the right goes.
    site.replace("ostler.yaml", "sudo: true", "sudo: false");
    let second = site.apply();
    second.good();
    assert_eq!(second.changed("n1"), ["file /etc/sudoers.d/50-jenkins"]);
    assert_eq!(site.sh("n1", "runuser -u jenkins -- sudo -n true 2>/dev/null || echo refused"), "refused");
    site.apply().nothing_to_do();
}

#[test]
fn a_git_server_serves_what_a_git_cache_on_another_node_mirrors() {
    let names: Vec<String> = (1..=22).map(|number| format!("lab/project-{number}")).collect();
    let names = names.join(", ");
    let yaml = format!(
        "{SSH}vars:\n  git-server: {{repositories: [{names}]}}\n  git-cache: {{repositories: [{names}], upstreams: [\"http://{{{{ nodes.server.host }}}}:8081\"]}}\n"
    );
    let nodes = "nodes:\n  server: {host: 10.78.0.11, roles: [git-server]}\n  n1: {host: 10.78.0.12, roles: [git-cache]}\n";
    let site = Site::up(&yaml, nodes, [node("server", 11), node("n1", 12)]);
    let first = site.apply();
    first.good();

    let mut served = vec!["package wget", "package ssl-cert", "file /etc/ssh/sshd_config.d/60-ostler.conf", "service ssh"];
    served.extend(["package git", "package nginx-light", "package fcgiwrap", "directory /srv/git", "directory /usr/local/lib/git-server"]);
    served.push("file /usr/local/lib/git-server/make-repository");
    let commands: Vec<String> = (1..=22).map(|number| format!("command repository-lab-project-{number}")).collect();
    served.extend(commands.iter().map(String::as_str));
    served.extend(["service git-daemon", "service git-http", "file /etc/nginx/conf.d/git-server.conf", "service nginx"]);
    assert_eq!(first.changed("server"), served, "{}", first.told());
    assert_eq!(first.triggered("server"), ["reload service ssh", "reload service nginx"]);
    assert_eq!(first.proofs("server").len(), 2 + 2 * 22);
    assert_skips_are_reviewed("git-server", &[(&first, "server")], &["git-server"]);

    let cached = ["package git", "directory /usr/local/lib/git-cache", "file /usr/local/lib/git-cache/try-clone", "directory /opt/git"];
    let changed = first.changed("n1");
    assert_eq!(changed[changed.len() - 5..], [&cached[..], &["git_cache /opt/git"]].concat(), "{}", first.told());
    assert_eq!(first.proofs("n1"), ["login jenkins", "command clone-from-cache"]);
    assert_skips_are_reviewed("git-cache", &[(&first, "n1")], &["git-cache"]);
    let mirror = "/opt/git/lab/project-7";
    assert_eq!(site.sh("n1", &format!("stat -c %U {mirror}; ls /opt/git/lab | wc -l")), "jenkins\n22");
    let commits = format!("runuser -u jenkins -- git -C {mirror} rev-list --count main");
    assert_eq!(site.sh("n1", &commits), "20");
    site.apply().nothing_to_do();

    // A change upstream is a change of the cache, and of nothing else.
    site.sh(
        "server",
        "cd /tmp; git clone -q git://127.0.0.1/lab/project-7 w; cd w; git -c user.name=x -c user.email=x@y commit -q --allow-empty -m more;
         chown -R www-data .; runuser -u www-data -- git push -q file:///srv/git/lab/project-7 HEAD:main",
    );
    let second = site.apply();
    second.good();
    assert_eq!((second.changed("server").len(), second.changed("n1")), (0, vec!["git_cache /opt/git".to_owned()]), "{}", second.told());
    assert_eq!(site.sh("n1", &commits), "21");
    site.apply().nothing_to_do();
}

const BUILDBOT: &str = "masters:
  ci:
    buildbot:
      {url: \"http://{{ nodes.master.host }}:8010/\", node: master, user: ostler, password: \"{{ secret.buildbot }}\",
       worker_password: \"{{ secret.worker }}\"}
vars:
  buildbot-master:
    {password: \"{{ secret.buildbot }}\", worker_password: \"{{ secret.worker }}\", wheels: \"http://10.78.0.1:8088/wheels/\",
     builders: [{name: unit, label: debian, run: [[uname, -s]]}]}
  buildbot-worker:
    {master: ci, master_host: \"{{ nodes.master.host }}\", password: \"{{ secret.worker }}\", labels: [debian], executors: 1,
     wheels: \"http://10.78.0.1:8088/wheels/\"}
";

#[test]
fn a_buildbot_worker_earns_its_label_and_a_second_run_writes_and_reloads_nothing() {
    let nodes = "nodes:\n  master: {host: 10.78.0.11, roles: [buildbot-master]}\n  n1: {host: 10.78.0.12, roles: [buildbot-worker]}\n";
    let site = Site::up(&format!("{SSH}{BUILDBOT}"), nodes, [node("master", 11), node("n1", 12)]);
    site.secret("buildbot", "a-password-of-the-web-interface");
    site.secret("worker", "a-password-of-the-workers");
    site.serve_wheels();
    let first = site.apply();
    first.good();

    let scripts = "/usr/local/lib/buildbot";
    let mut wanted = FRESH.map(str::to_owned).to_vec();
    wanted.extend(["package python3", "package python3-venv", "user buildbot"].map(str::to_owned));
    wanted.push(format!("directory {scripts}"));
    wanted.extend(["install-venv", "await-ports", "reload-master", "master-requirements.txt"].map(|name| format!("file {scripts}/{name}")));
    wanted.push("command buildbot-master-venv".to_owned());
    wanted.extend(["", "/master", "/master/workers.d", "/master/secrets"].map(|name| format!("directory /var/lib/buildbot{name}")));
    let files = ["secrets/worker-password", "secrets/password", "buildbot.tac", "master.cfg", "master.json"];
    wanted.extend(files.map(|name| format!("file /var/lib/buildbot/master/{name}")));
    wanted.push("service buildbot-master".to_owned());
    assert_eq!(first.changed("master"), wanted, "{}", first.told());

    let mut wanted = FRESH.map(str::to_owned).to_vec();
    wanted.extend(["user jenkins", "directory /home/jenkins/.ssh", "package python3", "package python3-venv"].map(str::to_owned));
    wanted.push(format!("directory {scripts}"));
    wanted.extend(["install-venv", "worker-requirements.txt"].map(|name| format!("file {scripts}/{name}")));
    wanted.push("command buildbot-worker-venv".to_owned());
    wanted.extend(["/home/jenkins/buildbot", "/etc/buildbot-worker"].map(|name| format!("directory {name}")));
    wanted.extend(["worker.tac", "worker.json", "password"].map(|name| format!("file /etc/buildbot-worker/{name}")));
    wanted.push("service buildbot-worker".to_owned());
    assert_eq!(first.changed("n1"), wanted, "{}", first.told());
    assert_skips_are_reviewed("buildbot", &[(&first, "master"), (&first, "n1")], &["buildbot-master", "buildbot-worker"]);

    // Quarantined, connected, proved by a job on the real master, labelled.
    let said = first.masters("n1");
    let begins = |index: usize, words: &str| assert!(said.get(index).is_some_and(|text| text.starts_with(words)), "{said:#?}");
    begins(0, "quarantined (1 workers)");
    begins(3, "connected; smoke job runs: http://10.78.0.11:8010/#/builders/");
    begins(4, "smoke job green");
    begins(5, "attaching labels (1 workers)");
    assert_eq!(first.recap("n1")["labels"], serde_json::json!(["debian"]));

    let traces = "systemctl show -p MainPID -p ExecMainStartTimestampMonotonic buildbot-master; ls -lR --time-style=full-iso /var/lib/buildbot/master/workers.d;
         journalctl -u buildbot-master | grep -c 'configuration update complete'";
    let before = site.sh("master", traces);
    let second = site.apply();
    second.nothing_to_do();
    assert_eq!(second.recap("n1")["labels"], serde_json::json!(["debian"]));
    assert_eq!(before, site.sh("master", traces), "the second run writes and reloads nothing");

    // A node that changed proves itself again.
    site.sh("n1", "echo drift >> /etc/buildbot-worker/worker.json");
    let third = site.apply();
    third.good();
    assert_eq!(third.changed("n1"), ["file /etc/buildbot-worker/worker.json", "service buildbot-worker"]);
    assert_eq!(third.triggered("n1"), ["restart service buildbot-worker"]);
    assert!(third.masters("n1").iter().any(|text| text.starts_with("smoke job green")), "{}", third.told());
    site.apply().nothing_to_do();
}

const JENKINS: &str = "masters:
  ci:
    jenkins:
      url: \"http://10.78.0.1:8080/\"
      user: operator
      password: \"{{ secret.jenkins }}\"
      credentials: {launch-key: {ssh_key: {user: jenkins, key: \"{{ secret.launch }}\"}}}
";

/// A model of Jenkins that the lab reaches as `http://10.78.0.1:8080/`, whose jobs run on n1 as its job user.
fn jenkins(site: &Site) -> (Model, Door) {
    site.secret("jenkins", "operator-password");
    let key = std::fs::read_to_string(site.lab().ssh_key()).unwrap();
    site.secret("launch", &key);
    let model = Model::start(vec![User::new("operator", &[Permission::Administer])]).unwrap();
    let address = SocketAddr::from((BRIDGE, 8080));
    let known = std::fs::read_to_string(site.lab().known_hosts()).unwrap();
    let host_key = known.lines().find_map(|line| line.strip_prefix("n1,10.78.0.11 ")).unwrap().to_owned();
    let mut state = model.state();
    state.root_url = format!("http://{address}/");
    state.quiet_period = Duration::ZERO;
    state.hosts = vec![SshHost { host: "10.78.0.11".to_owned(), port: 22, host_key }];
    let ostler = site.command(&["lab", "exec", "--", "ssh", "-F"]);
    let environment = ostler.get_envs().filter_map(|(name, value)| Some(format!("{}={}", name.to_str()?, value?.to_str()?)));
    let words = ostler.get_args().map(|word| word.to_string_lossy().into_owned());
    let start = ["env".to_owned(), format!("--chdir={}", site.root().display())];
    let program = ostler.get_program().to_string_lossy().into_owned();
    state.build_elsewhere = start.into_iter().chain(environment).chain([program]).chain(words).collect();
    let login = ["-l", "jenkins", "n1", "cd /home/jenkins/workspaces && exec /bin/sh -xe"].map(str::to_owned);
    state.build_elsewhere.push(site.lab().ssh_config().display().to_string());
    state.build_elsewhere.extend(login);
    drop(state);
    let door = Door::open(site.lab(), env!("CARGO_BIN_EXE_lab-door"), address, model.address());
    (model, door)
}

#[test]
fn a_jenkins_agent_is_launched_over_ssh_proved_and_labelled() {
    let vars = "vars:
  job-user: {authorized_keys: [\"{{ secret.launch | public_half }}\"]}
  jenkins-agent: {master: ci, credential: launch-key, labels: [debian]}
";
    let nodes = "nodes:\n  n1: {host: 10.78.0.11, roles: [jenkins-agent]}\n";
    let site = Site::up(&format!("{SSH}{JENKINS}{vars}"), nodes, [node("n1", 11)]);
    let (model, _door) = jenkins(&site);
    let first = site.apply();
    first.good();
    let changed = first.changed("n1");
    let own = ["package openjdk-17-jre-headless", "directory /home/jenkins/workspaces"];
    assert_eq!(changed[changed.len() - 2..], own, "{}", first.told());
    assert!(changed.iter().any(|id| id.starts_with("authorized_key jenkins/ssh-ed25519 ")), "{changed:?}");
    assert_eq!(first.proofs("n1"), ["login jenkins", "command java-runs"]);
    assert_skips_are_reviewed("jenkins-agent", &[(&first, "n1")], &["jenkins-agent"]);
    assert_eq!(first.recap("n1")["labels"], serde_json::json!(["debian"]), "{}", first.told());
    assert_eq!(model.state().nodes["n1"].label, "debian");
    site.apply().nothing_to_do();
}

#[test]
fn a_devstack_node_earns_its_label_on_a_machine_with_a_kernel_of_its_own() {
    let vars = "vars:
  git-server: {repositories: [lab/devstack]}
  job-user: {authorized_keys: [\"{{ secret.launch | public_half }}\"]}
  jenkins-agent: {master: ci, credential: launch-key}
  git-cache: {upstreams: [\"http://{{ nodes.server.host }}:8081\"], repositories: [lab/devstack]}
  devstack-node:
    memory: 512 MiB
    images: [{name: fixture.img, url: \"http://10.78.0.1:8088/fixture.img\", sha256: 5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03}]
";
    let nodes = "nodes:\n  server: {host: 10.78.0.12, roles: [git-server]}\n  n1: {host: 10.78.0.11, roles: [devstack-node]}\n";
    // What takes this slow machine minutes to unpack is in its image.
    let machine = node("n1", 11).as_vm().with_packages([
        "build-essential",
        "python3-dev",
        "python3-venv",
        "git",
        "git-review",
        "ccache",
        "openjdk-17-jre-headless",
    ]);
    let site = Site::up(&format!("{SSH}{JENKINS}{vars}"), nodes, [machine, node("server", 12)]);
    std::fs::write(site.lab().www().join("fixture.img"), "hello\n").unwrap();
    let (model, _door) = jenkins(&site);
    let first = site.apply();
    first.good();
    eprintln!("{:#?} {:#?}", first.changed("n1"), first.proofs("n1"));
    assert_skips_are_reviewed("devstack-node", &[(&first, "n1")], &["devstack-node"]);
    assert_eq!(model.state().nodes["n1"].label, "devstack_slave", "{}", first.told());
    site.apply().nothing_to_do();
    let kernel = "cat /proc/sys/kernel/yama/ptrace_scope; ls -d /sys/module/iscsi_tcp; cat /etc/modules-load.d/*iscsi_tcp*";
    assert_eq!(site.sh("n1", kernel), "0\n/sys/module/iscsi_tcp\niscsi_tcp");

    // Kernel settings and modules drift like everything else.
    site.sh("n1", "sysctl -q kernel.yama.ptrace_scope=1; modprobe -r br_netfilter");
    let second = site.apply();
    second.good();
    assert_eq!(second.changed("n1"), ["kernel_module br_netfilter", "sysctl kernel.yama.ptrace_scope"], "{}", second.told());
    site.apply().nothing_to_do();
}

#[test]
fn a_devstack_node_is_refused_on_a_small_machine_that_shares_its_kernel_with_each_number() {
    let vars = "vars:
  jenkins-agent: {master: ci, credential: launch-key}
  git-cache: {upstreams: [\"http://10.78.0.11:8081\"], repositories: [lab/devstack]}
  devstack-node: {label: devstack_slave}
";
    let nodes = "nodes:\n  n1: {host: 10.78.0.11, roles: [devstack-node]}\n";
    let site = Site::up(&format!("{SSH}{JENKINS}{vars}"), nodes, [node("n1", 11).with_disk_mb(3072)]);
    site.secret("jenkins", "a-password");
    site.secret("launch", "-----BEGIN OPENSSH PRIVATE KEY-----\nnone\n-----END OPENSSH PRIVATE KEY-----\n");
    let traces = "find /etc /usr/local /var/lib/dpkg /opt /srv -xdev -newer /etc/hostname | sort; cut -d: -f1 /etc/passwd; dpkg-query -W | sha256sum";
    let before = site.sh("n1", traces);
    let refused = site.apply().good_with(6);
    let number = |verdict: &serde_json::Value, key: &str| verdict["fail"][key].as_str().unwrap_or_default().to_owned();
    let told: Vec<[String; 4]> = refused
        .refused("n1")
        .iter()
        .map(|(check, verdict)| [check.clone(), number(verdict, "wanted"), number(verdict, "found"), number(verdict, "missing")])
        .collect();
    let [size, free, kernel] = told.as_slice() else { panic!("{told:#?}") };
    assert_eq!(*size, ["disk /opt", "a file system of at least 40 GiB below /opt", "/ (overlay) is 3 GiB", "37 GiB"]);
    assert_eq!([&free[0], &free[1]], ["disk /opt", "40 GiB free for /opt, for 1 executors"]);
    assert!(free[2].starts_with("/ (overlay) has ") && free[2].contains(" GiB free"), "{free:?}");
    let release = site.on("n1", &["uname", "-r"]);
    assert_eq!([&kernel[0], &kernel[1]], ["kernel", "a kernel of its own"]);
    assert_eq!(kernel[2], format!("kernel {release}, shared with the host"));

    // The memory of this machine is enough by default; its number is told where it is not.
    site.replace("ostler.yaml", "{label: devstack_slave}", "{memory: 4 TiB}");
    let refused = site.apply().good_with(6);
    let memory = refused.refused("n1").into_iter().find(|(check, _)| check == "memory").map(|(_, verdict)| verdict["fail"].clone());
    let memory = memory.unwrap_or_else(|| panic!("{}", refused.told()));
    assert_eq!((memory["wanted"].as_str(), memory["missing"].as_str()), (Some("at least 4 TiB"), Some("4 TiB")), "{memory}");
    assert_eq!(before, site.sh("n1", traces), "nothing was changed");
}
