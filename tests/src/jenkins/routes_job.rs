//! `/createItem`, `/job/...`, `/queue/...`.

use std::time::Duration;

use super::http::Response;
use super::jobs::{self, Build, Job, Left};
use super::routes::Call;
use super::users::Permission;
use super::xml;

/// Routes of jobs and the queue.
pub fn route(call: &mut Call<'_>, words: &[&str]) -> Response {
    let response = match words {
        ["createItem"] => create(call),
        ["queue", "api", "json"] => {
            let value = jobs::queue_json(call.state);
            Ok(call.json(value))
        }
        ["queue", "item", id, "api", "json"] => item(call, id),
        ["queue", "cancelItem"] => cancel(call),
        ["job", name, verb @ ..] if call.who.may(Permission::JobRead) && call.state.jobs.contains_key(*name) => one(call, name, verb),
        _ => Err(call.not_found()),
    };
    response.unwrap_or_else(|response| response)
}

fn create(call: &mut Call<'_>) -> Result<Response, Response> {
    call.post_only()?;
    call.need(Permission::JobCreate)?;
    let name = call.request.parameter("name").unwrap_or_default();
    call.check_name(&name)?;
    if call.state.jobs.contains_key(&name) {
        return Err(call.refused(&format!("A job already exists with the name ‘{name}’")));
    }
    if !call.request.header("Content-Type").is_some_and(|kind| kind.starts_with("application/xml") || kind.starts_with("text/xml")) {
        return Err(call.refused("No mode given"));
    }
    let config = xml::parse(&call.request.text()).map_err(|_| call.oops())?;
    call.state.jobs.insert(name.clone(), Job::new(&name, config));
    Ok(Response::empty(200))
}

fn item(call: &mut Call<'_>, id: &str) -> Result<Response, Response> {
    match call.state.queue.iter().find(|item| item.id.to_string() == id).cloned() {
        Some(item) => {
            let value = jobs::item_json(call.state, &item);
            Ok(call.json(value))
        }
        None => Err(call.not_found()),
    }
}

fn cancel(call: &mut Call<'_>) -> Result<Response, Response> {
    call.post_only()?;
    call.need(Permission::JobCancel)?;
    let id = call.request.parameter("id").unwrap_or_default();
    if let Some(item) = call.state.queue.iter_mut().find(|item| item.id.to_string() == id && item.left.is_none()) {
        item.left = Some(Left::Cancelled);
    }
    Ok(Response::empty(204))
}

fn one(call: &mut Call<'_>, name: &str, verb: &[&str]) -> Result<Response, Response> {
    let Some(job) = call.state.jobs.get(name).cloned() else { return Err(call.not_found()) };
    match verb {
        ["api", "json"] => {
            let mut value = job.json(call.state);
            if call.request.parameter("tree").is_some() {
                value["builds"] = job.builds_json(call.state);
            }
            Ok(call.json(value))
        }
        ["config.xml"] if call.request.method == "POST" => {
            call.need(Permission::JobConfigure)?;
            let config = xml::parse(&call.request.text()).map_err(|_| call.oops())?;
            call.state.jobs.insert(name.to_owned(), Job { config, ..job });
            Ok(Response::empty(200))
        }
        ["config.xml"] => {
            call.need(Permission::JobConfigure)?;
            Ok(call.xml(format!("<?xml version=\"1.1\" encoding=\"UTF-8\"?>{}", job.config.pretty(true))))
        }
        ["build"] => build(call, name),
        ["doDelete"] => {
            call.post_only()?;
            call.need(Permission::JobDelete)?;
            call.state.jobs.remove(name);
            // What waits for it goes too (`ItemDeletion.cancelBuildsInProgress` of 2.532).
            for item in call.state.queue.iter_mut().filter(|item| item.job == name && item.left.is_none()) {
                item.left = Some(Left::Cancelled);
            }
            Ok(Response::empty(302).header("Location", "/"))
        }
        [number, rest @ ..] => {
            let found = if *number == "lastBuild" {
                job.builds.last()
            } else {
                job.builds.iter().find(|build| build.number.to_string() == *number)
            };
            match found.cloned() {
                Some(build) => one_build(call, &job, &build, rest),
                None => Err(call.not_found()),
            }
        }
        [] => Err(call.not_found()),
    }
}

fn build(call: &mut Call<'_>, name: &str) -> Result<Response, Response> {
    call.post_only()?;
    call.need(Permission::JobBuild)?;
    let delay = call.request.parameter("delay").and_then(|text| text.trim_end_matches("sec").parse().ok()).map(Duration::from_secs);
    let user = call.who.name().to_owned();
    let id = jobs::enqueue(call.state, name, &user, delay);
    Ok(Response::empty(201).header("Location", format!("{}queue/item/{id}/", call.state.root_url)))
}

fn one_build(call: &mut Call<'_>, job: &Job, build: &Build, verb: &[&str]) -> Result<Response, Response> {
    match verb {
        ["api", "json"] => {
            let value = job.build_json(call.state, build);
            Ok(call.json(value))
        }
        ["consoleText"] => Ok(Response::empty(200).header("Content-Type", "text/plain;charset=utf-8").body(build.console.clone())),
        ["stop"] => {
            call.post_only()?;
            call.need(Permission::JobCancel)?;
            let running = call.state.jobs.get_mut(&job.name).and_then(|job| job.builds.iter_mut().find(|one| one.number == build.number));
            if let Some(build) = running.filter(|build| build.is_running()) {
                build.result = Some("ABORTED");
            }
            Ok(Response::empty(302).header("Location", "."))
        }
        ["logText", "progressiveText"] if call.state.has_lost_logs => Err(call.oops()),
        ["logText", "progressiveText"] => Ok(call.log(&build.console, build.is_running())),
        _ => Err(call.not_found()),
    }
}
