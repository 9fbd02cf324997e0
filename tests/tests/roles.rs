//! The role library on real nodes: each role applied twice, first the exact set of changed resources, then none.

use std::net::Ipv4Addr;
use std::process::Command;

use ostler::lab::{LabNode, Suite};
use ostler_tests::library::{assert_skips_are_reviewed, reviewed_lines, roles};
use ostler_tests::site::{Ran, Site};
use serde_json::json;

mod roles {
    mod at_once;
    mod jenkins;
    mod jobs;
}

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

/// What `base` changes on a node of the lab, whose timers are masked.
const BASE: [&str; 4] = ["package wget", "package ssl-cert", "file /etc/ssh/sshd_config.d/60-ostler.conf", "service ssh"];
/// What it changes on a machine whose timers run.
const BASE_AND_TIMERS: [&str; 6] = [
    "package wget",
    "package ssl-cert",
    "service apt-daily.timer",
    "service apt-daily-upgrade.timer",
    "file /etc/ssh/sshd_config.d/60-ostler.conf",
    "service ssh",
];
/// What `job-user` changes after it, without keys and without sudo.
const JOB_USER: [&str; 2] = ["user jenkins", "directory /home/jenkins/.ssh"];

/// Asserts the exact list of a node's changed resources, in order.
fn assert_changed(ran: &Ran, node: &str, wanted: &[&[&str]]) {
    assert_eq!(ran.changed(node), wanted.concat(), "{}", ran.told());
}

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
    let granted = ["authorized_key jenkins/ssh-ed25519 ...ZvFGzPfE5n9w", "file /etc/sudoers.d/50-jenkins"];
    assert_changed(&first, "n1", &[&BASE_AND_TIMERS, &JOB_USER, &granted]);
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

    // A key that leaked: nobody may log in any more, which is not the same as saying nothing of keys.
    let keys = || site.sh("n1", "grep -c ZvFGzPfE5n9w /home/jenkins/.ssh/authorized_keys || true");
    site.replace("ostler.yaml", &format!(", authorized_keys: [\"{KEY}\"]"), "");
    site.apply().nothing_to_do();
    assert_eq!(keys(), "1", "left alone");
    site.replace("ostler.yaml", "sudo: false", "sudo: false, authorized_keys: []");
    let revoked = site.apply();
    revoked.good();
    assert_eq!(revoked.changed("n1"), ["authorized_key jenkins/no others"], "{}", revoked.told());
    assert_eq!(keys(), "0", "revoked");
    site.apply().nothing_to_do();
}

const GIT_CACHE: [&str; 5] = [
    "package git",
    "directory /usr/local/lib/git-cache",
    "file /usr/local/lib/git-cache/try-clone",
    "directory /opt/git",
    "git_cache /opt/git",
];

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

    let mut served = BASE.to_vec();
    served.extend(["package git", "package nginx-light", "package fcgiwrap", "directory /srv/git", "directory /usr/local/lib/git-server"]);
    served.push("file /usr/local/lib/git-server/make-repository");
    let commands: Vec<String> = (1..=22).map(|number| format!("command repository-lab-project-{number}")).collect();
    served.extend(commands.iter().map(String::as_str));
    served.extend(["service git-daemon", "service git-http", "file /etc/nginx/conf.d/git-server.conf", "service nginx"]);
    assert_changed(&first, "server", &[&served]);
    assert_eq!(first.triggered("server"), ["reload service ssh", "reload service nginx"]);
    assert_eq!(first.proofs("server").len(), 2 + 2 * 22);
    assert_skips_are_reviewed("git-server", &[(&first, "server")], &["base", "git-server"]);

    assert_changed(&first, "n1", &[&BASE, &JOB_USER, &GIT_CACHE]);
    assert_eq!(first.proofs("n1"), ["login jenkins", "command clone-from-cache"]);
    assert_skips_are_reviewed("git-cache", &[(&first, "n1")], &["base", "job-user", "git-cache"]);
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

