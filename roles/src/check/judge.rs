//! The pure answer: a check, held against what was read.

use super::{Check, Disk, Evidence, Kernel, Package, PackageWant, Share, Verdict, Virtualization};
use crate::resource::package::Observed;
use crate::words::{Bytes, Version, count};

/// What helps where a package is not to be had.
const LOOK_AGAIN: &str = "on the node: apt-get update; check the package sources";
/// Steps that are named where how much they write is not known.
const NAMED: usize = 3;

fn pass(found: impl std::fmt::Display) -> Verdict {
    Verdict::Pass { found: found.to_string() }
}

fn fail(found: impl std::fmt::Display, wanted: impl std::fmt::Display, missing: Option<String>, hint: impl std::fmt::Display) -> Verdict {
    Verdict::Fail { found: found.to_string(), wanted: wanted.to_string(), missing, hint: hint.to_string() }
}

impl Check {
    /// The answer, from what was read on the node. Evidence of another kind is *could not tell*.
    pub fn judge(&self, evidence: &Evidence) -> Verdict {
        match (self, evidence) {
            (_, Evidence::Unreadable(why)) => Verdict::CouldNotTell { why: why.clone() },
            (Self::Disk(disk), Evidence::Disk { mount, file_system, size, free, to_write, unknown, shares }) => {
                disk.judge((mount, file_system, *size), *free, (*to_write, unknown), shares)
            }
            (Self::Kernel(kernel), Evidence::Kernel { release, shared, missing_modules }) => {
                kernel.judge(release, *shared, missing_modules)
            }
            (Self::Memory(memory), Evidence::Memory(total)) if *total >= memory.total => pass(format_args!("{total} of memory")),
            (Self::Memory(memory), Evidence::Memory(total)) => fail(
                format_args!("{total} of memory"),
                format_args!("at least {}", memory.total),
                Some(Bytes(memory.total.count() - total.count()).to_string()),
                "use a larger machine, or lower the role's memory parameter",
            ),
            (Self::Package(package), Evidence::Package { found, offered, providers }) => package.judge(found, offered, providers),
            (Self::Connect(connect), Evidence::Connect(None)) => pass(format_args!("{}:{} answers", connect.host, connect.port)),
            (Self::Connect(connect), Evidence::Connect(Some(why))) => fail(
                why,
                format_args!("a TCP connection from the node to {}:{}", connect.host, connect.port),
                None,
                "check the service, the route and the firewall between the two",
            ),
            (Self::Virtualization(wanted), Evidence::Virtualization(found)) => wanted.judge(found),
            (Self::Assert(assert), Evidence::Nothing) if assert.holds => pass(&assert.that),
            (Self::Assert(assert), Evidence::Nothing) => fail(&assert.say, &assert.that, None, "change the parameters that it names"),
            (Self::Login(login), Evidence::Login(None)) => pass(format_args!("{} can log in", login.user)),
            (Self::Login(login), Evidence::Login(Some(why))) => {
                fail(why, format_args!("{} can log in", login.user), None, format_args!("as root on the node: su - {} -c true", login.user))
            }
            (Self::Command(command), Evidence::Command { code, output }) => {
                let good =
                    if command.accept.is_empty() { *code == Some(0) } else { code.is_some_and(|code| command.accept.contains(&code)) };
                let ended = code.map_or_else(|| "ended by a signal".to_owned(), |code| format!("exit status {code}"));
                if good {
                    pass(format_args!("`{}`: {ended}", command.run.join(" ")))
                } else {
                    let found = if output.is_empty() { ended } else { format!("{ended}: {output}") };
                    fail(found, format_args!("`{}` ends well", command.run.join(" ")), None, "run it by hand on the node, as the same user")
                }
            }
            (
                Self::Disk(_)
                | Self::Kernel(_)
                | Self::Memory(_)
                | Self::Package(_)
                | Self::Connect(_)
                | Self::Virtualization(_)
                | Self::Assert(_)
                | Self::Login(_)
                | Self::Command(_),
                _,
            ) => Verdict::CouldNotTell { why: "the agent read something else than was asked for".to_owned() },
        }
    }
}

