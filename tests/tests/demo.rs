//! `ostler demo` in its whole length: it fails by itself where something is not as it says.

use ostler_tests::program::ostler;
use std::process::Command;

#[test]
fn the_demo_comes_to_its_end() {
    let state = tempfile::tempdir().unwrap();
    let demo = Command::new(ostler()).arg("demo").env("XDG_STATE_HOME", state.path()).output().unwrap();
    let (said, beside) = (String::from_utf8_lossy(&demo.stdout), String::from_utf8_lossy(&demo.stderr));
    assert!(demo.status.success(), "{}\n{said}\n{beside}", demo.status);
    for line in ["Nothing to change. 3 nodes verified", "That is the whole of it."] {
        assert!(said.contains(line), "no `{line}`:\n{said}\n{beside}");
    }
}