/// A node with a cache whose names come from a file of the site, another whose names come from a projects.yaml.
#[test]
fn a_git_cache_takes_its_names_from_a_list_or_a_projects_yaml_of_the_site() {
    let yaml = format!(
        "{SSH}vars:\n  git-server: {{repositories: [lab/one, lab/two, lab/three, other/four]}}\n  git-cache: {{upstreams: [\"http://{{{{ nodes.server.host }}}}:8081\"]}}\n"
    );
    let nodes = "nodes:
  server: {host: 10.78.0.11, roles: [git-server]}
  listed: {host: 10.78.0.12, roles: [git-cache], vars: {git-cache: {list: files/names.txt}}}
  declared: {host: 10.78.0.13, roles: [git-cache], vars: {git-cache: {projects: files/projects.yaml, required: [lab/one]}}}
";
    let site = Site::up(&yaml, nodes, [node("server", 11), node("listed", 12), node("declared", 13)]);
    site.write("files/names.txt", "# What jobs clone.\nlab/one\n\nlab/two  # and why\n");
    // One of the declared is nowhere: it is told of, and as it is not required, it is no failure.
    site.write("files/projects.yaml", "- project: lab/one\n  acl-config: /gone\n- project: other/four\n- project: lab/nowhere\n");
    // The home of accounts without one (Debian Policy 9.2.3): whatever runs as root with it may make it, closed to all others.
    site.sh("listed", "mkdir -m 700 /nonexistent");
    let first = site.apply();
    first.good();
    for (name, mirrors) in [("listed", "lab/one\nlab/two"), ("declared", "lab/one\nother/four")] {
        assert_changed(&first, name, &[&BASE, &JOB_USER, &GIT_CACHE]);
        assert_eq!(first.proofs(name), ["login jenkins", "command clone-from-cache"]);
        assert_eq!(site.sh(name, "cd /opt/git; find . -name HEAD -path './*/*/HEAD' -printf '%P\\n' | sed s,/HEAD,, | sort"), mirrors);
        assert_eq!(site.sh(name, "runuser -u jenkins -- git -C /opt/git/lab/one rev-list --count main"), "20");
    }
    assert!(first.notes("declared", "git_cache /opt/git").iter().any(|note| note.contains("lab/nowhere")), "{}", first.told());
    assert_eq!(first.notes("listed", "git_cache /opt/git"), [""; 0], "{}", first.told());
    assert_skips_are_reviewed("git-cache-list", &[(&first, "listed")], &["base", "job-user", "git-cache"]);
    assert_skips_are_reviewed("git-cache-projects", &[(&first, "declared")], &["base", "job-user", "git-cache"]);
    site.run(&["apply", "--yes", "--limit", "listed"]).nothing_to_do();

    // Without names it tries the mirrors that are there; a cache without one is no proof of anything.
    let try_clone = "runuser -u jenkins -- /usr/local/lib/git-cache/try-clone";
    let remote = "git -C /opt/git/lab/one symbolic-ref refs/remotes/origin/HEAD refs/heads/main";
    site.sh("listed", &format!("runuser -u jenkins -- {remote}; test -f /opt/git/lab/one/refs/remotes/origin/HEAD"));
    assert_eq!(site.sh("listed", &format!("{try_clone} /opt/git")), "2 cloned");
    assert_eq!(site.sh("listed", &format!("mkdir /srv/none; {try_clone} /srv/none 2>&1 || true")), "no mirror below /srv/none");

    // A name more in the file is a mirror more; a name less stays: a cache forgets nothing by itself.
    site.write("files/names.txt", "lab/one\nlab/three\n");
    let second = site.run(&["apply", "--yes", "--limit", "listed"]);
    second.good();
    assert_changed(&second, "listed", &[&["git_cache /opt/git"]]);
    site.sh("listed", "test -e /opt/git/lab/three/HEAD");
    site.run(&["apply", "--yes", "--limit", "listed"]).nothing_to_do();

    // None of the three: refused with the role's own words. Two of them: refused with both places. Nothing is changed.
    site.write("nodes.yaml", &nodes.replace("{list: files/names.txt}", "{workers: 4}"));
    let refused = site.run(&["apply", "--yes", "--limit", "listed"]).good_with(6);
    let [(check, verdict)] = &refused.refused("listed")[..] else { panic!("{}", refused.told()) };
    assert!(check.starts_with("assert "), "{check}");
    assert!(verdict.to_string().contains("git-cache takes its names from one of `repositories`, `list` and `projects`"), "{verdict}");
    site.write("nodes.yaml", &nodes.replace("{list: files/names.txt}", "{list: files/names.txt, repositories: [lab/one]}"));
    let refused = site.run(&["apply", "--yes", "--limit", "listed"]).good_with(3);
    assert!(refused.told().contains("git-cache declares `git_cache /opt/git` twice, with different `repositories`"), "{}", refused.told());
}

