//! Trees with everything in them that must not be in an image.

use super::*;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::PathBuf;

struct Planted {
    _dir: tempfile::TempDir,
    root: PathBuf,
}

fn planted(files: &[(&str, &str)]) -> Planted {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    for (path, content) in files {
        let path = root.join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    fs::create_dir_all(root.join("etc")).unwrap();
    Planted { _dir: dir, root }
}

fn builder() -> Builder {
    Builder {
        hostname: "builder".into(),
        hosts: b"127.0.0.1 builder\n".to_vec(),
        resolvers: vec!["192.0.2.1".into()],
        proxies: vec!["http://192.0.2.9:3142".into()],
    }
}

fn options() -> SealOptions {
    SealOptions { builder: builder(), ..SealOptions::default() }
}

/// A file for each rule: its pattern with a letter for each star.
fn one_of_each() -> Vec<String> {
    rules::gone(true, true).map(|(pattern, _)| pattern.replace('*', "x")).collect()
}

#[test]
fn what_every_rule_names_is_found_taken_out_and_not_found_again() {
    let each = one_of_each();
    // A file and a directory of the same name cannot both be there.
    let files: Vec<(&str, &str)> = each.iter().map(|path| (path.as_str(), "x")).collect();
    let tree = planted(&files);
    fs::write(tree.root.join("etc/machine-id"), "").unwrap();
    let found: Vec<String> = check(&tree.root, &options()).unwrap().into_iter().map(|remains| remains.path).collect();
    for path in &each {
        assert!(found.contains(path), "{path} is not looked for: {found:?}");
    }
    let sealed = seal(&tree.root, &options()).unwrap();
    assert!(each.iter().all(|path| sealed.removed.contains(path) && !tree.root.join(path.trim_start_matches('/')).exists()), "{sealed:?}");
    assert_eq!(check(&tree.root, &options()).unwrap(), []);
    let kept = SealOptions { apt_lists: Stay::Keep, apt_archives: Stay::Keep, ..options() };
    let lists = planted(&[("/var/lib/apt/lists/x", "x"), ("/var/cache/apt/archives/x.deb", "x")]);
    seal(&lists.root, &kept).unwrap();
    assert!(lists.root.join("var/lib/apt/lists/x").exists() && lists.root.join("var/cache/apt/archives/x.deb").exists());
}

#[test]
fn a_machine_id_is_there_with_zero_bytes_and_the_bus_has_the_same() {
    let tree = planted(&[
        ("/etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
        ("/var/lib/dbus/machine-id", "0123456789abcdef0123456789abcdef\n"),
    ]);
    let found = check(&tree.root, &options()).unwrap();
    assert_eq!(found.iter().map(|remains| &*remains.path).collect::<Vec<_>>(), ["/etc/machine-id", "/var/lib/dbus/machine-id"]);
    seal(&tree.root, &options()).unwrap();
    let id = fs::metadata(tree.root.join("etc/machine-id")).unwrap();
    assert_eq!((id.len(), id.permissions().mode() & 0o7777), (0, 0o444));
    assert_eq!(fs::read_link(tree.root.join("var/lib/dbus/machine-id")).unwrap(), Path::new("/etc/machine-id"));
    for wrong in ["uninitialized\n", "\n"] {
        fs::remove_file(tree.root.join("etc/machine-id")).unwrap();
        fs::write(tree.root.join("etc/machine-id"), wrong).unwrap();
        assert_eq!(check(&tree.root, &options()).unwrap().len(), 1, "{wrong:?}");
    }
    fs::remove_file(tree.root.join("etc/machine-id")).unwrap();
    assert_eq!(check(&tree.root, &options()).unwrap().len(), 1);
}

#[test]
fn what_is_the_builders_goes_and_what_a_role_wrote_stays() {
    let own = planted(&[
        ("/etc/hosts", "127.0.0.1 builder\n"),
        ("/etc/resolv.conf", "nameserver 192.0.2.1\n"),
        ("/etc/iscsi/initiatorname.iscsi", "InitiatorName=iqn.1993-08.org.debian:01:abc\n"),
    ]);
    seal(&own.root, &options()).unwrap();
    assert_eq!(fs::read_to_string(own.root.join("etc/hosts")).unwrap(), HOSTS);
    assert_eq!(fs::read(own.root.join(INITIATOR.trim_start_matches('/'))).unwrap(), UNNAMED);
    assert!(!own.root.join("etc/resolv.conf").exists());
    let role = planted(&[
        ("/etc/hosts", "192.0.2.7 git\n"),
        ("/etc/resolv.conf", "nameserver 192.0.2.7\n"),
        ("/etc/apt/apt.conf.d/90site", "Acquire::http::Proxy \"http://site:1\";\n"),
    ]);
    seal(&role.root, &options()).unwrap();
    assert_eq!(fs::read_to_string(role.root.join("etc/hosts")).unwrap(), "192.0.2.7 git\n");
    assert!(role.root.join("etc/resolv.conf").exists());
    // What sealing cannot take out of a file without harm is told.
    let proxy = planted(&[("/etc/apt/apt.conf.d/90x", "Acquire::http::Proxy \"http://192.0.2.9:3142\";\n")]);
    let told = seal(&proxy.root, &options()).expect_err("a proxy").to_string();
    assert_eq!(told, "the image is not sealed, these remain: /etc/apt/apt.conf.d/90x: a proxy of the builder's");
}

#[test]
fn logs_are_emptied_with_their_modes_and_old_ones_go() {
    let tree = planted(&[
        ("/var/log/dpkg.log", "x"),
        ("/var/log/app/a.log", "x"),
        ("/var/log/dpkg.log.1", "x"),
        ("/var/log/dpkg.log.2.gz", "x"),
        ("/var/log/empty", ""),
    ]);
    fs::set_permissions(tree.root.join("var/log/app/a.log"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("../../etc/machine-id", tree.root.join("var/log/link.log")).unwrap();
    let sealed = seal(&tree.root, &options()).unwrap();
    assert_eq!((sealed.emptied, &sealed.removed[..]), (2, &["/var/log/dpkg.log.1".to_owned(), "/var/log/dpkg.log.2.gz".into()][..]));
    let log = fs::metadata(tree.root.join("var/log/app/a.log")).unwrap();
    assert_eq!((log.len(), log.permissions().mode() & 0o7777), (0, 0o640));
}

#[test]
fn a_secret_is_found_in_content_names_and_links_and_never_shown() {
    let long = format!("{}s3cr3t-w0rd", "x".repeat((1 << 20) - 4));
    let tree = planted(&[
        ("/opt/content", "a s3cr3t-w0rd."),
        ("/opt/across", &long),
        ("/opt/a-s3cr3t-w0rd-b/file", "x"),
        ("/opt/fine", "s3cr3t-w0r"),
    ]);
    symlink("/s3cr3t-w0rd", tree.root.join("opt/link")).unwrap();
    fs::hard_link(tree.root.join("opt/fine"), tree.root.join("opt/fine-too")).unwrap();
    let secrets = SealOptions { secrets: vec![b"s3cr3t-w0rd".to_vec(), b"another-one".to_vec(), b"short".to_vec()], ..options() };
    let told = seal(&tree.root, &secrets).expect_err("secrets");
    let ImageError::Remains(remains) = &told else { panic!("{told}") };
    let found: Vec<String> = remains.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "/opt: a name in it has a secret of the site",
            "/opt/across: a secret of the site",
            "/opt/content: a secret of the site",
            "/opt/link: a secret of the site"
        ]
    );
    assert!(!told.to_string().contains("s3cr3t-w0rd"));
    assert_eq!(check::unsearched(&secrets.secrets), 1);
}

#[test]
fn private_keys_are_refused_unless_they_may_be_baked() {
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n";
    let tree = planted(&[
        ("/root/.ssh/id", key),
        ("/home/a/.ssh/deep/id", key),
        ("/etc/ssh/ca", key),
        ("/root/.ssh/id.pub", "ssh-ed25519 AAAA"),
        ("/srv/elsewhere", key),
    ]);
    let told = seal(&tree.root, &options()).expect_err("keys");
    let ImageError::Remains(remains) = told else { panic!("{told}") };
    assert_eq!(remains.iter().map(|remains| &*remains.path).collect::<Vec<_>>(), ["/etc/ssh/ca", "/home/a/.ssh/deep/id", "/root/.ssh/id"]);
    seal(&tree.root, &SealOptions { private_keys: Stay::Keep, ..options() }).unwrap();
}

#[test]
fn paths_of_the_site_go_too_and_nothing_outside_the_tree_does() {
    let tree = planted(&[("/srv/keys/a", "x"), ("/srv/keys/b", "x"), ("/srv/other", "x")]);
    let outside = tree.root.parent().unwrap().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("mine"), "x").unwrap();
    symlink(&outside, tree.root.join("run")).unwrap();
    symlink("../outside", tree.root.join("tmp")).unwrap();
    let sealed = seal(&tree.root, &SealOptions { paths: vec!["/srv/keys/*".into()], ..options() }).unwrap();
    assert_eq!(sealed.removed, ["/srv/keys/a", "/srv/keys/b"]);
    assert!(outside.join("mine").exists() && tree.root.join("srv/other").exists());
}

#[test]
fn units_are_written_where_their_programs_are_and_a_second_sealing_changes_nothing() {
    let tree = planted(&[("/usr/sbin/sshd", ""), ("/usr/bin/ssh-keygen", "")]);
    seal(&tree.root, &options()).unwrap();
    let wants = tree.root.join("etc/systemd/system/multi-user.target.wants");
    assert_eq!(fs::read_dir(&wants).unwrap().count(), 1);
    let unit = tree.root.join("etc/systemd/system/ostler-host-keys.service");
    let before = fs::metadata(&unit).unwrap().ino();
    assert_eq!(seal(&tree.root, &options()).unwrap(), Sealed::default());
    assert_eq!(fs::metadata(&unit).unwrap().ino(), before);
}
