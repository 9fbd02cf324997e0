//! How many places a new kind touches: the files of one, and of a kind of check, are laid into a copy of the house, with a row each, and that is all.

use ostler_tests::house::{root, tracked};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A list of kinds, the row after which the new one stands, and its own.
type Row = (&'static str, &'static str, &'static str);

const ROWS: [Row; 2] = [
    (
        "roles/src/resource/each_kind.rs",
        "            Download = download;\n",
        "            /// A directory to mount on.\n            MountPoint = mount_point;\n",
    ),
    ("roles/src/check/each_check.rs", "            Memory = memory;\n", "            /// Room to swap to.\n            Swap = swap;\n"),
];

/// The files behind the rows: what it shall be or must hold, what is written, what is done, and its cases.
const PLACES: [&str; 9] = [
    "agent/src/resource/mount_point.rs",
    "roles/src/author/kinds/mount_point.rs",
    "roles/src/resource/mount_point.rs",
    "roles/tests/cases/mount_point.json",
    "roles/tests/data/sites/kind-mount-point.",
    "agent/src/resource/checks/swap.rs",
    "roles/src/author/kinds/checks/swap.rs",
    "roles/src/check/swap.rs",
    "roles/tests/cases/check-swap.json",
];

/// A copy of the house with the new kind in it; a place of its own, so that building it again is quick.
fn with_the_new_kind() -> PathBuf {
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new-kind");
    let kind = "tests/data/new-kind/";
    let all = tracked();
    let added: Vec<&str> = all.iter().filter_map(|name| name.strip_prefix(kind)).collect();
    assert!(added.iter().all(|name| PLACES.iter().any(|place| name.starts_with(place))), "{added:?}");
    assert!(PLACES.iter().all(|place| added.iter().any(|name| name.starts_with(place))), "{added:?}");
    for name in &all {
        let to = copy.join(name.strip_prefix(kind).unwrap_or(name));
        let bytes = std::fs::read(root().join(name)).unwrap();
        let bytes = match (ROWS.iter().find(|(list, ..)| list == name), name.as_str()) {
            (Some(row), _) => with_its_row(&bytes, row),
            (None, "Cargo.toml") => as_another_version(&bytes),
            (None, _) => bytes,
        };
        // Cargo writes the lock anew, for the version.
        if name != "Cargo.lock" || !to.exists() {
            place(&to, bytes);
        }
    }
    copy
}

/// Writes what is new: a file that stays as it was keeps its time.
fn place(to: &Path, bytes: Vec<u8>) {
    if std::fs::read(to).is_ok_and(|there| there == bytes) {
        return;
    }
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    std::fs::write(to, bytes).unwrap();
}

fn with_its_row(list: &[u8], (_, before, row): &Row) -> Vec<u8> {
    let list = std::str::from_utf8(list).unwrap();
    let after = list.replacen(before, &format!("{before}{row}"), 1);
    assert_ne!(after, list);
    after.into_bytes()
}

/// What is built of the copy must not be taken for the house: it lies in the same directory, so that what both depend on is built once.
fn as_another_version(manifest: &[u8]) -> Vec<u8> {
    let own = format!("version = \"{}\"", env!("CARGO_PKG_VERSION"));
    let manifest = std::str::from_utf8(manifest).unwrap();
    let after = manifest.replacen(&own, "version = \"0.0.0-new-kind\"", 1);
    assert_ne!(after, manifest);
    after.into_bytes()
}

fn cargo(copy: &Path, arguments: &[&str]) {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    let (verb, rest) = arguments.split_first().unwrap();
    cargo.arg(verb).args(["--offline", "--target-dir"]).arg(target).args(rest).env("BLESS", "1").current_dir(copy);
    let told = cargo.output().unwrap();
    assert!(
        told.status.success(),
        "cargo {arguments:?}:\n{}\n{}",
        String::from_utf8_lossy(&told.stdout),
        String::from_utf8_lossy(&told.stderr)
    );
}

#[test]
fn a_new_kind_is_one_row_three_files_and_its_cases() {
    let copy = with_the_new_kind();
    // It compiles and lints on both sides, its cases hold, a site with it is compiled, and its page is written.
    cargo(&copy, &["clippy", "-p", "ostler-agent", "-p", "ostler-roles", "-p", "ostler", "--", "-D", "warnings"]);
    cargo(&copy, &["test", "-p", "ostler-roles", "--features", "author", "--lib", "--test", "sites", "--test", "reference"]);
    let page = std::fs::read_to_string(copy.join("docs/reference/kinds.md")).unwrap();
    assert!(page.contains("### `mount_point`") && page.contains("### `swap`"), "{page}");
    let compiled = |of: &Path| std::fs::read_to_string(of.join("roles/tests/data/sites/kind-mount-point.txt")).unwrap();
    assert_eq!(compiled(&copy), compiled(&root().join("tests/data/new-kind")));
}
