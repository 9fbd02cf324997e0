//! The program's own trace, for developers and for the benchmark.

use std::fs;
use std::process::Command;

use ostler_tests::lab::program;
use ostler_tests::sshd::{Sshd, keygen, public};

#[test]
fn the_trace_names_the_exchange_and_has_no_escapes_on_a_pipe() {
    let home = tempfile::Builder::new().prefix("ssh-trace-").tempdir().unwrap();
    let key = keygen(home.path(), "id_ed25519", "ed25519");
    let server = Sshd::start(&key, "SetEnv HOME=@DIR@\nKexAlgorithms curve25519-sha256");
    fs::write(home.path().join("known_hosts"), format!("{} {}\n", server.name(), public(&server.host_key("ed25519")))).unwrap();
    let (key, port) = (key.display(), server.port);
    let site = format!("edition: 1\nssh: {{user: root, port: {port}, identity: {key}, known_hosts: known_hosts}}\n");
    fs::write(home.path().join("ostler.yaml"), site).unwrap();
    fs::write(home.path().join("nodes.yaml"), "nodes:\n  n1: {host: 127.0.0.1}\n").unwrap();
    let mut command = Command::new(program());
    command.args(["-vv", "check"]).current_dir(home.path()).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", home.path());
    let output = command.env("USER", "tester").output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("kex=\"curve25519-sha256\""), "{told}");
    assert!(!told.contains('\u{1b}'), "{told:?}");
}
