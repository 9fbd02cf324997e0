//! Permanent nodes: what the form and config.xml make of them, and the life of their agents.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::credentials::Credential;
pub use super::mark::OfflineMark;
use super::state::SshHost;
use super::version::Version;
use super::xml::Element;

/// Launcher classes.
pub const SSH: &str = "hudson.plugins.sshslaves.SSHLauncher";
/// Inbound agents.
pub const INBOUND: &str = "hudson.slaves.JNLPLauncher";
const VERIFIERS: &str = "hudson.plugins.sshslaves.verifiers.";

/// Why the form was refused: the status is 500 for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused;

/// Where the agent's process is.
#[derive(Debug, Clone)]
pub enum Agent {
    /// An inbound agent that has not called yet.
    Waiting,
    /// A launch is under way, or being retried.
    Launching(Instant),
    /// Connected.
    Online,
    /// The launch was given up.
    Failed,
    /// Disconnected by hand.
    Disconnected(OfflineMark),
    /// Its connection broke.
    Lost,
    /// Let go by its retention strategy until a job wants it.
    Resting,
    /// Nobody has launched it since Jenkins was started: its retention strategy waits for a job. Assumed: no recording has it.
    Unlaunched,
}

/// One permanent node.
#[derive(Debug, Clone)]
pub struct Node {
    /// Name.
    pub name: String,
    /// Description; `None` when config.xml left it out.
    pub description: Option<String>,
    /// Remote file system root.
    pub remote_fs: Option<String>,
    /// Executors; 0 and less make an orphan.
    pub executors: i64,
    /// `NORMAL`, `EXCLUSIVE`, or dropped.
    pub mode: Option<String>,
    /// Retention strategy.
    pub retention: Option<Element>,
    /// Launcher, completed as Jenkins completes it.
    pub launcher: Option<Element>,
    /// The label string, trimmed.
    pub label: String,
    /// Node properties.
    pub properties: Element,
    /// The operator's switch.
    pub offline: Option<OfflineMark>,
    /// The agent.
    pub agent: Agent,
    /// When the channel that was disconnected is closed at last: what is connected by then goes with it.
    pub closes: Option<Instant>,
    /// The agent's log.
    pub log: String,
    /// What an inbound agent must know.
    pub secret: String,
}

impl Node {
    /// From the form's `json`; `name` is the form's own field, which wins.
    pub fn from_form(name: &str, json: &Value) -> Result<Self, Refused> {
        let text = |key: &str| json.get(key).and_then(Value::as_str).map(str::to_owned);
        let executors = match json.get("numExecutors") {
            None => 1,
            Some(Value::Number(number)) => number.as_i64().unwrap_or(0),
            Some(other) => other.as_str().and_then(|text| text.parse().ok()).unwrap_or(0),
        };
        let mode = text("mode").unwrap_or_else(|| "NORMAL".to_owned());
        if !matches!(mode.as_str(), "NORMAL" | "EXCLUSIVE") {
            return Err(Refused);
        }
        let launcher = json.get("launcher").map(launcher_from_form).transpose()?;
        let mut node = Self {
            name: name.to_owned(),
            description: text("nodeDescription"),
            remote_fs: text("remoteFS"),
            executors,
            mode: Some(mode),
            retention: json.get("retentionStrategy").map(retention_from_form),
            launcher,
            label: text("labelString").unwrap_or_default().trim().to_owned(),
            properties: properties_from_form(json.get("nodeProperties")),
            offline: None,
            agent: Agent::Waiting,
            closes: None,
            log: String::new(),
            secret: secret_of(name),
        };
        node.reconnect();
        Ok(node)
    }

