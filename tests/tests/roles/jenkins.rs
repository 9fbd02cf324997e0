//! The roles that bring a node to a Jenkins, and those of a devstack.

mod java_apt;

use crate::*;
use ostler::lab::BRIDGE;
use ostler_tests::jenkins::door::Door;
use ostler_tests::jenkins::{Model, Permission, SshHost, User, Version};
use std::net::SocketAddr;
use std::time::Duration;

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
    state.hosts = vec![SshHost { host: "10.78.0.11".to_owned(), port: 22, host_key, java: 17 }];
    state.build_elsewhere = site.over_ssh("jenkins", "n1", "cd /home/jenkins/workspaces && exec /bin/sh -xe 2>&1");
    drop(state);
    let door = Door::open(site.lab(), env!("CARGO_BIN_EXE_lab-door"), address, model.address());
    (model, door)
}

/// The resource that lets the master in: the public half of the lab's key.
fn launch_key(site: &Site) -> String {
    let public = std::fs::read_to_string(site.lab().ssh_key().with_extension("pub")).unwrap();
    let data = public.split(' ').nth(1).unwrap().to_owned();
    format!("authorized_key jenkins/ssh-ed25519 ...{}", &data[data.len() - 12..])
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
    let own = [&launch_key(&site), "package openjdk-17-jre-headless", "directory /home/jenkins/workspaces"];
    assert_changed(&first, "n1", &[&BASE, &JOB_USER, &own]);
    assert_eq!(first.proofs("n1"), ["login jenkins", "command java-runs"]);
    assert_skips_are_reviewed("jenkins-agent", &[(&first, "n1")], &["base", "job-user", "jenkins-agent"]);
    assert_eq!(first.recap("n1")["labels"], serde_json::json!(["debian"]), "{}", first.told());
    assert_eq!(model.state().nodes["n1"].label, "debian");
    site.apply().nothing_to_do();
}

