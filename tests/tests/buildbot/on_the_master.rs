//! What the master itself runs and shows: its configuration, its account, its reload.

use super::*;

#[test]
fn only_the_account_may_start_jobs_and_its_password_is_not_shown() {
    let master = Master::start();
    let name = WorkerName::parse("node-1").unwrap();
    for password in ["wrong-but-planted", ""] {
        let error = smoke(&master.client_as(password), &name, "x").unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("status: 401"), "{shown}");
        assert!(!shown.contains("planted"), "{shown}");
    }
    let anonymous = ostler::masters::buildbot::Client::new(master.http(), None);
    let shown = format!("{:?}", smoke(&anonymous, &name, "x").unwrap_err());
    assert!(shown.contains("status: 403"), "{shown}");
    assert!(anonymous.survey().is_ok(), "everybody may read");
    assert!(!master.log().contains("planted"), "no password in the master's log");
}

/// The program that the role puts on the master's node, with a `systemctl` that signals this master.
fn reload_master(master: &Master, check: bool, pair: &str) -> std::process::Output {
    reload(&master.home(), master.pid(), check, pair)
}

fn reload(home: &std::path::Path, master: u32, check: bool, pair: &str) -> std::process::Output {
    let bin = concat!(env!("CARGO_MANIFEST_DIR"), "/data/buildbot/bin");
    let mut command = std::process::Command::new(ostler_tests::buildbot::library("files/buildbot/reload-master"));
    command.args(check.then_some("--check")).arg(home).args(["buildbot-master.service", pair]);
    command
        .env("PATH", format!("{bin}:/usr/bin:/bin"))
        .env("MASTER", master.to_string())
        .env("LOG", home.join("../master.log"))
        .output()
        .unwrap()
}

