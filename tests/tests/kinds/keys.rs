//! Keys that let in: where this node's sshd reads them, with what other steps make of the same paths, and not without us.

use ostler_tests::site::{Ran, Site};
use serde_json::{Value, json};

const FOREIGN: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEuZxsRzUqCg0XyG4dkIKXMXe6Y4yN1RZvFGzPfE5n9w one@kinds";

fn site() -> Site {
    crate::site("keys", crate::node())
}

/// The key of whoever runs this test.
fn ours(site: &Site) -> String {
    std::fs::read_to_string(site.lab().ssh_key().with_extension("pub")).unwrap().trim().to_owned()
}

fn apply(site: &Site, steps: &[Value]) -> Ran {
    crate::write_role(site, "keys", &[], &steps.iter().collect::<Vec<_>>());
    site.apply()
}

/// Applied well, and the second time nothing is left to do.
fn applied(site: &Site, steps: &[Value]) -> Ran {
    let ran = apply(site, steps);
    ran.good();
    site.apply().nothing_to_do();
    ran
}

fn lets_in(site: &Site, account: &str) -> bool {
    let (key, hosts) = (site.lab().ssh_key(), site.lab().known_hosts());
    let options = [format!("-oUserKnownHostsFile={}", hosts.display()), "-oBatchMode=yes".to_owned(), "-oIdentitiesOnly=yes".to_owned()];
    let mut words = vec!["ssh".to_owned(), "-F/dev/null".to_owned(), "-i".to_owned(), key.display().to_string()];
    words.extend(options);
    words.extend([format!("{account}@10.78.0.11"), "true".to_owned()]);
    site.lab().command(&words).output().unwrap().ended.is_success()
}

#[test]
fn a_key_is_written_where_this_sshd_reads_it_which_is_asked_once() {
    let site = site();
    // Every question to sshd is counted; a connection is none.
    site.sh(
        "n1",
        r#"mkdir /etc/ssh/keys; install -m 644 /home/admin/.ssh/authorized_keys /etc/ssh/keys/admin; useradd -m -s /bin/sh ci
        mv /usr/sbin/sshd /usr/sbin/sshd.real
        printf '#!/bin/sh\ncase "$1" in -T) echo >> /run/asked;; esac\nexec /usr/sbin/sshd.real "$@"\n' > /usr/sbin/sshd; chmod 755 /usr/sbin/sshd
        echo 'AuthorizedKeysFile /etc/ssh/keys/%u' > /etc/ssh/sshd_config.d/keys.conf; systemctl reload ssh"#,
    );
    let asked = || site.sh("n1", "wc -l < /run/asked");
    let key = |more: Value| {
        let mut body = json!({"user": "ci", "key": ours(&site)});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"authorized_key": body})
    };
    applied(&site, &[key(json!({}))]);
    assert!(lets_in(&site, "ci"));
    assert_eq!(site.sh("n1", "stat -c '%U %a' /etc/ssh/keys/ci; ls -A /home/ci/.ssh 2>&1 | grep -c 'No such'"), "root 644\n1");
    let before = asked();
    site.apply().nothing_to_do();
    assert_eq!(asked(), before, "what it said is remembered");
    // Another configuration is asked of anew, once, also where nothing is to be done.
    site.sh("n1", "echo '# another line' >> /etc/ssh/sshd_config.d/keys.conf");
    site.apply().nothing_to_do();
    let anew = asked();
    assert_ne!(anew, before, "it may say something else");
    site.apply().nothing_to_do();
    assert_eq!(asked(), anew, "what it said then is remembered too");
    // What else stands there lets in too.
    site.sh("n1", &format!("echo '{FOREIGN}' >> /etc/ssh/keys/ci"));
    applied(&site, &[key(json!({"exclusive": true}))]);
    assert_eq!(site.sh("n1", "grep -c ZvFGzPfE5n9w /etc/ssh/keys/ci || true"), "0");
    applied(&site, &[key(json!({"absent": true}))]);
    assert!(!lets_in(&site, "ci"));
    // What cannot be promised is refused by its name.
    let refused = |setting: &str, more: Value, why: &str| {
        site.sh("n1", &format!("printf 'Match User ci\n{setting}\n' > /etc/ssh/sshd_config.d/ci.conf"));
        let ran = apply(&site, &[key(more)]).good_with(6);
        assert!(ran.impossible("n1").iter().any(|(_, said)| said.contains(why)), "{}", ran.told());
    };
    refused("PubkeyAuthentication no", json!({}), "sshd takes no keys of ci");
    refused("AuthorizedKeysFile none", json!({}), "sshd reads no file of keys for ci");
    refused(
        "AuthorizedKeysCommand /bin/echo\nAuthorizedKeysCommandUser nobody",
        json!({"exclusive": true}),
        "AuthorizedKeysCommand /bin/echo",
    );
}

