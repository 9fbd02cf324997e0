//! Freestyle jobs, the queue, and builds that really run their shell.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::nodes::Node;
use super::state::{State, now};
use super::version::Version;
use super::views;
use super::xml::Element;

/// A job.
#[derive(Debug, Clone)]
pub struct Job {
    /// Name.
    pub name: String,
    /// Its configuration.
    pub config: Element,
    /// Builds, oldest first.
    pub builds: Vec<Build>,
    /// The number of the next build; never given twice.
    pub next_build: usize,
}

/// A build.
#[derive(Debug, Clone)]
pub struct Build {
    /// Number, from 1.
    pub number: usize,
    /// Its queue item.
    pub queue_id: u64,
    /// Who asked, once for each request.
    pub causes: Vec<String>,
    /// Start, in milliseconds since 1970.
    pub started: u64,
    /// How long it took, in milliseconds; 0 while it runs.
    pub duration: u64,
    /// `SUCCESS`, `FAILURE`, `ABORTED`; `None` while it runs.
    pub result: Option<&'static str>,
    /// The node.
    pub built_on: String,
    /// The console, notes left out.
    pub console: String,
}

impl Build {
    /// Not finished.
    pub fn is_running(&self) -> bool {
        self.result.is_none()
    }

    fn end(&mut self, result: &'static str, output: &str) {
        self.console.push_str(output);
        self.console.push_str(&format!("Finished: {result}\n"));
        self.duration = now().saturating_sub(self.started);
        self.result = Some(result);
    }
}

/// What became of a queue item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Cancelled.
    Cancelled,
    /// Became this build.
    Build(usize),
}

/// A queue item.
#[derive(Debug, Clone)]
pub struct QueueItem {
    /// Id, from 1.
    pub id: u64,
    /// Job; empty for the step of a pipeline.
    pub job: String,
    /// Who asked, once for each request.
    pub causes: Vec<String>,
    /// Since when, in milliseconds since 1970.
    pub since: u64,
    /// End of the quiet period.
    pub due: u64,
    /// Set when it left the queue.
    pub left: Option<Left>,
}

/// A build to be run by the server, outside the state's lock.
#[derive(Debug)]
pub struct Run {
    restarts: u64,
    job: String,
    number: usize,
    /// Its queue item: a job that was removed and made again counts its builds anew.
    item: u64,
    scripts: Vec<String>,
    environment: Vec<(String, String)>,
    path: Option<PathBuf>,
    directory: Option<PathBuf>,
    elsewhere: Vec<String>,
}

impl Job {
    /// A job from its configuration.
    pub fn new(name: &str, config: Element) -> Self {
        Self { name: name.to_owned(), config, builds: Vec::new(), next_build: 1 }
    }

    /// The label expression it is tied to (`AbstractProject.getAssignedLabelString`).
    pub fn assigned_label(&self) -> Option<&str> {
        self.config.value("assignedNode").filter(|label| !self.may_roam() && !label.is_empty())
    }

    /// Whether any node will do. A job that may not and names no label either is the built-in node's, which has no executors here.
    fn may_roam(&self) -> bool {
        self.config.value("canRoam") == Some("true")
    }

