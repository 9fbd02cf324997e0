//! An agent that is disconnected and launched again, as it was recorded, event by event: what the model answers at each of them. Between its
//! two connections the old channel is closed at last, and when it is makes all the difference.

use base64::Engine as _;
use ostler_tests::jenkins::nodes::Agent;
use ostler_tests::jenkins::replay::{RELAUNCH_KEPT, RELAUNCH_LOST, RELAUNCH_QUIET, exchange_once};
use ostler_tests::jenkins::xml::Element;
use ostler_tests::jenkins::{Model, Response, Version};
use serde_json::Value;
use std::time::{Duration, Instant};

use super::replay::{add_node, data, later_controller};

const NODE: &str = "rec-ssh";
const TREE: &str = "/computer/rec-ssh/api/json?tree=offline,temporarilyOffline,offlineCauseReason,offlineCause[*]";

/// When the old channel is closed at last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closed {
    BeforeTheLaunch,
    WhileItLaunches,
    OnceItIsOnline,
}

fn ask(model: &Model, method: &str, path: &str, body: &str) -> Response {
    let login = base64::engine::general_purpose::STANDARD.encode("admin:11admin-token");
    let form = ("Content-Type".to_owned(), "application/x-www-form-urlencoded".to_owned());
    let headers = [("Authorization".to_owned(), format!("Basic {login}")), form];
    exchange_once(model.address(), method, path, &headers, body).unwrap()
}

fn log(model: &Model) -> String {
    let answer = ask(model, "GET", "/computer/rec-ssh/logText/progressiveText?start=0", "");
    String::from_utf8(answer.body).unwrap()
}

/// The time of a cause is its own.
fn shown(mut json: Value) -> Value {
    if let Some(cause) = json["offlineCause"].as_object_mut() {
        cause.remove("timestamp");
    }
    json
}

/// Plays a recording; returns how its node is seen at last.
fn play(title: &str, closed: Closed) -> Value {
    let recording: Value = serde_json::from_slice(&std::fs::read(data().join("exchanges").join(format!("{title}.json"))).unwrap()).unwrap();
    let model = later_controller(Version::V2_568);
    add_node(&model, NODE, "recorded node", "debian rec");
    let with = |change: &dyn Fn(&mut ostler_tests::jenkins::nodes::Node)| change(model.state().nodes.get_mut(NODE).unwrap());
    let close = || with(&|node| node.closes = node.closes.map(|_| Instant::now()));
    with(&|node| node.agent = Agent::Online);
    {
        let mut state = model.state();
        state.close_delay = Duration::from_secs(3600);
        state.hosts[0].host = "10.78.0.99".to_owned();
        let id = state.credentials[0].id.clone();
        let launcher = state.nodes.get_mut(NODE).unwrap().launcher.as_mut().unwrap();
        launcher.children.retain(|child| child.name != "credentialsId");
        launcher.children.push(Element::text("credentialsId", &id));
    }
    let (mut last, mut sent_at) = (Value::Null, None);
    for (at, event) in recording["timeline"].as_array().unwrap().iter().enumerate() {
        let place = format!("{title}, event {at}");
        if let Some((method, path)) = event["sent"].as_str().and_then(|sent| sent.split_once(' ')) {
            if path.ends_with("launchSlaveAgent") {
                if closed == Closed::BeforeTheLaunch {
                    let before = log(&model);
                    close();
                    // In the silence nothing more is heard of the old connection.
                    assert_eq!(log(&model), before, "{place}");
                }
                sent_at = Some(at);
            }
            let answer = ask(&model, method, path, event["body"].as_str().unwrap());
            assert_eq!(u64::from(answer.status), event["status"].as_u64().unwrap(), "{place}");
            assert_eq!(answer.get("Location"), event["location"].as_str(), "{place}");
        }
        let said = event["log"].as_str().unwrap_or_default();
        if said.contains("connected and online") {
            if closed == Closed::WhileItLaunches {
                close();
                drop(log(&model));
            }
            model.state().settle_agents();
            assert!(log(&model).contains("Agent successfully connected and online\r\n"), "{place}: {}", log(&model));
        }
        if let Some(end) = said.find("Agent JVM has not reported exit code") {
            assert_eq!(closed, Closed::OnceItIsOnline, "{place}: the recording tells of a close");
            close();
            let lines: Vec<&str> = said[end..].lines().take(2).collect();
            assert!(log(&model).contains(&lines.join("\r\n")), "{place}: {}", log(&model));
        }
        if !event["json"].is_null() {
            let answer: Value = serde_json::from_slice(&ask(&model, "GET", TREE, "").body).unwrap();
            last = shown(answer);
            assert_eq!(last, shown(event["json"].clone()), "{place}");
        }
    }
    assert!(sent_at.is_some(), "{title}: nothing was launched");
    last
}

#[test]
fn an_agent_that_is_launched_at_once_goes_with_the_channel_that_is_closed_behind_it() {
    let last = play(RELAUNCH_LOST, Closed::OnceItIsOnline);
    assert_eq!(last["offlineCauseReason"], "Connection was broken");
}

#[test]
fn an_agent_that_is_online_after_the_old_channel_was_closed_stays() {
    assert_eq!(play(RELAUNCH_KEPT, Closed::WhileItLaunches)["offline"], false);
}

#[test]
fn an_agent_that_is_launched_after_some_seconds_of_silence_stays() {
    assert_eq!(play(RELAUNCH_QUIET, Closed::BeforeTheLaunch)["offline"], false);
}