const BUILDBOT: &str = "masters:
  ci:
    buildbot:
      {url: \"http://{{ nodes.master.host }}:8010/\", node: master, user: ostler, password: \"{{ secret.buildbot }}\"}
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
    // Its machine has steps in this very run: the master, which is not there yet, is asked after them.
    let planned = site.run(&["plan"]);
    planned.good();
    let masters = |ran: &Ran| ran.lines.iter().filter(|line| line["type"] == "planned_master").cloned().collect::<Vec<_>>();
    let later = json!({"v": 1, "type": "planned_master", "master": "ci", "state": "later", "machine": "master", "executors": 1});
    assert_eq!(masters(&planned), std::slice::from_ref(&later), "{}", planned.told());
    let first = site.apply();
    first.good();
    assert_eq!(masters(&first), [later], "{}", first.told());

    let scripts = "/usr/local/lib/buildbot";
    let mut wanted = BASE.map(str::to_owned).to_vec();
    wanted.extend(["package python3", "package python3-venv", "user buildbot"].map(str::to_owned));
    wanted.push(format!("directory {scripts}"));
    wanted.extend(["install-venv", "await-ports", "reload-master", "master-requirements.txt"].map(|name| format!("file {scripts}/{name}")));
    wanted.push("command buildbot-master-venv".to_owned());
    wanted.extend(["", "/master", "/master/workers.d", "/master/secrets"].map(|name| format!("directory /var/lib/buildbot{name}")));
    let files =
        ["secrets/worker-password", "secrets/worker-passwords.json", "secrets/password", "buildbot.tac", "master.cfg", "master.json"];
    wanted.extend(files.map(|name| format!("file /var/lib/buildbot/master/{name}")));
    wanted.push("service buildbot-master".to_owned());
    assert_eq!(first.changed("master"), wanted, "{}", first.told());

    let mut wanted =
        [&BASE[..], &JOB_USER, &["package python3", "package python3-venv"]].concat().into_iter().map(str::to_owned).collect::<Vec<_>>();
    wanted.push(format!("directory {scripts}"));
    wanted.extend(["install-venv", "worker-requirements.txt"].map(|name| format!("file {scripts}/{name}")));
    wanted.push("command buildbot-worker-venv".to_owned());
    wanted.extend(["/home/jenkins/buildbot", "/etc/buildbot-worker"].map(|name| format!("directory {name}")));
    wanted.extend(["worker.tac", "worker.json", "password"].map(|name| format!("file /etc/buildbot-worker/{name}")));
    wanted.push("service buildbot-worker".to_owned());
    assert_eq!(first.changed("n1"), wanted, "{}", first.told());
    assert_skips_are_reviewed("buildbot-master", &[(&first, "master")], &["base", "buildbot-master"]);
    assert_skips_are_reviewed("buildbot-worker", &[(&first, "n1")], &["base", "job-user", "buildbot-worker"]);

    // Quarantined, connected, proved by a job on the real master, labelled.
    let mut said = first.masters("n1");
    said.retain(|text| !text.starts_with("waits until ")); // it knocks all the time, and may be in before anybody looks
    let wanted = [
        "created, quarantined",
        "the master has loaded it",
        "online; smoke job asked for",
        "smoke job runs: http://10.78.0.11:8010/#/builders/",
        "smoke job green",
        "attaching labels (labels: none -> debian)",
        "the master has loaded it",
    ];
    assert!(said.len() == wanted.len() && said.iter().zip(wanted).all(|(text, words)| text.starts_with(words)), "{said:#?}");
    assert_eq!(first.recap("n1")["labels"], json!(["debian"]));

    let traces = "systemctl show -p MainPID -p ExecMainStartTimestampMonotonic buildbot-master; ls -lR --time-style=full-iso /var/lib/buildbot/master/workers.d;
         journalctl -u buildbot-master | grep -c 'configuration update complete'";
    let before = site.sh("master", traces);
    let second = site.apply();
    second.nothing_to_do();
    assert_eq!(masters(&second).iter().map(|line| &line["state"]).collect::<Vec<_>>(), ["asked"], "{}", second.told());
    assert_eq!(second.recap("n1")["labels"], json!(["debian"]));
    assert_eq!(before, site.sh("master", traces), "the second run writes and reloads nothing");

    names_who_is_left_with_an_old_password(&site);

    // A node that changed proves itself again.
    site.sh("n1", "echo drift >> /etc/buildbot-worker/worker.json");
    let third = site.apply();
    third.good();
    assert_eq!(third.changed("n1"), ["file /etc/buildbot-worker/worker.json", "service buildbot-worker"]);
    assert_eq!(third.triggered("n1"), ["restart service buildbot-worker"]);
    assert!(third.masters("n1").iter().any(|text| text.starts_with("smoke job green")), "{}", third.told());
    site.apply().nothing_to_do();

    // A master that was stopped is started, and what its unchanged worker proves of it is asked when it is there, in one run.
    site.sh("master", "systemctl stop buildbot-master");
    let mended = site.apply();
    mended.good();
    assert_eq!((mended.changed("master"), mended.changed("n1")), (vec!["service buildbot-master".to_owned()], Vec::new()));
    assert_eq!(mended.recap("n1")["labels"], json!(["debian"]), "{}", mended.told());

    // Under another name it is another worker; the one before is told of, and so is whose it was.
    site.replace("ostler.yaml", "{master: ci, ", "{master: ci, name: n1-new, ");
    site.apply().good();
    let plan = site.run(&["plan", "--detailed-exitcode"]).good_with(0);
    let there = plan.lines.iter().find(|line| line["type"] == "planned_master").unwrap();
    let renamed = json!([{ "from": "n1", "node": "n1", "to": ["n1-new"] }]);
    assert_eq!((&there["orphans"], &there["renamed"]), (&json!(["n1"]), &renamed), "{}", plan.told());
    shows_no_secret_that_a_smoke_job_prints(&site);
}

