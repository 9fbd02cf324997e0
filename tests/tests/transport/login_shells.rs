//! Login shells that do other things with a command than `sh` does: the agent is placed all the same, or the shell is named.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use ostler::mask::RunMask;
use ostler::session::{AgentFile, Greeting, Identity, Password, SessionError, meet};
use ostler::transport::{PlaceFault, Placement, SshLink, place_file};
use ostler_roles::words::NodeName;
use ostler_tests::sshd::Sshd;

use super::desk::{Desk, Mounted, at};

/// A desk, and a server whose login shell runs a command by this script, with `$HOME` and `$SSH_ORIGINAL_COMMAND`.
struct Stage {
    desk: Desk,
    _server: Sshd,
    link: SshLink,
}

async fn logged_in(script: &str) -> Stage {
    let desk = Desk::new();
    let home = desk.home.path().join("login");
    fs::create_dir(&home).unwrap();
    let shell = desk.home.path().join("shell");
    fs::write(&shell, format!("#!/bin/sh\ncd '{0}' && export HOME='{0}'\n{script}\n", home.display())).unwrap();
    fs::set_permissions(&shell, fs::Permissions::from_mode(0o755)).unwrap();
    let server = Sshd::start(&desk.key, &format!("ForceCommand {}", shell.display()));
    desk.know_server(&server);
    let link = desk.ssh().connect(&at(&server)).await.unwrap();
    Stage { desk, _server: server, link }
}

async fn greeted(stage: &Stage) -> Result<Greeting, SessionError> {
    greeted_as(stage, "login-shell-test").await
}

async fn greeted_as(stage: &Stage, login: &str) -> Result<Greeting, SessionError> {
    let identity = Identity { node: NodeName::parse("n1").unwrap(), login: login.to_owned(), r#become: None };
    let nobody = Password::new(None, Box::new(|_, _| Box::pin(async { None })));
    meet(&stage.link, AgentFile::embedded().unwrap(), &identity, &[], &nobody, &RunMask::default()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn tcsh_whose_missing_program_is_status_1_gets_the_agent_placed() {
    let stage = logged_in("exec tcsh -f -c \"$SSH_ORIGINAL_COMMAND\"").await;
    let greeting = greeted(&stage).await.unwrap();
    assert!(greeting.placed);
    assert!(!greeted(&stage).await.unwrap().placed, "it is there the second time");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_file_under_the_agents_name_is_placed_anew() {
    let stage = logged_in("exec sh -c \"$SSH_ORIGINAL_COMMAND\"").await;
    assert!(greeted(&stage).await.unwrap().placed);
    let cache = stage.desk.home.path().join("login/.cache/ostler");
    let agent = cache.join(AgentFile::embedded().unwrap().file_name());
    // Another file: one that is still being left cannot be written.
    fs::remove_file(&agent).unwrap();
    fs::write(&agent, "").unwrap();
    fs::set_permissions(&agent, fs::Permissions::from_mode(0o700)).unwrap();
    assert!(greeted(&stage).await.unwrap().placed, "a power cut may have left it so");
    assert!(!greeted(&stage).await.unwrap().placed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_in_the_home_that_is_not_the_logins_own_runs_nothing() {
    for (login, is_link) in [("owned-by-another-test", false), ("planted-link-test", true)] {
        let stage = logged_in("exec sh -c \"$SSH_ORIGINAL_COMMAND\"").await;
        let home = stage.desk.home.path().join("login");
        let theirs = if is_link { home.join("elsewhere") } else { home.join(".cache/ostler") };
        fs::create_dir_all(&theirs).unwrap();
        fs::create_dir_all(home.join(".cache")).unwrap();
        let (program, ran) = (theirs.join(AgentFile::embedded().unwrap().file_name()), home.join("it ran"));
        fs::write(&program, format!("#!/bin/sh\ntouch '{}'\n", ran.display())).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        if is_link {
            std::os::unix::fs::symlink(&theirs, home.join(".cache/ostler")).unwrap();
        } else {
            std::os::unix::fs::chown(&theirs, Some(65534), None).unwrap();
        }
        let shared = std::path::Path::new("/var/tmp").join(format!("ostler-{login}"));
        // What a test left that did not come to its end.
        let _ = fs::remove_dir_all(&shared);
        let greeting = greeted_as(&stage, login).await.unwrap();
        assert!(!ran.exists(), "another account's program ran as the login");
        assert!(greeting.placed);
        assert!(shared.join(program.file_name().unwrap()).exists(), "it runs from the login's own directory");
        fs::remove_dir_all(shared).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tcsh_in_a_home_without_programs_gets_it_placed_elsewhere() {
    let stage = logged_in("exec tcsh -f -c \"$SSH_ORIGINAL_COMMAND\"").await;
    let _home = Mounted::tmpfs(&stage.desk.home.path().join("login"), "noexec");
    assert!(greeted(&stage).await.unwrap().placed);
    // What lies in the shared place is the login's own directory.
    fs::remove_dir_all("/var/tmp/ostler-login-shell-test").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_up_file_that_reads_or_replaces_the_command_is_named() {
    // bash reads ~/.bashrc for a command too where sshd has started it (bash(1), INVOCATION).
    for (start_up, cause, hint) in [
        ("read first; read second", "read the standard input that is the command's", "case $- in *i*)"),
        ("exec cat >/dev/null", "run something else in the command's place", "above the `exec`"),
    ] {
        let stage = logged_in("SHLVL=0 exec bash -c \"$SSH_ORIGINAL_COMMAND\"").await;
        fs::write(stage.desk.home.path().join("login/.bashrc"), start_up).unwrap();
        let error = greeted(&stage).await.map(drop).expect_err(start_up);
        assert!(error.to_string().ends_with(cause), "{error}");
        assert!(error.hint().contains(hint), "{}", error.hint());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_gzip_gets_the_file_as_it_is() {
    let stage = logged_in("exec sh -c \"$SSH_ORIGINAL_COMMAND\"").await;
    let path = stage.desk.home.path().join("login/file");
    let shown = path.to_str().unwrap();
    let bytes = vec![b'x'; 300_000];
    // Packed bytes that are none: a node with gzip refuses them, so that what arrives by that way is known.
    let packed = Placement { path: shown, bytes: &bytes, packed: Some(b"no gzip"), mode: 0o644 };
    let refused = place_file(&stage.link, &packed).await.unwrap_err().fault;
    assert!(matches!(refused, PlaceFault::Other { .. }), "{refused}");
    let without = logged_in("PATH=$HOME/bin exec /bin/sh -c \"$SSH_ORIGINAL_COMMAND\"").await;
    let login = without.desk.home.path().join("login");
    fs::create_dir(login.join("bin")).unwrap();
    for tool in ["sh", "sha256sum", "cat", "mkdir", "chmod", "mv", "rm"] {
        std::os::unix::fs::symlink(format!("/usr/bin/{tool}"), login.join("bin").join(tool)).unwrap();
    }
    let path = login.join("file");
    let packed = Placement { path: path.to_str().unwrap(), ..packed };
    place_file(&without.link, &packed).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), bytes);
}
