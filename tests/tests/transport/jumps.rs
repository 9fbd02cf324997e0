//! Bastions: one connection to each, and the faults on the way.

use ostler::transport::{ConnectFault, Exit, HostSettings, Jump, Link as _, Placement, Target};
use ostler_tests::sshd::{Sshd, free_port};

use super::desk::{Desk, at, at_port, run, words};

fn behind(node: &Sshd, bastion: Target) -> Target {
    let settings = HostSettings { port: Some(node.port), jump: Jump::Via(Box::new(bastion)), ..HostSettings::default() };
    Target { host: "127.0.0.1".to_owned(), settings }
}

fn logins(server: &Sshd) -> usize {
    server.log().lines().filter(|line| line.starts_with("Accepted publickey")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_nodes_share_one_connection_to_their_bastion() {
    let desk = Desk::new();
    let (bastion, node) = (Sshd::start(&desk.key, ""), Sshd::start(&desk.key, "MaxStartups 100"));
    desk.know_server(&bastion);
    desk.know_server(&node);
    let ssh = std::sync::Arc::new(desk.ssh());
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (ssh, target) = (std::sync::Arc::clone(&ssh), behind(&node, at(&bastion)));
        all.spawn(async move { run(&ssh.connect(&target).await.unwrap(), &words(&["true"])).await.1.exit });
    }
    while let Some(exit) = all.join_next().await {
        assert_eq!(exit.unwrap(), Exit::Status(0));
    }
    assert_eq!((logins(&bastion), logins(&node)), (1, 8));
}

#[tokio::test]
async fn proxy_jump_of_the_configuration_leads_over_two_bastions() {
    let desk = Desk::new();
    let (first, second, node) = (Sshd::start(&desk.key, ""), Sshd::start(&desk.key, ""), Sshd::start(&desk.key, ""));
    for server in [&first, &second, &node] {
        desk.know_server(server);
    }
    desk.configure(&format!(
        "Host node\n  HostName 127.0.0.1\n  Port {}\n  ProxyJump root@127.0.0.1:{},127.0.0.1:{}",
        node.port, first.port, second.port
    ));
    let link = desk.ssh().connect(&Target::new("node")).await.unwrap();
    let bytes = vec![7; 300_000];
    let path = node.directory.path().join("placed");
    link.place(&Placement { path: path.to_str().unwrap(), bytes: &bytes, mode: 0o600 }).await.unwrap();
    assert_eq!([&first, &second, &node].map(logins), [1, 1, 1]);
}

#[tokio::test]
async fn the_site_may_say_that_there_is_no_bastion() {
    let desk = Desk::new();
    let node = Sshd::start(&desk.key, "");
    desk.know_server(&node);
    desk.configure("ProxyJump nowhere.invalid");
    let mut target = at(&node);
    assert!(matches!(desk.ssh().connect(&target).await.unwrap_err().fault, ConnectFault::Jump(_)));
    target.settings.jump = Jump::Direct;
    desk.ssh().connect(&target).await.unwrap();
}

#[tokio::test]
async fn a_bastion_that_cannot_be_reached_is_tried_once_for_all() {
    let desk = Desk::new();
    let node = Sshd::start(&desk.key, "");
    let ssh = desk.ssh();
    let target = behind(&node, at_port(free_port()));
    for _ in 0..2 {
        let ConnectFault::Jump(inner) = ssh.connect(&target).await.unwrap_err().fault else { panic!() };
        assert!(matches!(inner.fault, ConnectFault::Refused { .. }), "{inner}");
    }
}

#[tokio::test]
async fn a_bastion_that_cannot_reach_the_node_says_so() {
    let desk = Desk::new();
    let bastion = Sshd::start(&desk.key, "");
    desk.know_server(&bastion);
    let mut target = at_port(free_port());
    target.settings.jump = Jump::Via(Box::new(at(&bastion)));
    let fault = desk.ssh().connect(&target).await.unwrap_err().fault;
    assert!(matches!(&fault, ConnectFault::JumpRefused { bastion: name, .. } if *name == format!("127.0.0.1:{}", bastion.port)), "{fault}");
}

#[tokio::test]
async fn a_bastion_that_forbids_forwarding_says_so() {
    let desk = Desk::new();
    let (bastion, node) = (Sshd::start(&desk.key, "AllowTcpForwarding no"), Sshd::start(&desk.key, ""));
    desk.know_server(&bastion);
    let fault = desk.ssh().connect(&behind(&node, at(&bastion))).await.unwrap_err().fault;
    assert!(matches!(&fault, ConnectFault::JumpRefused { reason, .. } if reason.contains("rohibited")), "{fault}");
}

#[tokio::test]
async fn the_nodes_own_host_key_is_checked_behind_a_bastion() {
    let desk = Desk::new();
    let (bastion, node) = (Sshd::start(&desk.key, ""), Sshd::start(&desk.key, ""));
    desk.know_server(&bastion);
    let fault = desk.ssh().connect(&behind(&node, at(&bastion))).await.unwrap_err().fault;
    assert!(matches!(fault, ConnectFault::HostKey(_)), "{fault}");
}