/// A red smoke job whose console has the master's own password, as it is and in base64: the last lines are shown, and not that.
fn shows_no_secret_that_a_smoke_job_prints(site: &Site) {
    let leak = "#!/bin/sh\necho it is a-password-of-the-web-interface\nprintf %s a-password-of-the-web-interface | base64\nexit 1\n";
    site.on("n1", &["sh", "-euc", "printf %s \"$0\" > /usr/local/bin/leak; chmod 755 /usr/local/bin/leak", leak]);
    site.write("roles/leaky.yaml", "role: leaky\nsummary: Prints.\nsmoke:\n  - command: {name: leak, run: [/usr/local/bin/leak]}\n");
    site.replace("nodes.yaml", "roles: [buildbot-worker]", "roles: [buildbot-worker, leaky]");
    // The last lines are for people.
    let red = site.command(&["apply", "--yes", "--output", "human"]).output().unwrap();
    let said = [red.stdout, red.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert_eq!(red.status.code(), Some(1), "{said}");
    assert!(said.contains("it is ***"), "{said}");
    const FORMS: [&str; 2] = ["password-of-the-web", "YS1wYXNzd29yZC1vZi10aGUtd2Vi"];
    assert!(!FORMS.iter().any(|form| said.contains(form)), "{said}");
    // Nor is it kept, on either side.
    for node in ["n1", "master"] {
        let words = FORMS.map(|form| format!("-e {form}")).join(" ");
        let found = site.sh(node, &format!("ls /var/lib/ostler/runs | grep -q .; grep -rlF {words} /var/lib/ostler /run/ostler || true"));
        assert_eq!(found, "", "{node}");
    }
    let state = site.root().join("../state");
    let found = Command::new("grep").args(["-rlF", "-e", FORMS[0], "-e", FORMS[1]]).arg(state).output().unwrap();
    // 1: it looked, and there was none.
    assert_eq!((String::from_utf8_lossy(&found.stdout).as_ref(), found.status.code()), ("", Some(1)));
}

/// Another password for the workers, of which the master's machine alone hears: who is left behind stands in its plan.
fn names_who_is_left_with_an_old_password(site: &Site) {
    let notes = |plan: &ostler_tests::site::Ran, node: &str| {
        plan.lines.iter().find(|line| line["type"] == "plan" && line["node"] == node).unwrap()["notes"].to_string()
    };
    let master_alone = || notes(&site.run(&["plan", "-l", "master"]), "master");
    assert!(!master_alone().contains("n1"));

    // Another mode replaces nothing; nor does a first list with nobody on it.
    let secrets = "/var/lib/buildbot/master/secrets";
    site.sh("master", &format!("chmod 640 {secrets}/worker-password; rm {secrets}/worker-passwords.json"));
    assert!(!master_alone().contains("n1"), "{}", master_alone());
    // On a first list: no longer let in with what all others show. And whoever else is on it: not.
    let left = "ci: passwords of workers change; no part of this run, and no longer let in with the old one until they are applied: n1";
    site.secret("own", "a-password-of-its-own");
    let shared = "worker_password: \"{{ secret.worker }}\"";
    let listed = |worker: &str| format!("{shared}, worker_passwords: [{{name: {worker}, password: \"{{{{ secret.own }}}}\"}}]");
    site.replace("ostler.yaml", shared, &listed("n1"));
    assert!(master_alone().contains(left), "{}", master_alone());
    site.replace("ostler.yaml", &listed("n1"), &listed("n2"));
    assert!(!master_alone().contains("n1"), "{}", master_alone());
    // One that is replaced is another one for some.
    site.sh("master", &format!("printf '[]' > {secrets}/worker-passwords.json"));
    let perhaps = "ci: the list of workers' own passwords changes; no part of this run, and no longer let in until they are applied where \
        theirs is another one now: n1";
    assert!(master_alone().contains(perhaps) && !master_alone().contains(left), "{}", master_alone());
    site.replace("ostler.yaml", &listed("n2"), shared);

    site.write("another", "another-password-of-the-workers");
    site.run(&["secret", "set", "worker", "--replace", "--from", site.root().join("another").to_str().unwrap()]).good();
    assert!(master_alone().contains(left), "{}", master_alone());
    let both = site.run(&["plan"]);
    assert!(!notes(&both, "master").contains("no longer let in"), "{}", both.told());
    assert!(both.plan("n1").iter().any(|step| step == "file /etc/buildbot-worker/password"), "{}", both.told());
    site.apply().good();
    site.apply().nothing_to_do();
}

#[test]
fn a_worker_whose_name_another_machine_has_taken_gets_no_labels_until_it_is_its_own() {
    let nodes = |n1: &str, n2: &str| {
        let master = "master: {host: 10.78.0.11, roles: [buildbot-master]}";
        format!("nodes:\n  {master}\n  n1: {{host: 10.78.0.12, roles: [{n1}]}}\n  n2: {{host: 10.78.0.13, roles: [{n2}}}\n")
    };
    let site =
        Site::up(&format!("{SSH}{BUILDBOT}"), &nodes("buildbot-worker", "base]"), [node("master", 11), node("n1", 12), node("n2", 13)]);
    site.secret("buildbot", "a-password-of-the-web-interface");
    site.secret("worker", "a-password-of-the-workers");
    site.serve_wheels();
    site.apply().good();
    // n1 has another role now; its worker goes on, and is connected by the name that n2 has. That of n2 is not let in.
    site.secret("other", "a-password-of-no-worker");
    let taken = |more: &str| nodes("base", &format!("buildbot-worker], vars: {{buildbot-worker: {{name: n1{more}}}}}"));
    site.write("nodes.yaml", &taken(", password: \"{{ secret.other }}\""));
    for _ in 0..2 {
        let ran = site.apply().good_with(1);
        let trouble = ran.recap("n2")["trouble"].as_str().unwrap().to_owned();
        assert!(
            trouble.starts_with("not registered: smoke job: ran on another machine: it did not show what n2 alone was given"),
            "{trouble}"
        );
        assert_eq!(ran.recap("n2")["labels"], json!([]));
        assert_eq!(site.sh("master", "grep -c quarantined.*true /var/lib/buildbot/master/workers.d/n1.json"), "1");
    }
    // The right password is of no use while n1 is connected: the master refuses the second of one name, and it ends.
    site.write("nodes.yaml", &taken(""));
    let refused = site.apply().good_with(1);
    assert!(refused.recap("n2")["trouble"].as_str().unwrap().contains("does not stay up"), "{}", refused.told());
    site.sh("n1", "systemctl stop buildbot-worker");
    let own = site.apply();
    own.good();
    assert_eq!(own.recap("n2")["labels"], json!(["debian"]), "{}", own.told());
    site.apply().nothing_to_do();
}

/// The labels and roles of `assert_skips_are_reviewed` in these files.
#[test]
fn every_role_of_the_library_is_applied_here_and_no_reviewed_skip_is_stale() {
    let source = concat!(include_str!("roles.rs"), include_str!("roles/jenkins.rs"));
    let calls: Vec<&str> = source.split("assert_skips_are_reviewed(\"").skip(1).filter_map(|rest| rest.split(");").next()).collect();
    let labels: Vec<&str> = calls.iter().filter_map(|call| call.split('"').next()).collect();
    for role in roles() {
        // Each role has a run in which its own steps are reviewed, under its own name or another's.
        assert!(labels.contains(&role.as_str()) || calls.iter().any(|call| call.contains(&format!("\"{role}\""))), "{role} is not applied");
    }
    let stale: Vec<String> =
        reviewed_lines().into_iter().map(|(label, _)| label).filter(|label| !labels.contains(&label.as_str())).collect();
    assert_eq!(stale, [""; 0], "labels of tests/data/roles/skipped.txt");
}
