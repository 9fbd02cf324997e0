//! Values that Jenkins takes as they are: each type holds only what it neither refuses nor swallows.

use crate::words::NodeName;

/// The beginning of what we write into a description to know our own again; the site's id follows.
const MARK: &str = "managed by ostler, site ";
/// How much of a site's id is read from a description, which anybody may write: more than a [`NodeName`] can have.
const LONGEST: usize = 80;
/// The label of a node that has not been proved, without the node's name.
pub(super) const QUARANTINE: &str = "ostler-quarantine-";

/// Why a value cannot be a node's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {what} for Jenkins: {why}")]
pub struct ValueError {
    /// What was given, cut to a bounded length.
    pub text: String,
    /// What it was for.
    pub what: &'static str,
    /// The rule that it breaks.
    pub why: &'static str,
}

fn fault(text: &str, what: &'static str, why: &'static str) -> ValueError {
    ValueError { text: text.chars().take(80).collect(), what, why }
}

/// A node's name on Jenkins: a [`NodeName`] that Jenkins takes as it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// Reads a name.
    ///
    /// # Errors
    /// When it is no node name, ends with a dot (400 from Jenkins 2.532), or stands for the controller itself.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        const WHAT: &str = "node name";
        NodeName::parse(text).map_err(|error| fault(text, WHAT, error.why))?;
        if text.ends_with('.') {
            return Err(fault(text, WHAT, "it must not end with a dot"));
        }
        if matches!(text, "master" | "built-in") {
            return Err(fault(text, WHAT, "it is the label of the controller's own node"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The only label of the node before it is proved. Jobs of others do not ask for it.
    pub fn quarantine(&self) -> String {
        format!("{QUARANTINE}{}", self.0)
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

/// The id of the site in marks, so that two sites on one master keep to their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site(String);

impl Site {
    /// Reads a site's id.
    ///
    /// # Errors
    /// When it holds anything but letters, digits, `-`, `.` and `_`, or ends with a dot: one behind a mark is the operator's.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        if text.ends_with('.') {
            return Err(fault(text, "site id", "it must not end with a dot"));
        }
        NodeName::parse(text).map(|_| Self(text.to_owned())).map_err(|error| fault(text, "site id", error.why))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands in the description of everything that this site made.
    pub fn mark(&self) -> String {
        format!("{MARK}{}", self.0)
    }

    /// Who made a thing with this description. Other text around the mark is the operator's.
    pub fn owner(&self, description: &str) -> Owner {
        let Some((_, rest)) = description.split_once(MARK) else { return Owner::Other(ForeignOwner::Nobody) };
        let site: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_')).take(LONGEST).collect();
        // A dot behind it may be the operator's.
        let is_ours = site == self.0 || site.trim_end_matches('.') == self.0;
        if is_ours { Owner::Us } else { Owner::Other(ForeignOwner::Site(site)) }
    }
}

impl std::fmt::Display for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

/// Who made a thing on the master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// This site.
    Us,
    /// Not this site: it is left alone.
    Other(ForeignOwner),
}

/// Who else made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForeignOwner {
    /// A site of another id: another one, or this one before it was given the id that all its admins share.
    Site(String),
    /// Nobody who marks what he makes.
    Nobody,
}

impl std::fmt::Display for ForeignOwner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nobody => f.write_str("was not made by ostler; it is left alone"),
            Self::Site(id) => {
                write!(f, "belongs to the site `{id}`; it is left alone (if that is this very site, give it `id: \"{id}\"` in ostler.yaml)")
            }
        }
    }
}

/// Id of a credential on the master: letters, digits, `-`, `_` and `.`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialId(String);

impl CredentialId {
    /// Reads an id.
    ///
    /// # Errors
    /// When a letter of it has a meaning in an address.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let good = !text.is_empty() && text.len() <= 120 && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        let good = good && !text.starts_with('.');
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(fault(text, "credential id", "letters, digits, `-`, `_`, `.`, first no dot, at most 120"))
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for CredentialId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

/// An SSH host key: algorithm and base64, as in `known_hosts`. Text that is not one is a 500 from Jenkins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKey {
    /// `ssh-ed25519`, `ecdsa-sha2-nistp256`, ...
    pub algorithm: String,
    /// The key's blob in base64.
    pub base64: String,
}

impl HostKey {
    /// Reads `ALGORITHM BASE64`; a comment behind it is dropped.
    ///
    /// # Errors
    /// When it does not look like one.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let mut words = text.split_whitespace();
        let (algorithm, base64) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let known = ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"];
        let plain = base64.starts_with("AAAA") && base64.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '='));
        if known.contains(&algorithm) && plain {
            Ok(Self { algorithm: algorithm.to_owned(), base64: base64.to_owned() })
        } else {
            Err(fault(text, "host key", "`ALGORITHM BASE64` with an algorithm that Jenkins' SSH library knows"))
        }
    }
}

impl std::fmt::Display for HostKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.algorithm, self.base64)
    }
}

/// A host's name or address, as the launcher takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName(String);

impl HostName {
    /// Reads a name or a literal address.
    ///
    /// # Errors
    /// When it holds anything but letters, digits, `-`, `.`, `_` and `:`.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let good = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':'));
        if good && !text.is_empty() && text.len() <= 253 && !text.starts_with('-') {
            Ok(Self(text.to_owned()))
        } else {
            Err(fault(text, "host", "a host name or an address without brackets"))
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
