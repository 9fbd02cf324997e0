//! Nodes: one listing for all, config.xml for ours alone; made, changed, switched, removed, and read back after each write.

use super::super::http::encode;
use super::config;
use super::error::JenkinsError;
use super::launched::{launched, launched_if_online};
use super::request::Parting;
use super::session::{Session, shape};
use super::unwell::Unwell;
use super::xml::{self, Element};
use ostler_roles::master::Stage;
use ostler_roles::master::jenkins::{By, Config, Hold, Name, Node, NotOurs, Owner, Seen, Site, diff};
use ostler_roles::words::Secret;
use serde::Deserialize;
use std::collections::BTreeMap;

pub(super) const FORM: &str = "application/x-www-form-urlencoded";
const XML: &str = "application/xml";
/// How often a write that got lost in a restart is looked up and made again.
pub(super) const ATTEMPTS: usize = 3;

/// A computer, as far as we ask for it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Computer {
    description: Option<String>,
    pub(super) offline: bool,
    pub(super) temporarily_offline: bool,
    #[serde(default)]
    offline_cause_reason: String,
    offline_cause: Option<Cause>,
    #[serde(default)]
    pub(super) idle: bool,
    /// Not for agents that call in.
    #[serde(default)]
    launch_supported: bool,
}

#[derive(Debug, Clone, Deserialize)]
struct Cause {
    #[serde(rename = "_class")]
    class: String,
}

const FIELDS: &str = "displayName,description,offline,temporarilyOffline,offlineCauseReason,offlineCause,idle,launchSupported";

impl Computer {
    /// What Jenkins says of why it is offline, in its own language. Escaped for HTML from 2.516 on; what is not Jenkins' own text is
    /// read from where it is stored ([`config::hold`]).
    pub(super) fn reason(&self) -> String {
        config::unescaped(&self.offline_cause_reason)
    }

    /// A launch, or a connection, came to a bad end; while one is under way there is no cause.
    pub(super) fn has_failed(&self) -> bool {
        self.offline_cause
            .as_ref()
            .is_some_and(|cause| ["$LaunchFailed", "$ChannelTermination"].iter().any(|end| cause.class.ends_with(end)))
    }

    /// Jenkins launches it; others call in.
    pub(super) fn is_launched(&self) -> bool {
        self.launch_supported
    }

    /// Nobody launches it, though Jenkins could.
    pub(super) fn may_be_launched(&self) -> bool {
        self.offline && self.launch_supported && self.offline_cause.is_some()
    }

    /// The same, though Jenkins gives no cause: a launch is under way, or nobody has begun one.
    pub(super) fn has_no_cause(&self) -> bool {
        self.offline && self.launch_supported && self.offline_cause.is_none()
    }

    /// Its connection is gone, and not because somebody marked it offline.
    pub(super) fn is_gone(&self) -> bool {
        self.offline && !self.temporarily_offline
    }
}

pub(super) fn path(name: &Name, rest: &str) -> String {
    format!("/computer/{}/{rest}", encode(name.as_str()))
}

/// What one listing shows.
#[derive(Debug)]
pub struct Listing {
    /// Of each name that was asked for: what is seen, or why that cannot be told of this one.
    pub seen: BTreeMap<Name, Result<Seen, JenkinsError>>,
    /// Other nodes of this site.
    pub others: Vec<String>,
}

/// Looks at these names. What goes wrong with any is an error.
pub(super) fn observe(session: &Session, site: &Site, names: &[Name]) -> Result<BTreeMap<Name, Seen>, JenkinsError> {
    list(session, site, names)?.seen.into_iter().map(|(name, seen)| seen.map(|seen| (name, seen))).collect()
}

/// Looks at these names, and for other nodes of this site. An account may be kept from one node and not from the next.
pub(super) fn list(session: &Session, site: &Site, names: &[Name]) -> Result<Listing, JenkinsError> {
    #[derive(Deserialize)]
    struct List {
        computer: Vec<serde_json::Value>,
    }
    let action = "list the nodes";
    // Borne with in all: there may be a thousand nodes.
    let mut unwell = Unwell::new(session);
    let list: Option<List> = unwell.bear(|| session.json(action, &format!("/computer/api/json?tree=computer%5B{FIELDS}%5D")))?;
    let list = list.ok_or_else(|| JenkinsError::NotJenkins { action: action.to_owned(), kind: "404".to_owned() })?;
    let mut seen = BTreeMap::new();
    let mut parting = Parting::of_a_look(&session.stop);
    for name in names {
        if parting.is_over() {
            return Err(JenkinsError::Stopped { action: action.to_owned(), left: None });
        }
        let state = match permanent(&list.computer, name).and_then(|()| found(&list.computer, name).map_err(|error| shape(action, &error)))
        {
            Err(error) => Err(error),
            Ok(None) => unwell.bear(|| is_orphan(session, name)).map(|is_orphan| if is_orphan { Seen::Orphan } else { Seen::Absent }),
            Ok(Some(computer)) => match site.owner(computer.description.as_deref().unwrap_or_default()) {
                Owner::Other(stranger) => Ok(Seen::Foreign(stranger)),
                Owner::Us => unwell.bear(|| ours(session, name, &computer)),
            },
        };
        match state {
            Err(error) if error.is_the_masters() => return Err(error),
            state => drop(seen.insert(name.clone(), state)),
        }
    }
    // A cloud's template may have our words, in each node that it makes.
    let is_ours = |computer: &&serde_json::Value| {
        cloud(computer).is_none() && site.owner(computer["description"].as_str().unwrap_or_default()) == Owner::Us
    };
    let others = list.computer.iter().filter(is_ours).filter_map(|computer| computer["displayName"].as_str());
    let others = others.filter(|name| names.iter().all(|one| one.as_str() != *name)).map(str::to_owned).collect();
    Ok(Listing { seen, others })
}