#[test]
fn a_key_lets_in_only_where_sshd_may_read_it_as_the_account() {
    let site = site();
    let key = [json!({"authorized_key": {"user": "ci", "key": ours(&site)}})];
    let there = format!("printf '%s\\n' '{}'", ours(&site));
    // Trusted as root's own, and closed to who reads it.
    site.sh("n1", &format!("useradd -m -s /bin/sh ci; install -d -m 700 /home/ci/.ssh; {there} > /home/ci/.ssh/authorized_keys"));
    assert!(!lets_in(&site, "ci"));
    applied(&site, &key);
    assert!(lets_in(&site, "ci"));
    // One that a group of the account, or an ACL, lets pass is well as it is.
    site.sh("n1", "groupadd team; usermod -aG team ci; chown root:team /home/ci/.ssh; chmod 750 /home/ci/.ssh");
    assert!(lets_in(&site, "ci"));
    apply(&site, &key).nothing_to_do();
    assert_eq!(site.sh("n1", "stat -c '%U %a' /home/ci/.ssh"), "root 750");

    site.sh(
        "n1",
        "install -d -m 700 /etc/ssh/keys; echo 'AuthorizedKeysFile /etc/ssh/keys/%u' > /etc/ssh/sshd_config.d/keys.conf
        install -m 644 /home/admin/.ssh/authorized_keys /etc/ssh/keys/admin; chmod 711 /etc/ssh/keys; systemctl reload ssh",
    );
    applied(&site, &key);
    assert!(lets_in(&site, "ci"));
    // The directory is the admin's own: it is named, and not opened by us.
    site.sh("n1", "chown root:team /etc/ssh/keys; chmod 700 /etc/ssh/keys; chown -R ci: /etc/ssh/keys/ci; gpasswd -a admin team; chmod 710 /etc/ssh/keys; gpasswd -d ci team");
    assert!(!lets_in(&site, "ci"));
    let failed = apply(&site, &key).good_with(1);
    let (_, why) = failed.failed("n1").remove(0);
    assert!(why.contains("/etc/ssh/keys is 0710 and belongs to uid 0: ci, as whom sshd reads, may not pass"), "{why}");
    assert!(why.contains("chmod o+x /etc/ssh/keys"), "{why}");
    // Who opens it in the same role is asked for no second run.
    let open = json!({"directory": {"path": "/etc/ssh/keys", "mode": "0711", "group": "team"}});
    applied(&site, &[open, key[0].clone()]);
    assert!(lets_in(&site, "ci"));
}

#[test]
fn what_two_steps_do_to_one_path_is_planned_together_and_done_in_one_run() {
    let site = site();
    site.sh("n1", "useradd -m ci");
    let directory = json!({"directory": {"path": "/home/ci/.ssh", "owner": "ci", "mode": "0755"}});
    let key = |key: &str| json!({"authorized_key": {"user": "ci", "key": key}});
    let plan = |steps: &[Value]| {
        crate::write_role(&site, "keys", &[], &steps.iter().collect::<Vec<_>>());
        site.run(&["plan"])
    };
    let planned = plan(&[key(FOREIGN), directory.clone()]);
    let second = planned.planned("n1").into_iter().find(|(id, _)| id == "directory /home/ci/.ssh").unwrap().1;
    assert!(second["may_change"].is_object(), "{second}");
    applied(&site, &[key(FOREIGN), directory.clone()]);
    // Nor does a further key undo what the directory's own step has made of it, in whatever order.
    applied(&site, &[directory.clone(), key(FOREIGN), key(&ours(&site))]);
    assert_eq!(site.sh("n1", "stat -c '%U %a' /home/ci/.ssh /home/ci/.ssh/authorized_keys"), "ci 755\nci 600");
}

