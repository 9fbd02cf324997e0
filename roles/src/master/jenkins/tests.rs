use super::*;
use crate::master::{Next, Proof};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIqxxmFBzQEIwxkRxtlBa9CMROCLupFp3O0S9C3ZzPMw";

fn node() -> Node {
    Node {
        name: Name::parse("node-1").unwrap(),
        executors: NonZeroU32::new(2).unwrap(),
        labels: ["debian", "big"].iter().map(|label| Label::parse(label).unwrap()).collect(),
        mode: Mode::Any,
        remote_fs: AbsPath::parse("/home/jenkins/workspaces").unwrap(),
        launcher: Launcher::Ssh(Ssh {
            host: "192.0.2.7".to_owned(),
            port: NonZeroU16::new(22).unwrap(),
            credential: CredentialId::parse("jenkins-ssh").unwrap(),
            host_key: HostKey::parse(KEY).unwrap(),
            java: None,
        }),
        site: Site::parse("lab").unwrap(),
    }
}

fn config(labels: &[&str], mode: Mode) -> Config {
    Config {
        executors: 2,
        labels: labels.iter().map(|&label| label.to_owned()).collect(),
        mode: Some(mode),
        remote_fs: "/home/jenkins/workspaces".to_owned(),
        launcher: SeenLauncher::Ssh {
            host: "192.0.2.7".to_owned(),
            port: "22".to_owned(),
            credential: "jenkins-ssh".to_owned(),
            host_key: Some(HostKey::parse(KEY).unwrap()),
            java: None,
        },
        launched: None,
    }
}

fn ours(config: Config) -> Seen {
    Seen::Ours { config: Box::new(config), is_connected: true, is_resting: false, hold: None }
}

fn next(node: &Node, seen: &Seen, proof: Proof) -> Result<Next, NotOurs> {
    Ok(crate::master::next(&standing(node, seen)?, proof))
}

fn labelled() -> Config {
    config(&["big", "debian"], Mode::Any)
}

fn quarantined() -> Config {
    config(&["ostler-quarantine-node-1"], Mode::Labelled)
}

#[test]
fn what_jenkins_would_swallow_has_no_value_here() {
    for bad in ["", "a/b", "..", "a?b", "abc.", " padded ", "a,b;c", "nœud", "has space", "master", "built-in"] {
        assert!(Name::parse(bad).is_err(), "{bad}");
    }
    for bad in ["", "a/b", "../x", ".", "a b", "é"] {
        assert!(CredentialId::parse(bad).is_err(), "{bad}");
    }
    for bad in ["", "not a key", "ssh-ed25519", "ssh-ed25519 hello", "ssh-dss AAAAB3"] {
        assert!(HostKey::parse(bad).is_err(), "{bad}");
    }
    assert_eq!(HostKey::parse(&format!("{KEY} root@node")).unwrap().to_string(), KEY);
    assert_eq!(NonZeroU32::new(0), None);
}

#[test]
fn our_mark_names_the_site_and_leaves_the_operators_words_alone() {
    let site = Site::parse("lab").unwrap();
    assert_eq!(site.owner(&site.mark()), Owner::Us);
    assert_eq!(site.owner(&format!("rack 4\n{} (do not move)", site.mark())), Owner::Us);
    assert_eq!(site.owner("Rack 4, managed by ostler, site lab. Do not move."), Owner::Us);
    assert_eq!(site.owner("managed by ostler, site lab2"), Owner::Other(ForeignOwner::Site("lab2".to_owned())));
    assert_eq!(site.owner("a build node"), Owner::Other(ForeignOwner::Nobody));
    assert_eq!(site.owner(""), Owner::Other(ForeignOwner::Nobody));
    let endless = format!("managed by ostler, site {}", "x".repeat(100_000));
    assert!(matches!(site.owner(&endless), Owner::Other(ForeignOwner::Site(id)) if id.len() == 80));
}

#[test]
fn a_site_whose_id_ends_with_a_dot_would_take_another_ones_nodes_for_its_own() {
    assert_eq!(
        Site::parse("lab.").map_err(|error| error.to_string()),
        Err("`lab.` is not a site id for Jenkins: it must not end with a dot".to_owned())
    );
    assert_eq!(Site::parse("lab.example").unwrap().mark(), "managed by ostler, site lab.example");
}

#[test]
fn a_node_as_it_should_be_has_no_changes() {
    assert_eq!(diff(&node(), Stage::Labelled, &labelled()), []);
    assert_eq!(diff(&node(), Stage::Quarantined, &quarantined()), []);
}

