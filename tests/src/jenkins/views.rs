//! Computers and labels as JSON.

use serde_json::{Value, json};

use super::nodes::{Agent, Node, split_label};
use super::state::{State, now};
use super::tree::bare;
use super::users::{Permission, Who};

const MONITORS: [&str; 6] =
    ["SwapSpaceMonitor", "TemporarySpaceMonitor", "DiskSpaceMonitor", "ArchitectureMonitor", "ResponseTimeMonitor", "ClockMonitor"];

/// `/computer/api/json`: every computer shallow; orphans have none.
pub fn computer_set(state: &State, who: &Who, shallow: bool) -> Value {
    let depth = |value: Value| if shallow { flatten(value) } else { value };
    let mut computers = vec![depth(built_in())];
    computers.extend(state.nodes.values().filter(|node| !node.is_orphan()).map(|node| depth(computer(state, node, who))));
    json!({
        "_class": "hudson.model.ComputerSet",
        "busyExecutors": state.nodes.values().map(|node| busy(state, node)).sum::<usize>(),
        "computer": computers,
        "displayName": "Nodes",
        "totalExecutors": state.nodes.values().filter(|node| node.is_online()).map(|node| node.executors.max(0)).sum::<i64>(),
    })
}

/// The built-in node, which has no executors here.
pub fn built_in() -> Value {
    json!({
        "_class": "hudson.model.Hudson$MasterComputer", "actions": [], "assignedLabels": [{"name": "built-in"}],
        "description": "the Jenkins controller's built-in node", "displayName": "Built-In Node", "executors": [],
        "icon": "symbol-computer", "iconClassName": "symbol-computer", "idle": true, "jnlpAgent": false, "launchSupported": true,
        "loadStatistics": load(true), "manualLaunchAllowed": true, "monitorData": monitors(true, true), "numExecutors": 0,
        "offline": false, "offlineCause": null, "offlineCauseReason": "", "oneOffExecutors": [], "temporarilyOffline": false,
    })
}

/// `/computer/NAME/api/json?depth=1`.
pub fn computer(state: &State, node: &Node, who: &Who) -> Value {
    let running = busy(state, node);
    let executors: Vec<Value> = (0..usize::try_from(node.executors).unwrap_or(0)).map(|number| executor(state, node, number)).collect();
    let online = node.is_online();
    let language = state.words();
    let (cause, reason) = match (&node.offline, &node.agent) {
        (Some(mark), _) | (None, Agent::Disconnected(mark)) => {
            let reason = mark.reason(language);
            (mark.json(language), if state.version.escapes_reasons() { escape(&reason) } else { reason })
        }
        (None, Agent::Failed) => (
            json!({"_class": "hudson.slaves.OfflineCause$LaunchFailed", "timestamp": now()}),
            "This agent is offline because Jenkins failed to launch the agent process on it.".to_owned(),
        ),
        (None, Agent::Lost) => {
            (json!({"_class": "hudson.slaves.OfflineCause$ChannelTermination", "timestamp": now()}), "Connection was broken".to_owned())
        }
        // Not recorded: `OfflineCause.IdleOfflineCause`, which `RetentionStrategy.Demand` gives; its text is left out.
        (None, Agent::Resting) => (json!({"_class": "hudson.slaves.OfflineCause$IdleOfflineCause"}), String::new()),
        (None, Agent::Waiting | Agent::Launching(_) | Agent::Online | Agent::Unlaunched) => (Value::Null, String::new()),
    };
    let class = match state.clouds.contains(&node.name) {
        true => "org.csanchez.jenkins.plugins.kubernetes.KubernetesComputer",
        false => "hudson.slaves.SlaveComputer",
    };
    json!({
        "_class": class,
        "actions": [],
        "assignedLabels": node.assigned_labels().iter().map(|label| label_in(state, label)).collect::<Vec<_>>(),
        "description": node.description,
        "displayName": node.name,
        "executors": executors,
        "icon": if online { "symbol-computer" } else if node.offline.is_some() { "symbol-computer-disconnected" } else { "symbol-computer-offline" },
        "iconClassName": if online || node.is_launching() { "symbol-computer" } else { "symbol-computer-offline" },
        "idle": running == 0,
        "jnlpAgent": node.is_inbound(),
        "launchSupported": !node.is_inbound(),
        "loadStatistics": load(true),
        "manualLaunchAllowed": true,
        "monitorData": monitors(who.may(Permission::AgentConnect), online && !node.is_inbound()),
        "numExecutors": node.executors,
        "offline": !online,
        "offlineCause": cause,
        "offlineCauseReason": reason,
        "oneOffExecutors": [],
        "temporarilyOffline": node.offline.is_some(),
        "absoluteRemotePath": if matches!(node.agent, Agent::Online) && who.may(Permission::AgentConnect) { json!(node.remote_fs) } else { Value::Null },
    })
}

