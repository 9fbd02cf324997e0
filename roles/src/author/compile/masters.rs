//! The site's masters with their values worked out: addresses, machines, accounts.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::address::Address;
use super::context::{Context, Reported};
use super::scope::SiteScope;
use super::{Input, KnownFacts, Secrets, Site, SiteContent};
use crate::author::diagnostic::{Fault, Faults};
use crate::author::graph::Roles;
use crate::author::kinds::{Built, Values, meaningless, must, word};
use crate::author::site::{MasterKind, NodeEntry};
use crate::author::value::{Data, Value, as_text};
use crate::words::{AbsPath, AccountName, MasterName, NodeName, Secret, UnitName};

/// A master as the controller talks to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Master {
    /// Its name.
    pub name: MasterName,
    /// Its web address.
    pub url: String,
    /// The node it runs on.
    pub node: Option<NodeName>,
    /// What is particular to its kind.
    pub settings: MasterSettings,
}

impl Master {
    /// Whether this is the same server under two names: at one address, or of one directory on one machine. Of what is called differently by
    /// others, by their name servers, nothing is known here.
    #[must_use]
    pub fn is_one_with(&self, other: &Self) -> bool {
        let directory = |master: &Self| match &master.settings {
            MasterSettings::Buildbot { directory, .. } => master.node.clone().map(|node| (node, directory.clone())),
            MasterSettings::Jenkins { .. } => None,
        };
        let same = |one: Option<_>, other: Option<_>| one.is_some() && one == other;
        same(directory(self), directory(other)) || {
            let (one, other) = (Address::of(&self.url), Address::of(&other.url));
            one.is_some() && one == other
        }
    }
}

/// What is particular to a kind of master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MasterSettings {
    /// Configured by files on its node.
    Buildbot {
        /// Its base directory.
        directory: AbsPath,
        /// The group that may read worker files.
        group: AccountName,
        /// The unit that is reloaded after its files change.
        service: UnitName,
        /// The account of its web interface.
        account: Option<(String, Secret<String>)>,
    },
    /// Configured over its API.
    Jenkins {
        /// The account that registers.
        user: String,
        /// How it shows that it is.
        login: JenkinsLogin,
        /// Certificates in PEM that alone may vouch for it.
        trust: Option<String>,
        /// Credentials it must have.
        credentials: Vec<JenkinsCredential>,
    },
}

/// How an account of a Jenkins shows that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JenkinsLogin {
    /// With an API token.
    Token(Secret<String>),
    /// With its password.
    Password(Secret<String>),
}

/// A credential that a Jenkins must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JenkinsCredential {
    /// Its id.
    pub id: String,
    /// The account the master logs in as.
    pub user: String,
    /// The private key.
    pub key: Secret<String>,
}

/// The names of a site's masters.
pub fn master_names(site: &Site) -> impl Iterator<Item = &str> {
    site.file.masters.iter().map(|master| master.name.value.as_str())
}

/// Where the role `buildbot-master` puts its master.
const DIRECTORY: &str = "/var/lib/buildbot/master";
/// The group it runs as.
const GROUP: &str = "buildbot";
/// Its unit.
const SERVICE: &str = "buildbot-master";
/// The account of its web interface.
const ACCOUNT: &str = "ostler";

/// The lab's own address, where it serves what this machine has.
const LAB: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 1);

/// The site's masters with their values worked out.
///
/// # Errors
/// All that is wrong with them.
pub fn masters(roles: &Roles, site: &Site, facts: &KnownFacts, secrets: &Secrets) -> Result<BTreeMap<MasterName, Master>, Faults> {
    let content = SiteContent::default();
    // No node is asked for: the name is never looked up.
    let Ok(node) = NodeName::parse("none") else { return Ok(BTreeMap::new()) };
    let context = Context::of_site(&Input { roles, site, content: &content, node: &node, facts, secrets, overrides: &[] });
    let mut found = BTreeMap::new();
    for written in &site.file.masters {
        let Ok(values) = context.fields(&written.fields, &SiteScope(&context)) else { continue };
        let master = context.master(&written.name.value, written.kind, &values);
        match master {
            Ok(master) => drop(found.insert(master.name.clone(), master)),
            Err(fault) => {
                let Reported = context.fault(*fault);
            }
        }
    }
    context.take_faults().into_result(found)
}