#[test]
fn each_value_that_differs_is_one_change() {
    let seen = Config { executors: 3, remote_fs: "/tmp".to_owned(), mode: None, ..config(&["debian", "old"], Mode::Any) };
    let changes = diff(&node(), Stage::Labelled, &seen);
    let words: Vec<String> = changes.iter().map(ToString::to_string).collect();
    assert_eq!(
        words,
        ["executors 3 -> 2", "labels -[old] +[big]", "mode none -> NORMAL", "remote directory /tmp -> /home/jenkins/workspaces"]
    );
    assert_eq!(changes.iter().map(Change::needs_launch).collect::<Vec<_>>(), [false, false, false, true]);
}

#[test]
fn a_difference_tells_the_whole_value_from_and_to() {
    let seen = ours(Config { executors: 3, ..config(&["debian", "old"], Mode::Any) });
    let Ok(crate::master::Standing::There(found)) = standing(&node(), &seen) else { panic!() };
    let told: Vec<String> = found.to_labels.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["executors: 3 -> 2", "labels: debian old -> big debian"]);
}

#[test]
fn an_agent_that_was_launched_with_something_else_is_a_change() {
    let launched = |host: &str, port: &str, credential: &str| {
        let launched = Launched { host: host.to_owned(), port: port.to_owned(), credential: credential.to_owned() };
        diff(&node(), Stage::Labelled, &Config { launched: Some(launched), ..labelled() })
    };
    assert_eq!(launched("192.0.2.7", "22", "jenkins-ssh"), []);
    for (host, port, credential) in [("192.0.2.9", "22", "jenkins-ssh"), ("192.0.2.7", "2222", "jenkins-ssh"), ("192.0.2.7", "22", "x")] {
        let changes = launched(host, port, credential);
        let told: Vec<String> = changes.iter().map(ToString::to_string).collect();
        let to = "ssh 192.0.2.7:22 as jenkins-ssh, ssh-ed25519";
        assert_eq!(told, [format!("launcher ssh {host}:{port} as {credential}, ssh-ed25519 -> {to}")]);
        assert!(changes[0].needs_launch());
    }
}

#[test]
fn a_launcher_without_our_pinned_key_is_a_change() {
    let mut seen = labelled();
    for other in [None, Some(HostKey { base64: "AAAAother".to_owned(), ..HostKey::parse(KEY).unwrap() })] {
        if let SeenLauncher::Ssh { host_key, .. } = &mut seen.launcher {
            *host_key = other;
        }
        assert!(matches!(diff(&node(), Stage::Labelled, &seen).as_slice(), [Change::Launcher { .. }]));
    }
    seen.launcher = SeenLauncher::Other(String::new());
    let changes = diff(&node(), Stage::Labelled, &seen);
    assert_eq!(changes[0].to_string(), "launcher none -> ssh 192.0.2.7:22 as jenkins-ssh, ssh-ed25519");
}

#[test]
fn a_node_goes_from_unknown_to_quarantine_to_smoke_to_labels() {
    let node = node();
    assert_eq!(next(&node, &Seen::Absent, Proof::Standing), Ok(Next::Quarantine(Vec::new())));
    let apart = Seen::Ours { config: Box::new(quarantined()), is_connected: false, is_resting: false, hold: None };
    assert_eq!(next(&node, &apart, Proof::Standing), Ok(Next::Connect));
    assert_eq!(next(&node, &ours(quarantined()), Proof::Standing), Ok(Next::Smoke));
    assert!(matches!(next(&node, &ours(quarantined()), Proof::Green), Ok(Next::Label(_))));
    assert_eq!(next(&node, &ours(labelled()), Proof::Green), Ok(Next::Settled(Stage::Labelled)));
}

#[test]
fn a_second_run_settles_at_once() {
    assert_eq!(next(&node(), &ours(labelled()), Proof::Standing), Ok(Next::Settled(Stage::Labelled)));
}

#[test]
fn a_node_that_rests_until_a_job_wants_it_is_left_alone_unless_it_is_to_be_proved() {
    let seen = |config| Seen::Ours { config: Box::new(config), is_connected: false, is_resting: true, hold: None };
    assert_eq!(next(&node(), &seen(labelled()), Proof::Standing), Ok(Next::Settled(Stage::Labelled)));
    assert_eq!(next(&node(), &seen(quarantined()), Proof::Wanted), Ok(Next::Connect));
}

