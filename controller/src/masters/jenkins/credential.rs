//! Credentials: sent whole, never read back. Whether one is up to date is known from the fingerprint of what was sent last, which stands in
//! its description: whoever sent it, on whatever machine (`docs/decisions/0015`).
//!
//! Jenkins answers `<secret-redacted/>` for every secret, and takes it back as the new value without a word: reading, changing and
//! posting a credential destroys it. So nothing that was read is ever sent; an update is always the whole of it.

use super::super::http::{Answer, encode};
use super::error::JenkinsError;
use super::session::Session;
use super::xml::{self, Element};
use ostler_roles::master::jenkins::{CredentialId, Owner, Site};
use ostler_roles::words::{Digest, Secret, SecretRef};
use serde::Deserialize;

const SSH_KEY: &str = "com.cloudbees.jenkins.plugins.sshcredentials.impl.BasicSSHUserPrivateKey";
const DIRECT: &str = "com.cloudbees.jenkins.plugins.sshcredentials.impl.BasicSSHUserPrivateKey$DirectEntryPrivateKeySource";
const PASSWORD: &str = "com.cloudbees.plugins.credentials.impl.UsernamePasswordCredentialsImpl";
const DOMAIN: &str = "/credentials/store/system/domain/_";
const XML: &str = "application/xml";
/// What stands before the fingerprint in a description.
const SENT: &str = " sent:";
/// How many hexadecimal digits of a fingerprint stand there: none is met twice, and the line stays readable.
const DIGITS: usize = 32;
/// How often a removal is sent whose answer is lost.
const ATTEMPTS: usize = 3;

/// The secret part of a credential.
#[derive(Debug, Clone)]
pub enum Kind {
    /// An SSH private key.
    SshKey {
        /// The key, in the text form of its file.
        private_key: Secret<String>,
        /// What unlocks it.
        passphrase: Option<Secret<String>>,
    },
    /// A password.
    Password(Secret<String>),
}

impl Kind {
    fn class(&self) -> &'static str {
        match self {
            Self::SshKey { .. } => SSH_KEY,
            Self::Password(_) => PASSWORD,
        }
    }
}

/// A credential as it should be, in the global domain of the system store.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Its id.
    pub id: CredentialId,
    /// The account on the node.
    pub username: String,
    /// Its secret.
    pub kind: Kind,
}

/// What was done about a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// What was sent last is what is wanted; nothing was sent.
    Unchanged,
    /// It was made.
    Created,
    /// It was sent anew.
    Replaced,
}

#[derive(Debug, Deserialize)]
struct Domain {
    credentials: Vec<Listed>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    id: String,
    /// Only credentials with a description of their own have one.
    description: Option<String>,
    display_name: String,
}

impl Credential {
    /// What stands for the whole credential where it may not be itself: an HMAC under this key.
    fn fingerprint(&self, key: &[u8]) -> Digest {
        let (kind, secret, more) = match &self.kind {
            Kind::SshKey { private_key, passphrase } => {
                ("ssh", private_key.expose().as_str(), passphrase.as_ref().map_or("", |phrase| phrase.expose()))
            }
            Kind::Password(password) => ("password", password.expose().as_str(), ""),
        };
        // Lengths keep the parts apart.
        let parts = [self.id.as_str(), &self.username, kind, secret, more];
        let whole: String = parts.iter().map(|part| format!("{}:{part}", part.len())).collect();
        SecretRef::hmac(key, whole.as_bytes())
    }

    /// What its description becomes: the mark and whatever else stands there, and what stands for what is sent.
    fn description(&self, site: &Site, key: &[u8], present: Option<&str>) -> String {
        let mark = site.mark();
        let text = present.filter(|text| !text.is_empty()).unwrap_or(&mark);
        let sent = format!("{SENT}{}", &self.fingerprint(key).hex()[..DIGITS]);
        match sent_in(text) {
            Some(old) => text.replacen(old, &sent, 1),
            None => format!("{text}{sent}"),
        }
    }

    /// Whether this description says that this very credential was sent last, and the list shows it so.
    fn is_as_sent(&self, site: &Site, key: &[u8], known: &Listed) -> bool {
        let present = known.description.as_deref().unwrap_or_default();
        let wanted = self.description(site, key, Some(present));
        // Shown as it is sent, it is of the same kind: a password's list entry has stars.
        wanted == present && known.display_name == self.shown(&wanted)
    }

    /// How lists show it (the plugins' `NameProvider`s): the only sight of its user name.
    fn shown(&self, description: &str) -> String {
        let hidden = match self.kind {
            Kind::SshKey { .. } => "",
            Kind::Password(_) => "/******",
        };
        format!("{}{hidden} ({description})", self.username)
    }

