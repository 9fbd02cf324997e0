//! What was tried to log in, and what to do when a node lets nobody in: each cause has its own step.

use std::fmt;
use std::path::{Path, PathBuf};

use super::invocation::Invocation;
use super::link::quoted;

/// A key that was tried, or why it could not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// The server does not take this key file.
    Key {
        /// The file.
        file: PathBuf,
        /// The key.
        fingerprint: String,
    },
    /// The server does not take this certificate.
    Certificate {
        /// Its name for itself.
        id: String,
        /// The certified key.
        fingerprint: String,
    },
    /// The server does not take this key of the agent.
    AgentKey {
        /// The agent's comment.
        comment: String,
        /// The key.
        fingerprint: String,
    },
    /// The server took this key and wants a further proof that we do not have.
    MoreWanted {
        /// The key.
        fingerprint: String,
    },
    /// The file is encrypted, and the agent does not hold its key.
    Encrypted {
        /// The file.
        file: PathBuf,
    },
    /// An RSA key in a file: used through ssh-agent only.
    RsaFile {
        /// The file.
        file: PathBuf,
    },
    /// There is no such file.
    Missing {
        /// The file.
        file: PathBuf,
    },
    /// A public key was named, and the agent does not hold its private half.
    PublicOnly {
        /// The file.
        file: PathBuf,
    },
    /// The file cannot be read as a key.
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// The agent does not answer.
    Agent {
        /// Its socket.
        socket: PathBuf,
        /// Why.
        reason: String,
    },
    /// The server takes only SHA-1 signatures of this RSA key.
    OnlySha1 {
        /// The agent's comment, or the certificate's name for itself.
        name: String,
    },
    /// The agent would not sign.
    NotSigned {
        /// The agent's comment, or the certificate's name for itself.
        name: String,
        /// Why.
        reason: String,
    },
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tried::Key { file, fingerprint } => write!(f, "{} ({fingerprint}) not accepted", file.display()),
            Tried::Certificate { id, fingerprint } => write!(f, "certificate {id:?} ({fingerprint}) not accepted"),
            Tried::AgentKey { comment, fingerprint } => write!(f, "agent key {comment:?} ({fingerprint}) not accepted"),
            Tried::MoreWanted { fingerprint } => write!(f, "key {fingerprint} accepted, but the server wants more than one proof"),
            Tried::Encrypted { file } => write!(f, "{} is encrypted and not in the agent", file.display()),
            Tried::RsaFile { file } => write!(f, "{} is an RSA key: usable through ssh-agent only", file.display()),
            Tried::Missing { file } => write!(f, "{} does not exist", file.display()),
            Tried::PublicOnly { file } => write!(f, "{} is a public key whose private half is not in the agent", file.display()),
            Tried::Unreadable { file, reason } => write!(f, "{} cannot be read: {reason}", file.display()),
            Tried::Agent { socket, reason } => write!(f, "agent at {}: {reason}", socket.display()),
            Tried::OnlySha1 { name } => write!(f, "RSA key {name:?}: the server takes no signature of it but with SHA-1"),
            Tried::NotSigned { name, reason } => write!(f, "the agent did not sign with {name:?}: {reason}"),
        }
    }
}

/// The next step for `user`, who was not let in.
pub(super) fn hint(user: &str, tried: &[Tried], accepts: &[String], call: &Invocation) -> String {
    let has = |fits: fn(&Tried) -> bool| tried.iter().any(fits);
    if has(|tried| matches!(tried, Tried::MoreWanted { .. })) {
        return "the server's AuthenticationMethods want more than a key: allow publickey alone for this user".to_owned();
    }
    let refuses_keys = !accepts.is_empty() && !accepts.iter().any(|method| method == "publickey" || method.starts_with(NO_MORE_TRIES));
    if refuses_keys {
        return "the server takes no keys from this user; passwords and prompts are not supported here: allow publickey".to_owned();
    }
    if accepts.iter().any(|method| method.starts_with(NO_MORE_TRIES)) {
        return "the server ends the connection after so many keys (its MaxAuthTries): name the right one with `identity:`, or take others out of the agent (`ssh-add -l`)"
            .to_owned();
    }
    // A key that could have been used and was not comes before those that the server refused.
    if let Some(unused) = tried.iter().find_map(|tried| unusable(tried, call)) {
        return unused;
    }
    let offered = tried.iter().find_map(|tried| match tried {
        Tried::Key { file, .. } => Some(call.copy_id(&public_half(file))),
        _ => None,
    });
    match offered {
        Some(copy) => format!("add one of these keys to the authorized_keys of {user}: `{copy}`; or name another with `identity:`"),
        None if has(|tried| matches!(tried, Tried::AgentKey { .. } | Tried::Certificate { .. })) => {
            format!("add one of these keys to the authorized_keys of {user}, or name another with `identity:`")
        }
        None => "there is no key yet: `ssh-keygen -t ed25519`, then bring its public half into the node's authorized_keys".to_owned(),
    }
}

