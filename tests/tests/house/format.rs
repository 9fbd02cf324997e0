//! Every source file is formatted, those too whose modules a macro declares: `cargo fmt` does not find them.

use ostler_tests::house::{root, tracked};
use std::process::Command;

#[test]
fn every_source_file_is_formatted() {
    let files: Vec<String> = tracked().into_iter().filter(|name| name.ends_with(".rs")).collect();
    assert!(files.iter().any(|name| name == "agent/src/resource/file.rs"), "the file of a kind is among them: {files:?}");
    let mut check = Command::new("rustfmt");
    check.args(["--check", "-l", "--edition", "2024"]).args(&files).current_dir(root());
    let told = check.output().expect("rustfmt starts");
    assert!(told.status.success(), "run `make fmt`:\n{}{}", String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
}