    /// From now on it shows nowhere: an answer may give it back.
    fn mask(&self, session: &Session) {
        let (secret, more) = match &self.kind {
            Kind::SshKey { private_key, passphrase } => (private_key, passphrase.as_ref()),
            Kind::Password(password) => (password, None),
        };
        session.mask().add([Some(secret), more].into_iter().flatten().map(|secret| secret.expose().as_bytes()));
    }

    fn document(&self, description: &str) -> Vec<u8> {
        let root = |class| {
            Element::new(class)
                .child(Element::text("scope", "GLOBAL"))
                .child(Element::text("id", self.id.as_str()))
                .child(Element::text("description", description))
                .child(Element::text("username", &self.username))
                // Left out, it is read back as true.
                .child(Element::text("usernameSecret", "false"))
        };
        match &self.kind {
            Kind::SshKey { private_key, passphrase } => {
                let mut element = root(SSH_KEY);
                if let Some(passphrase) = passphrase {
                    element.put(Element::text("passphrase", passphrase.expose()));
                }
                // A private key file ends with a newline; some parsers insist on it.
                let key = format!("{}\n", private_key.expose().trim_end());
                element.child(Element::new("privateKeySource").with("class", DIRECT).child(Element::text("privateKey", &key)))
            }
            Kind::Password(password) => root(PASSWORD).child(Element::text("password", password.expose())),
        }
        .document()
    }
}

/// What of a description says what was sent last.
fn sent_in(description: &str) -> Option<&str> {
    let (at, _) = description.match_indices(SENT).find(|(at, _)| {
        let rest = description.get(at + SENT.len()..).unwrap_or_default();
        let digits = rest.chars().take_while(char::is_ascii_hexdigit).count();
        digits == DIGITS
    })?;
    description.get(at..at + SENT.len() + DIGITS)
}

/// Brings a credential to what it should be; `key` is that of its fingerprint.
pub(super) fn put(session: &Session, site: &Site, credential: &Credential, key: &[u8]) -> Result<Sent, JenkinsError> {
    credential.mask(session);
    let Some(known) = find(session, site, &credential.id)? else {
        return create(session, site, credential, &credential.description(site, key, None)).map(|()| Sent::Created);
    };
    if credential.is_as_sent(site, key, &known) {
        return Ok(Sent::Unchanged);
    }
    let description = credential.description(site, key, known.description.as_deref());
    if class_of(session, &credential.id)?.is_some_and(|class| class != credential.kind.class()) {
        // The class of a credential cannot be changed.
        delete(session, site, &credential.id)?;
        return create(session, site, credential, &description).map(|()| Sent::Replaced);
    }
    let action = format!("replace credential `{}`", credential.id);
    let path = format!("{DOMAIN}/credential/{}/config.xml", encode(credential.id.as_str()));
    let document = credential.document(&description);
    // Sending the same again does no harm, so a lost answer needs no look.
    let answer = match session.write(&action, &path, XML, &document) {
        Err(JenkinsError::Lost { .. }) => session.write(&action, &path, XML, &document)?,
        other => other?,
    };
    session.expect(&action, seen(session, &action, answer)?, &[200])?;
    Ok(Sent::Replaced)
}

/// What [`put`] would do.
pub(super) fn look(session: &Session, site: &Site, credential: &Credential, key: &[u8]) -> Result<Sent, JenkinsError> {
    Ok(match find(session, site, &credential.id)? {
        None => Sent::Created,
        Some(known) if credential.is_as_sent(site, key, &known) => Sent::Unchanged,
        Some(_) => Sent::Replaced,
    })
}

fn create(session: &Session, site: &Site, credential: &Credential, description: &str) -> Result<(), JenkinsError> {
    let action = format!("create credential `{}`", credential.id);
    let path = format!("{DOMAIN}/createCredentials");
    let document = credential.document(description);
    let answer = match session.write(&action, &path, XML, &document) {
        Err(JenkinsError::Lost { .. }) => {
            if find(session, site, &credential.id)?.is_some() {
                return Ok(());
            }
            session.write(&action, &path, XML, &document)?
        }
        other => other?,
    };
    if answer.status == 409 {
        return Err(JenkinsError::Refused { action, reason: "somebody else made it a moment ago".to_owned() });
    }
    session.expect(&action, seen(session, &action, answer)?, &[200]).map(drop)
}