/// How the words begin with which a server that gave up is told among what it accepts.
pub(super) const NO_MORE_TRIES: &str = "no more tries";

/// What makes a key usable that was not; none for one that was tried.
fn unusable(tried: &Tried, call: &Invocation) -> Option<String> {
    let shown = |file: &Path| quoted(&file.display().to_string());
    Some(match tried {
        Tried::Encrypted { file } => format!("load the encrypted key into ssh-agent: `ssh-add {}`", shown(file)),
        Tried::RsaFile { file } => {
            format!("RSA keys are used through ssh-agent only: `ssh-add {}`, or make another: `ssh-keygen -t ed25519`", shown(file))
        }
        Tried::PublicOnly { file } => {
            let private = file.with_extension("");
            format!("{} is the public half: name {}, or load it: `ssh-add {}`", file.display(), private.display(), shown(&private))
        }
        Tried::Missing { file } => {
            format!(
                "correct `identity:` (or IdentityFile in {}), or make the key: `ssh-keygen -t ed25519 -f {}`",
                call.configuration(),
                shown(file)
            )
        }
        Tried::Unreadable { file, .. } => format!("see what it is: `ls -l {0}; ssh-keygen -l -f {0}`", shown(file)),
        Tried::Agent { socket, .. } => {
            format!("no agent answers at {}: start one (`eval $(ssh-agent)`, then ssh-add), or `unset SSH_AUTH_SOCK`", socket.display())
        }
        Tried::NotSigned { .. } => {
            "the agent holds this key and did not sign: is it locked (`ssh-add -X`), to be confirmed or touched, its token gone?".to_owned()
        }
        Tried::OnlySha1 { .. } => {
            "make an ed25519 key for this server, or allow SHA-1 for this host by `PubkeyAcceptedAlgorithms +ssh-rsa`".to_owned()
        }
        Tried::Key { .. } | Tried::Certificate { .. } | Tried::AgentKey { .. } | Tried::MoreWanted { .. } => return None,
    })
}

fn public_half(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::config::Target;

    #[test]
    fn each_reason_not_to_be_let_in_has_its_own_step() {
        let file = || "/h/.ssh/id key".into();
        let fingerprint = || "SHA256:x".to_owned();
        let rows: [(Vec<Tried>, &[&str], &str); 10] = [
            (vec![], &["publickey"], "there is no key yet: `ssh-keygen -t ed25519`"),
            (vec![Tried::Missing { file: file() }], &["publickey"], "`ssh-keygen -t ed25519 -f '/h/.ssh/id key'`"),
            (vec![Tried::RsaFile { file: file() }], &["publickey"], "`ssh-add '/h/.ssh/id key'`"),
            (vec![Tried::Encrypted { file: file() }], &["publickey"], "`ssh-add '/h/.ssh/id key'`"),
            (vec![Tried::PublicOnly { file: "/h/id.pub".into() }], &["publickey"], "name /h/id,"),
            (vec![Tried::Agent { socket: "/run/dead".into(), reason: String::new() }], &["publickey"], "no agent answers at /run/dead"),
            (vec![Tried::NotSigned { name: "k".to_owned(), reason: String::new() }], &["publickey"], "`ssh-add -X`"),
            (vec![Tried::Key { file: file(), fingerprint: fingerprint() }], &["no more tries (gone)"], "MaxAuthTries"),
            (vec![Tried::Key { file: file(), fingerprint: fingerprint() }], &["publickey"], "`ssh-copy-id -i '/h/.ssh/id key.pub' n1`"),
            (vec![Tried::Key { file: file(), fingerprint: fingerprint() }], &["password"], "takes no keys from this user"),
        ];
        for (tried, accepts, expected) in rows {
            let accepts: Vec<String> = accepts.iter().map(|word| (*word).to_owned()).collect();
            let hint = hint("ci", &tried, &accepts, &Invocation::of(&Target::new("n1"), None));
            assert!(hint.contains(expected), "{tried:?}: {hint}");
        }
    }
}
