//! The model must answer as the recorded Jenkins 2.426, 2.532 and 2.568 did before anything else may trust it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use ostler_tests::jenkins::credentials::{Credential, SSH_KEY};
use ostler_tests::jenkins::nodes::{Agent, Node, OfflineMark};
use ostler_tests::jenkins::replay::{Exchange, Replayer, TIMELINES, exchange_once, load};
use ostler_tests::jenkins::{Fault, Model, Permission, Response, SshHost, Timeline, User, Version, jobs, xml};

const HOST_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIqxxmFBzQEIwxkRxtlBa9CMROCLupFp3O0S9C3ZzPMw";
const LIMIT: Duration = Duration::from_secs(10);

pub fn data() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/jenkins")
}

/// The controller that was recorded: its users, its address, what it had, one machine with sshd.
fn controller_of(version: Version) -> Model {
    if version == Version::V2_532 { recorded_controller() } else { later_controller(version) }
}

pub fn later_controller(version: Version) -> Model {
    let users = vec![User::new("admin", &[Permission::Administer]), User::new("weak", &[Permission::Read])];
    let model = Model::of(version, users).unwrap();
    let mut state = model.state();
    state.root_url = "http://10.78.0.1:8080/".to_owned();
    state.launch_delay = None;
    let (session, cookie) = if version == Version::V2_568 { ("28743707", "c052c5d9") } else { ("8e689786", "3447154a") };
    (state.session, state.cookie) = (session.to_owned(), cookie.to_owned());
    state.hosts = vec![SshHost { host: "10.78.0.13".to_owned(), port: 22, host_key: HOST_KEY.to_owned(), java: 21 }];
    let mark = "managed by ostler, site c643646b63c4";
    let key = "<usernameSecret>false</usernameSecret><privateKeySource><privateKey>k</privateKey></privateKeySource>";
    let key = format!(
        "<{SSH_KEY}><scope>GLOBAL</scope><id>launch-key</id><description>{mark}</description><username>jenkins</username>{key}</{SSH_KEY}>"
    );
    state.credentials.push(Credential::from_xml(&xml::parse(&key).unwrap()).unwrap());
    drop(state);
    add_node(&model, "b3", mark, "big debian");
    model.state().nodes.get_mut("b3").unwrap().agent = Agent::Online;
    model
}

/// A node that was there, or was made, without a recorded request; its launch goes on.
pub fn add_node(model: &Model, name: &str, description: &str, labels: &str) {
    let launcher = serde_json::json!({"stapler-class": "hudson.plugins.sshslaves.SSHLauncher", "host": "10.78.0.99", "port": "22"});
    let json = serde_json::json!({"numExecutors": "2", "nodeDescription": description, "labelString": labels,
        "remoteFS": "/home/jenkins/workspaces", "mode": "EXCLUSIVE", "launcher": launcher});
    model.state().nodes.insert(name.to_owned(), Node::from_form(name, &json).unwrap());
}

fn recorded_controller() -> Model {
    use Permission::{Administer, AgentConfigure, AgentConnect, AgentCreate, AgentDelete, AgentDisconnect, Read};
    let model = Model::start(vec![
        User::new("admin", &[Administer]),
        User::new("nodeop", &[Read, AgentCreate, AgentConfigure, AgentConnect, AgentDisconnect, AgentDelete]),
        User::new("reader", &[Read]),
        User::new("nobody", &[]),
    ])
    .unwrap();
    let mut state = model.state();
    state.root_url = "http://127.0.0.1:18080/".to_owned();
    state.launch_delay = None;
    state.hosts = vec![SshHost { host: "127.0.0.1".to_owned(), port: 18022, host_key: HOST_KEY.to_owned(), java: 21 }];
    drop(state);
    model
}

fn keep_nodes(model: &Model, names: &[&str]) {
    model.state().nodes.retain(|name, _| names.contains(&name.as_str()));
}

fn call_in(model: &Model, name: &str) {
    let mut state = model.state();
    let node = state.nodes.get_mut(name).unwrap();
    let secret = node.secret.clone();
    assert!(node.call_in(&secret), "{name} is no inbound node");
}

fn finish_builds(model: &Model) {
    let mut state = model.state();
    state.hold_builds = false;
    state.queue.iter_mut().for_each(|item| item.due = 0);
    drop(state);
    assert!(model.wait_for_builds(LIMIT), "a build never ended");
}

