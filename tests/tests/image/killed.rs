//! Builders that are killed: nothing is left of them.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use ostler::image::layers::Store;
use ostler::image::root::{Root, RootSetup, RootSpec};
use ostler_tests::lab::program;

use super::ground::{below, commands, debian, kept_store, mounts, said, wait_for};

/// How often one is killed.
const KILLS: u64 = 30;
/// Within which time: some builds go through in that.
const SPAN: Duration = Duration::from_millis(900);

/// Moments from a fixed seed, one in each part of the span (a linear congruential generator: Knuth, TAOCP 3.3.4).
fn moments() -> Vec<Duration> {
    let mut state = 0x5eed_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % 1000
    };
    (0..KILLS)
        .map(|part| SPAN * u32::try_from(part * 1000 + next()).expect("small") / u32::try_from(KILLS * 1000).expect("small"))
        .collect()
}

#[test]
fn thirty_killed_builders_leave_no_mount_no_process_and_no_half_layer() {
    let dir = tempfile::Builder::new().prefix("killed-").tempdir_in(kept_store().dir()).expect("a directory");
    // A name of its own: so its processes are known.
    let copy = dir.path().join("ostler");
    fs::hard_link(program(), &copy).or_else(|_| fs::copy(program(), &copy).map(drop)).expect("copied");
    let (path, base) = (dir.path().join("store"), debian().tree.clone());
    let (mut whole, mut cut) = (0, 0);
    for (number, moment) in moments().into_iter().enumerate() {
        let mark = format!("{}{:04}", std::process::id(), 1000 + number);
        let mut builder = Command::new(env!("CARGO_BIN_EXE_image-builder"));
        builder.arg(&copy).arg(&path).arg(&base).arg(&mark).stdin(Stdio::null()).stderr(Stdio::piped()).process_group(0);
        let mut builder = builder.spawn().expect("started");
        std::thread::sleep(moment);
        assert!(builder.try_wait().expect("asked").is_none(), "the builder ended by itself: {:?}", builder.wait_with_output());
        builder.kill().expect("killed");
        builder.wait().expect("waited");
        wait_for("its processes end", || commands(&copy.display().to_string()).is_empty() && commands(&format!("sleep {mark}")).is_empty());
        assert_eq!(mounts(dir.path()), Vec::<String>::new(), "after {moment:?}");
        if !path.join("layers").is_dir() {
            continue;
        }
        cut += usize::from(
            fs::read_dir(path.join("layers")).expect("there").flatten().any(|entry| entry.path().to_string_lossy().ends_with(".part")),
        );
        let store = Store::open(&path).expect("opened");
        assert_eq!(below(&store.scratch()), Vec::<String>::new());
        for entry in fs::read_dir(path.join("layers")).expect("there").flatten() {
            let layer = entry.path();
            assert!(!entry.file_name().to_string_lossy().starts_with('.'), "half of one: {}", layer.display());
            assert_eq!(fs::read_to_string(layer.join("tree/srv/file")).expect("whole"), "one\ntwo\nthree\n");
        }
        whole = whole.max(store.list().len());
        next(&store, &copy);
    }
    assert!(whole > 5 && cut > 5, "{whole} layers came through and {cut} were cut: the moments are all on one side");
}

/// The next build goes on.
fn next(store: &Store, program: &std::path::Path) {
    let layers = std::iter::once(debian().tree.clone()).chain(store.list().iter().map(|layer| layer.tree.clone()).take(3)).collect();
    let spec = RootSpec { layers, ..RootSpec::default() };
    let root = Root::enter(&spec, &RootSetup { program: program.to_owned(), scratch: store.scratch() }).expect("entered");
    assert_eq!(said(&root, "echo works"), "works");
    root.leave().expect("left");
}

#[test]
fn a_first_process_that_is_killed_is_told_and_leaves_nothing() {
    let stage = super::ground::Stage::new();
    let root = stage.enter();
    let first = i32::try_from(root.pid()).ok().and_then(rustix::process::Pid::from_raw).expect("a process");
    rustix::process::kill_process(first, rustix::process::Signal::KILL).expect("killed");
    wait_for("it is told", || root.run(&["/bin/true"], &[]).is_err());
    let told = root.run(&["/bin/true"], &[]).expect_err("gone").to_string();
    assert_eq!(told, "the root tree is not there any more: its first process has ended");
    root.leave().expect_err("there is nothing to leave");
    stage.assert_over();
}
