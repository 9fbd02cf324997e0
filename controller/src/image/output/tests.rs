//! Builds beside each other, killed ones, full disks.

use super::*;
use serde_json::json;

fn listed(dir: &Path) -> Vec<String> {
    names(dir).unwrap().into_iter().collect()
}

fn make(dir: &Path, name: &str) -> u64 {
    let half = HalfBuild::next(dir, name, Readable::All).unwrap();
    fs::write(half.aside("raw"), "raw").unwrap();
    let number = half.build().parse().unwrap();
    half.commit(&["raw"], &[("provenance", json!({"site": 1}))]).unwrap();
    number
}

#[test]
fn a_build_is_there_with_all_its_files_or_with_none() {
    let dir = tempfile::tempdir().unwrap();
    let half = HalfBuild::next(dir.path(), "noble", Readable::Owner).unwrap();
    fs::write(half.aside("raw"), "raw").unwrap();
    fs::write(half.aside("qcow2"), "qcow2").unwrap();
    assert_eq!(listed(dir.path()), ["noble-1.building", "noble-1.qcow2-part", "noble-1.raw-part"]);
    assert_eq!(builds(dir.path(), "noble").unwrap(), []);
    let files = half.commit(&["qcow2", "raw"], &[("packages", json!(["a"])), ("provenance", json!({}))]).unwrap();
    assert_eq!(files, [dir.path().join("noble-1.qcow2"), dir.path().join("noble-1.raw")]);
    let whole =
        ["noble-1.d", "noble-1.qcow2", "noble-1.qcow2.md5", "noble-1.qcow2.sha256", "noble-1.raw", "noble-1.raw.md5", "noble-1.raw.sha256"];
    assert_eq!(listed(dir.path()), whole);
    assert_eq!(listed(&dir.path().join("noble-1.d")), ["packages.json", "provenance.json"]);
    assert_eq!(fs::read_to_string(dir.path().join("noble-1.raw.md5")).unwrap(), "bdd166af3a63f7be696dd17a218a6ffb  noble-1.raw\n");
    for sum in ["md5", "sha256"] {
        let checked = std::process::Command::new(format!("{sum}sum"))
            .args(["--check", "--quiet"])
            .arg(format!("noble-1.qcow2.{sum}"))
            .current_dir(dir.path())
            .status();
        assert!(checked.unwrap().success());
    }
    let mode = |name: &str| fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("noble-1.raw"), mode("noble-1.d"), mode("noble-1.raw.md5")), (0o600, 0o700, 0o600));
    // One that fails leaves the other alone, and nothing of itself.
    let half = HalfBuild::next(dir.path(), "noble", Readable::All).unwrap();
    fs::write(half.aside("raw"), "raw").unwrap();
    let failed = half.commit(&["raw", "tar"], &[]).expect_err("no tar was written").to_string();
    assert_eq!(failed, format!("open {}/noble-2.tar-part", dir.path().display()));
    drop(HalfBuild::next(dir.path(), "noble", Readable::All).unwrap());
    assert_eq!(listed(dir.path()), whole);
}

