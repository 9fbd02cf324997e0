//! The system store's global domain. Secrets go in, never out.

use serde_json::{Value, json};

use super::version::Version;
use super::xml::Element;

/// SSH user name with private key.
pub const SSH_KEY: &str = "com.cloudbees.jenkins.plugins.sshcredentials.impl.BasicSSHUserPrivateKey";
/// User name with password.
pub const PASSWORD: &str = "com.cloudbees.plugins.credentials.impl.UsernamePasswordCredentialsImpl";
const DIRECT: &str = "com.cloudbees.jenkins.plugins.sshcredentials.impl.BasicSSHUserPrivateKey$DirectEntryPrivateKeySource";

/// One credential.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Class.
    pub class: String,
    /// Scope.
    pub scope: String,
    /// Id.
    pub id: String,
    /// Description.
    pub description: String,
    /// User name.
    pub username: String,
    /// Whether the user name counts as secret; `None` when it was never said.
    pub username_secret: Option<bool>,
    /// The stored secret; `None` after it was destroyed.
    pub secret: Option<String>,
}

/// The store refused it: 500.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused;

impl Credential {
    /// From an XML body.
    pub fn from_xml(xml: &Element) -> Result<Self, Refused> {
        let text = |name: &str| xml.value(name).unwrap_or("").to_owned();
        let (secret, default_secrecy) = match xml.name.as_str() {
            SSH_KEY => (xml.get("privateKeySource").and_then(|source| source.get("privateKey")), Some(true)),
            PASSWORD => (xml.get("password"), None),
            _ => return Err(Refused),
        };
        Ok(Self {
            class: xml.name.clone(),
            scope: text("scope"),
            id: text("id"),
            description: text("description"),
            username: text("username"),
            username_secret: xml.value("usernameSecret").map(|value| value == "true").or(default_secrecy),
            secret: secret.and_then(|secret| secret.text.clone()).filter(|secret| !secret.trim().is_empty()),
        })
    }

    /// From the form's `credentials` object.
    pub fn from_form(json: &Value) -> Result<Self, Refused> {
        let text = |key: &str| json.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
        let class = json.get("stapler-class").or_else(|| json.get("$class")).and_then(Value::as_str).ok_or(Refused)?;
        let secret = match class {
            SSH_KEY => json.get("privateKeySource").and_then(|source| source.get("privateKey")),
            PASSWORD => json.get("password"),
            _ => return Err(Refused),
        };
        Ok(Self {
            class: class.to_owned(),
            scope: text("scope"),
            id: text("id"),
            description: text("description"),
            username: text("username"),
            username_secret: json.get("usernameSecret").and_then(Value::as_bool),
            secret: secret.and_then(Value::as_str).map(str::to_owned).filter(|secret| !secret.is_empty()),
        })
    }

    /// Whether a launch could log in with it.
    pub fn is_usable(&self) -> bool {
        self.secret.is_some()
    }

    /// As `GET config.xml` of this version shows it: no secret.
    pub fn config_xml(&self, version: Version) -> String {
        let plugin = if self.class == SSH_KEY { version.key_plugin() } else { "credentials@1447.v4cb_b_539b_5321" };
        let mut element = Element::new(&self.class)
            .with("plugin", plugin)
            .child(Element::text("scope", &self.scope))
            .child(Element::text("id", &self.id))
            .child(Element::text("description", &self.description))
            .child(Element::text("username", &self.username));
        element.children.extend(self.username_secret.map(|secret| Element::text("usernameSecret", secret.to_string())));
        let redacted = |name: &str| Element::new(name).child(Element::new("secret-redacted"));
        let secret = if self.class == SSH_KEY {
            Element::new("privateKeySource").with("class", DIRECT).child(redacted("privateKey"))
        } else {
            redacted("password")
        };
        element.child(secret).pretty(false)
    }

    /// As lists show it; on its own it also has a `_class`.
    pub fn json(&self) -> Value {
        let shown = match self.username_secret {
            Some(false) if self.class == SSH_KEY => format!("{} ({})", self.username, self.description),
            // Not recorded: `StandardUsernamePasswordCredentials.NameProvider` of the credentials plugin.
            Some(false) => format!("{}/****** ({})", self.username, self.description),
            Some(true) | None => self.description.clone(),
        };
        json!({
            "description": self.description,
            "displayName": shown,
            "fingerprint": null,
            "fullName": format!("system/_/{}", self.id),
            "id": self.id,
            "typeName": if self.class == SSH_KEY { "SSH Username with private key" } else { "Username with password" },
        })
    }
}

/// The domain as JSON.
pub fn domain_json(credentials: &[Credential]) -> Value {
    json!({
        "_class": "com.cloudbees.plugins.credentials.CredentialsStoreAction$DomainWrapper",
        "credentials": credentials.iter().map(Credential::json).collect::<Vec<_>>(),
        "description": "Credentials that should be available irrespective of domain specification to requirements matching.",
        "displayName": "Global credentials (unrestricted)",
        "fullDisplayName": "System » Global credentials (unrestricted)",
        "fullName": "system/_",
        "global": true,
        "urlName": "_",
    })
}