    /// Takes over what a posted config.xml says; the connection stays.
    pub fn update(&mut self, xml: &Element) {
        let name = xml.value("name").unwrap_or(&self.name).to_owned();
        if name != self.name {
            self.secret = secret_of(&name);
            self.name = name;
        }
        self.description = xml.value("description").map(str::to_owned);
        self.remote_fs = xml.value("remoteFS").map(str::to_owned);
        self.executors = xml.value("numExecutors").map_or(1, |text| text.trim().parse().unwrap_or(0));
        self.mode = xml.value("mode").filter(|mode| matches!(*mode, "NORMAL" | "EXCLUSIVE")).map(str::to_owned);
        self.retention = xml.get("retentionStrategy").cloned();
        self.launcher = xml.get("launcher").and_then(complete_launcher);
        self.label = xml.value("label").unwrap_or("").trim().to_owned();
        self.properties = match xml.get("nodeProperties") {
            Some(properties) => Element { text: None, ..properties.clone() },
            None => Element::new("nodeProperties"),
        };
        self.offline = xml.get("temporaryOfflineCause").map(|element| OfflineMark { element: element.clone() });
    }

    /// As `GET config.xml` of this version shows it.
    pub fn config_xml(&self, version: Version) -> String {
        let mut slave = Element::new("slave");
        let mut optional = |element: Option<Element>| slave.children.extend(element);
        optional(self.offline.as_ref().map(|mark| mark.stored(version)));
        optional(Some(Element::text("name", &self.name)));
        optional(self.description.as_ref().map(|text| Element::text("description", text)));
        optional(self.remote_fs.as_ref().map(|text| Element::text("remoteFS", text)));
        optional(Some(Element::text("numExecutors", self.executors.to_string())));
        optional(self.mode.as_ref().map(|text| Element::text("mode", text)));
        optional(self.retention.clone());
        optional(self.launcher.clone().map(|launcher| match launcher.class() {
            SSH => launcher.with("plugin", version.ssh_plugin()),
            _ => launcher,
        }));
        optional(Some(Element::text("label", &self.label)));
        optional(Some(self.properties.clone()));
        format!("<?xml version=\"1.1\" encoding=\"UTF-8\"?>\n{}", slave.pretty(false))
    }

    /// Exists on the controller, but has no address.
    pub fn is_orphan(&self) -> bool {
        self.executors <= 0
    }

    /// Whether the agent calls in by itself.
    pub fn is_inbound(&self) -> bool {
        self.launcher.as_ref().is_none_or(|launcher| launcher.class() == INBOUND)
    }

    /// Whether it takes jobs that name no label: unless it is `EXCLUSIVE` (`Node.canTake` of 2.532; not recorded).
    pub fn takes_roaming_jobs(&self) -> bool {
        self.mode.as_deref() != Some("EXCLUSIVE")
    }

    /// Connected and not switched off.
    pub fn is_online(&self) -> bool {
        matches!(self.agent, Agent::Online) && self.offline.is_none()
    }

    /// A launch is under way.
    pub fn is_launching(&self) -> bool {
        matches!(self.agent, Agent::Launching(_))
    }

    /// For how long it has been launching; zero if it is not.
    pub fn launching_for(&self) -> Duration {
        match self.agent {
            Agent::Launching(since) => since.elapsed(),
            Agent::Waiting | Agent::Online | Agent::Failed | Agent::Disconnected(_) => Duration::ZERO,
            Agent::Lost | Agent::Resting | Agent::Unlaunched => Duration::ZERO,
        }
    }

    /// Starts over: what the launcher does after creation, rename, restart.
    pub fn reconnect(&mut self) {
        self.agent = if self.is_inbound() { Agent::Waiting } else { Agent::Launching(Instant::now()) };
        self.log.clear();
    }

    /// The label atoms, each once, in order; quoted ones without quotes.
    pub fn atoms(&self) -> Vec<String> {
        let mut atoms: Vec<String> = Vec::new();
        for atom in split_label(&self.label) {
            if !atoms.contains(&atom) {
                atoms.push(atom);
            }
        }
        atoms
    }

    /// The atoms and the node's own name.
    pub fn assigned_labels(&self) -> Vec<String> {
        let mut labels = self.atoms();
        if !labels.contains(&self.name) {
            labels.push(self.name.clone());
        }
        labels
    }

    /// An inbound agent calls with this secret.
    pub fn call_in(&mut self, secret: &str) -> bool {
        self.call_in_from(Version::USUAL, "127.0.0.1", secret)
    }

