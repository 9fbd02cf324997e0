//! Manifests of a small tree.

use super::*;
use serde_json::json;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

fn set(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn every_file_is_there_with_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    fs::create_dir(root.join("etc")).unwrap();
    fs::write(root.join("etc/motd"), "hello\n").unwrap();
    fs::hard_link(root.join("etc/motd"), root.join("etc/same")).unwrap();
    // It leads out of the tree, and is told as what it says.
    symlink("/etc/passwd", root.join("etc/outside")).unwrap();
    for (path, mode) in [(".", 0o755), ("etc", 0o2750), ("etc/motd", 0o4711)] {
        set(&root.join(path), mode);
    }
    let manifests = read(root, &[]).unwrap();
    let files = manifests.iter().find(|(name, _)| *name == FILES).unwrap().1["files"].clone();
    let owner = format!("{}:{}", rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let digest = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
    let hello = |path: &str| json!({ "path": path, "kind": "file", "mode": "4711", "owner": owner, "size": 6, "sha256": digest });
    assert_eq!(
        files,
        json!([
            { "path": "/", "kind": "directory", "mode": "0755", "owner": owner },
            { "path": "/etc", "kind": "directory", "mode": "2750", "owner": owner },
            hello("/etc/motd"),
            { "path": "/etc/outside", "kind": "link", "mode": "0777", "owner": owner, "target": "/etc/passwd" },
            hello("/etc/same"),
        ])
    );
}

#[test]
fn a_repositorys_heads_are_the_packed_and_the_newer_loose_ones() {
    let dir = tempfile::tempdir().unwrap();
    let mirror = dir.path().join("opt/git/openstack/nova");
    fs::create_dir_all(mirror.join("refs/heads")).unwrap();
    fs::write(mirror.join("HEAD"), "ref: refs/heads/main\n").unwrap();
    let packed = "# pack-refs with: peeled fully-peeled sorted \n1111 refs/heads/main\n2222 refs/tags/v1\n^3333\n";
    fs::write(mirror.join("packed-refs"), packed).unwrap();
    fs::write(mirror.join("refs/heads/main"), "4444\n").unwrap();
    let wanted = Mirrors { root: "/opt/git".to_owned(), repositories: vec!["openstack/nova".to_owned(), "openstack/gone".to_owned()] };
    let manifests = read(dir.path(), &[wanted]).unwrap();
    let found = &manifests.iter().find(|(name, _)| *name == REPOSITORIES).unwrap().1["repositories"];
    let heads = json!({ "refs/heads/main": "4444", "refs/tags/v1": "2222" });
    assert_eq!(*found, json!([{ "path": "/opt/git/openstack/nova", "head": "refs/heads/main", "heads": heads }]));
}

#[test]
fn a_manifest_is_read_back_and_has_an_element_a_line() {
    let value = json!({ "v": 1, "files": [{ "path": "/" }, { "path": "/etc" }], "none": [], "by": "a\nb" });
    let written = text(&value);
    assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), value);
    assert!(written.contains("\n    {\"path\":\"/\"},\n    {\"path\":\"/etc\"}\n  ],\n"), "{written}");
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(load(dir.path(), "a", 1, FILES).unwrap(), None);
    fs::create_dir(dir.path().join("a-1.d")).unwrap();
    fs::write(dir.path().join("a-1.d/files.json"), "{").unwrap();
    assert!(load(dir.path(), "a", 1, FILES).is_err());
    fs::write(dir.path().join("a-1.d/files.json"), &written).unwrap();
    assert_eq!(load(dir.path(), "a", 1, FILES).unwrap(), Some(value));
}