impl Disk {
    fn judge(
        &self,
        (mount, file_system, size): (&str, &str, Bytes),
        free: Bytes,
        (to_write, unknown): (Bytes, &[String]),
        shares: &[Share],
    ) -> Verdict {
        let on = format!("{mount} ({file_system})");
        if let Some(wanted) = self.size.filter(|wanted| size < *wanted) {
            return fail(
                format_args!("{on} is {size}"),
                format_args!("a file system of at least {wanted} below {}", self.path),
                Some(Bytes(wanted.count() - size.count()).to_string()),
                format_args!("grow the file system or mount a larger one at {}", self.path),
            );
        }
        let unknown = named(unknown);
        let remains = Bytes(free.count().saturating_sub(to_write.count()));
        if let Some((wanted, told)) = self.room(shares).filter(|(wanted, _)| remains < *wanted) {
            let plan = if to_write.count() > 0 { format!(" and this plan writes {to_write}") } else { String::new() };
            let unknown = if unknown.is_empty() { unknown } else { format!("; what {unknown} will write is not known") };
            return fail(
                format_args!("{on} has {free} free{plan}{unknown}"),
                told,
                Some(Bytes(wanted.count() - remains.count()).to_string()),
                format_args!("on the node: du -xh --max-depth=2 {mount} | sort -h | tail"),
            );
        }
        let unknown =
            if unknown.is_empty() || self.free_after.is_none() { String::new() } else { format!(", before what {unknown} will write") };
        pass(format_args!("{on}: {size}, {free} free{unknown}"))
    }

    /// How much must remain, and whose needs that is: this one's alone, or the sum of all on the file system.
    fn room(&self, shares: &[Share]) -> Option<(Bytes, String)> {
        let own = self.free_after?;
        if shares.len() < 2 {
            let share = self.executors.map(|number| format!(", for {}", count(number, "executor"))).unwrap_or_default();
            return Some((own, format!("{own} free for {}{share}", self.path)));
        }
        let sum = Bytes(shares.iter().fold(0, |sum: u64, share| sum.saturating_add(share.free_after.count())));
        let each: Vec<String> = shares.iter().map(Share::to_string).collect();
        Some((sum, format!("{sum} free in all: {}", each.join(", "))))
    }
}

