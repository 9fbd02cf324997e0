//! What to do when a node lets nobody in: each cause has its own step.

use std::path::Path;

use super::invocation::Invocation;
use super::link::quoted;
use super::ssh::Tried;

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

fn public_half(file: &Path) -> std::path::PathBuf {
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