/// The class of a computer that is no permanent node's: a cloud has made it, and removes it.
fn cloud(computer: &serde_json::Value) -> Option<&str> {
    computer["_class"].as_str().filter(|class| *class != "hudson.slaves.SlaveComputer")
}

/// A name that a cloud's node has is its own.
fn permanent(listed: &[serde_json::Value], name: &Name) -> Result<(), JenkinsError> {
    let class = listed.iter().find(|computer| computer["displayName"] == name.as_str()).and_then(cloud);
    let Some(class) = class else { return Ok(()) };
    let kind = class.rsplit(['.', '$']).next().unwrap_or(class);
    let reason = format!("a cloud has made it, and removes it ({kind}); give the executor another name");
    Err(JenkinsError::Refused { action: format!("register node `{name}`"), reason })
}

/// A computer of the listing. What else is listed is others', and may be of kinds that nobody here has heard of.
fn found(listed: &[serde_json::Value], name: &Name) -> Result<Option<Computer>, serde_json::Error> {
    listed.iter().find(|computer| computer["displayName"] == name.as_str()).map(Computer::deserialize).transpose()
}

fn ours(session: &Session, name: &Name, computer: &Computer) -> Result<Seen, JenkinsError> {
    let Some((slave, mut config)) = read_config(session, name)? else { return Ok(Seen::Absent) };
    if !computer.offline {
        config.launched = launched(session, name, &config)?;
    }
    let hold = computer.temporarily_offline.then(|| hold(session, &slave, computer)).transpose()?;
    let is_connected = !computer.offline || computer.temporarily_offline;
    let is_resting = computer.is_gone() && !computer.has_failed() && config::comes_and_goes(&slave);
    Ok(Seen::Ours { config: Box::new(config), is_connected, is_resting, hold })
}