    /// The same, with the program of this version, from this address.
    pub fn call_in_from(&mut self, version: Version, address: &str, secret: &str) -> bool {
        if secret != self.secret || !self.is_inbound() {
            return false;
        }
        self.agent = Agent::Online;
        self.log = [
            &format!("Inbound agent connected from {address}"),
            &format!("Remoting version: {}", version.remoting()),
            "Launcher: JNLPLauncher",
            "Communication Protocol: WebSocket",
            "This is a Unix agent",
            "Agent successfully connected and online",
            "",
        ]
        .join("\r\n");
        true
    }

    /// An inbound agent whose program, of this version, is started with this command line. One that is called in a way that its program does
    /// not know prints its usage and ends.
    pub fn called(&mut self, version: Version, line: &str, secret: &str) -> bool {
        let words: Vec<&str> = line.split_whitespace().collect();
        let value = |option: &str| words.iter().position(|word| *word == option).and_then(|at| words.get(at + 1)).copied();
        let knows = |word: &str| match word {
            "-url" | "-name" | "-webSocket" => version.agent_knows_url(),
            "-jar" | "-jnlpUrl" | "-secret" | "-cert" | "-workDir" => true,
            other => !other.starts_with('-'),
        };
        let description = format!("/computer/{}/jenkins-agent.jnlp", self.name);
        let is_told = match value("-jnlpUrl") {
            Some(url) => url.ends_with(&description),
            None => value("-url").is_some() && value("-name") == Some(self.name.as_str()),
        };
        let is_called = words.iter().all(|word| knows(word)) && is_told && value("-secret").is_some_and(|word| word.starts_with('@'));
        is_called && self.call_in_from(version, "127.0.0.1", secret)
    }

    /// Its connection breaks.
    pub fn lose(&mut self) {
        self.agent = Agent::Lost;
        self.log.push_str(if self.is_inbound() {
            "Connection terminated\r\nConnection terminated\r\n"
        } else {
            // Recorded with the lines that follow (`v568-36`).
            "Agent JVM has not reported exit code. Is it still running?\r\nERROR: Connection terminated\r\n"
        });
    }

    /// Closes the channel that was disconnected, once its time has come. True when a new connection is lost with it.
    pub fn close(&mut self) -> bool {
        if self.closes.is_none_or(|at| Instant::now() < at) {
            return false;
        }
        self.closes = None;
        let is_hit = matches!(self.agent, Agent::Online);
        if is_hit {
            self.lose();
        }
        is_hit
    }

    /// What a launch over SSH says first: its launcher, as it is by then (recorded: `node-09`, `v568-25`).
    fn launch_line(&self) -> String {
        let value = |name: &str| self.launcher.as_ref().and_then(|launcher| launcher.value(name)).unwrap_or_default().to_owned();
        let (host, port, credential) = (value("host"), value("port"), value("credentialsId"));
        format!(
            "SSHLauncher{{host='{host}', port={port}, credentialsId='{credential}', jvmOptions='', javaPath='{}'}}\r\n",
            value("javaPath")
        )
    }

    /// Ends a launch as host, key, credential and Java make it end. A retry goes on launching.
    pub fn settle(&mut self, hosts: &[SshHost], credentials: &[Credential], least_java: u32) {
        if !self.is_launching() {
            return;
        }
        let Some(launcher) = &self.launcher else { return };
        let value = |name: &str| launcher.value(name).unwrap_or("").to_owned();
        let Some(host) = hosts.iter().find(|host| host.host == value("host") && host.port.to_string() == value("port")) else {
            self.agent = Agent::Failed;
            self.log = "[SSH] Opening SSH connection.\r\nConnection refused\r\n".to_owned();
            return;
        };
        let verifier = launcher.get("sshHostKeyVerificationStrategy");
        let class = verifier.map_or("", Element::class).trim_start_matches(VERIFIERS).to_owned();
        let pinned = verifier
            .and_then(|verifier| verifier.get("key"))
            .map(|key| format!("{} {}", key.value("algorithm").unwrap_or(""), key.value("key").unwrap_or("")));
        if class == "KnownHostsFileKeyVerificationStrategy" || pinned.is_some_and(|key| key != host.host_key) {
            self.log.push_str("Key exchange was not finished, connection is closed.\r\n");
            return;
        }
        if !credentials.iter().any(|credential| credential.id == value("credentialsId") && credential.is_usable()) {
            self.agent = Agent::Failed;
            self.log = "ERROR: Launching agent process aborted.\r\nThe selected credentials cannot be found\r\n".to_owned();
            return;
        }
        if host.java < least_java {
            self.agent = Agent::Lost;
            self.log = "[SSH] Authentication successful.\r\n[SSH] Starting agent process: java -jar remoting.jar\r\n\
                java.io.IOException: Unexpected termination of the channel\r\n\tat hudson.remoting.A.b(A.java:1)\r\n"
                .to_owned();
            return;
        }
        self.agent = Agent::Online;
        let online = "[SSH] Authentication successful.\r\nThis is a Unix agent\r\nAgent successfully connected and online\r\n";
        self.log = format!("{}{online}", self.launch_line());
    }
}