#[test]
fn the_key_that_we_came_by_is_not_taken_away_unless_another_of_ours_stays() {
    let site = site();
    let only = |key: &str| json!({"authorized_key": {"user": "admin", "key": key, "exclusive": true}});
    let refused = apply(&site, &[only(FOREIGN)]).good_with(6);
    let impossible = refused.impossible("n1");
    let said = impossible
        .iter()
        .any(|(_, why)| why.contains("it takes away the key that this connection logged in with") && why.contains("log in as admin"));
    assert!(said, "{}", refused.told());
    assert!(lets_in(&site, "admin"));
    applied(&site, &[only(FOREIGN), json!({"authorized_key": {"user": "admin", "key": ours(&site)}})]);
    assert!(lets_in(&site, "admin"));
}

#[test]
fn what_would_keep_us_out_is_refused_or_marked_in_the_plan() {
    let site = site();
    let ssh = |mode: &str| json!({"directory": {"path": "/home/admin/.ssh", "owner": "admin", "mode": mode}});
    for (step, why) in [
        (json!({"user": {"name": "admin", "absent": true}}), "it removes admin, the account that we come by"),
        (json!({"user": {"name": "admin", "shell": "/usr/sbin/nologin"}}), "gets /usr/sbin/nologin as its shell"),
        (json!({"service": {"name": "ssh", "state": "stopped"}}), "it stops ssh.service, by which we come"),
        (json!({"package": {"remove": ["openssh-server"]}}), "it removes the ssh server that we come by"),
        (ssh("0777"), "sshd trusts no keys of admin below /home/admin/.ssh"),
    ] {
        let refused = apply(&site, std::slice::from_ref(&step)).good_with(6);
        assert!(refused.impossible("n1").iter().any(|(_, said)| said.contains(why)), "{step}: {}", refused.told());
    }
    assert!(lets_in(&site, "admin"));
    applied(&site, &[ssh("0700"), json!({"file": {"path": "/etc/ssh/sshd_config.d/x.conf", "content": "MaxSessions 20\n"}})]);
    crate::write_role(&site, "keys", &[], &[&json!({"line": {"path": "/etc/ssh/sshd_config.d/x.conf", "line": "# another"}})]);
    let plan = site.run(&["plan"]).told();
    assert!(plan.contains("sshd goes by it: see that admin is still let in"), "{plan}");
    assert!(lets_in(&site, "admin"));
}

#[test]
fn what_sshd_reads_as_a_key_is_found_however_it_is_written() {
    let site = site();
    site.sh("n1", "useradd -m -s /bin/sh ci; install -d -m 700 -o ci -g ci /home/ci/.ssh");
    let key = ours(&site);
    let (algorithm, blob) = key.split_once(' ').unwrap();
    let only = json!({"authorized_key": {"user": "ci", "key": FOREIGN, "exclusive": true}});
    let gone = json!({"authorized_key": {"user": "ci", "key": key, "absent": true}});
    for (line, step) in [
        // To sshd `\\"` ends no quote; the key follows on the next one (OpenSSH misc.c, `opt_dequote`).
        (format!(r#"environment="A=\\" x " {key}"#), &only),
        (format!(r#"environment="A=\\" x " {key}"#), &gone),
        // base64 may be broken by what is a blank in C (b64_pton).
        (format!("{algorithm} {}\u{b}{}", &blob[..20], &blob[20..]), &gone),
    ] {
        let encoded = line.bytes().map(|byte| format!("\\{byte:03o}")).collect::<String>();
        site.sh("n1", &format!("printf '{encoded}\\n' > /home/ci/.ssh/authorized_keys; chown ci: /home/ci/.ssh/authorized_keys"));
        assert!(lets_in(&site, "ci"), "{line:?}");
        apply(&site, std::slice::from_ref(step)).good();
        assert!(!lets_in(&site, "ci"), "{line:?}");
        site.apply().nothing_to_do();
    }
}
