//! `/computer/...`: the list, making nodes, one node.

use std::time::Instant;

use serde_json::Value;

use super::http::Response;
use super::nodes::{Agent, Node, OfflineMark, SSH};
use super::routes::Call;
use super::users::Permission;
use super::{pages, views, xml};

/// Routes below `/computer`.
pub fn route(call: &mut Call<'_>, rest: &[&str]) -> Response {
    match rest {
        [""] => pages::html(call.state, 200, "Nodes", "", call.has_cookie),
        ["api", "json"] => {
            let shallow = call.request.parameter("tree").is_none() && call.request.parameter("depth").is_none_or(|depth| depth == "0");
            let value = views::computer_set(call.state, &call.who, shallow);
            call.json(value)
        }
        ["doCreateItem"] if call.request.method == "POST" => create(call).unwrap_or_else(|response| response),
        ["doCreateItem"] => call.not_found(),
        ["(built-in)", "api", "json"] => call.json(views::built_in()),
        ["(built-in)", "config.xml"] => Response::empty(400),
        [name, verb @ ..] => match call.state.nodes.get(*name) {
            Some(node) if !node.is_orphan() => one(call, name, verb).unwrap_or_else(|response| response),
            _ => call.not_found(),
        },
        [] => call.not_found(),
    }
}

fn to_list() -> Response {
    Response::empty(302).header("Location", "/computer/")
}

fn create(call: &mut Call<'_>) -> Result<Response, Response> {
    call.need(Permission::AgentCreate)?;
    let name = call.request.parameter("name").unwrap_or_default().trim().to_owned();
    call.check_name(&name)?;
    if call.is_beyond_roles(&name) {
        return Err(call.forbidden(Permission::AgentCreate));
    }
    if call.state.nodes.contains_key(&name) {
        return Err(call.refused(&format!("Agent called ‘{name}’ already exists")));
    }
    let kind = call.request.parameter("type").unwrap_or_default();
    if kind.trim_end_matches("$DescriptorImpl") != "hudson.slaves.DumbSlave" {
        return Err(call.oops());
    }
    let Some(json) = call.request.parameter("json") else {
        return Err(pages::jetty(call.state.version, 400, "This page expects a form submission", &call.request.path));
    };
    let json: Value = serde_json::from_str(&json).map_err(|_| call.oops())?;
    let node = Node::from_form(&name, &json).map_err(|_| call.oops())?;
    if !call.state.has_ssh_plugin && !node.is_inbound() {
        // A class that nobody has: 500 through the form, silence through config.xml.
        return Err(call.oops());
    }
    call.state.nodes.insert(name, node);
    Ok(to_list())
}

fn one(call: &mut Call<'_>, name: &str, verb: &[&str]) -> Result<Response, Response> {
    let Some(node) = call.state.nodes.get(name).cloned() else { return Err(call.not_found()) };
    match verb {
        [""] => Ok(pages::html(call.state, 200, name, "", call.has_cookie)),
        ["api", "json"] => {
            let value = views::computer(call.state, &node, &call.who);
            let shallow = call.request.parameter("tree").is_none() && call.request.parameter("depth").is_none_or(|depth| depth == "0");
            Ok(call.json(if shallow { views::flatten(value) } else { value }))
        }
        ["config.xml"] if call.is_beyond_roles(name) => Err(call.forbidden(Permission::AgentConfigure)),
        ["config.xml"] if call.request.method == "POST" => update(call, name),
        ["config.xml"] => {
            call.need(Permission::AgentConfigure)?;
            Ok(call.xml(node.config_xml(call.state.version)))
        }
        ["logText", "progressiveText"] => {
            if !call.who.may(Permission::AgentConnect) && !call.who.may(Permission::AgentConfigure) {
                return Err(pages::forbidden_either(
                    call.state,
                    &call.who,
                    Permission::AgentConnect,
                    Permission::AgentConfigure,
                    call.has_cookie,
                ));
            }
            Ok(call.log(&node.log, true))
        }
        ["jenkins-agent.jnlp" | "slave-agent.jnlp"] => {
            call.need(Permission::AgentConnect)?;
            Ok(Response::empty(200).header("Content-Type", "application/x-java-jnlp-file").body(jnlp(&node, &call.state.root_url)))
        }
        [switch @ ("toggleOffline" | "changeOfflineCause" | "doDisconnect" | "launchSlaveAgent" | "doDelete")] => {
            call.post_only()?;
            self::switch(call, name, switch)
        }
        _ => Err(call.not_found()),
    }
}

