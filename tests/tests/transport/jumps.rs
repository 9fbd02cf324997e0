//! Bastions: one connection to each, and the faults on the way.

use std::time::Duration;

use ostler::transport::{
    ConfigError, ConnectError, ConnectFault, Exit, HostSettings, Jump, LinkEvent, NewKeys, Placement, Target, place_file,
};
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
    place_file(&link, &Placement { path: path.to_str().unwrap(), bytes: &bytes, packed: None, mode: 0o600 }).await.unwrap();
    assert_eq!([&first, &second, &node].map(logins), [1, 1, 1]);
}

#[tokio::test]
async fn a_bastions_new_key_is_told_once_and_under_its_own_name() {
    let mut desk = Desk::new();
    desk.new_keys = NewKeys::Accept;
    let (bastion, nodes) = (Sshd::start(&desk.key, ""), [Sshd::start(&desk.key, ""), Sshd::start(&desk.key, "")]);
    let ssh = desk.ssh();
    for node in &nodes {
        ssh.connect(&behind(node, at(&bastion))).await.unwrap();
    }
    let hosts: Vec<String> = desk
        .events()
        .into_iter()
        .filter_map(|event| if let LinkEvent::HostKeyAccepted { host, .. } = event { Some(host) } else { None })
        .collect();
    assert_eq!(hosts, [&bastion, &nodes[0], &nodes[1]].map(|server| format!("127.0.0.1:{}", server.port)));
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

/// Connects, which must fail, and within ten seconds: a circle waits for itself.
async fn fails(ssh: &ostler::transport::Ssh, target: &Target) -> ConnectError {
    tokio::time::timeout(Duration::from_secs(10), ssh.connect(target)).await.unwrap().unwrap_err()
}

fn circle(error: &ConnectError) -> &str {
    let ConnectFault::Config(ConfigError::JumpCircle { way }) = &error.fault else { panic!("{error}") };
    way
}

#[tokio::test]
async fn bastions_that_lead_in_a_circle_are_named() {
    let desk = Desk::new();
    desk.configure("Host a\n ProxyJump b\nHost b\n ProxyJump c\nHost c\n ProxyJump a");
    let error = fails(&desk.ssh(), &Target::new("a")).await;
    assert_eq!(circle(&error), "a -> b -> c -> a");
    // What the site says of the node makes it another target than the bastion of its name.
    let mut node = at_port(free_port());
    node.host = "c".to_owned();
    let error = fails(&desk.ssh(), &node).await;
    assert_eq!(circle(&error), "a -> b -> c -> a");
    assert!(error.hint().contains("ProxyJump none"), "{}", error.hint());
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_met_at_once_whose_bastions_cross_do_not_wait_for_each_other() {
    let desk = Desk::new();
    desk.configure("Host a\n ProxyJump b\nHost b\n ProxyJump a");
    let ssh = desk.ssh();
    let (a, b) = (behind_host("a"), behind_host("b"));
    let (one, other) = tokio::join!(fails(&ssh, &a), fails(&ssh, &b));
    assert_eq!((circle(&one), circle(&other)), ("a -> b -> a", "b -> a -> b"));
}

/// A node of the site that lies behind the host of this name.
fn behind_host(bastion: &str) -> Target {
    let jump = Jump::Via(Box::new(Target::new(bastion)));
    Target { host: "127.0.0.1".to_owned(), settings: HostSettings { jump, ..HostSettings::default() } }
}

#[tokio::test]
async fn a_bastion_behind_itself_is_named() {
    let desk = Desk::new();
    desk.configure("Host *\n ProxyJump gate");
    let bare = desk.ssh().asking(desk.home.path().join("no-ssh"));
    assert_eq!(circle(&fails(&bare, &Target::new("gate")).await), "gate -> gate");
    assert_eq!(circle(&fails(&bare, &Target::new("node")).await), "gate -> gate");
    // The client finds this one itself, when it is asked about the bastion.
    let ConnectFault::Jump(inner) = fails(&desk.ssh(), &Target::new("node")).await.fault else { panic!() };
    let ConnectFault::Config(ConfigError::Query { reason, .. }) = &inner.fault else { panic!("{inner}") };
    assert_eq!(reason, "jumphost loop via gate");
}

#[tokio::test]
async fn more_bastions_than_anybody_has_are_too_many() {
    let desk = Desk::new();
    let hosts: Vec<_> = (0..20).map(|n| format!("Host b{n}\n ProxyJump b{}\n", n + 1)).collect();
    desk.configure(&hosts.concat());
    let error = fails(&desk.ssh(), &Target::new("b0")).await;
    assert!(matches!(error.fault, ConnectFault::Config(ConfigError::TooManyJumps { limit: 8 })), "{error}");
}