#[test]
fn two_builds_at_once_have_numbers_of_their_own_and_a_killed_one_is_cleared_up() {
    let dir = tempfile::tempdir().unwrap();
    let one = HalfBuild::next(dir.path(), "a", Readable::All).unwrap();
    let two = HalfBuild::next(dir.path(), "a", Readable::All).unwrap();
    assert_eq!((one.build(), two.build()), ("1", "2"));
    // An image whose name begins with this one's has numbers of its own.
    assert_eq!(make(dir.path(), "a-1"), 1);
    fs::write(two.aside("raw"), "2").unwrap();
    two.commit(&["raw"], &[]).unwrap();
    drop(one);
    // What a killed process leaves: a marker that nobody has locked, parts, and files that had their names already.
    for left in ["a-7.building", "a-7.raw-part", "a-7.qcow2", "a-7.qcow2.md5"] {
        fs::write(dir.path().join(left), "x").unwrap();
    }
    fs::create_dir(dir.path().join("a-7.d-part")).unwrap();
    assert_eq!(builds(dir.path(), "a").unwrap().len(), 1);
    let next = HalfBuild::next(dir.path(), "a", Readable::All).unwrap();
    assert_eq!(next.build(), "3");
    assert!(listed(dir.path()).iter().all(|name| !name.starts_with("a-7")));
    let threads: Vec<u64> = thread::scope(|scope| {
        let all: Vec<_> = (0..8).map(|_| scope.spawn(|| make(dir.path(), "b"))).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(threads.iter().collect::<BTreeSet<_>>().len(), 8);
    assert_eq!(builds(dir.path(), "b").unwrap().len(), 8);
}

#[test]
fn a_build_that_another_program_names_is_made_once() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("images/debian-0000000001");
    let half = HalfBuild::at(&out, Readable::All).unwrap();
    assert_eq!(half.build(), "0000000001");
    let busy = HalfBuild::at(&out, Readable::All).expect_err("the other is at work").to_string();
    assert_eq!(busy, format!("another process is building {}", out.display()));
    fs::write(half.aside("qcow2"), "x").unwrap();
    half.commit(&["qcow2"], &[]).unwrap();
    assert!(HalfBuild::at(&out, Readable::All).expect_err("there").to_string().ends_with("is there already"));
    let killed = dir.path().join("images/debian-0000000002");
    fs::write(dir.path().join("images/debian-0000000002.building"), "").unwrap();
    fs::write(dir.path().join("images/debian-0000000002.raw-part"), "").unwrap();
    drop(HalfBuild::at(&killed, Readable::All).unwrap());
    assert!(listed(&dir.path().join("images")).iter().all(|name| name.starts_with("debian-0000000001.")));
}

#[test]
fn the_newest_stay_and_what_is_held_or_current_stays_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    for number in 1..=5 {
        assert_eq!(make(dir.path(), "a"), number);
    }
    assert_eq!(current(dir.path(), "a").unwrap(), None);
    hold(dir.path(), "a", 1, true).unwrap();
    set_current(dir.path(), "a", 2).unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("a-current.raw")).unwrap(), "raw");
    assert_eq!(retain(dir.path(), "a", 2).unwrap(), [3]);
    let left: Vec<(u64, bool)> = builds(dir.path(), "a").unwrap().iter().map(|build| (build.number, build.held)).collect();
    assert_eq!((left, current(dir.path(), "a").unwrap()), (vec![(1, true), (2, false), (4, false), (5, false)], Some(2)));
    let refused = |number| remove(dir.path(), "a", number).expect_err("it stays").to_string();
    assert_eq!(
        (refused(1), refused(2), refused(3)),
        ("build 1 of a is held".into(), "build 2 of a is the current one".into(), "a has no build 3; there are: 1, 2, 4, 5".into())
    );
    hold(dir.path(), "a", 1, false).unwrap();
    set_current(dir.path(), "a", 5).unwrap();
    assert_eq!(retain(dir.path(), "a", 1).unwrap(), [1, 2, 4]);
    let files = ["a-5.d", "a-5.raw", "a-5.raw.md5", "a-5.raw.sha256", "a-current.d", "a-current.raw"];
    assert_eq!(listed(dir.path()), files);
    assert_eq!(make(dir.path(), "a"), 6);
}

#[test]
fn a_format_that_a_build_no_longer_has_is_not_current() {
    let dir = tempfile::tempdir().unwrap();
    let half = HalfBuild::next(dir.path(), "a", Readable::All).unwrap();
    fs::write(half.aside("tar"), "tar").unwrap();
    half.commit(&["tar"], &[]).unwrap();
    set_current(dir.path(), "a", 1).unwrap();
    make(dir.path(), "a");
    set_current(dir.path(), "a", 2).unwrap();
    assert!(!dir.path().join("a-current.tar").exists() && dir.path().join("a-current.raw").exists());
}