/// `Util.escape`.
fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#039;")
}

/// What is left at depth 0: labels keep their names, executors nothing.
pub fn flatten(mut value: Value) -> Value {
    if let Some(object) = value.as_object_mut() {
        for (key, field) in object.iter_mut() {
            match key.as_str() {
                "assignedLabels" => *field = super::tree::Tree::parse("name").pick(field),
                "monitorData" => {}
                _ => *field = bare(field),
            }
        }
    }
    value
}

/// `/label/EXPRESSION/api/json`.
pub fn label(state: &State, expression: &str) -> Value {
    let mut value = label_in(state, expression);
    let nodes = matching(state, expression);
    let tied: Vec<Value> =
        state.jobs.values().filter(|job| job.assigned_label() == Some(expression)).map(|job| job.reference(state)).collect();
    let is_atom = !expression.contains("&&");
    value["_class"] = json!(if is_atom { "hudson.model.labels.LabelAtom" } else { "hudson.model.labels.LabelExpression$And" });
    value["tiedJobs"] = json!(tied);
    if !is_atom {
        value.as_object_mut().map(|object| object.remove("propertiesList"));
        if let [only] = nodes.as_slice() {
            value["description"] = json!(only.description);
        }
    }
    value
}

fn label_in(state: &State, expression: &str) -> Value {
    let nodes = matching(state, expression);
    let computers: Vec<&&Node> = nodes.iter().filter(|node| !node.is_orphan()).collect();
    let busy_in: usize = computers.iter().map(|node| busy(state, node)).sum();
    let all = |node: &Node| usize::try_from(node.executors).unwrap_or(0);
    json!({
        "actions": [],
        "busyExecutors": busy_in,
        "clouds": [],
        "description": null,
        "idleExecutors": computers.iter().filter(|node| node.is_online() || node.is_launching()).map(|node| all(node) - busy(state, node)).sum::<usize>(),
        "loadStatistics": load(false),
        "name": expression,
        "nodes": nodes.iter().map(|node| json!({"_class": "hudson.slaves.DumbSlave", "nodeName": node.name})).collect::<Vec<_>>(),
        "offline": !computers.iter().any(|node| node.is_online()),
        "tiedJobs": [],
        "totalExecutors": computers.iter().filter(|node| node.is_online()).map(|node| all(node)).sum::<usize>(),
        "propertiesList": [],
    })
}

/// The nodes that a label expression (atoms joined by `&&`) fits, orphans included.
pub fn matching<'a>(state: &'a State, expression: &str) -> Vec<&'a Node> {
    let wanted: Vec<String> = expression.split("&&").flat_map(|part| split_label(part.trim())).collect();
    state
        .nodes
        .values()
        .filter(|node| {
            let labels = node.assigned_labels();
            !wanted.is_empty() && wanted.iter().all(|atom| labels.contains(atom))
        })
        .collect()
}

fn busy(state: &State, node: &Node) -> usize {
    state.jobs.values().flat_map(|job| &job.builds).filter(|build| build.is_running() && build.built_on == node.name).count()
}

fn executor(state: &State, node: &Node, number: usize) -> Value {
    let running = state.jobs.values().flat_map(|job| job.builds.iter().map(move |build| (job, build)));
    let here = running.filter(|(_, build)| build.is_running() && build.built_on == node.name).nth(number);
    let executable = here.map(|(job, build)| {
        json!({"_class": "hudson.model.FreeStyleBuild", "number": build.number, "url": format!("{}{}/", job.url(state), build.number)})
    });
    json!({"currentExecutable": executable, "idle": here.is_none(), "likelyStuck": false, "number": number, "progress": -1})
}

fn load(deep: bool) -> Value {
    let mut value = json!({"_class": "hudson.model.Label$1"});
    if deep {
        for key in [
            "availableExecutors",
            "busyExecutors",
            "connectingExecutors",
            "definedExecutors",
            "idleExecutors",
            "onlineExecutors",
            "queueLength",
            "totalExecutors",
        ] {
            value[key] = json!({});
        }
    }
    value
}

fn monitors(allowed: bool, measured: bool) -> Value {
    let mut value = json!({});
    if allowed {
        for monitor in MONITORS {
            value[format!("hudson.node_monitors.{monitor}")] = if measured { json!("measured") } else { Value::Null };
        }
    }
    value
}
