//! What sudo and doas say on stderr: our marker, and the refusals we know.

use std::io::Read;

/// What sudo puts the account in the place of whose password it wants: with `targetpw`, `rootpw` and `runaspw` that is not who runs it (sudo(8), `-p`).
const ACCOUNT: &str = "%p";
/// The end of our question.
const END: char = ']';

/// The prompt that a marker makes.
pub(super) fn prompt(marker: &str) -> String {
    format!("{marker}{ACCOUNT}{END}")
}

/// Last words that are kept.
const KEPT: usize = 8 * 1024;

/// What the newest words mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PromptState {
    /// Nothing that matters yet.
    Something,
    /// The marker: it wants the password of this account, as far as it says whose.
    Asks(Option<String>),
}

/// Everything said so far, bounded, with the marker taken out.
#[derive(Debug)]
pub(super) struct Stderr {
    marker: String,
    text: String,
    closed: bool,
}

impl Stderr {
    pub(super) fn new(marker: String) -> Self {
        Self { marker, text: String::new(), closed: false }
    }
    /// Takes in what is there now.
    pub(super) fn take_in(&mut self, from: &mut impl Read) -> PromptState {
        let mut bytes = [0u8; 4096];
        let count = from.read(&mut bytes).unwrap_or(0);
        self.closed = count == 0;
        self.add(&bytes[..count])
    }
    /// Whether more may come.
    pub(super) fn is_open(&self) -> bool {
        !self.closed
    }
    fn add(&mut self, bytes: &[u8]) -> PromptState {
        self.text.push_str(&String::from_utf8_lossy(bytes));
        let asks = self.question();
        if self.text.len() > KEPT {
            let cut = (self.text.len() - KEPT..).find(|at| self.text.is_char_boundary(*at)).unwrap_or(self.text.len());
            self.text.drain(..cut);
        }
        asks.map_or(PromptState::Something, PromptState::Asks)
    }
    /// Takes a whole question out of what was said: whose password it is about.
    fn question(&mut self) -> Option<Option<String>> {
        let begin = self.text.find(&self.marker)?;
        let name = begin + self.marker.len();
        let end = name + self.text[name..].find(END)?;
        let account = self.text[name..end].to_owned();
        self.text.replace_range(begin..end + END.len_utf8(), "");
        // A sudo that knows no escapes leaves it as it is.
        Some((account != ACCOUNT && !account.is_empty()).then_some(account))
    }
    /// Takes in the rest, after the program has ended.
    pub(super) fn drain(&mut self, from: &mut impl Read) {
        let mut rest = Vec::new();
        // What cannot be read is not told; the exit status is.
        let _ = from.take(KEPT as u64).read_to_end(&mut rest);
        self.add(&rest);
    }
    /// Whether it waits at a question for a second factor: a line that is not ended. In a lecture the same words mean nothing.
    pub(super) fn wants_second_factor(&self) -> bool {
        let last = self.text.rsplit('\n').next().unwrap_or_default();
        last.trim_end().ends_with(':') && FACTORS.iter().any(|words| last.contains(words))
    }
    /// Whether it says that the password was wrong.
    pub(super) fn refuses_password(&self) -> bool {
        ["incorrect password attempt", "incorrect authentication attempt", "Authentication failed", "Sorry, try again"]
            .iter()
            .any(|words| self.text.contains(words))
    }
    /// The last lines.
    pub(super) fn lines(&self) -> Vec<String> {
        let lines: Vec<&str> = self.text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        lines[lines.len().saturating_sub(10)..].iter().map(|line| (*line).to_owned()).collect()
    }
}

/// A refusal that we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    words: &'static [&'static str],
    /// What it means.
    pub(super) message: &'static str,
    /// What to do; `{login}` is the login account.
    hint: &'static str,
}

impl Known {
    /// What to do, with the login account's name. Where only its number is known, as sudoers(5) writes numbers.
    pub(super) fn hint(&self, login: &str) -> String {
        let is_number = login.bytes().all(|byte| byte.is_ascii_digit()) && self.hint.contains("sudoers");
        self.hint.replace("{login}", &[if is_number { "#" } else { "" }, login].concat())
    }
}

/// How questions for a second factor read: pam_google_authenticator, pam_oath, SSSD, Duo.
const FACTORS: &[&str] = &["Verification code", "One-time password", "Passcode", "passcode", "second factor", "Second Factor", "Duo "];

