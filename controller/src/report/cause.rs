//! Likely causes: a table of what is recognised. When nothing matches, the card says so and guesses nothing.

mod names;

use names::filled;
use ostler_roles::outcome::{Ended, Failure, FailureKind};

/// A recognised cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cause {
    /// The code that `ostler explain` knows.
    pub code: &'static str,
    /// What it is.
    pub cause: &'static str,
    /// One command to try on the node.
    pub try_this: &'static str,
    /// The longer story, for `ostler explain`.
    pub story: &'static str,
}

struct Row {
    cause: Cause,
    any_of: &'static [&'static str],
}

impl Cause {
    /// What to try for this failure: with the names that it tells, and without what wants one that it does not tell. None: nothing is left.
    pub fn try_for(&self, failure: &Failure) -> Option<String> {
        let parts: Vec<String> = self.try_this.split("; ").filter_map(|part| filled(part, failure)).collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

/// All causes, for `ostler explain`.
pub fn all() -> impl Iterator<Item = Cause> {
    ROWS.iter().map(|row| row.cause).chain(KINDS.iter().map(|(_, cause)| *cause))
}

/// The cause of a failure, where one is recognised: the more specific text first, then the kind of failure.
pub fn recognise(failure: &Failure) -> Option<Cause> {
    let mut text = failure.message.clone();
    for line in failure.causes.iter().chain(failure.command.iter().flat_map(|command| &command.tail)) {
        text.push('\n');
        text.push_str(line);
    }
    let found = ROWS.iter().find(|row| row.any_of.iter().any(|needle| text.contains(needle)));
    let missing = failure.command.as_ref().is_some_and(|command| matches!(command.status, Ended::Exit(127) | Ended::NotStarted));
    let by_kind = KINDS.iter().find(|(kind, _)| *kind == failure.kind).map(|(_, cause)| *cause);
    found.map(|row| row.cause).or(if missing { Some(NOT_FOUND) } else { None }).or(by_kind)
}

const NOT_FOUND: Cause = Cause {
    code: "no-program",
    cause: "the program is not on the node",
    try_this: "apt-cache search PROGRAM",
    story: "A command of a role names a program that the node does not have. Add a `package` step before it.",
};

const KINDS: &[(FailureKind, Cause)] = &[
    (
        FailureKind::NoSpace,
        Cause {
            code: "disk-full",
            cause: "the file system is full, or out of inodes",
            try_this: "df -h; df -i",
            story: "A write met ENOSPC. What was being written was put aside and removed; the file it should replace is untouched. Make room, then apply again. A `disk` requirement in the role would have refused the node before anything changed.",
        },
    ),
    (
        FailureKind::Moved,
        Cause {
            code: "moved",
            cause: "the node changed between the plan and the step's turn",
            try_this: "ostler plan",
            story: "A step wanted a change that was not in the plan that was shown. Somebody or something changed the node meanwhile. Nothing of it was applied; plan again and look.",
        },
    ),
    (
        FailureKind::NeedsController,
        Cause {
            code: "needs-controller",
            cause: "the node restarted and its secrets are gone from memory",
            try_this: "ostler apply",
            story: "Secrets of a run live in memory on the node only. After a reboot the run stops until a controller brings them again: apply once more, it goes on at the first unfinished step.",
        },
    ),
];

const ROWS: &[Row] = &[
    Row {
        cause: Cause {
            code: "apt-lock",
            cause: "another package manager holds the dpkg lock",
            try_this: "fuser -v /var/lib/dpkg/lock-frontend",
            story: "apt or dpkg was running when the step's turn came, and did not end within the step's deadline. Often it is unattended-upgrades; the library role `base` turns its timers off.",
        },
        any_of: &["Could not get lock", "dpkg frontend lock", "is held by process", "dpkg lock"],
    },
    Row {
        cause: Cause {
            code: "apt-held",
            cause: "a package that would change is held on the node",
            try_this: "apt-mark unhold HELD",
            story: "Somebody told apt to keep this package as it is (`apt-mark hold`). Nothing was installed. Let go of it on the node, or drop it from the role.",
        },
        any_of: &["Held packages were changed"],
    },
    Row {
        cause: Cause {
            code: "apt-configuration",
            cause: "apt cannot read its own configuration on the node",
            try_this: "apt-get check",
            story: "A file in /etc/apt (sources, preferences, apt.conf.d) is not what apt reads; its name stands above. Mend or remove it on the node, or in the role that writes it.",
        },
        any_of: &["Unable to parse package file /etc/apt/", "The list of sources could not be read", "Syntax error /etc/apt/"],
    },
    Row {
        cause: Cause {
            code: "apt-not-found",
            cause: "the node's package sources do not offer this package or version",
            try_this: "apt-get update; apt-cache policy PACKAGE",
            story: "apt knows no such package or version. The lists may be old, a component (contrib, universe) may be missing, or the name differs in this release: use `by_system`.",
        },
        any_of: &["Unable to locate package", "has no installation candidate", "was not found"],
    },
    Row {
        cause: Cause {
            code: "apt-unreachable",
            cause: "the package mirror cannot be reached from the node",
            try_this: "apt-get update",
            story: "apt could not fetch from the mirror: no route, no name, or a proxy that refuses.",
        },
        any_of: &["Failed to fetch", "Could not connect to", "Unable to connect to", "Temporary failure resolving"],
    },
    Row {
        cause: Cause {
            code: "name-resolution",
            cause: "a name cannot be resolved on the node",
            try_this: "getent ahosts HOST",
            story: "The node's resolver has no answer for a name. Check /etc/resolv.conf and /etc/hosts there.",
        },
        any_of: &["Could not resolve host", "Name or service not known", "could not resolve", "failed to lookup address"],
    },
    Row {
        cause: Cause {
            code: "refused",
            cause: "nothing listens there",
            try_this: "ss -ltn",
            story: "The machine answers and the port does not. The service is down, listens on another address, or a firewall rejects.",
        },
        any_of: &["Connection refused", "connection refused"],
    },
    Row {
        cause: Cause {
            code: "tls",
            cause: "the certificate is not trusted by the node",
            try_this: "openssl s_client -connect SERVER",
            story: "The server's certificate is not signed by an authority that the node trusts, or the node's clock is wrong.",
        },
        any_of: &["certificate verify failed", "self-signed certificate", "invalid peer certificate", "UnknownIssuer"],
    },
    Row {
        cause: Cause {
            code: "checksum",
            cause: "the downloaded bytes are not the pinned ones",
            try_this: "curl -fsSL URL | sha256sum",
            story: "What the server sent has another SHA-256 than the role pins. Either the file was replaced upstream (look why, then pin the new digest), or something on the way changed it. Nothing was put in place.",
        },
        any_of: &["another sha256", "checksum", "sha256 mismatch"],
    },
    Row {
        cause: Cause {
            code: "git-missing",
            cause: "the repository does not exist there, or needs a login",
            try_this: "git ls-remote URL",
            story: "The git server answered, and not with this repository. It may have been renamed, or be private.",
        },
        any_of: &[
            "Repository not found",
            "repository not found",
            "not found: did you run",
            "does not appear to be a git repository",
            "Authentication failed",
            "could not read Username",
        ],
    },
    Row {
        cause: Cause {
            code: "unit-timeout",
            cause: "the service did not come up in the time that its unit gives it",
            try_this: "journalctl -u UNIT -n 50",
            story: "systemd waits for a unit's start, as its Type= says: for its word (notify), for its end (oneshot, forking). After TimeoutStartSec= it ends it.",
        },
        // The agent's own words, of this start: the unit's last lines may be of an earlier one.
        any_of: &["systemd's result: timeout"],
    },
    Row {
        cause: Cause {
            code: "unit-failed",
            cause: "the service started and ended at once",
            try_this: "journalctl -u UNIT -n 50",
            story: "systemd started the unit's program and it ended. Its own last lines stand above.",
        },
        any_of: &["control process exited", "Failed with result", "start request repeated too quickly", "entered failed state"],
    },
    Row {
        cause: Cause {
            code: "read-only",
            cause: "the file system is read-only",
            try_this: "findmnt -T PATH; dmesg | tail",
            story: "A write met EROFS. A disk error may have made the kernel remount it; look at dmesg first.",
        },
        any_of: &["Read-only file system", "read-only file system"],
    },
    Row {
        cause: Cause {
            code: "dpkg-broken",
            cause: "a package's own script failed",
            try_this: "dpkg --audit; dpkg --configure -a",
            story: "A maintainer script (postinst, prerm) of a package ended badly. Its lines stand above; the package stays half configured until it is mended.",
        },
        any_of: &["Sub-process /usr/bin/dpkg returned an error", "subprocess installed post-installation script"],
    },
    Row {
        cause: Cause {
            code: "no-user",
            cause: "the account does not exist on the node",
            try_this: "getent passwd ACCOUNT",
            story: "A step names an owner or an account that is not there. Declare the user in an earlier step, or need the role that does.",
        },
        any_of: &["no such user", "unknown user", "invalid user", "no account"],
    },
    Row {
        cause: Cause {
            code: "permission",
            cause: "the account may not do that",
            try_this: "id; namei -l PATH",
            story: "The kernel refused: wrong owner, mode, or a capability that a container lacks.",
        },
        any_of: &["Permission denied", "Operation not permitted", "permission denied"],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_roles::outcome::CommandFailure;

    fn failure(kind: FailureKind, tail: &[&str]) -> Failure {
        let command = CommandFailure {
            argv: vec!["apt-get".to_owned()],
            status: Ended::Exit(100),
            tail: tail.iter().map(|line| (*line).to_owned()).collect(),
        };
        Failure { kind, message: "install packages".to_owned(), causes: Vec::new(), command: Some(command), hint: None }
    }

    #[test]
    fn known_texts_are_recognised_and_others_are_not() {
        let found = recognise(&failure(FailureKind::Apply, &["E: Unable to locate package nonesuch"]));
        assert_eq!(found.map(|cause| cause.code), Some("apt-not-found"));
        let tail = ["nt.service: start operation timed out. Terminating.", "nt.service: Failed with result 'exit-code'."];
        let by = |result: &str| Failure { causes: vec![format!("systemd's result: {result}")], ..failure(FailureKind::Apply, &tail) };
        assert_eq!(recognise(&by("timeout")).map(|cause| cause.code), Some("unit-timeout"));
        assert_eq!(recognise(&by("exit-code")).map(|cause| cause.code), Some("unit-failed"), "what timed out was an earlier start");
        let preferences = "E: Unable to parse package file /etc/apt/preferences.d/tree (1)";
        assert_eq!(recognise(&failure(FailureKind::Apply, &[preferences])).map(|cause| cause.code), Some("apt-configuration"));
        let list = "E: Unable to parse package file /var/lib/apt/lists/x.invalid_Packages (1)";
        assert_eq!(recognise(&failure(FailureKind::Apply, &[list])), None, "a list is no configuration");
        assert_eq!(recognise(&failure(FailureKind::Apply, &["something nobody has seen"])), None);
        assert_eq!(recognise(&failure(FailureKind::NoSpace, &[])).map(|cause| cause.code), Some("disk-full"));
    }

    #[test]
    fn codes_are_unique() {
        let mut codes: Vec<&str> = all().map(|cause| cause.code).collect();
        let count = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), count);
    }
}