    /// The nodes that may take it.
    fn nodes<'a>(&self, state: &'a State) -> Vec<&'a Node> {
        match self.assigned_label() {
            Some(label) => views::matching(state, label),
            None if self.may_roam() => state.nodes.values().filter(|node| node.takes_roaming_jobs()).collect(),
            None => Vec::new(),
        }
    }

    /// All nodes that may take it are offline (`Queue.Item.isStuck`).
    fn is_stuck(&self, state: &State) -> bool {
        let nodes = self.assigned_label().map(|label| views::matching(state, label)).unwrap_or_default();
        !nodes.is_empty() && nodes.iter().all(|node| !node.is_online())
    }

    /// Why it waits for an executor (`Queue.BuildableItem.getCauseOfBlockage`).
    fn waits_for(&self, state: &State) -> String {
        match self.assigned_label() {
            Some(label) if views::matching(state, label).is_empty() => format!("There are no nodes with the label ‘{label}’"),
            Some(label) if self.is_stuck(state) => match state.nodes.contains_key(label) {
                true => format!("‘{label}’ is offline"),
                false => format!("All nodes of label ‘{label}’ are offline"),
            },
            Some(label) => format!("Waiting for next available executor on ‘{label}’"),
            None => {
                let is_idle = |node: &&Node| node.is_online() && free_executor(state, &node.name, node.executors);
                let reserved = |node: &Node| format!("‘{}’ is reserved for jobs with matching label expression", node.name);
                let idle: Vec<String> =
                    state.nodes.values().filter(|node| !node.takes_roaming_jobs()).filter(is_idle).map(reserved).collect();
                if idle.is_empty() { "Waiting for next available executor".to_owned() } else { idle.join("; ") }
            }
        }
    }

    /// Absolute address, with `/` at the end.
    pub fn url(&self, state: &State) -> String {
        format!("{}job/{}/", state.root_url, self.name)
    }

    /// As lists show it.
    pub fn reference(&self, state: &State) -> Value {
        json!({"_class": "hudson.model.FreeStyleProject", "name": self.name, "url": self.url(state), "color": self.color()})
    }

    /// Ends what runs, as a restart does; after a crash nothing of it is left.
    pub fn cut_off(&mut self, is_crash: bool) {
        if is_crash {
            self.builds.retain(|build| !build.is_running());
        }
        for build in self.builds.iter_mut().filter(|build| build.is_running()) {
            build.end("ABORTED", "Build was aborted\n");
        }
    }

    /// Ends what runs on a node whose agent was lost (`Executor`, `ChannelClosedException`; seen on 2.516 and 2.568).
    pub fn lose(&mut self, node: &str) {
        for build in self.builds.iter_mut().filter(|build| build.is_running() && build.built_on == node) {
            build.end("FAILURE", "Agent went offline during the build\nERROR: Connection was broken\n");
        }
    }

    fn color(&self) -> String {
        let last = self.builds.iter().rev().find_map(|build| build.result);
        let color = match last {
            None => "notbuilt",
            Some("SUCCESS") => "blue",
            Some(_) => "red",
        };
        let running = self.builds.iter().any(Build::is_running);
        format!("{color}{}", if running { "_anime" } else { "" })
    }

    /// What `tree=builds[...]` may ask for.
    pub fn builds_json(&self, state: &State) -> Value {
        let builds: Vec<Value> = self.builds.iter().rev().map(|build| self.build_json(state, build)).collect();
        json!(builds)
    }

    /// `/job/NAME/api/json`, shallow.
    pub fn json(&self, state: &State) -> Value {
        let build = |build: Option<&Build>| {
            build.map(|build| json!({"_class": "hudson.model.FreeStyleBuild", "number": build.number, "url": format!("{}{}/", self.url(state), build.number)}))
        };
        let with = |result: &str| build(self.builds.iter().rev().find(|build| build.result == Some(result)));
        let waiting = state.queue.iter().any(|item| item.job == self.name && item.left.is_none());
        json!({
            "_class": "hudson.model.FreeStyleProject",
            "actions": [{}, {"_class": "com.cloudbees.plugins.credentials.ViewCredentialsAction"}],
            "description": self.config.value("description"), "displayName": self.name, "displayNameOrNull": null,
            "fullDisplayName": self.name, "fullName": self.name, "name": self.name, "url": self.url(state),
            "buildable": self.config.value("disabled") != Some("true"),
            "builds": self.builds.iter().rev().map(|one| build(Some(one))).collect::<Vec<_>>(),
            "color": self.color(), "firstBuild": build(self.builds.first()), "healthReport": [], "inQueue": waiting,
            "keepDependencies": false, "lastBuild": build(self.builds.last()),
            "lastCompletedBuild": build(self.builds.iter().rev().find(|build| !build.is_running())),
            "lastFailedBuild": with("FAILURE"), "lastStableBuild": with("SUCCESS"), "lastSuccessfulBuild": with("SUCCESS"),
            "lastUnstableBuild": null, "lastUnsuccessfulBuild": with("FAILURE"), "nextBuildNumber": self.next_build,
            "property": [], "queueItem": null, "concurrentBuild": self.config.value("concurrentBuild") == Some("true"),
            "disabled": self.config.value("disabled") == Some("true"), "downstreamProjects": [],
            "labelExpression": self.assigned_label(), "scm": {"_class": "hudson.scm.NullSCM"}, "upstreamProjects": [],
        })
    }

    /// `/job/NAME/N/api/json`.
    pub fn build_json(&self, state: &State, build: &Build) -> Value {
        json!({
            "_class": "hudson.model.FreeStyleBuild", "actions": build_actions(state.version, &build.causes), "artifacts": [], "building": build.is_running(), "description": null,
            "displayName": format!("#{}", build.number), "duration": build.duration,
            "estimatedDuration": if build.is_running() { -1 } else { i64::try_from(build.duration).unwrap_or(-1) },
            "executor": if build.is_running() { json!({}) } else { Value::Null }, "fullDisplayName": format!("{} #{}", self.name, build.number),
            "id": build.number.to_string(), "inProgress": build.is_running(), "keepLog": false, "number": build.number,
            "queueId": build.queue_id, "result": build.result, "timestamp": build.started,
            "url": format!("{}{}/", self.url(state), build.number), "builtOn": build.built_on,
            "changeSet": {"_class": "hudson.scm.EmptyChangeLogSet", "items": [], "kind": null}, "culprits": [],
        })
    }
}