/// sudo 1.9 (plugins/sudoers, src/exec, src/sudo.c) and OpenDoas 6.8 (doas.c), messages of the C locale.
const KNOWN: &[Known] = &[
    Known {
        words: &["doas: syntax error", "doas: /etc/doas.conf", "doas is not enabled"],
        message: "doas cannot read its rules",
        hint: "as root on the node: doas -C /etc/doas.conf",
    },
    // Before what follows: of rules that it cannot read sudo says too that the account is not among them (seen with 1.9.13). The first words are sudo-rs's (0.2.5).
    Known {
        words: &[
            "invalid configuration",
            "no valid sudoers sources found",
            "parse error in",
            "syntax error",
            "/etc/sudoers: ",
            "/etc/sudoers.d/",
        ],
        message: "sudo cannot read its rules",
        hint: "as root on the node: visudo -c",
    },
    Known {
        words: &["is not in the sudoers file"],
        message: "the login account is not in the node's sudoers file",
        hint: "as root on the node: put it into the group `sudo`, or give it a file in /etc/sudoers.d",
    },
    Known {
        words: &["is not allowed to execute", "may not run sudo", "is not allowed to run sudo"],
        message: "sudo does not allow the login account to run the agent as root",
        hint: "allow it /var/lib/ostler/bin/agent-* in a file in /etc/sudoers.d; the first time also its own copy of the agent",
    },
    Known {
        // sudo-rs.
        words: &["I'm afraid I can't do that"],
        message: "sudo does not allow the login account to run the agent as root",
        hint: "as root on the node: give it a file in /etc/sudoers.d: {login} ALL=(ALL) NOPASSWD: ALL",
    },
    Known {
        words: FACTORS,
        message: "the node asks for a second factor, which nobody can give here",
        hint: "let the login account become root without one: {login} ALL=(ALL) NOPASSWD: ALL in a file in /etc/sudoers.d",
    },
    Known {
        words: &["you must have a tty", "a terminal is required", "no tty present"],
        message: "sudo wants a terminal (`requiretty`), and the agent has none",
        hint: "in a file in /etc/sudoers.d: Defaults:{login} !requiretty",
    },
    Known {
        words: &["a password is required"],
        message: "sudo wants a password and does not read it from its input",
        hint: "in a file in /etc/sudoers.d: {login} ALL=(ALL) NOPASSWD: ALL",
    },
    Known {
        words: &["no new privileges"],
        message: "the login session may not gain privileges (`no_new_privs`): sudo cannot work in it",
        hint: "log in to the node another way, or as root",
    },
    Known {
        words: &["must be owned by uid 0 and have the setuid bit set", "nosuid"],
        message: "sudo on the node is not setuid root, or lies on a `nosuid` file system",
        hint: "repair it: chown root: and chmod 4755 on the node's sudo",
    },
    Known {
        words: &["doas: not installed setuid"],
        message: "doas on the node is not setuid root, or lies on a `nosuid` file system",
        hint: "repair it: chown root: and chmod 4755 on the node's doas",
    },
    Known {
        words: &["account validation failure", "Account expired", "account is locked", "Account or password is expired"],
        message: "the login account is locked or expired: sudo refuses it",
        hint: "as root on the node: chage -l {login}",
    },
    Known {
        words: &["doas: Authorization required", "doas: Authentication required", "doas: a tty is required"],
        message: "doas wants a password, which it reads from a terminal only",
        hint: "in /etc/doas.conf: permit nopass {login}; or use sudo",
    },
    Known {
        words: &["doas: Operation not permitted"],
        message: "doas does not allow the login account to run the agent as root",
        hint: "in /etc/doas.conf: permit nopass {login}",
    },
    Known {
        words: &["unable to execute", "Permission denied"],
        message: "sudo may not execute the agent where it lies",
        hint: "look for `noexec` on the file systems of the login's home and of /var/lib/ostler",
    },
    Known {
        // Our own words: of its own disks sudo says "No space left on device" too.
        words: &["make room there"],
        message: "there is no room for root's copy of the agent below /var/lib/ostler",
        hint: "make room there as the last line says, then run it again",
    },
];

