//! Who a host is: strict by default, each verdict over a real handshake.

use std::fs;
use std::path::Path;
use std::process::Command;

use ostler::transport::known_hosts::{AppendError, CertificateFault};
use ostler::transport::{ConnectFault, Exit, HostKeyFault, LinkEvent, NewKeys};
use ostler_tests::sshd::{Sshd, keygen, public, run as program};

use super::desk::{Desk, Mounted, at, read, run, words};

async fn refused(desk: &Desk, server: &Sshd) -> HostKeyFault {
    match desk.connect(server).await.unwrap_err().fault {
        ConnectFault::HostKey(fault) => fault,
        other => panic!("{other}"),
    }
}

fn fingerprint(key: &Path) -> String {
    program("ssh-keygen", &["-lf", key.to_str().unwrap()]).split(' ').nth(1).unwrap().to_owned()
}

#[tokio::test]
async fn an_unknown_host_is_refused_with_its_fingerprint_and_nothing_is_written() {
    let desk = Desk::new();
    let server = Sshd::start(&desk.key, "");
    let error = desk.connect(&server).await.unwrap_err();
    assert!(error.hint().contains("--accept-new"), "{}", error.hint());
    let ConnectFault::HostKey(HostKeyFault::Unknown { fingerprint: shown, files, .. }) = error.fault else { panic!("{error}") };
    assert_eq!((shown, files), (fingerprint(&server.host_key("ed25519")), vec![desk.known_hosts.display().to_string()]));
    assert!(!desk.known_hosts.exists());
}

#[tokio::test]
async fn strict_checking_set_to_no_is_strict_here() {
    let desk = Desk::new();
    desk.configure("StrictHostKeyChecking no");
    let server = Sshd::start(&desk.key, "");
    assert!(matches!(refused(&desk, &server).await, HostKeyFault::Unknown { .. }));
}

#[tokio::test]
async fn accept_new_records_the_key_once_and_later_runs_are_strict() {
    let mut desk = Desk::new();
    desk.configure("HashKnownHosts yes");
    let server = Sshd::start(&desk.key, "");
    desk.new_keys = NewKeys::Accept;
    desk.connect(&server).await.unwrap();
    desk.connect(&server).await.unwrap();
    let text = read(&desk.known_hosts);
    assert!(text.starts_with("|1|") && text.lines().count() == 1, "{text}");
    let accepted =
        |event: &&LinkEvent| matches!(event, LinkEvent::HostKeyAccepted { host, .. } if *host == format!("127.0.0.1:{}", server.port));
    assert_eq!(desk.events().iter().filter(accepted).count(), 1);
    desk.new_keys = NewKeys::Refuse;
    desk.connect(&server).await.unwrap();
    // The real client agrees with what was written.
    ssh_reaches(&desk, &server);
}

#[tokio::test]
async fn a_changed_key_is_refused_even_when_new_keys_are_accepted() {
    let mut desk = Desk::new();
    let server = Sshd::start(&desk.key, "");
    let other = keygen(desk.home.path(), "other", "ed25519");
    desk.know(&format!("# mine\n{} {}\n", server.name(), public(&other)));
    desk.new_keys = NewKeys::Accept;
    let HostKeyFault::Changed { recorded, fingerprint: shown, .. } = refused(&desk, &server).await else { panic!() };
    assert_eq!(recorded, [format!("{}:2 (ssh-ed25519)", desk.known_hosts.display())]);
    assert_eq!(shown, fingerprint(&server.host_key("ed25519")));
}

#[tokio::test]
async fn what_a_changed_key_hints_at_can_be_pasted() {
    // At a port; under an alias, in a file with a blank in its name; under a pattern beside a line of the host's own.
    for (configuration, name) in [("", None), ("HostKeyAlias rack-1", Some("rack-1")), ("", Some("[127.0.0.*]:*"))] {
        let mut desk = Desk::new();
        let server = Sshd::start(&desk.key, "");
        let other = public(&keygen(desk.home.path(), "other", "ed25519"));
        desk.configure(configuration);
        let kept = "elsewhere ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINFLkxtukBg6lS6Ss/Ob7s/11zXcYgxbShB7GwRKoAu4";
        let file = desk.home.path().join("known hosts");
        fs::write(&file, format!("{kept}\n{} {other}\n", name.map_or_else(|| server.name(), str::to_owned))).unwrap();
        desk.new_keys = NewKeys::Accept;
        let mut target = at(&server);
        target.settings.known_hosts = Some(file.clone());
        let hint = desk.ssh().connect(&target).await.unwrap_err().hint();
        let command = hint.split('`').nth(1).unwrap();
        assert!(Command::new("sh").args(["-c", command]).status().unwrap().success(), "{hint}");
        desk.ssh().connect(&target).await.unwrap();
        assert!(read(&file).starts_with(kept), "{hint}");
    }
}

