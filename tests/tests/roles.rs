//! The role library on real nodes: each role applied twice, first the exact set of changed resources, then none.

use std::net::Ipv4Addr;

use ostler::lab::{LabNode, Suite};
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