/// The first of some steps, and how many more there are.
fn named(steps: &[String]) -> String {
    let shown = steps.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match steps.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

impl Kernel {
    fn judge(&self, release: &Version, shared: bool, missing: &[crate::words::ModuleName]) -> Verdict {
        let found = format!("kernel {release}{}", if shared { ", shared with the host" } else { "" });
        if let Some(wanted) = self.at_least.as_ref().filter(|wanted| release.cmp_release(wanted).is_lt()) {
            return fail(found, format_args!("at least {wanted}"), None, "install a newer kernel package and reboot");
        }
        if let Some(limit) = self.below.as_ref().filter(|limit| release.cmp_release(limit).is_ge()) {
            return fail(found, format_args!("below {limit}"), None, "install an older kernel package and reboot");
        }
        if let Some(bad) = self.not.iter().find(|bad| release.begins_with(bad)) {
            return fail(found, format_args!("not {bad}"), None, "install another kernel package and reboot");
        }
        match self.shared {
            Some(false) if shared => {
                return fail(found, "a kernel of its own", None, "use a virtual or physical machine, not a container");
            }
            Some(true) if !shared => return fail(found, "a kernel shared with a host", None, "use a container"),
            Some(_) | None => {}
        }
        if !missing.is_empty() {
            let names: Vec<&str> = missing.iter().map(crate::words::ModuleName::as_str).collect();
            let names = names.join(", ");
            return fail(
                format_args!("{found}, without {names}"),
                format_args!("modules {names}"),
                Some(names.clone()),
                "install the kernel package that brings them",
            );
        }
        pass(found)
    }
}

impl Package {
    fn judge(&self, found: &Observed, offered: &[Version], providers: &[String]) -> Verdict {
        let name = &self.name;
        let fits = |version: &Version| self.version.as_ref().is_none_or(|wanted| wanted == version);
        let which = self.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
        match (found, self.want) {
            (Observed::Installed(version), _) if fits(version) => return pass(format_args!("{name} {version} is installed")),
            (Observed::Provided { by, version }, _) if self.version.is_none() => {
                return pass(format_args!("{name} is provided by {by} {version}"));
            }
            // What is unpacked needs no source any more.
            (Observed::Broken { state, version }, PackageWant::Offered) if fits(version) && !state.ends_with("half-installed") => {
                return pass(format_args!("{name} {version} is {state}, and its step mends that"));
            }
            (_, PackageWant::Offered) => {}
            (found, PackageWant::Installed) => return self.not_installed(found, &which),
        }
        if offered.iter().any(fits) {
            return pass(format_args!("{name}{which} is offered"));
        }
        let by = providers.join(", ");
        let (found, hint) = match (offered, providers) {
            ([], [_]) if self.version.is_none() => return pass(format_args!("{name} is offered: provided by {by}")),
            ([], []) => (format!("no package source offers {name}"), LOOK_AGAIN),
            ([], _) => {
                (format!("{name} is a virtual package, provided by {by}"), "name the package that is meant, which has a version of its own")
            }
            (offered, _) => (format!("offered: {}", offered.iter().map(Version::as_str).collect::<Vec<_>>().join(", ")), LOOK_AGAIN),
        };
        fail(found, format_args!("{name}{which} installed or offered"), None, hint)
    }

    fn not_installed(&self, found: &Observed, which: &str) -> Verdict {
        let name = &self.name;
        let found = match found {
            Observed::Installed(version) => format!("{version} is installed"),
            Observed::Broken { state, version } => format!("{name} {version} is {state}"),
            Observed::Provided { by, .. } => format!("{name} is a virtual package, provided by {by}"),
            Observed::Absent => format!("{name} is not installed"),
        };
        fail(found, format_args!("{name}{which} installed"), None, format_args!("apt-get install {name}"))
    }
}

impl Virtualization {
    fn judge(&self, found: &str) -> Verdict {
        let hint = "use another kind of machine for this role";
        if !self.any_of.is_empty() && !self.any_of.iter().any(|kind| kind == found) {
            return fail(found, format_args!("one of {}", self.any_of.join(", ")), None, hint);
        }
        if self.none_of.iter().any(|kind| kind == found) {
            return fail(found, format_args!("none of {}", self.none_of.join(", ")), None, hint);
        }
        pass(found)
    }
}

#[cfg(test)]
mod tests {
    //! Data cases: `tests/cases/check-<name>.json`, each a check, what was read, and the answer.

    use super::*;
    use std::path::Path;

    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        name: String,
        check: Check,
        evidence: Evidence,
        verdict: Verdict,
    }

    fn run(check: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/cases/check-{check}.json"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let cases: Vec<Case> = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(cases.len() >= 2, "{}", path.display());
        for case in cases {
            assert_eq!(case.check.judge(&case.evidence), case.verdict, "{check}: {}", case.name);
        }
    }

    macro_rules! cases {
        ($($check:ident = $file:literal;)*) => {$(
            #[test]
            fn $check() { run($file); }
        )*};
    }

    cases! {
        a_disk_is_judged = "disk";
        a_kernel_is_judged = "kernel";
        memory_is_judged = "memory";
        a_package_is_judged = "package";
        a_connection_is_judged = "connect";
        virtualization_is_judged = "virtualization";
        an_assertion_is_judged = "assert";
        a_login_is_judged = "login";
        a_probe_is_judged = "command";
    }
}