/// What happened on the controller between two recorded requests, without a recorded request.
fn set_up_before(title: &str, model: &Model) {
    let number = title.split('-').take(2).collect::<Vec<_>>().join("-");
    match number.as_str() {
        // Launches came to their end.
        "node-08" | "bad-40" | "state-17b" => model.state().settle_agents(),
        // The mark of state-13 was taken off by hand.
        "state-14" => model.state().nodes.get_mut("devstack_slave1").unwrap().offline = None,
        // Nodes of the finished groups were removed.
        "inbound-01" => keep_nodes(model, &["devstack_slave1", "n_ws"]),
        "inbound-20" => keep_nodes(model, &["devstack_slave1"]),
        "inbound-21" => call_in(model, "devstack_slave2"),
        // The quiet period passed and the build started.
        "job-12" => {
            let mut state = model.state();
            state.hold_builds = true;
            state.queue[0].due = 0;
        }
        // Its shell ended.
        "job-17" | "job-29" | "job-31" => finish_builds(model),
        // The next build was still running when the queue was asked.
        "job-25" => model.state().hold_builds = true,
        "quiet-01" => {
            // An item in between was not recorded.
            model.state().last_item = 5;
        }
        "restart-01" => {
            keep_nodes(model, &["devstack_slave1", "devstack_slave2"]);
            model.state().queue.clear();
        }
        "restart-03" => model.play(Timeline::new(vec![(Fault::Restarting, LIMIT)])),
        "restart-05" => model.play(Timeline::new(vec![(Fault::Starting, LIMIT)])),
        "restart-07" => model.play(Timeline::new(vec![(Fault::Unauthorized, LIMIT)])),
        "restart-08" => {
            model.play(Timeline::default());
            let mut state = model.state();
            state.restart();
            state.session = "3b524711".to_owned();
        }
        "restart-11" => {
            model.state().settle_agents();
            call_in(model, "devstack_slave2");
        }
        "v568-22" | "v426-08" | "v568-75" => model.state().settle_agents(),
        // The mark was taken off by hand.
        "v426-12" => model.state().nodes.get_mut("rec-ssh").unwrap().offline = None,
        "v568-52" => model.state().last_item = 1,
        "v568-55" => {
            let mut state = model.state();
            state.hold_builds = true;
            state.queue[0].due = 0;
        }
        "v568-58" => finish_builds(model),
        "v568-61" => {
            let mut state = model.state();
            state.nodes.get_mut("rec-ssh").unwrap().offline = Some(OfflineMark::new("admin", ""));
            jobs::enqueue(&mut state, "rec-job", "admin", Some(Duration::ZERO));
        }
        "v568-21" => {
            {
                let mut state = model.state();
                let node = state.nodes.get_mut("rec-ssh").unwrap();
                node.offline = None;
                let launcher = node.launcher.as_mut().unwrap();
                launcher
                    .children
                    .iter_mut()
                    .filter(|child| child.name == "retryWaitTime")
                    .for_each(|child| child.text = Some("14".to_owned()));
            }
            add_node(model, "rec-slow", "recorded node", "debian rec");
        }
        "v568-68" => {
            add_node(model, "rec-wrong", "recorded node", "debian rec");
            let mut state = model.state();
            state.nodes.get_mut("rec-wrong").unwrap().agent = Agent::Failed;
            state.nodes.get_mut("rec-slow").unwrap().agent = Agent::Failed;
        }
        // The retention strategy launches them again and again.
        "v568-82" => ["rec-slow", "rec-wrong"].iter().for_each(|name| model.state().nodes.get_mut(*name).unwrap().reconnect()),
        "v568-86" => {
            let mut state = model.state();
            let node = state.nodes.get_mut("rec-in").unwrap();
            let secret = node.secret.clone();
            assert!(node.call_in_from(Version::V2_568, "10.78.0.13", &secret));
        }
        "v568-88" => keep_nodes(model, &["b3", "rec-in"]),
        "v568-89" => model.state().lose_agent("rec-in"),
        "idem-01" => model.state().session = "3473c23f".to_owned(),
        _ => {}
    }
}

fn not_covered() -> BTreeSet<String> {
    let text = std::fs::read_to_string(data().join("not-covered.md")).unwrap();
    text.lines().filter_map(|line| line.strip_prefix("- ")?.split_once(": ")).map(|(title, _)| title.to_owned()).collect()
}

fn is_exchange(exchange: &Exchange) -> bool {
    exchange.status() != 0
}

