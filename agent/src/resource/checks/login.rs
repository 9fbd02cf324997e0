//! `login`: whether a job can log in to an account, seen from what would stop it, and tried.

use super::super::fault::{failure, unread};
use super::super::node::Node;
use super::Reading;
use crate::host::EntryKind;
use crate::host::accounts::Account;
use crate::host::child::Program;
use ostler_roles::check::{Login, login::Evidence};
use ostler_roles::outcome::{Failure, FailureKind};
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

pub(super) fn read(login: &Login, reading: &Reading<'_>) -> Result<Evidence, Failure> {
    let Reading { node, deadline, .. } = *reading;
    let name = login.user.as_str();
    let Some(account) = node.accounts()?.account(&node.host, name).map_err(unread)? else {
        return Ok(Some(format!("there is no user {name}")));
    };
    if let Some(wrong) = home_and_shell(node, &account)? {
        return Ok(Some(wrong));
    }
    if node.host.look(Path::new("/etc/nologin")).map_err(unread)?.is_some() && account.uid != 0 {
        return Ok(Some("/etc/nologin keeps everyone out".to_owned()));
    }
    if !node.host.is_root() {
        return Err(failure(FailureKind::Observe, "only root may read whether an account is locked or expired"));
    }
    let shadow = node.host.read(Path::new("/etc/shadow"), 16 << 20).map_err(unread)?.unwrap_or_default();
    let today = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / 86_400;
    let pam = node.sshd_configuration().map_err(unread)?.pam == Some(true);
    if let Some(wrong) = shadow_says(&String::from_utf8_lossy(&shadow), name, today, pam) {
        return Ok(Some(wrong));
    }
    tried(node, name, deadline)
}

fn home_and_shell(node: &Node, account: &Account) -> Result<Option<String>, Failure> {
    let shell = Path::new(&account.shell);
    if matches!(shell.file_name().and_then(|name| name.to_str()), Some("nologin" | "false")) {
        return Ok(Some(format!("its shell {} lets nobody in", account.shell)));
    }
    if node.host.look_through(shell).map_err(unread)?.is_none_or(|entry| entry.kind != EntryKind::File || entry.mode & 0o111 == 0) {
        return Ok(Some(format!("its shell {} is missing or no program", account.shell)));
    }
    let home = node.host.look_through(Path::new(&account.home)).map_err(unread)?;
    Ok(match home {
        Some(entry) if entry.kind == EntryKind::Directory && (entry.user == account.uid || account.uid == 0) => None,
        Some(entry) if entry.kind == EntryKind::Directory => Some(format!("its home {} belongs to uid {}", account.home, entry.user)),
        Some(_) | None => Some(format!("its home {} is missing", account.home)),
    })
}

/// What the account's line of shadow(5) says against a login by key.
fn shadow_says(shadow: &str, name: &str, today: u64, pam: bool) -> Option<String> {
    let line = shadow.lines().find(|line| line.split(':').next() == Some(name))?;
    let fields: Vec<&str> = line.split(':').collect();
    let number = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
    if number(7).is_some_and(|day| day <= today) {
        return Some("the account has expired".to_owned());
    }
    if number(2) == Some(0) {
        return Some("its password must be changed first".to_owned());
    }
    if let (Some(changed), Some(most), Some(grace)) = (number(2), number(4), number(6))
        && changed + most + grace < today
    {
        return Some("its password has expired".to_owned());
    }
    // sshd(8): without PAM a locked account is refused, also with a key.
    let locked = fields.get(1).is_some_and(|hash| hash.starts_with('!'));
    (locked && !pam).then(|| "the account is locked, and sshd does without PAM".to_owned())
}

/// A login shell as su(1) gives it: with PAM's account and session rules.
fn tried(node: &Node, name: &str, deadline: Instant) -> Result<Evidence, Failure> {
    if !node.host.is_running() {
        return Ok(None);
    }
    let finished = Program::new(["su", "--login", name, "--command", "true"]).run_to_end(deadline).map_err(unread)?;
    if finished.is_good() {
        return Ok(None);
    }
    let status = finished.status;
    let last = finished.tail.last_line();
    Ok(Some(if last.is_empty() { format!("su: {status}") } else { format!("su: {status}: {last}") }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shadow_lines_say_who_cannot_log_in() {
        let shadow =
            "root:*:19000:0:99999:7:::\nold:*:19000:0:99999:7::19001:\nfresh:*:0::::::\nlocked:!:19000::::::\naged:$y$x:1000:0:10:7:5::\n";
        let says = |name, pam| shadow_says(shadow, name, 20_000, pam);
        assert_eq!(says("root", false), None);
        assert_eq!(says("old", true).as_deref(), Some("the account has expired"));
        assert_eq!(says("fresh", true).as_deref(), Some("its password must be changed first"));
        assert_eq!(says("locked", true), None);
        assert_eq!(says("locked", false).as_deref(), Some("the account is locked, and sshd does without PAM"));
        assert_eq!(says("aged", true).as_deref(), Some("its password has expired"));
        assert_eq!(says("elsewhere", true), None);
    }
}