#[test]
fn a_changed_node_earns_its_label_again_and_a_red_one_loses_it() {
    assert!(matches!(next(&node(), &ours(labelled()), Proof::Wanted), Ok(Next::Quarantine(_))));
    assert!(matches!(next(&node(), &ours(labelled()), Proof::Red), Ok(Next::Quarantine(_))));
    assert_eq!(next(&node(), &ours(quarantined()), Proof::Red), Ok(Next::Settled(Stage::Quarantined)));
    let drifted = Config { executors: 9, ..labelled() };
    assert!(matches!(next(&node(), &ours(drifted), Proof::Standing), Ok(Next::Quarantine(_))));
}

#[test]
fn an_operators_mark_is_kept_and_said() {
    let hold = Hold { by: By::Account("al".to_owned()), reason: "disk swap".to_owned() };
    let seen = |config| Seen::Ours { config: Box::new(config), is_connected: false, is_resting: false, hold: Some(hold.clone()) };
    assert_eq!(next(&node(), &seen(labelled()), Proof::Standing), Ok(Next::Settled(Stage::Labelled)));
    assert_eq!(
        next(&node(), &seen(quarantined()), Proof::Standing),
        Ok(Next::Held(crate::master::Hold { is_ours: false, text: hold.to_string() }))
    );
    assert_eq!(hold.to_string(), "marked offline by `al`: disk swap");
}

#[test]
fn a_name_that_is_not_ours_is_never_touched() {
    let node = node();
    for proof in [Proof::Standing, Proof::Wanted, Proof::Green, Proof::Red] {
        assert_eq!(
            next(&node, &Seen::Foreign(ForeignOwner::Nobody), proof),
            Err(NotOurs::Foreign(node.name.clone(), ForeignOwner::Nobody))
        );
        let berlin = ForeignOwner::Site("berlin".to_owned());
        assert_eq!(next(&node, &Seen::Foreign(berlin.clone()), proof), Err(NotOurs::Foreign(node.name.clone(), berlin)));
        assert_eq!(next(&node, &Seen::Orphan, proof), Err(NotOurs::Orphan(node.name.clone())));
    }
}

fn executor() -> Executor {
    use crate::words::{AccountName, MasterName, NodeName, Origin};
    Executor {
        name: NodeName::parse("node-1").unwrap(),
        master: MasterName::parse("jenkins").unwrap(),
        user: AccountName::parse("jenkins").unwrap(),
        count: NonZeroU32::new(2).unwrap(),
        alone: false,
        jobs: Jobs::Any,
        labels: node().labels,
        remote_fs: node().remote_fs,
        java: None,
        launch: Some(Launch::Ssh { credential: "jenkins-ssh".to_owned() }),
        smoke: Vec::new(),
        origin: Origin::generated("test"),
    }
}

#[test]
fn an_executor_becomes_a_node_or_says_why_not_before_anything_is_sent() {
    let site = Site::parse("lab").unwrap();
    let reach = Reach {
        host: HostName::parse("192.0.2.7").unwrap(),
        port: NonZeroU16::new(22).unwrap(),
        host_key: HostKey::parse(KEY).unwrap(),
        java: None,
    };
    assert_eq!(Node::of(&executor(), &site, Some(&reach)), Ok(node()));
    let name = node().name;
    assert_eq!(Node::of(&executor(), &site, None), Err(NodeError::NoReach(name.clone())));
    assert_eq!(Node::of(&Executor { launch: None, ..executor() }, &site, Some(&reach)), Err(NodeError::NoLaunch(name.clone())));
    let inbound = Executor { launch: Some(Launch::Inbound), ..executor() };
    assert_eq!(Node::of(&inbound, &site, None).map(|node| node.launcher), Ok(Launcher::Inbound));
    let label = Label::parse("ostler-quarantine-node-2").unwrap();
    let reserved = Executor { labels: BTreeSet::from([label.clone()]), ..executor() };
    assert_eq!(Node::of(&reserved, &site, Some(&reach)), Err(NodeError::Reserved(name, label)));
    let dotted = Executor { name: crate::words::NodeName::parse("node-1.").unwrap(), ..executor() };
    assert!(matches!(Node::of(&dotted, &site, Some(&reach)), Err(NodeError::Value(_))));
    for bad in ["", "a b", "-oProxyCommand=x", "[::1]"] {
        assert!(HostName::parse(bad).is_err(), "{bad}");
    }
}