/// A node that is not listed, but which its own label still knows.
fn is_orphan(session: &Session, name: &Name) -> Result<bool, JenkinsError> {
    #[derive(Deserialize)]
    struct Label {
        nodes: Vec<Named>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Named {
        node_name: String,
    }
    let path = format!("/label/{}/api/json?tree=nodes%5BnodeName%5D", encode(name.as_str()));
    let label: Option<Label> = session.json(&format!("look for an orphan called `{name}`"), &path)?;
    Ok(label.is_some_and(|label| label.nodes.iter().any(|node| node.node_name == name.as_str())))
}

/// The configuration of a node; none when it has gone.
fn read_config(session: &Session, name: &Name) -> Result<Option<(Element, Config)>, JenkinsError> {
    let action = format!("read the configuration of node `{name}`");
    let answer = session.read(&action, &path(name, "config.xml"))?;
    if answer.status == 404 {
        return Ok(None);
    }
    let answer = session.expect(&action, answer, &[200])?;
    let fault = |source| JenkinsError::Xml { action: action.clone(), source };
    let slave = xml::parse(&answer.body).map_err(fault)?;
    let config = config::read(&slave).map_err(fault)?;
    Ok(Some((slave, config)))
}

pub(super) fn computer(session: &Session, name: &Name) -> Result<Computer, JenkinsError> {
    let action = format!("ask for the state of node `{name}`");
    session.json(&action, &path(name, &format!("api/json?tree={FIELDS}")))?.ok_or_else(|| JenkinsError::Vanished(name.clone()))
}

/// Whether its agent comes and goes as jobs or the clock want it: nobody else launches it.
pub(super) fn comes_and_goes(session: &Session, name: &Name) -> Result<bool, JenkinsError> {
    Ok(read_config(session, name)?.is_some_and(|(slave, _)| config::comes_and_goes(&slave)))
}

/// The offline mark of a node.
pub(super) fn hold_of(session: &Session, name: &Name, seen: &Computer) -> Result<Option<Hold>, JenkinsError> {
    if !seen.temporarily_offline {
        return Ok(None);
    }
    let (slave, _) = read_config(session, name)?.ok_or_else(|| JenkinsError::Vanished(name.clone()))?;
    hold(session, &slave, seen).map(Some)
}

/// Whose mark it is. Anybody may begin his message as we do ours: where the account is known, it is ours only if that is.
fn hold(session: &Session, slave: &Element, seen: &Computer) -> Result<Hold, JenkinsError> {
    let hold = config::hold(slave, &seen.reason());
    Ok(match &hold.by {
        By::Account(user) if hold.is_in_our_words() && session.is_us(user)? => Hold { by: By::Us(user.clone()), ..hold },
        By::Account(_) | By::Us(_) | By::Cause(_) | By::Unknown => hold,
    })
}

/// Makes a node, in quarantine, and reads it back.
pub(super) fn create(session: &Session, node: &Node) -> Result<(), JenkinsError> {
    let action = format!("create node `{}`", node.name);
    let json = config::form(node).to_string();
    let body = format!("name={}&type={}&json={}", encode(node.name.as_str()), encode(config::PERMANENT), encode(&json));
    for _ in 0..ATTEMPTS {
        match session.write(&action, "/computer/doCreateItem", FORM, body.as_bytes()) {
            Ok(answer) => {
                session.expect(&action, answer, &[200, 302])?;
                return verify(session, node, Stage::Quarantined);
            }
            // It may or may not have been made: look.
            Err(lost @ JenkinsError::Lost { .. }) => match owned_config(session, node)? {
                Some(_) => return verify(session, node, Stage::Quarantined),
                None => drop(lost),
            },
            Err(error) => return Err(error),
        }
    }
    Err(JenkinsError::Vanished(node.name.clone()))
}

/// Whether the node is there and ours.
pub(super) fn is_ours(session: &Session, node: &Node) -> Result<bool, JenkinsError> {
    owned_config(session, node).map(|config| config.is_some())
}

/// The configuration, if the node is there and ours.
fn owned_config(session: &Session, node: &Node) -> Result<Option<(Element, Config)>, JenkinsError> {
    let Some((slave, config)) = read_config(session, &node.name)? else { return Ok(None) };
    match node.site.owner(slave.value("description").unwrap_or_default()) {
        Owner::Us => Ok(Some((slave, config))),
        Owner::Other(stranger) => Err(NotOurs::Foreign(node.name.clone(), stranger).into()),
    }
}

/// Reads it back.
pub(super) fn verify(session: &Session, node: &Node, stage: Stage) -> Result<(), JenkinsError> {
    let (_, config) = owned_config(session, node)?.ok_or_else(|| JenkinsError::Vanished(node.name.clone()))?;
    let left = diff(node, stage, &config);
    if left.is_empty() { Ok(()) } else { Err(JenkinsError::NotConverged { name: node.name.clone(), left }) }
}

/// Sets our values for a stage and reads them back; `needs_launch`: the agent has to be launched again to use them.
pub(super) fn update(session: &Session, node: &Node, stage: Stage, needs_launch: &mut bool) -> Result<(), JenkinsError> {
    let action = format!("change node `{}`", node.name);
    for _ in 0..ATTEMPTS {
        let (mut slave, mut config) = owned_config(session, node)?.ok_or_else(|| JenkinsError::Vanished(node.name.clone()))?;
        config.launched = launched_if_online(session, &node.name, &config)?;
        let changes = diff(node, stage, &config);
        if changes.is_empty() {
            return Ok(());
        }
        *needs_launch |= changes.iter().any(ostler_roles::master::jenkins::Change::needs_launch);
        config::write(&mut slave, node, stage);
        match session.write(&action, &path(&node.name, "config.xml"), XML, &slave.document()) {
            Ok(answer) => {
                session.expect(&action, answer, &[200])?;
                return verify(session, node, stage);
            }
            Err(JenkinsError::Lost { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    verify(session, node, stage)
}

/// Removes a node of ours. Gone already is done.
pub(super) fn delete(session: &Session, site: &Site, name: &Name) -> Result<(), JenkinsError> {
    let action = format!("remove node `{name}`");
    for _ in 0..ATTEMPTS {
        match observe(session, site, std::slice::from_ref(name))?.remove(name) {
            None | Some(Seen::Absent) => return Ok(()),
            Some(Seen::Orphan) => return Err(NotOurs::Orphan(name.clone()).into()),
            Some(Seen::Foreign(stranger)) => return Err(NotOurs::Foreign(name.clone(), stranger).into()),
            Some(Seen::Ours { .. }) => {}
        }
        match session.write(&action, &path(name, "doDelete"), FORM, b"") {
            Ok(answer) => {
                session.expect(&action, answer, &[200, 302])?;
            }
            Err(JenkinsError::Lost { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Err(JenkinsError::Refused { action, reason: "it is still there".to_owned() })
}

/// What an inbound agent must know to call in.
pub(super) fn agent_secret(session: &Session, name: &Name) -> Result<Secret<String>, JenkinsError> {
    let action = format!("read the agent secret of node `{name}`");
    let answer = session.read(&action, &path(name, "jenkins-agent.jnlp"))?;
    if answer.status == 404 {
        return Err(JenkinsError::Vanished(name.clone()));
    }
    let answer = session.expect(&action, answer, &[200])?;
    let fault = |source| JenkinsError::Xml { action: action.clone(), source };
    let jnlp = xml::parse(&answer.body).map_err(fault)?;
    let secret = jnlp.get("application-desc").and_then(|desc| desc.value("argument")).unwrap_or_default();
    if secret.len() < 32 || !secret.chars().all(|character| character.is_ascii_hexdigit()) {
        return Err(fault(xml::XmlError::Unexpected("an agent description without a secret")));
    }
    session.mask().add([secret.as_bytes()]);
    Ok(Secret::new(secret.to_owned()))
}

/// Whether the plugin that configures a Jenkins as code is there: its page is, if only for others. It replaces the list of nodes whole
/// where its files have one (`jenkins: nodes:`; plugin configuration-as-code, `JenkinsConfigurator`).
pub(super) fn is_code(session: &Session) -> bool {
    let page = session.read("look whether it is configured as code", "/configuration-as-code/");
    page.is_ok_and(|page| matches!(page.status, 200 | 403))
}

/// Where every Jenkins gives the agent that fits it, to anybody.
pub(super) const AGENT_PROGRAM: &str = "jnlpJars/agent.jar";

/// The program of inbound agents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its `Last-Modified`, where Jenkins gave one.
    pub modified: Option<String>,
}

/// The program of inbound agents; what is known is not fetched again (Jenkins serves it as a file, with `Last-Modified` and 304).
pub(super) fn agent_program(session: &Session, known: Option<Program>) -> Result<Program, JenkinsError> {
    let (action, path) = ("fetch agent.jar", format!("/{AGENT_PROGRAM}"));
    let answer = match known.as_ref().and_then(|known| known.modified.as_deref()) {
        Some(modified) => session.read_since(action, &path, modified)?,
        None => session.read(action, &path)?,
    };
    if let (304, Some(known)) = (answer.status, known) {
        return Ok(known);
    }
    let answer = session.expect(action, answer, &[200])?;
    // A jar is a zip archive (its local file header); a login page is none.
    if !answer.body.starts_with(b"PK\x03\x04") {
        let kind = answer.header("content-type").unwrap_or("no content type").to_owned();
        return Err(JenkinsError::NotJenkins { action: action.to_owned(), kind });
    }
    let modified = answer.header("last-modified").map(str::to_owned);
    Ok(Program { bytes: answer.body, modified })
}

#[cfg(test)]
mod tests {
    use super::{found, permanent};
    use ostler_roles::master::jenkins::Name;
    use serde_json::json;

    #[test]
    fn other_kinds_of_computers_stand_in_no_ones_way() {
        let ours = json!({"_class": "hudson.slaves.SlaveComputer", "displayName": "n1", "description": "x", "offline": false,
            "temporarilyOffline": false, "offlineCause": null, "offlineCauseReason": "", "idle": true});
        let cloudy = json!({"_class": "a.Cloud", "displayName": "pod-1", "offline": null, "offlineCause": {}, "offlineCauseReason": null});
        let listed = [json!({}), json!("?"), cloudy, ours];
        let seen = found(&listed, &Name::parse("n1").unwrap()).unwrap().unwrap();
        assert!(!seen.offline && !seen.temporarily_offline);
        assert!(found(&listed, &Name::parse("n2").unwrap()).unwrap().is_none());
        assert!(found(&listed, &Name::parse("pod-1").unwrap()).is_err());
    }

    #[test]
    fn a_clouds_node_is_told_as_that() {
        let of = |class: &str| json!({"_class": class, "displayName": "pod-1", "description": "managed by ostler, site x"});
        let name = Name::parse("pod-1").unwrap();
        let told = permanent(&[json!({}), of("org.csanchez.KubernetesComputer")], &name).unwrap_err().to_string();
        let expected =
            "register node `pod-1`: refused: a cloud has made it, and removes it (KubernetesComputer); give the executor another name";
        assert_eq!(told, expected);
        assert!(permanent(&[of("hudson.slaves.SlaveComputer")], &name).is_ok());
        assert!(permanent(&[], &name).is_ok());
    }
}