/// The secret is a keyed digest of the name: the same whenever the node is made again.
fn secret_of(name: &str) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(format!("model {name}")).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Splits a label string at blanks outside quotes.
pub fn split_label(label: &str) -> Vec<String> {
    let (mut atoms, mut atom, mut quoted) = (Vec::new(), String::new(), false);
    for character in label.chars().chain([' ']) {
        match character {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => {
                if !atom.is_empty() {
                    atoms.push(std::mem::take(&mut atom));
                }
            }
            c => atom.push(c),
        }
    }
    atoms
}

fn class_of(json: &Value) -> &str {
    json.get("stapler-class").or_else(|| json.get("$class")).and_then(Value::as_str).unwrap_or("")
}

fn form_text(json: &Value, key: &str) -> Option<String> {
    match json.get(key)? {
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}

fn retention_from_form(json: &Value) -> Element {
    let mut element = Element::new("retentionStrategy").with("class", class_of(json));
    for key in ["inDemandDelay", "idleDelay"] {
        element.children.extend(form_text(json, key).map(|value| Element::text(key, value)));
    }
    element
}

fn launcher_from_form(json: &Value) -> Result<Element, Refused> {
    let element = Element::new("launcher").with("class", class_of(json));
    let copy = |mut element: Element, key: &str, default: Option<&str>| {
        let value = form_text(json, key).or_else(|| default.map(str::to_owned));
        element.children.extend(value.map(|value| Element::text(key, value)));
        element
    };
    match class_of(json) {
        SSH => {
            let mut element = element;
            for key in ["host", "port", "credentialsId", "jvmOptions", "javaPath", "prefixStartSlaveCmd", "suffixStartSlaveCmd"] {
                element = copy(element, key, None);
            }
            element = copy(element, "launchTimeoutSeconds", Some("60"));
            element = copy(element, "maxNumRetries", Some("10"));
            element = copy(element, "retryWaitTime", Some("15"));
            element.children.extend(json.get("sshHostKeyVerificationStrategy").map(verifier_from_form).transpose()?);
            Ok(copy(element, "tcpNoDelay", None))
        }
        INBOUND => {
            let empty = Value::Object(serde_json::Map::new());
            let settings = json.get("workDirSettings").unwrap_or(&empty);
            let mut element = copy(element, "tunnel", None);
            let mut directory = Element::new("workDirSettings");
            for (key, default) in [
                ("disabled", Some("false")),
                ("workDirPath", None),
                ("internalDir", Some("remoting")),
                ("failIfWorkDirIsMissing", Some("false")),
            ] {
                let value = form_text(settings, key).or_else(|| default.map(str::to_owned));
                directory.children.extend(value.map(|value| Element::text(key, value)));
            }
            element.children.push(directory);
            Ok(copy(element, "webSocket", Some("false")))
        }
        _ => Err(Refused),
    }
}

fn verifier_from_form(json: &Value) -> Result<Element, Refused> {
    let mut element = Element::new("sshHostKeyVerificationStrategy").with("class", class_of(json));
    if let Some(key) = form_text(json, "key") {
        let (algorithm, key) =
            key.split_once(' ').filter(|(algorithm, key)| algorithm.contains('-') && key.starts_with("AAAA")).ok_or(Refused)?;
        element = element.child(Element::new("key").child(Element::text("algorithm", algorithm)).child(Element::text("key", key)));
    }
    element.children.extend(form_text(json, "requireInitialManualTrust").map(|value| Element::text("requireInitialManualTrust", value)));
    Ok(element)
}

/// config.xml: known classes are put in order and completed, others are dropped.
fn complete_launcher(posted: &Element) -> Option<Element> {
    let copy = |element: &mut Element, key: &str, default: Option<&str>| {
        let value = posted.value(key).filter(|value| !value.is_empty()).or(default);
        element.children.extend(value.map(|value| Element::text(key, value)));
    };
    let mut element = Element::new("launcher").with("class", posted.class());
    match posted.class() {
        SSH => {
            for key in ["host", "port", "credentialsId", "jvmOptions", "javaPath", "prefixStartSlaveCmd", "suffixStartSlaveCmd"] {
                copy(&mut element, key, None);
            }
            copy(&mut element, "launchTimeoutSeconds", Some("60"));
            copy(&mut element, "maxNumRetries", Some("10"));
            copy(&mut element, "retryWaitTime", Some("15"));
            element.children.extend(posted.get("sshHostKeyVerificationStrategy").cloned());
            copy(&mut element, "tcpNoDelay", Some("true"));
        }
        INBOUND => {
            copy(&mut element, "tunnel", None);
            let mut directory = Element::new("workDirSettings");
            let given = posted.get("workDirSettings");
            let value = |key: &str| given.and_then(|given| given.value(key)).filter(|value| !value.is_empty());
            let disabled = if given.is_some() { "false" } else { "true" };
            directory.children.push(Element::text("disabled", value("disabled").unwrap_or(disabled)));
            directory.children.extend(value("workDirPath").map(|path| Element::text("workDirPath", path)));
            directory.children.push(Element::text("internalDir", value("internalDir").unwrap_or("remoting")));
            directory.children.push(Element::text("failIfWorkDirIsMissing", value("failIfWorkDirIsMissing").unwrap_or("false")));
            element.children.push(directory);
            copy(&mut element, "webSocket", Some("false"));
        }
        _ => return None,
    }
    Some(element)
}

fn properties_from_form(json: Option<&Value>) -> Element {
    let mut properties = Element::new("nodeProperties");
    let list = |property: &str, key: &str| {
        json.and_then(|json| json.get(property)).and_then(|property| property.get(key)).and_then(Value::as_array).cloned()
    };
    if let Some(pairs) = list("hudson-slaves-EnvironmentVariablesNodeProperty", "env") {
        let mut variables: Vec<(String, String)> = Vec::new();
        for pair in pairs {
            let (key, value) = (form_text(&pair, "key").unwrap_or_default(), form_text(&pair, "value").unwrap_or_default());
            match variables.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(&key)) {
                Some((_, known)) => *known = value,
                None => variables.push((key, value)),
            }
        }
        variables.sort_by_key(|(key, _)| key.to_ascii_lowercase());
        let mut map = Element::new("tree-map")
            .child(Element::new("default").child(Element::new("comparator").with("class", "java.lang.String$CaseInsensitiveComparator")))
            .child(Element::text("int", variables.len().to_string()));
        for (key, value) in variables {
            map = map.child(Element::text("string", key)).child(Element::text("string", value));
        }
        properties = properties.child(
            Element::new("hudson.slaves.EnvironmentVariablesNodeProperty")
                .child(Element::new("envVars").with("serialization", "custom").child(Element::new("unserializable-parents")).child(map)),
        );
    }
    if let Some(tools) = list("hudson-tools-ToolLocationNodeProperty", "locations") {
        let mut locations = Element::new("locations");
        for tool in tools {
            let key = form_text(&tool, "key").unwrap_or_default();
            let (kind, name) = key.split_once('@').unwrap_or((&key, ""));
            locations = locations.child(
                Element::new("hudson.tools.ToolLocationNodeProperty_-ToolLocation")
                    .child(Element::text("type", kind))
                    .child(Element::text("name", name))
                    .child(Element::text("home", form_text(&tool, "home").unwrap_or_default())),
            );
        }
        properties = properties.child(Element::new("hudson.tools.ToolLocationNodeProperty").child(locations));
    }
    properties
}