impl Context<'_> {
    fn master(&self, name: &str, kind: MasterKind, values: &Values) -> Built<Master> {
        let name = MasterName::parse(name).map_err(|error| Box::new(Fault::new(&values.span, error.to_string())))?;
        let settings = match kind {
            MasterKind::Buildbot => {
                let default = |text: &str| AbsPath::parse(text).map_err(|error| Box::new(Fault::new(&values.span, error.to_string())));
                MasterSettings::Buildbot {
                    directory: values.path("directory").map_or_else(|| default(DIRECTORY), Ok)?,
                    group: AccountName::parse(GROUP).map_err(|error| Box::new(Fault::new(&values.span, error.to_string())))?,
                    service: match word(values, "service", UnitName::parse_service)? {
                        Some(service) => service,
                        None => UnitName::parse_service(SERVICE).map_err(|error| Box::new(Fault::new(&values.span, error.to_string())))?,
                    },
                    account: values
                        .text("password")
                        .map(|password| (values.text("user").unwrap_or_else(|| ACCOUNT.to_owned()), Secret::new(password))),
                }
            }
            MasterKind::Jenkins => MasterSettings::Jenkins {
                user: text(values, "user")?,
                login: login(values)?,
                trust: values.text("trust"),
                credentials: values.entries("credentials").iter().map(|(id, value)| credential(values, id, value)).collect::<Built<_>>()?,
            },
        };
        let url = address(values)?;
        nothing_meaningless(values, kind, &url)?;
        let shown = match &settings {
            MasterSettings::Jenkins { login: JenkinsLogin::Token(_), .. } => Some("token"),
            MasterSettings::Jenkins { login: JenkinsLogin::Password(_), .. } | MasterSettings::Buildbot { account: Some(_), .. } => {
                Some("password")
            }
            MasterSettings::Buildbot { account: None, .. } => None,
        };
        if let Some(shown) = shown {
            self.covered(values, &url, shown)?;
        }
        Ok(Master { name, url, node: self.machine(values)?, settings })
    }

    /// A password or token travels under cover, or never leaves this machine, or the site says that it may.
    fn covered(&self, values: &Values, url: &str, shown: &str) -> Built<()> {
        let Some(address) = Address::of(url) else { return Ok(()) };
        if address.scheme == "https" || values.boolean("plain_http") == Some(true) {
            return Ok(());
        }
        if address.is_this_machine() || address.ipv4().is_some_and(|host| self.is_in_lab(host)) {
            return Ok(());
        }
        let message = format!("over {}:// the {shown} would travel in clear to {}", address.scheme, address.host);
        let hint = "give the master an https:// address; where the way to it is as good as private, say so: `plain_http: true`";
        Err(Box::new(Fault::new(values.span("url"), message).hint(hint)))
    }

    /// Whether the site's lab has this address: its own, or that of one of its nodes. What it does not have may be anybody's.
    fn is_in_lab(&self, host: Ipv4Addr) -> bool {
        let site = self.input.site;
        let Some(lab) = &site.file.lab else { return false };
        let inside = |name: &str| lab.get("nodes").is_some_and(|nodes| nodes.get(name).is_some());
        let is_at = |node: &NodeEntry| node.host.as_ref().is_some_and(|at| at.value.parse() == Ok(host));
        host == LAB || site.nodes.nodes.iter().any(|node| inside(&node.name.value) && is_at(node))
    }

    /// The machine a master runs on.
    fn machine(&self, values: &Values) -> Built<Option<NodeName>> {
        match values.value("node").map(|value| &value.data) {
            None => Ok(None),
            Some(Data::Node(node)) => Ok(Some(node.name.clone())),
            Some(_) => {
                let name = must(values, "node", NodeName::parse)?;
                let known = || self.input.site.nodes.nodes.iter().map(|node| node.name.value.as_str());
                if known().any(|other| other == name.as_str()) {
                    return Ok(Some(name));
                }
                Err(Box::new(Fault::new(values.span("node"), format!("there is no node `{name}`")).nearest(name.as_str(), known())))
            }
        }
    }
}