fn update(call: &mut Call<'_>, name: &str) -> Result<Response, Response> {
    call.need(Permission::AgentConfigure)?;
    let posted = xml::parse(&call.request.text()).map_err(|_| call.oops())?;
    if posted.name != "slave" {
        return Err(call.oops());
    }
    let Some(mut node) = call.state.nodes.remove(name) else { return Err(call.not_found()) };
    node.update(&posted);
    if !call.state.has_ssh_plugin && node.launcher.as_ref().is_some_and(|launcher| launcher.class() == SSH) {
        node.launcher = None;
    }
    if node.name != name {
        node.reconnect();
    }
    call.state.nodes.insert(node.name.clone(), node);
    Ok(Response::empty(200))
}

fn switch(call: &mut Call<'_>, name: &str, verb: &str) -> Result<Response, Response> {
    call.need(match verb {
        "doDelete" => Permission::AgentDelete,
        "doDisconnect" => Permission::AgentDisconnect,
        _ => Permission::AgentConnect,
    })?;
    let user = call.who.name().to_owned();
    let message = call.request.parameter("offlineMessage").unwrap_or_default();
    let Some(node) = call.state.nodes.get_mut(name) else { return Err(call.not_found()) };
    let toggled = |node: &Node, user: &str, message: &str| node.offline.is_none().then(|| OfflineMark::new(user, message));
    if verb == "toggleOffline" && call.state.rivals > 0 {
        call.state.rivals -= 1;
        node.offline = toggled(node, "operator", "kernel tests");
    }
    match verb {
        "doDelete" => {
            call.state.nodes.remove(name);
            return Ok(to_list());
        }
        "toggleOffline" => node.offline = toggled(node, &user, &message),
        "changeOfflineCause" => node.offline = Some(OfflineMark::new(&user, &message)),
        "doDisconnect" => {
            node.agent = Agent::Disconnected(OfflineMark::new(&user, &message));
            node.closes = Some(Instant::now() + call.state.close_delay);
        }
        _ if matches!(node.agent, Agent::Online) => {
            return Ok(pages::html(call.state, 200, name, "\n      The agent has been already launched.\n    ", call.has_cookie));
        }
        _ => {
            node.reconnect();
            return Ok(Response::empty(302).header("Location", format!("/computer/{name}/log")));
        }
    }
    Ok(Response::empty(302).header("Location", format!("/computer/{name}/")))
}

fn jnlp(node: &Node, root_url: &str) -> String {
    let value = |name: &str| node.launcher.as_ref().and_then(|launcher| launcher.value(name)).unwrap_or("").to_owned();
    let mut arguments = vec![node.secret.clone(), node.name.clone()];
    if value("webSocket") == "true" {
        arguments.push("-webSocket".to_owned());
    }
    let (directory, internal) =
        if node.is_inbound() { (node.remote_fs.clone().unwrap_or_default(), "remoting") } else { (String::new(), "") };
    arguments.extend([
        "-workDir".to_owned(),
        directory,
        "-internalDir".to_owned(),
        internal.to_owned(),
        "-url".to_owned(),
        root_url.to_owned(),
    ]);
    let arguments: String = arguments.iter().map(|argument| format!("<argument>{argument}</argument>")).collect();
    format!("<jnlp><application-desc>{arguments}</application-desc></jnlp>")
}