fn build_actions(version: Version, causes: &[String]) -> Value {
    let mut actions = actions(causes);
    if version.has_further_action()
        && let Some(actions) = actions.as_array_mut()
    {
        actions.push(json!({}));
    }
    actions
}

fn actions(causes: &[String]) -> Value {
    let causes: Vec<Value> = causes
        .iter()
        .map(|user| json!({"_class": "hudson.model.Cause$UserIdCause", "shortDescription": format!("Started by user {user}"), "userId": user, "userName": user}))
        .collect();
    json!([{"_class": "hudson.model.CauseAction", "causes": causes}])
}

/// `POST /job/NAME/build`: the same item again while one is in its quiet period.
pub fn enqueue(state: &mut State, job: &str, user: &str, delay: Option<Duration>) -> u64 {
    if let Some(item) = state.queue.iter_mut().find(|item| item.job == job && item.left.is_none()) {
        item.causes.push(user.to_owned());
        return item.id;
    }
    state.last_item += 1;
    let id = state.last_item;
    let quiet = u64::try_from(delay.unwrap_or(state.quiet_period).as_millis()).unwrap_or(0);
    state.queue.push(QueueItem { id, job: job.to_owned(), causes: vec![user.to_owned()], since: now(), due: now() + quiet, left: None });
    id
}

/// A queue item as JSON.
pub fn item_json(state: &State, item: &QueueItem) -> Value {
    // The task of a pipeline's step exports no name (`ExecutorStepExecution.PlaceholderTask`).
    let step = json!({"_class": "org.jenkinsci.plugins.workflow.support.steps.ExecutorStepExecution$PlaceholderTask"});
    let task = if item.job.is_empty() { Some(step) } else { state.jobs.get(&item.job).map(|job| job.reference(state)) };
    let waits = now() < item.due;
    let mut value = json!({
        "actions": actions(&item.causes), "blocked": false, "buildable": false, "id": item.id, "inQueueSince": item.since, "params": "",
        "stuck": false, "task": task, "url": format!("queue/item/{}/", item.id), "why": null,
    });
    match item.left {
        Some(left) => {
            value["_class"] = json!("hudson.model.Queue$LeftItem");
            value["cancelled"] = json!(left == Left::Cancelled);
            value["executable"] = match left {
                Left::Cancelled => Value::Null,
                Left::Build(number) => {
                    json!({"_class": "hudson.model.FreeStyleBuild", "number": number, "url": format!("{}job/{}/{number}/", state.root_url, item.job)})
                }
            };
        }
        None if waits => {
            value["_class"] = json!("hudson.model.Queue$WaitingItem");
            let left = item.due.saturating_sub(now());
            value["why"] = json!(format!("In the quiet period. Expires in {}.{} sec", left / 1000, left % 1000 / 100));
            value["timestamp"] = json!(item.due);
        }
        None => {
            value["_class"] = json!("hudson.model.Queue$BuildableItem");
            value["buildable"] = json!(true);
            value["stuck"] = json!(state.jobs.get(&item.job).is_some_and(|job| job.is_stuck(state)));
            value["pending"] = json!(false);
            value["buildableStartMilliseconds"] = json!(item.due);
            let why = state.jobs.get(&item.job).map(|job| job.waits_for(state));
            value["why"] = if state.quieting { json!("Jenkins is about to shut down") } else { json!(why) };
        }
    }
    value
}

/// `/queue/api/json`.
pub fn queue_json(state: &State) -> Value {
    let items: Vec<Value> = state.queue.iter().filter(|item| item.left.is_none()).map(|item| item_json(state, item)).collect();
    json!({"_class": "hudson.model.Queue", "discoverableItems": [], "items": items})
}

