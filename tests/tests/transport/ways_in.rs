//! Logging in: key files, certificates, ssh-agent; and what is said when nothing opens.

use std::fs;
use std::path::{Path, PathBuf};

use ostler::transport::{ConnectError, ConnectFault, Exit, Tried};
use ostler_tests::sshd::{Agent, Sshd, keygen, keygen_with, public, run as program};

use super::desk::{Desk, at, run, words};

fn not_let_in(error: ConnectError) -> (Vec<Tried>, Vec<String>) {
    match error.fault {
        ConnectFault::NotLetIn { tried, accepts, .. } => (tried, accepts),
        other => panic!("{other}"),
    }
}

/// A server that lets in this key, and is known.
fn server_for(desk: &Desk, key: &Path, lines: &str) -> Sshd {
    let server = Sshd::start(key, lines);
    desk.know_server(&server);
    server
}

async fn gets_in(desk: &Desk, server: &Sshd) {
    let link = desk.connect(server).await.unwrap();
    assert_eq!(run(&link, &words(&["true"])).await.1.exit, Exit::Status(0));
}

#[tokio::test]
async fn each_type_of_key_file_opens() {
    for (kind, bits) in [("ed25519", "256"), ("ecdsa", "256"), ("ecdsa", "384"), ("ecdsa", "521")] {
        let mut desk = Desk::new();
        desk.key = desk.home.path().join(format!("id_{kind}_{bits}"));
        program("ssh-keygen", &["-q", "-t", kind, "-b", bits, "-N", "", "-f", desk.key.to_str().unwrap()]);
        desk.configure("");
        gets_in(&desk, &server_for(&desk, &desk.key, "")).await;
    }
}

#[tokio::test]
async fn the_second_of_two_keys_opens_and_is_offered_first_from_then_on() {
    let mut desk = Desk::new();
    let second = keygen(desk.home.path(), "second", "ed25519");
    desk.configure(&format!("IdentityFile {}", desk.home.path().join("first").display()));
    keygen(desk.home.path(), "first", "ed25519");
    desk.key = second;
    desk.configure(&format!("IdentityFile {}", desk.home.path().join("first").display()));
    let server = server_for(&desk, &desk.key, "");
    let ssh = desk.ssh();
    ssh.connect(&at(&server)).await.unwrap();
    let failed = |log: String| log.lines().filter(|line| line.starts_with("Failed publickey")).count();
    let before = failed(server.log());
    ssh.connect(&at(&server)).await.unwrap();
    assert_eq!((before, failed(server.log())), (1, 1), "{}", server.log());
}

#[tokio::test]
async fn a_stranger_is_told_what_was_tried_and_what_the_server_takes() {
    let desk = Desk::new();
    let other = keygen(desk.home.path(), "other", "ed25519");
    let server = server_for(&desk, &other, "PasswordAuthentication no\nKbdInteractiveAuthentication no");
    let error = desk.connect(&server).await.unwrap_err();
    assert!(error.hint().contains("authorized_keys of root"), "{}", error.hint());
    let (tried, accepts) = not_let_in(error);
    let line = program("ssh-keygen", &["-lf", desk.key.to_str().unwrap()]);
    let fingerprint = line.split(' ').nth(1).unwrap().to_owned();
    assert_eq!(tried, [Tried::Key { file: desk.key.clone(), fingerprint }]);
    assert_eq!(accepts, ["publickey"]);
}

#[tokio::test]
async fn a_server_that_takes_passwords_only_is_named_so() {
    let desk = Desk::new();
    let server = server_for(&desk, &desk.key, "PubkeyAuthentication no\nPasswordAuthentication yes\nPermitRootLogin yes");
    let error = desk.connect(&server).await.unwrap_err();
    assert!(error.hint().contains("passwords and prompts are not supported"), "{}", error.hint());
    let (_, accepts) = not_let_in(error);
    assert!(accepts.contains(&"password".to_owned()) && !accepts.contains(&"publickey".to_owned()), "{accepts:?}");
}

#[tokio::test]
async fn an_encrypted_key_opens_through_the_agent_and_is_named_without_it() {
    let mut desk = Desk::new();
    let locked = keygen_with(desk.home.path(), "locked", "ed25519", "secret");
    let server = server_for(&desk, &locked, "");
    desk.key = locked.clone();
    desk.configure("IdentitiesOnly yes");
    let error = desk.connect(&server).await.unwrap_err();
    assert!(error.hint().contains("ssh-add"), "{}", error.hint());
    assert_eq!(not_let_in(error).0, [Tried::Encrypted { file: locked.clone() }]);
    // The agent gets the key opened: the same key without a passphrase.
    let open = desk.home.path().join("open");
    fs::copy(&locked, &open).unwrap();
    program("ssh-keygen", &["-q", "-p", "-P", "secret", "-N", "", "-f", open.to_str().unwrap()]);
    let agent = Agent::holding(desk.home.path(), &[&open]);
    desk.agent = Some(agent.socket.clone());
    gets_in(&desk, &server).await;
}

#[tokio::test]
async fn an_rsa_key_opens_through_the_agent_only() {
    let mut desk = Desk::new();
    let rsa = keygen(desk.home.path(), "rsa", "rsa");
    let server = server_for(&desk, &rsa, "");
    desk.key = rsa.clone();
    desk.configure("IdentitiesOnly yes");
    assert_eq!(not_let_in(desk.connect(&server).await.unwrap_err()).0, [Tried::RsaFile { file: rsa.clone() }]);
    let agent = Agent::holding(desk.home.path(), &[&rsa]);
    desk.agent = Some(agent.socket.clone());
    gets_in(&desk, &server).await;
}