/// What Buildbot answers in the midst of a reload: the scheduler is new, the workers are still the old ones.
#[test]
fn a_file_counts_as_taken_up_only_with_its_worker() {
    use std::io::{BufRead as _, BufReader, Write as _};
    let digest = ostler_roles::words::Digest::of(b"the file");
    let state = serde_json::json!({"workers": {"node-1": digest}, "refused": {"spoilt": {"digest": digest, "why": "not JSON"}}});
    let scheduler = serde_json::json!({"forceschedulers": [{"all_fields": [{"name": "ostler_state", "default": state.to_string()}]}]});
    let (known, on_a_builder) = (serde_json::json!({"builderid": 1}), |on: &[serde_json::Value]| {
        serde_json::json!({"workers": [{"name": "node-1", "configured_on": on}]}).to_string()
    });
    for (workers, pair, code) in [
        (r#"{"workers": []}"#.to_owned(), "node-1", 1),
        (on_a_builder(&[]), "node-1", 1),
        (on_a_builder(&[known]), "node-1", 0),
        (r#"{"workers": []}"#.to_owned(), "spoilt", 0),
    ] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let home = tempfile::tempdir().unwrap();
        let port = listener.local_addr().unwrap().port();
        std::fs::write(home.path().join("master.json"), serde_json::json!({"http_port": format!("tcp:{port}")}).to_string()).unwrap();
        let scheduler = scheduler.to_string();
        let server = std::thread::spawn(move || {
            for path in ["/api/v2/forceschedulers/ostler-smoke", "/api/v2/workers"] {
                let (mut socket, _) = listener.accept().unwrap();
                let mut head = BufReader::new(socket.try_clone().unwrap()).lines().map(Result::unwrap);
                assert_eq!(head.next().unwrap(), format!("GET {path} HTTP/1.1"));
                head.find(String::is_empty);
                let body = if path.ends_with("workers") { &workers } else { &scheduler };
                write!(socket, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).unwrap();
            }
        });
        let done = reload(home.path(), 0, true, &format!("{pair}={digest}"));
        assert_eq!(done.status.code(), Some(code), "{pair}: {}", String::from_utf8_lossy(&done.stderr));
        server.join().unwrap();
    }
}

#[test]
fn the_nodes_reload_returns_only_when_the_files_are_taken_up() {
    let master = Master::start();
    let file = worker("node-1", &[]).file(Stage::Quarantined);
    let pair = format!("node-1={}", ostler_roles::words::Digest::of(&file.bytes));
    std::fs::write(master.home().join(&file.path), &file.bytes).unwrap();
    assert_eq!(reload_master(&master, true, &pair).status.code(), Some(1), "written is not loaded");
    let done = reload_master(&master, false, &pair);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(seen(&master, "node-1").loaded.is_some());
    assert_eq!(reload_master(&master, true, &pair).status.code(), Some(0));
    assert_eq!(master.reloads(), 1, "asking reloads nothing");
}

#[test]
fn a_reload_that_the_master_could_not_make_is_told_in_its_own_words() {
    let master = Master::start();
    let file = worker("node-1", &[]).file(Stage::Quarantined);
    let pair = format!("node-1={}", ostler_roles::words::Digest::of(&file.bytes));
    std::fs::write(master.home().join(&file.path), &file.bytes).unwrap();
    std::fs::write(master.home().join("master.cfg"), "this is not Python (").unwrap();
    let failed = reload_master(&master, false, &pair);
    let told = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert_eq!(failed.status.code(), Some(1), "{told}");
    assert!(told.starts_with("buildbot-master.service was reloaded but did not take up, within 30 s: node-1 ("), "{told}");
    assert!(told.contains("SyntaxError: '(' was never closed") && told.contains("aborted without making any changes"), "{told}");
    assert!(told.lines().count() <= 4, "what a run quotes: {told}");
}

/// Buildbot writes them in another thread, and Twisted then keeps some back for ever.
#[test]
fn answers_are_written_whole_and_in_the_reactors_thread() {
    let master = Master::start();
    let mut command = std::process::Command::new(ostler_tests::buildbot::venv(ostler_tests::buildbot::Side::Master).join("bin/python"));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/data/buildbot/answer.py");
    let done = command.args([script.as_ref(), master.home().as_os_str()]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let seen: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    let body = r#"{"workers": [1, 2]}"#;
    assert_eq!(seen, serde_json::json!([[format!("content-length: {}", body.len()), true], [body, true], ["the end", true]]));
}

#[test]
fn the_services_check_accepts_the_configuration_from_anywhere() {
    let master = Master::start();
    let mut command = std::process::Command::new(ostler_tests::buildbot::venv(ostler_tests::buildbot::Side::Master).join("bin/buildbot"));
    let done = command.arg("checkconfig").arg(master.home().join("master.cfg")).current_dir("/").output().unwrap();
    assert!(done.status.success(), "{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
}

#[test]
fn what_the_services_account_puts_in_the_place_of_our_file_is_neither_waited_for_nor_read() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("master.json");
    let good = r#"{"http_port": "tcp:1"}"#;
    let put = |what: &str| {
        let _ = std::fs::remove_file(&path);
        match what {
            "fifo" => assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success()),
            "link" => {
                std::fs::write(home.path().join("other"), good).unwrap();
                std::os::unix::fs::symlink(home.path().join("other"), &path).unwrap();
            }
            _ => {
                std::fs::write(&path, good).unwrap();
                std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
            }
        }
    };
    let is_root = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(home.path()).unwrap()) == 0;
    for what in ["fifo", "link"].into_iter().chain(is_root.then_some("theirs")) {
        put(what);
        // A minute: it is to end at once, and not never.
        let mut command = std::process::Command::new("timeout");
        command.arg("60").arg(ostler_tests::buildbot::library("files/buildbot/reload-master"));
        let done = command.arg("--check").arg(home.path()).args(["buildbot-master.service", "node-1=0"]).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.code() == Some(1) && said.contains("master.json cannot be read: "), "{what}: {said}");
    }
}