#[test]
fn a_jenkins_agent_has_its_java_from_an_archive_where_the_distributions_is_too_old() {
    // What stands in for Java: it says a version.
    let made = tempfile::tempdir().unwrap();
    let script =
        "mkdir -p jdk-21/bin && printf '#!/bin/sh\\necho openjdk version 21 >&2\\n' > jdk-21/bin/java && chmod 755 jdk-21/bin/java &&
        tar -czf java.tar.gz jdk-21 && sha256sum java.tar.gz";
    let summed = std::process::Command::new("sh").args(["-euc", script]).current_dir(made.path()).output().unwrap();
    let sha256 = String::from_utf8_lossy(&summed.stdout).split(' ').next().unwrap().to_owned();
    let vars = format!(
        "vars:
  job-user: {{authorized_keys: [\"{{{{ secret.launch | public_half }}}}\"]}}
  jenkins-agent:
    master: ci
    credential: launch-key
    labels: [debian]
    java_version: 17
    java_archive: {{url: \"http://10.78.0.1:8088/java.tar.gz\", sha256: {sha256}}}
"
    );
    let nodes = "nodes:\n  n1: {host: 10.78.0.11, roles: [jenkins-agent]}\n";
    let site = Site::up(&format!("{SSH}{JENKINS}{vars}"), nodes, [node("n1", 11)]);
    std::fs::copy(made.path().join("java.tar.gz"), site.lab().www().join("java.tar.gz")).unwrap();
    let (model, _door) = jenkins(&site);
    model.state().version = Version::V2_568;
    model.state().hosts[0].java = 21;
    // An unpacking that was cut.
    let place = format!("/opt/jenkins-agent-java/{sha256}");
    site.sh("n1", &format!("mkdir -p {place}/lib {place}.part/lib"));

    // A master that wants a newer one says so before the node is touched, and is not told of it.
    let first = site.apply().good_with(1);
    let trouble = first.recap("n1")["trouble"].as_str().unwrap().to_owned();
    assert!(trouble.contains("Jenkins 2.568.2 wants Java 21 on its agents, and node `n1` has Java 17"), "{trouble}");
    assert!(model.state().nodes.is_empty(), "{}", first.told());
    assert_eq!(first.changed("n1"), Vec::<String>::new(), "{}", first.told());

    site.replace("ostler.yaml", "java_version: 17", "java_version: 21");
    let second = site.apply();
    second.good();
    let changed = second.changed("n1");
    let own = [format!("download {place}.tar"), "command jenkins-agent-java".to_owned(), "link /usr/local/bin/java".to_owned()];
    assert!(own.iter().all(|one| changed.contains(one)), "{changed:?}");
    assert!(!changed.iter().any(|one| one.starts_with("package openjdk")), "{changed:?}");
    assert_eq!(site.sh("n1", &format!("ls {place}; java 2>&1; ls -d {place}.part 2>/dev/null || true")), "bin\nopenjdk version 21");
    assert_eq!(model.state().nodes["n1"].label, "debian");
    site.apply().nothing_to_do();

    // Without the archive it is the distribution's that runs, and no more the archive's that stood before it.
    let found = || site.sh("n1", "readlink -f $(command -v java)");
    assert!(found().starts_with(&place), "{}", found());
    let archive = format!("\n    java_archive: {{url: \"http://10.78.0.1:8088/java.tar.gz\", sha256: {sha256}}}");
    site.replace("ostler.yaml", &format!("java_version: 21{archive}"), "java_version: 17");
    model.state().version = Version::V2_532;
    model.state().hosts[0].java = 17;
    let third = site.apply();
    third.good();
    assert!(third.changed("n1").contains(&"command jenkins-agent-java-of-no-archive".to_owned()), "{}", third.told());
    assert!(found().starts_with("/usr/lib/jvm/java-17-openjdk-"), "{}", found());
    site.apply().nothing_to_do();
    // One that an admin has put there is his.
    site.sh("n1", "ln -s /bin/true /usr/local/bin/java");
    site.apply().nothing_to_do();
    assert_eq!(site.sh("n1", "readlink /usr/local/bin/java"), "/bin/true");
}

/// What `devstack-node` changes of its own, on a machine that has its build tools.
const DEVSTACK: [&str; 15] = [
    "package open-iscsi",
    "link /usr/local/bin/gcc",
    "link /usr/local/bin/g++",
    "link /usr/local/bin/cc",
    "link /usr/local/bin/c++",
    "kernel_module iscsi_tcp",
    "kernel_module dm_thin_pool",
    "kernel_module br_netfilter",
    "service iscsid",
    "sysctl kernel.yama.ptrace_scope",
    "directory /opt/stack",
    "directory /opt/cache/files",
    "download /opt/cache/files/fixture.img",
    "directory /home/jenkins/cache",
    "link /home/jenkins/cache/files",
];

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
    // A new initial ram disk takes this slow machine minutes, and nothing here boots from it.
    site.sh("n1", "sed -i s/=yes/=no/ /etc/initramfs-tools/update-initramfs.conf");
    let first = site.apply();
    first.good();
    let key = launch_key(&site);
    let sudo = [key.as_str(), "file /etc/sudoers.d/50-jenkins"];
    assert_changed(&first, "n1", &[&BASE, &JOB_USER, &sudo, &["directory /home/jenkins/workspaces"], &GIT_CACHE[1..], &DEVSTACK]);
    let proofs = ["login jenkins", "command sudo-works", "command java-runs", "command clone-from-cache"];
    let own = ["command sudo-without-password", "command image-cache-writable", "kernel"];
    assert_eq!(first.proofs("n1"), [&proofs[..], &own].concat(), "{}", first.told());
    assert_eq!(first.triggered("n1"), ["reload service ssh"]);
    let all = ["base", "job-user", "jenkins-agent", "git-cache", "devstack-node"];
    assert_skips_are_reviewed("devstack-node", &[(&first, "n1")], &all);
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
    let shares = "2 GiB for /home/jenkins/workspaces (jenkins-agent, for 1 executor), 1 GiB for /opt/git (git-cache), \
                  40 GiB for /opt (devstack-node, for 1 executor)";
    assert_eq!(free[..2], ["disk /opt".to_owned(), format!("43 GiB free in all: {shares}")]);
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