/// The first refusal that the text holds.
pub(super) fn recognise(text: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.words.iter().any(|words| text.contains(words)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_in_two_pieces_is_one_question() {
        let mut stderr = Stderr::new("[ostler-1 ".to_owned());
        assert_eq!(stderr.add(b"lecture\n[ost"), PromptState::Something);
        assert_eq!(stderr.add(b"ler-1 ro"), PromptState::Something);
        assert_eq!(stderr.add(b"ot]"), PromptState::Asks(Some("root".to_owned())));
        assert_eq!(stderr.add(b"Sorry, try again.\n"), PromptState::Something);
        assert_eq!(stderr.add(b"[ostler-1 %p]"), PromptState::Asks(None));
        assert!(stderr.refuses_password());
        assert_eq!(stderr.lines(), ["lecture", "Sorry, try again."]);
    }

    #[test]
    fn what_to_do_names_the_login_account() {
        let hint = |text| recognise(text).unwrap().hint("ci");
        assert_eq!(hint("Account or password is expired"), "as root on the node: chage -l ci");
        assert_eq!(hint("sudo: a password is required"), "in a file in /etc/sudoers.d: ci ALL=(ALL) NOPASSWD: ALL");
        assert_eq!(hint("sorry, you must have a tty"), "in a file in /etc/sudoers.d: Defaults:ci !requiretty");
        assert!(KNOWN.iter().all(|known| !known.hint("ci").contains(['{', '}'])));
        // sudoers(5): a number without `#` is a name; doas.conf(5) takes numbers as they are.
        let hint = |text| recognise(text).unwrap().hint("10042");
        assert_eq!(hint("sudo: a password is required"), "in a file in /etc/sudoers.d: #10042 ALL=(ALL) NOPASSWD: ALL");
        assert_eq!(hint("doas: Operation not permitted"), "in /etc/doas.conf: permit nopass 10042");
    }

    #[test]
    fn refusals_are_known_by_their_words() {
        let message = |text| recognise(text).map(|known| known.message);
        assert_eq!(message("admin is not in the sudoers file."), Some("the login account is not in the node's sudoers file"));
        let not_allowed = "sudo does not allow the login account to run the agent as root";
        assert_eq!(message("Sorry, user admin is not allowed to execute '/x' as root on n1."), Some(not_allowed));
        assert_eq!(
            message("sudo: sorry, you must have a tty to run sudo"),
            Some("sudo wants a terminal (`requiretty`), and the agent has none")
        );
        assert_eq!(message("doas: Operation not permitted"), Some("doas does not allow the login account to run the agent as root"));
        assert_eq!(message("sudo: I'm sorry ci. I'm afraid I can't do that"), Some(not_allowed));
        // As sudo 1.9.13 and OpenDoas 6.8.2 say it.
        for text in [
            "/etc/sudoers.d/ci:1:5: syntax error",
            "/etc/sudoers:1:9: syntax error\nfoo bar baz\n        ^~~\nadmin is not in the sudoers file.",
            "sudo-rs: invalid configuration: No such file or directory (os error 2)",
            "sudo: /etc/sudoers is world writable\nsudo: no valid sudoers sources found, quitting\nsudo: error initializing audit plugin sudoers_audit",
        ] {
            assert_eq!(message(text), Some("sudo cannot read its rules"), "{text}");
        }
        for text in [
            "doas: syntax error at line 1",
            "doas: doas is not enabled, /etc/doas.conf: No such file or directory",
            "doas: /etc/doas.conf is writable by group or other",
            "doas: /etc/doas.conf is not owned by root",
        ] {
            assert_eq!(message(text), Some("doas cannot read its rules"), "{text}");
        }
        assert_eq!(message("doas: Authentication required"), Some("doas wants a password, which it reads from a terminal only"));
        let setuid = "doas on the node is not setuid root, or lies on a `nosuid` file system";
        assert_eq!(message("doas: not installed setuid"), Some(setuid));
        assert_eq!(message("sudo: unable to write to /var/lib/sudo/ts/admin: No space left on device"), None);
        assert_eq!(
            message("ostler-agent: keep the run's plan and journal: / has 0 B free: make room there"),
            KNOWN.last().map(|known| known.message)
        );
        assert_eq!(message("Segmentation fault"), None);
        let waits = |text: &[u8]| {
            let mut stderr = Stderr::new("[ostler-1 ".to_owned());
            stderr.add(text);
            stderr.wants_second_factor()
        };
        assert!(waits(b"lecture\nVerification code: ") && waits(b"One-time password (OATH) for `ci':"));
        assert!(!waits(b"Ask the desk for a Verification code.\n") && !waits(b"[ostler-1 ci]"));
    }
}