#[tokio::test]
async fn a_key_of_another_type_is_changed_not_unknown() {
    let mut desk = Desk::new();
    let server = Sshd::start(&desk.key, "");
    let other = keygen(desk.home.path(), "other", "ecdsa");
    desk.know(&format!("{} {}\n", server.name(), public(&other)));
    desk.new_keys = NewKeys::Accept;
    assert!(matches!(refused(&desk, &server).await, HostKeyFault::Changed { key_type, .. } if key_type == "ssh-ed25519"));
    assert_eq!(read(&desk.known_hosts).lines().count(), 1);
}

#[tokio::test]
async fn the_recorded_type_is_asked_for_first() {
    let desk = Desk::new();
    let server = Sshd::with_host_keys(&desk.key, &["ed25519", "ecdsa"], "");
    desk.know(&format!("{} {}\n", server.name(), public(&server.host_key("ecdsa"))));
    desk.connect(&server).await.unwrap();
}

#[tokio::test]
async fn a_host_known_by_an_rsa_key_alone_is_told_so() {
    let desk = Desk::new();
    let server = Sshd::with_host_keys(&desk.key, &["ed25519", "rsa"], "");
    desk.know(&format!("{} {}\n", server.name(), public(&server.host_key("rsa"))));
    let fault = refused(&desk, &server).await;
    assert!(matches!(&fault, HostKeyFault::Unverifiable { key_type, .. } if key_type == "ssh-rsa"), "{fault}");
}

#[tokio::test]
async fn a_revoked_key_is_refused_though_it_is_recorded_too() {
    let desk = Desk::new();
    let server = Sshd::start(&desk.key, "");
    let key = public(&server.host_key("ed25519"));
    desk.know(&format!("{} {key}\n@revoked * {key}\n", server.name()));
    let fault = refused(&desk, &server).await;
    assert!(matches!(&fault, HostKeyFault::Revoked { by, .. } if by.ends_with(":2")), "{fault}");
}

#[tokio::test]
async fn a_hashed_entry_is_known() {
    let desk = Desk::new();
    let server = Sshd::start(&desk.key, "");
    desk.know_server(&server);
    program("ssh-keygen", &["-q", "-H", "-f", desk.known_hosts.to_str().unwrap()]);
    assert!(read(&desk.known_hosts).starts_with("|1|"));
    desk.connect(&server).await.unwrap();
}

#[tokio::test]
async fn an_alias_stands_for_the_host() {
    let desk = Desk::new();
    desk.configure("HostKeyAlias rack-7");
    let server = Sshd::start(&desk.key, "");
    desk.know(&format!("rack-7 {}\n", public(&server.host_key("ed25519"))));
    desk.connect(&server).await.unwrap();
}

/// A server that shows a certificate for its host key, made by a new authority with these options.
fn certified(desk: &Desk, options: &[&str]) -> (Sshd, String) {
    certified_by(desk, "ed25519", options)
}

fn certified_by(desk: &Desk, kind: &str, options: &[&str]) -> (Sshd, String) {
    let server = Sshd::prepare(&desk.key, &["ed25519"]);
    let authority = keygen(desk.home.path(), "authority", kind);
    let mut arguments = vec!["-q", "-s", authority.to_str().unwrap(), "-I", "host"];
    arguments.extend(options);
    let host_key = format!("{}.pub", server.host_key("ed25519").display());
    arguments.push(&host_key);
    program("ssh-keygen", &arguments);
    let server = server.serve("HostCertificate @DIR@/host_ed25519-cert.pub");
    (server, public(&authority))
}

#[tokio::test]
async fn a_host_certificate_of_a_known_authority_is_enough() {
    let desk = Desk::new();
    let (server, authority) = certified(&desk, &["-h", "-n", "elsewhere,127.0.0.1"]);
    desk.know(&format!("@cert-authority [127.0.0.*]:* {authority}\n"));
    let link = desk.connect(&server).await.unwrap();
    assert_eq!(run(&link, &words(&["true"])).await.1.exit, Exit::Status(0));
}

#[tokio::test]
async fn a_host_certificate_for_another_host_is_refused() {
    let desk = Desk::new();
    let (server, authority) = certified(&desk, &["-h", "-n", "elsewhere"]);
    desk.know(&format!("@cert-authority * {authority}\n"));
    let HostKeyFault::Certificate { fault, .. } = refused(&desk, &server).await else { panic!() };
    assert_eq!(fault, CertificateFault::OtherHost { principals: vec!["elsewhere".into()], host: "127.0.0.1".into() });
}