/// Starts what can start; the server runs the result.
pub fn schedule(state: &mut State) -> Vec<Run> {
    let mut runs = Vec::new();
    for at in 0..state.queue.len() {
        let item = &state.queue[at];
        if state.quieting || item.left.is_some() || now() < item.due {
            continue;
        }
        let Some(job) = state.jobs.get(&item.job) else { continue };
        if job.builds.iter().any(Build::is_running) {
            continue;
        }
        // The real load balancer hashes job and node; the last name does as well here.
        let free = job.nodes(state).into_iter().rev().find(|node| node.is_online() && free_executor(state, &node.name, node.executors));
        let Some(node) = free.cloned() else { continue };
        let (id, causes, name) = (item.id, item.causes.clone(), item.job.clone());
        let user = causes.first().cloned().unwrap_or_default();
        let mut labels = node.assigned_labels();
        labels.sort();
        let workspace = format!("{}/workspace/{name}", node.remote_fs.clone().unwrap_or_default());
        let console = format!(
            "Started by user {user}\nRunning as SYSTEM\nBuilding remotely on {} ({}) in workspace {workspace}\n",
            node.name,
            node.atoms().join(" ")
        );
        let Some(job) = state.jobs.get_mut(&name) else { continue };
        let number = job.next_build;
        job.next_build += 1;
        let built_on = node.name.clone();
        job.builds.push(Build { number, queue_id: id, causes, started: now(), duration: 0, result: None, built_on, console });
        let shells = job.config.get("builders").map(|builders| builders.children.clone()).unwrap_or_default();
        let environment = [
            ("NODE_NAME", node.name.clone()),
            ("NODE_LABELS", labels.join(" ")),
            ("EXECUTOR_NUMBER", "0".to_owned()),
            ("JOB_NAME", name.clone()),
            ("BUILD_NUMBER", number.to_string()),
            ("WORKSPACE", workspace),
        ];
        runs.push(Run {
            restarts: state.restarts,
            job: name,
            number,
            item: id,
            scripts: shells
                .iter()
                .filter(|step| step.name == "hudson.tasks.Shell")
                .filter_map(|step| step.value("command").map(str::to_owned))
                .collect(),
            environment: environment.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
            path: state.build_path.clone(),
            directory: state.build_directory.clone(),
            elsewhere: state.build_on.get(&node.name).unwrap_or(&state.build_elsewhere).clone(),
        });
        state.queue[at].left = Some(Left::Build(number));
    }
    runs
}

fn free_executor(state: &State, node: &str, executors: i64) -> bool {
    let busy = state.jobs.values().flat_map(|job| &job.builds).filter(|build| build.is_running() && build.built_on == node).count();
    i64::try_from(busy).is_ok_and(|busy| busy < executors)
}

impl Run {
    /// Runs the steps as an agent would: `/bin/sh -xe FILE`, both outputs in the console.
    pub fn execute(&self) -> (String, bool) {
        let mut console = String::new();
        for script in &self.scripts {
            let (output, success) = self.shell(script);
            console.push_str(&output);
            if !success {
                console.push_str("Build step 'Execute shell' marked build as failure\n");
                return (console, false);
            }
        }
        (console, true)
    }

    fn shell(&self, script: &str) -> (String, bool) {
        let Ok(directory) = tempfile::tempdir() else { return ("no scratch directory\n".to_owned(), false) };
        let file = directory.path().join("jenkins1.sh");
        let log = directory.path().join("log");
        let (Ok(()), Ok(output)) = (std::fs::write(&file, script), std::fs::File::create(&log)) else {
            return ("cannot write the script\n".to_owned(), false);
        };
        let mut command = match self.elsewhere.split_first() {
            None => {
                let mut command = Command::new("/bin/sh");
                command.arg("-xe").arg(&file).stdin(Stdio::null());
                command
            }
            Some((program, words)) => {
                let Ok(input) = std::fs::File::open(&file) else { return ("cannot read the script\n".to_owned(), false) };
                let mut command = Command::new(program);
                command.args(words).stdin(input);
                command
            }
        };
        command.current_dir(self.directory.as_deref().unwrap_or(directory.path())).envs(self.environment.iter().cloned());
        if let Some(path) = &self.path {
            command.env("PATH", format!("{}:/usr/bin:/bin", path.display()));
        }
        if let Ok(copy) = output.try_clone() {
            command.stderr(copy);
        }
        let success = command.stdout(output).status().is_ok_and(|status| status.success());
        let head = format!("[{}] $ /bin/sh -xe /tmp/jenkins1.sh\n", self.job);
        (head + &String::from_utf8_lossy(&std::fs::read(&log).unwrap_or_default()), success)
    }

    /// Whether the process that began it is still there.
    pub fn goes_on(&self, state: &State) -> bool {
        self.restarts == state.restarts
    }

    /// Writes the end of the build into the state, unless it was cut off.
    pub fn finish(&self, state: &mut State, output: &str, success: bool) {
        if !self.goes_on(state) {
            return;
        }
        let is_mine = |build: &&mut Build| build.number == self.number && build.queue_id == self.item;
        let Some(build) = state.jobs.get_mut(&self.job).and_then(|job| job.builds.iter_mut().find(is_mine)) else { return };
        let result = match build.result {
            // It ended without its agent.
            Some(_) if build.console.contains("\nFinished: ") => return,
            Some(stopped) => stopped,
            None if success => "SUCCESS",
            None => "FAILURE",
        };
        build.end(result, output);
    }
}