#[test]
fn the_model_answers_as_the_recorded_jenkins_did() {
    let exchanges = load(&data().join("exchanges")).unwrap();
    let left_out = not_covered();
    let titles: BTreeSet<&String> = exchanges.iter().map(|exchange| &exchange.title).collect();
    for title in &left_out {
        assert!(titles.contains(title), "not-covered.md names {title}, which is no recording");
    }
    // The recorded jobs sleep for four seconds; the trace in the console is the same when they do not.
    let quick = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/bin/true", quick.path().join("sleep")).unwrap();
    let (mut replayed, mut faults, mut timelines) = (0, Vec::new(), BTreeSet::new());
    for version in [Version::V2_426, Version::V2_532, Version::V2_568] {
        let model = controller_of(version);
        model.state().build_path = Some(quick.path().to_owned());
        let mut replayer = Replayer::new(model.address());
        for exchange in exchanges.iter().filter(|exchange| exchange.version() == version) {
            // Each is named where it is played.
            if !is_exchange(exchange) {
                timelines.insert(exchange.title.as_str());
                continue;
            }
            set_up_before(&exchange.title, &model);
            let answer = replayer.send(exchange).unwrap();
            let differences = exchange.differences(&answer);
            match (left_out.contains(&exchange.title), differences.is_empty()) {
                (false, true) => replayed += 1,
                (false, false) => faults.push(format!("{}: {}", exchange.title, differences.join("; "))),
                (true, false) => {}
                (true, true) => faults.push(format!("{}: reproduced, so not-covered.md need not name it", exchange.title)),
            }
        }
    }
    assert!(faults.is_empty(), "{} of {} differ:\n{}", faults.len(), exchanges.len(), faults.join("\n"));
    assert_eq!(timelines, BTreeSet::from(TIMELINES), "no exchange, and played by no test");
    assert_eq!(replayed + left_out.len() + timelines.len(), exchanges.len());
}

/// The recording's own answer, as far as files hold it.
fn as_recorded(exchange: &Exchange) -> Response {
    let response = &exchange.value["response"];
    let pair = |pair: &serde_json::Value| Some((pair[0].as_str()?.to_owned(), pair[1].as_str()?.to_owned()));
    let headers = response["headers"].as_array().unwrap().iter().filter_map(pair).collect();
    let body = response["body"].as_str().or(response["body_excerpt"].as_str()).unwrap_or("");
    Response { status: u16::try_from(exchange.status()).unwrap(), headers, body: body.into() }
}

#[test]
fn the_comparison_sees_every_kind_of_difference() {
    let exchanges = load(&data().join("exchanges")).unwrap();
    let of = |title: &str| exchanges.iter().find(|exchange| exchange.title == title).unwrap();
    for (title, from, to) in [
        ("node-20-json-after-minimal", "\"numExecutors\":2", "\"numExecutors\":3"),
        ("node-05-config-xml-ssh-nonverifying", "<port>18022</port>", "<port>22</port>"),
        ("node-06-create-duplicate", "already exists", "exists"),
        ("auth-04-bad-token", "Unauthorized", "Forbidden"),
        ("restart-05-api-503", "Starting Jenkins", "Restarting Jenkins"),
        ("inbound-22-logtext-online", "connected and online", "connected"),
    ] {
        let (exchange, answer) = (of(title), as_recorded(of(title)));
        assert_eq!(exchange.differences(&answer), [""; 0], "{title}");
        let body = String::from_utf8(answer.body.clone()).unwrap();
        assert!(body.contains(from), "{title}");
        let other = Response { body: body.replace(from, to).into(), ..answer.clone() };
        assert_eq!(exchange.differences(&other).len(), 1, "{title}: another body");
        let other = Response { status: 418, ..answer.clone() };
        assert_eq!(exchange.differences(&other).len(), 1, "{title}: another status");
        for compared in ["X-Error", "Location", "X-Required-Permission", "WWW-Authenticate", "Content-Type", "X-Jenkins"] {
            let mut other = answer.clone();
            other.headers.retain(|(name, _)| name != compared);
            other.headers.push((compared.to_owned(), "another".to_owned()));
            assert_eq!(exchange.differences(&other).len(), 1, "{title}: another {compared}");
        }
    }
}

#[test]
fn a_log_asked_for_beyond_its_end_comes_whole_and_counts_its_raw_length() {
    let model = recorded_controller();
    let json = serde_json::json!({"numExecutors": "1"});
    let mut node = ostler_tests::jenkins::nodes::Node::from_form("n1", &json).unwrap();
    node.log = "one\r\ntwo\r\n".to_owned();
    model.state().nodes.insert("n1".to_owned(), node);
    let login = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, "admin:11admin-token");
    let headers = [("Authorization".to_owned(), format!("Basic {login}"))];
    for (start, body) in [("0", "one\r\ntwo\r\n"), ("4", "two\r\n"), ("8", ""), ("9", "one\r\ntwo\r\n")] {
        let path = format!("/computer/n1/logText/progressiveText?start={start}");
        let answer = exchange_once(model.address(), "GET", &path, &headers, "").unwrap();
        assert_eq!((String::from_utf8_lossy(&answer.body).as_ref(), answer.get("X-Text-Size")), (body, Some("8")), "{start}");
    }
}