#[tokio::test]
async fn a_host_certificate_whose_time_has_passed_is_refused() {
    let desk = Desk::new();
    let (server, authority) = certified(&desk, &["-h", "-n", "127.0.0.1", "-V", "20200101:20200201"]);
    desk.know(&format!("@cert-authority * {authority}\n"));
    let fault = refused(&desk, &server).await;
    assert!(matches!(&fault, HostKeyFault::Certificate { fault: CertificateFault::NotValid { .. }, .. }), "{fault}");
}

#[tokio::test]
async fn a_certificate_that_names_no_host_is_refused() {
    let desk = Desk::new();
    let (server, authority) = certified(&desk, &["-h"]);
    desk.know(&format!("@cert-authority * {authority}\n"));
    let fault = refused(&desk, &server).await;
    assert!(matches!(&fault, HostKeyFault::Certificate { fault: CertificateFault::NoHost, .. }), "{fault}");
}

#[tokio::test]
async fn a_revoked_authority_vouches_for_nobody() {
    let desk = Desk::new();
    let (server, authority) = certified(&desk, &["-h", "-n", "127.0.0.1"]);
    desk.know(&format!("@cert-authority * {authority}\n@revoked * {authority}\n"));
    assert!(matches!(refused(&desk, &server).await, HostKeyFault::Revoked { .. }));
}

#[tokio::test]
async fn a_certificate_of_a_stranger_leaves_the_key_inside_to_count() {
    let desk = Desk::new();
    let (server, _) = certified(&desk, &["-h", "-n", "127.0.0.1"]);
    let stranger = keygen(desk.home.path(), "stranger", "ed25519");
    desk.know(&format!("@cert-authority * {}\n", public(&stranger)));
    assert!(matches!(refused(&desk, &server).await, HostKeyFault::Unknown { .. }));
    desk.know(&format!("@cert-authority * {}\n{} {}\n", public(&stranger), server.name(), public(&server.host_key("ed25519"))));
    desk.connect(&server).await.unwrap();
}

#[tokio::test]
async fn a_file_of_known_hosts_that_cannot_be_read_is_no_empty_one() {
    let mut desk = Desk::new();
    let server = Sshd::start(&desk.key, "");
    fs::create_dir(&desk.known_hosts).unwrap();
    desk.new_keys = NewKeys::Accept;
    assert!(matches!(refused(&desk, &server).await, HostKeyFault::Unreadable { .. }));
}

#[tokio::test]
async fn known_hosts_may_be_dev_null() {
    let mut desk = Desk::new();
    desk.configure("UserKnownHostsFile /dev/null");
    let server = Sshd::start(&desk.key, "");
    assert!(matches!(refused(&desk, &server).await, HostKeyFault::Unknown { .. }));
    desk.new_keys = NewKeys::Accept;
    desk.connect(&server).await.unwrap();
}

#[tokio::test]
async fn a_certificate_that_does_not_hold_leaves_a_recorded_key_to_count_as_ssh_has_it() {
    let desk = Desk::new();
    for options in [["-h", "-n", "elsewhere", "-V", "always:forever"], ["-h", "-n", "127.0.0.1", "-V", "20200101:20200201"]] {
        let (server, authority) = certified(&desk, &options);
        desk.know(&format!("@cert-authority * {authority}\n{} {}\n", server.name(), public(&server.host_key("ed25519"))));
        ssh_reaches(&desk, &server);
        desk.connect(&server).await.unwrap();
        // No new key is accepted in the place of a certificate that should have held.
        let mut accepting = Desk::new();
        accepting.new_keys = NewKeys::Accept;
        accepting.know(&format!("@cert-authority * {authority}\n"));
        assert!(matches!(refused(&accepting, &server).await, HostKeyFault::Certificate { .. }));
        fs::remove_file(desk.home.path().join("authority")).unwrap();
        fs::remove_file(desk.home.path().join("authority.pub")).unwrap();
    }
}