#[tokio::test]
async fn identities_only_keeps_the_agents_other_keys_back() {
    let mut desk = Desk::new();
    let held = keygen(desk.home.path(), "held", "ed25519");
    let server = server_for(&desk, &held, "");
    let agent = Agent::holding(desk.home.path(), &[&held]);
    desk.agent = Some(agent.socket.clone());
    gets_in(&desk, &server).await;
    desk.configure("IdentitiesOnly yes");
    let (tried, _) = not_let_in(desk.connect(&server).await.unwrap_err());
    assert!(matches!(&tried[..], [Tried::Key { file, .. }] if *file == desk.key), "{tried:?}");
    desk.configure("IdentityAgent none");
    assert_eq!(not_let_in(desk.connect(&server).await.unwrap_err()).0.len(), 1);
}

#[tokio::test]
async fn an_agent_that_is_not_there_is_named_when_nothing_opens() {
    let mut desk = Desk::new();
    let other = keygen(desk.home.path(), "other", "ed25519");
    let server = server_for(&desk, &other, "");
    desk.agent = Some(PathBuf::from("/nowhere/agent.sock"));
    let (tried, _) = not_let_in(desk.connect(&server).await.unwrap_err());
    assert!(tried.iter().any(|tried| matches!(tried, Tried::Agent { .. })), "{tried:?}");
}

/// Signs a key; returns the authority's public half.
fn certify(desk: &Desk, key: &Path) -> String {
    let authority = keygen(desk.home.path(), "authority", "ed25519");
    let public_file = format!("{}.pub", key.display());
    program("ssh-keygen", &["-q", "-s", authority.to_str().unwrap(), "-I", "me", "-n", "root", &public_file]);
    public(&authority)
}

#[tokio::test]
async fn a_user_certificate_beside_the_key_opens() {
    let desk = Desk::new();
    let authority = certify(&desk, &desk.key);
    let nobody = keygen(desk.home.path(), "nobody", "ed25519");
    let server = server_for(&desk, &nobody, "TrustedUserCAKeys @DIR@/authorities");
    fs::write(server.directory.path().join("authorities"), authority).unwrap();
    gets_in(&desk, &server).await;
    assert!(server.log().contains("ED25519-CERT"), "{}", server.log());
}

#[tokio::test]
async fn a_user_certificate_opens_through_the_agent_also_when_only_the_key_is_in_it() {
    for certificate_in_agent in [true, false] {
        let mut desk = Desk::new();
        let key = desk.key.clone();
        let (nobody, held) = (keygen(desk.home.path(), "nobody", "ed25519"), desk.home.path().join("held"));
        fs::copy(&key, &held).unwrap();
        let authority = certify(&desk, &key);
        let certificate = desk.home.path().join("id_ed25519-cert.pub");
        if certificate_in_agent {
            fs::copy(&certificate, desk.home.path().join("held-cert.pub")).unwrap();
        }
        let agent = Agent::holding(desk.home.path(), &[&held]);
        desk.agent = Some(agent.socket.clone());
        // The private half is gone from the desk.
        fs::remove_file(&key).unwrap();
        let named = desk.home.path().join("named-cert.pub");
        fs::rename(&certificate, &named).unwrap();
        desk.configure(&if certificate_in_agent { String::new() } else { format!("CertificateFile {}", named.display()) });
        let server = server_for(&desk, &nobody, "TrustedUserCAKeys @DIR@/authorities");
        fs::write(server.directory.path().join("authorities"), authority).unwrap();
        gets_in(&desk, &server).await;
    }
}

#[tokio::test]
async fn too_many_keys_end_with_the_servers_words() {
    let desk = Desk::new();
    let names: Vec<_> = (0..4).map(|n| keygen(desk.home.path(), &format!("k{n}"), "ed25519")).collect();
    desk.configure(&names.iter().map(|file| format!("IdentityFile {}\n", file.display())).collect::<String>());
    let server = server_for(&desk, &names[3], "MaxAuthTries 2");
    let (tried, accepts) = not_let_in(desk.connect(&server).await.unwrap_err());
    assert!(tried.len() >= 2 && accepts.iter().any(|word| word.contains("Too many authentication failures")), "{tried:?} {accepts:?}");
}

#[tokio::test]
async fn a_server_that_wants_two_keys_gets_two_and_one_that_wants_more_is_named() {
    let desk = Desk::new();
    let second = keygen(desk.home.path(), "second", "ed25519");
    desk.configure(&format!("IdentityFile {}", second.display()));
    let server = server_for(&desk, &desk.key, "AuthenticationMethods publickey,publickey");
    let both = format!("{}\n{}\n", public(&desk.key), public(&second));
    fs::write(server.directory.path().join("authorized_keys"), both).unwrap();
    gets_in(&desk, &server).await;
    let server = server_for(&desk, &desk.key, "AuthenticationMethods publickey,password\nPermitRootLogin yes");
    let error = desk.connect(&server).await.unwrap_err();
    assert!(error.hint().contains("AuthenticationMethods"), "{}", error.hint());
    let (tried, accepts) = not_let_in(error);
    assert!(tried.iter().any(|tried| matches!(tried, Tried::MoreWanted { .. })), "{tried:?}");
    assert_eq!(accepts, ["password"]);
}