/// Removes a credential of ours. Gone already is done.
pub(super) fn delete(session: &Session, site: &Site, id: &CredentialId) -> Result<(), JenkinsError> {
    let action = format!("remove credential `{id}`");
    let path = format!("{DOMAIN}/credential/{}/doDelete", encode(id.as_str()));
    for _ in 0..ATTEMPTS {
        if find(session, site, id)?.is_none() {
            return Ok(());
        }
        match session.write(&action, &path, "application/x-www-form-urlencoded", b"") {
            Ok(answer) => {
                session.expect(&action, answer, &[200, 302])?;
            }
            Err(JenkinsError::Lost { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Err(JenkinsError::Refused { action, reason: "it is still there".to_owned() })
}

/// The credential of that id, if it is there; an error when it is not ours.
fn find(session: &Session, site: &Site, id: &CredentialId) -> Result<Option<Listed>, JenkinsError> {
    let action = "list the credentials";
    let domain: Option<Domain> = session.json(action, &format!("{DOMAIN}/api/json?tree=credentials%5Bid,description,displayName%5D"))?;
    let domain = domain.ok_or_else(|| unseen(session, action))?;
    let found = domain.credentials.into_iter().find(|listed| listed.id == id.as_str());
    match found.as_ref().map(|listed| site.owner(listed.description.as_deref().unwrap_or_default())) {
        Some(Owner::Other(stranger)) => Err(JenkinsError::ForeignCredential(id.clone(), stranger)),
        Some(Owner::Us) | None => Ok(found),
    }
}

/// The class of a credential: the name of its element, which is in no language, as that of its type is. No secret comes with it, and
/// nothing of what was read is sent again. None when it has gone.
fn class_of(session: &Session, id: &CredentialId) -> Result<Option<String>, JenkinsError> {
    let action = format!("look at credential `{id}`");
    let answer = session.read(&action, &format!("{DOMAIN}/credential/{}/config.xml", encode(id.as_str())))?;
    if answer.status == 404 {
        return Ok(None);
    }
    let answer = session.expect(&action, answer, &[200])?;
    let element = xml::parse(&answer.body).map_err(|source| JenkinsError::Xml { action, source })?;
    Ok(Some(element.name))
}

/// What was answered, unless it says that we may not see the store.
fn seen(session: &Session, action: &str, answer: Answer) -> Result<Answer, JenkinsError> {
    if answer.status == 404 { Err(unseen(session, action)) } else { Ok(answer) }
}

/// Who may not see the store gets 404 from it, never 403.
fn unseen(session: &Session, action: &str) -> JenkinsError {
    JenkinsError::MissingPermission {
        action: action.to_owned(),
        user: session.user().to_owned(),
        permission: "Credentials/View".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(username: &str, password: &str) -> Credential {
        Credential {
            id: CredentialId::parse("a").unwrap(),
            username: username.to_owned(),
            kind: Kind::Password(Secret::new(password.to_owned())),
        }
    }

    #[test]
    fn a_credential_without_a_description_is_somebody_elses() {
        // `CredentialsWrapper.getDescription` gives null for those that are no `StandardCredentials`.
        let listed = serde_json::json!({"id": "x", "description": null, "displayName": "x"});
        let domain: Domain = serde_json::from_value(serde_json::json!({"credentials": [listed]})).unwrap();
        assert_eq!(domain.credentials[0].description, None);
    }

    #[test]
    fn a_description_says_what_was_sent_last_and_keeps_what_others_wrote() {
        let site = Site::parse("stage").unwrap();
        let described = |password: &str, present| credential("jenkins", password).description(&site, b"key", present);
        let first = described("one", None);
        assert!(first.starts_with(&format!("{} sent:", site.mark())) && first.len() == site.mark().len() + SENT.len() + DIGITS);
        assert_eq!(site.owner(&first), Owner::Us);
        assert_eq!(described("one", Some(&first)), first);
        let second = described("two", Some(&first));
        assert_eq!((second.len(), second == first), (first.len(), false));
        assert_eq!(described("one", Some(&second)), first);
        // What somebody wrote around it stays; something that only looks like it is no fingerprint.
        let theirs = format!("for the farm, sent: by ada; {first}; ask bob");
        assert_eq!(described("two", Some(&theirs)), theirs.replace(&first, &second));
        assert!(!first.contains("one") && first != credential("jenkins", "one").description(&site, b"other key", None));
    }

    #[test]
    fn the_fingerprint_covers_every_part_and_shows_none() {
        let one = credential("jenkins", "hunter2").fingerprint(b"key");
        assert_eq!(one, credential("jenkins", "hunter2").fingerprint(b"key"));
        assert_ne!(one, credential("jenkins", "hunter3").fingerprint(b"key"));
        assert_ne!(one, credential("jenkin", "shunter2").fingerprint(b"key"));
        assert_ne!(one, credential("jenkins", "hunter2").fingerprint(b"other key"));
        assert!(!format!("{:?}", credential("jenkins", "hunter2")).contains("hunter2"));
    }
}