/// A field that nothing reads beside the values of others.
fn nothing_meaningless(values: &Values, kind: MasterKind, url: &str) -> Built<()> {
    let is_written = |field: &str| values.fields.contains_key(field);
    if kind == MasterKind::Buildbot {
        if is_written("user") && !is_written("password") {
            return Err(meaningless(values, "user", "without its `password`: nobody logs in", None));
        }
        if let Some(field) = ["directory", "service"].into_iter().find(|field| is_written(field) && !is_written("node")) {
            return Err(meaningless(values, field, "without `node`, the machine that it is on", None));
        }
    }
    // Where an expression says the scheme, either may hold.
    if values.span("url").text().trim_start_matches(['"', '\'']).starts_with("{{") {
        return Ok(());
    }
    let is_https = Address::of(url).is_some_and(|address| address.scheme == "https");
    if is_written("trust") && !is_https {
        return Err(meaningless(values, "trust", "without https://: no certificate is shown", Some("url")));
    }
    if values.boolean("plain_http") == Some(true) {
        if is_https {
            return Err(meaningless(values, "plain_http", "beside https://: nothing travels in clear", Some("url")));
        }
        if !is_written("password") && !is_written("token") {
            return Err(meaningless(values, "plain_http", "without a password or token that would travel in clear", Some("url")));
        }
    }
    Ok(())
}

fn text(values: &Values, field: &str) -> Built<String> {
    values.text(field).ok_or_else(|| Box::new(Fault::new(&values.span, format!("`{field}` is missing"))))
}

/// A Jenkins' token and its password are shown in two ways, and nobody can tell them apart by their looks.
fn login(values: &Values) -> Built<JenkinsLogin> {
    match (values.text("token"), values.text("password")) {
        (Some(token), None) => Ok(JenkinsLogin::Token(Secret::new(token))),
        (None, Some(password)) => Ok(JenkinsLogin::Password(Secret::new(password))),
        (None, None) => {
            let fault = Fault::new(&values.span, "an account without `token` or `password`");
            Err(Box::new(fault.hint("write `token: \"{{ secret.NAME }}\"`: an API token of that account")))
        }
        (Some(_), Some(_)) => {
            let fault = Fault::new(values.span("token"), "an account with `token` and `password`").expected("one of them");
            Err(Box::new(fault.also(values.span("password"), "the password")))
        }
    }
}

/// The address of a master: it stands in messages, and on the command lines of agents, so nobody's password may be part of it.
fn address(values: &Values) -> Built<String> {
    let url = text(values, "url")?;
    let authority = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest).split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        let fault = Fault::new(values.span("url"), "the address of a master holds the name or password of a user");
        return Err(Box::new(fault.hint("everybody sees an address; give them as `user` and `password`")));
    }
    Ok(url)
}

/// One entry of `credentials`.
fn credential(values: &Values, id: &str, value: &Value) -> Built<JenkinsCredential> {
    let field = |of: &Value, name: &str| match &of.data {
        Data::Map(entries) => entries.iter().find(|(key, _)| &**key == name).map(|(_, value)| value.clone()),
        _ => None,
    };
    let lacking = || {
        Box::new(Fault::new(values.span("credentials"), format!("the credential `{id}` is not whole")).expected("`ssh_key: {user, key}`"))
    };
    let pair = field(value, "ssh_key").ok_or_else(lacking)?;
    let part = |name: &str| field(&pair, name).and_then(|value| as_text(&value.data)).ok_or_else(lacking);
    Ok(JenkinsCredential { id: id.to_owned(), user: part("user")?, key: Secret::new(part("key")?) })
}