#[tokio::test]
async fn an_authority_that_cannot_be_verified_here_is_named() {
    let mut desk = Desk::new();
    let (server, authority) = certified_by(&desk, "rsa", &["-h", "-n", "127.0.0.1"]);
    desk.know(&format!("@cert-authority * {authority}\n"));
    let HostKeyFault::Certificate { authority: place, fault } = refused(&desk, &server).await else { panic!() };
    assert_eq!((place, fault), (format!("{}:1", desk.known_hosts.display()), CertificateFault::Authority("ssh-rsa".to_owned())));
    // It may be revoked all the same.
    let own = format!("{} {}\n", server.name(), public(&server.host_key("ed25519")));
    desk.know(&format!("@cert-authority * {authority}\n@revoked * {authority}\n{own}"));
    assert!(matches!(refused(&desk, &server).await, HostKeyFault::Revoked { .. }));
    let other = format!("{} {}\n", server.name(), public(&desk.key));
    desk.know(&format!("@cert-authority * {authority}\n{other}"));
    desk.new_keys = NewKeys::Accept;
    assert!(matches!(refused(&desk, &server).await, HostKeyFault::Changed { .. }));
    // And the key inside may be recorded, or be accepted as a new one.
    desk.know(&format!("@cert-authority * {authority}\n{own}"));
    desk.connect(&server).await.unwrap();
    desk.know(&format!("@cert-authority * {authority}\n"));
    desk.new_keys = NewKeys::Accept;
    desk.connect(&server).await.unwrap();
    assert_eq!(read(&desk.known_hosts), format!("@cert-authority * {authority}\n{own}"));
}

/// The real client comes to the same.
fn ssh_reaches(desk: &Desk, server: &Sshd) {
    let (config, port) = (desk.config.to_str().unwrap(), server.port.to_string());
    program("ssh", &["-F", config, "-oStrictHostKeyChecking=yes", "-oBatchMode=yes", "-p", &port, "127.0.0.1", "true"]);
}

#[tokio::test]
async fn a_principal_in_other_letters_is_another_host() {
    let desk = Desk::new();
    desk.configure("HostKeyAlias Rack");
    let (server, authority) = certified(&desk, &["-h", "-n", "Rack"]);
    desk.know(&format!("@cert-authority * {authority}\n"));
    let HostKeyFault::Certificate { fault, .. } = refused(&desk, &server).await else { panic!() };
    assert_eq!(fault, CertificateFault::OtherHost { principals: vec!["Rack".into()], host: "rack".into() });
}

#[tokio::test]
async fn without_a_file_of_the_users_own_no_new_key_is_written_to_the_machines() {
    let mut desk = Desk::new();
    let machines = desk.home.path().join("machines");
    desk.configure(&format!("UserKnownHostsFile none\nGlobalKnownHostsFile {}", machines.display()));
    let server = Sshd::start(&desk.key, "");
    desk.new_keys = NewKeys::Accept;
    let fault = refused(&desk, &server).await;
    assert!(matches!(&fault, HostKeyFault::NotRecorded(AppendError::NoFile)), "{fault}");
    assert!(!machines.exists());
}

#[tokio::test]
async fn a_new_key_goes_beside_a_comment_in_another_character_set() {
    let mut desk = Desk::new();
    let server = Sshd::start(&desk.key, "");
    let theirs = b"# M\xfcller's hosts\n";
    fs::write(&desk.known_hosts, theirs).unwrap();
    desk.new_keys = NewKeys::Accept;
    desk.connect(&server).await.unwrap();
    let whole = fs::read(&desk.known_hosts).unwrap();
    let line = format!("{} {}\n", server.name(), public(&server.host_key("ed25519")));
    assert!(whole == [theirs, line.as_bytes()].concat(), "{}", String::from_utf8_lossy(&whole));
}

#[tokio::test]
async fn a_new_key_that_found_no_room_leaves_no_half_of_a_line() {
    let mut desk = Desk::new();
    let server = Sshd::start(&desk.key, "");
    let full = Mounted::tmpfs(&desk.home.path().join("full"), "size=4k");
    desk.known_hosts = full.0.join("known_hosts");
    desk.configure("");
    let before = format!("#{}\n", "x".repeat(4096 - 32));
    desk.know(&before);
    desk.new_keys = NewKeys::Accept;
    let HostKeyFault::NotRecorded(fault) = refused(&desk, &server).await else { panic!() };
    assert_eq!(fault.to_string(), format!("write {}: No space left on device (os error 28)", desk.known_hosts.display()));
    let after = read(&desk.known_hosts);
    assert!(after == before, "{:?} stayed", &after[before.len()..]);
}

#[tokio::test]
async fn known_hosts_that_another_program_has_locked_are_named_and_not_waited_for_without_end() {
    let mut desk = Desk::new();
    let server = Sshd::start(&desk.key, "");
    desk.know("");
    let held = fs::File::open(&desk.known_hosts).unwrap();
    held.lock().unwrap();
    desk.new_keys = NewKeys::Accept;
    let HostKeyFault::NotRecorded(fault) = refused(&desk, &server).await else { panic!() };
    assert!(matches!(&fault, AppendError::Locked { file, .. } if *file == desk.known_hosts), "{fault}");
    held.unlock().unwrap();
    desk.connect(&server).await.unwrap();
}
