//! A plan that takes away the key by which we came, or what else lets us in: whoever carried it out could not come back.

mod ways;

use crate::transport::Login;
use ostler_roles::catalog::Catalog;
use ostler_roles::outcome::{Failure, FailureKind};
use ostler_roles::plan::{Plan, Planned};
use ostler_roles::resource::authorized_key::KeyBlob;
use ostler_roles::resource::{Desired, authorized_key};
use std::collections::BTreeSet;
use ways::{Account, Way};

fn key(public: &str) -> Option<KeyBlob> {
    let mut words = public.split_whitespace().map(str::to_owned);
    Some(KeyBlob { algorithm: words.next()?, blob: words.next()? })
}

/// Makes impossible what would take our own key away, unless another that the roles declare for this account, without options that could
/// restrict it, is one that we offer. A note says where options of our own key change.
pub(super) fn guard(catalog: &Catalog, plan: &mut Plan, login: Option<&Login>) {
    let Some(login) = login else { return };
    other_ways(catalog, plan, &login.user);
    let Some(own) = key(&login.key) else { return };
    let of_account = |desired: &Desired| match desired {
        Desired::AuthorizedKey(desired) if desired.user.as_str() == login.user => Some(desired.clone()),
        _ => None,
    };
    let declared: Vec<authorized_key::Desired> = catalog.steps.iter().filter_map(|step| of_account(&step.desired)).collect();
    let stay: BTreeSet<&KeyBlob> = declared
        .iter()
        .filter(|declared| !declared.absent && declared.options.is_empty())
        .filter_map(|declared| declared.key.as_ref())
        .collect();
    let comes_back = login.offered.iter().filter_map(|offered| key(offered)).any(|offered| stay.contains(&offered));
    for (step, planned) in catalog.steps.iter().zip(&mut plan.steps) {
        let (Planned::Change { changes, .. } | Planned::MayChange { changes, .. }) = &*planned else { continue };
        let Some(desired) = of_account(&step.desired) else { continue };
        let goes = changes.iter().any(|change| change.from == own.short() && change.to == "absent");
        if goes && !comes_back {
            *planned = Planned::Impossible(locked_out(login, &own));
        } else if desired.key.as_ref() == Some(&own) && changes.iter().any(|change| change.field == "options") {
            plan.notes.push(format!("{}: this connection logged in with this key: check that its new options still let us in", step.id()));
        }
    }
}

/// Makes impossible what shuts us out by other means than keys; a note says what may.
fn other_ways(catalog: &Catalog, plan: &mut Plan, user: &str) {
    let account = Account::of(user, catalog);
    for (step, planned) in catalog.steps.iter().zip(&mut plan.steps) {
        let (Planned::Change { changes, .. } | Planned::MayChange { changes, .. }) = &*planned else { continue };
        match account.way(step, changes) {
            Some(Way::Shut(why)) => *planned = Planned::Impossible(shut_out(user, &why)),
            Some(Way::MayShut(what)) => plan.notes.push(format!("{}: {what}", step.id())),
            None => {}
        }
    }
}

fn shut_out(user: &str, why: &str) -> Failure {
    Failure {
        kind: FailureKind::Contradiction,
        message: format!("{why}: the next run could not come in as {user}"),
        causes: Vec::new(),
        command: None,
        hint: Some("come by another account (`ssh: {user: ...}` of the node), or leave the step out".to_owned()),
    }
}

fn locked_out(login: &Login, own: &KeyBlob) -> Failure {
    let user = &login.user;
    Failure {
        kind: FailureKind::Contradiction,
        message: format!(
            "it takes away the key that this connection logged in with, {}: the next run could not log in as {user}",
            own.short()
        ),
        causes: vec![format!("of the keys that roles declare for {user} without options, none is one that we offer")],
        command: None,
        hint: Some(format!("declare this key for {user} in a role, or come by one that stays: `identity:` of the node")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_roles::catalog::Step;
    use ostler_roles::resource::ownership::Ownership;
    use ostler_roles::resource::{Shown, directory, line, package, service, user};
    use ostler_roles::words::{AbsPath, AccountName, Digest, Mode, NodeName, Origin, PackageName, RoleName, Span, UnitName};

    fn blob(name: &str) -> KeyBlob {
        KeyBlob { algorithm: "ssh-ed25519".to_owned(), blob: format!("AAAAC3NzaC1lZDI1NTE5{name}") }
    }

    fn public(name: &str) -> String {
        format!("ssh-ed25519 {} {name}@desk", blob(name).blob)
    }

    fn step(user: &str, name: &str, options: &str) -> Step {
        let desired = authorized_key::Desired {
            user: AccountName::parse(user).unwrap(),
            key: Some(blob(name)),
            comment: String::new(),
            options: options.to_owned(),
            absent: false,
            only: Some(BTreeSet::new()),
        };
        Step {
            desired: desired.into(),
            role: RoleName::parse("base").unwrap(),
            origin: Origin::default(),
            within: Span::seconds(60),
            watches: Vec::new(),
            together: None,
            while_busy: false,
        }
    }

    /// The plan of these steps, each of which takes away this key, held against a connection by `mine`.
    fn guarded(steps: Vec<Step>, changes: &[Shown], offered: &[&str]) -> Plan {
        let catalog =
            Catalog { node: NodeName::parse("n1").unwrap(), facts: Digest::of(b""), require: Vec::new(), steps, verify: Vec::new() };
        let planned = |_: &Step| Planned::Change { changes: changes.to_vec(), triggered: None, old: None };
        let steps = catalog.steps.iter().map(planned).collect();
        let mut plan =
            Plan { catalog: catalog.digest(), generation: 0, requirements: Vec::new(), steps, verify: Vec::new(), notes: Vec::new() };
        let login = Login { user: "admin".to_owned(), key: public("mine"), offered: offered.iter().map(|name| public(name)).collect() };
        guard(&catalog, &mut plan, Some(&login));
        plan
    }

    fn gone(name: &str) -> Shown {
        Shown::new("key", blob(name).short(), "absent")
    }

    #[test]
    fn the_key_that_we_came_by_goes_only_where_another_of_ours_stays() {
        let refused = |plan: &Plan| matches!(plan.steps[0], Planned::Impossible(_));
        let theirs = || step("admin", "theirs", "");
        assert!(refused(&guarded(vec![theirs()], &[gone("mine")], &["mine"])));
        assert!(refused(&guarded(vec![theirs()], &[Shown::new("key in authorized_keys2", blob("mine").short(), "absent")], &["mine"])));
        assert!(!refused(&guarded(vec![theirs()], &[gone("mine")], &["mine", "theirs"])), "we offer one that stays");
        let restricted = step("admin", "theirs", "from=\"10.0.0.1\"");
        assert!(refused(&guarded(vec![restricted], &[gone("mine")], &["mine", "theirs"])), "it may not let us in");
        assert!(!refused(&guarded(vec![theirs()], &[gone("other")], &["mine"])));
        assert!(!refused(&guarded(vec![step("ci", "theirs", "")], &[gone("mine")], &["mine"])), "another account");
        // Nobody at all is let in.
        let mut nobody = theirs();
        if let Desired::AuthorizedKey(desired) = &mut nobody.desired {
            (desired.key, desired.absent) = (None, true);
        }
        assert!(refused(&guarded(vec![nobody.clone()], &[gone("mine")], &["mine", "theirs"])), "none of ours stays");
        assert!(!refused(&guarded(vec![nobody, theirs()], &[gone("mine")], &["mine", "theirs"])), "another step's stays");
    }

    /// What is said of a step that changes these fields, where we come as admin: the refusal, or the note.
    fn said(desired: impl Into<Desired>, changes: &[Shown]) -> (bool, String) {
        let mut one = step("ci", "theirs", "");
        one.desired = desired.into();
        let plan = guarded(vec![one], changes, &["mine"]);
        match &plan.steps[0] {
            Planned::Impossible(failure) => (true, failure.message.clone()),
            _ => (false, plan.notes.join("; ")),
        }
    }

    fn at(path: &str) -> AbsPath {
        AbsPath::parse(path).unwrap()
    }

    #[test]
    fn what_takes_the_account_its_shell_or_its_programs_is_refused() {
        let user = |present| user::Desired { name: AccountName::parse("admin").unwrap(), present };
        let shell = |shell: &str| user(Some(user::Present { shell: Some(at(shell)), ..user::Present::default() }));
        let set = |to: &str| [Shown::new("shell", "/bin/bash", to)];
        let (refused, why) = said(user(None), &[Shown::new("user", "present", "absent")]);
        assert!(refused && why.contains("it removes admin"), "{why}");
        let (refused, why) = said(shell("/usr/sbin/nologin"), &set("/usr/sbin/nologin"));
        assert!(refused && why.contains("/usr/sbin/nologin as its shell"), "{why}");
        assert_eq!(said(shell("/bin/zsh"), &set("/bin/zsh")), (false, String::new()));
        let moved = user(Some(user::Present { home: Some(at("/srv/admin")), ..user::Present::default() }));
        assert!(said(moved, &[Shown::new("home", "/home/admin", "/srv/admin")]).1.contains("its new home"));
        for (name, refused) in [("openssh-server", true), ("sudo", true), ("git", false)] {
            let desired = package::Desired { name: PackageName::parse(name).unwrap(), state: package::State::Removed };
            assert_eq!(said(desired, &[Shown::new("package", "1", "absent")]).0, refused, "{name}");
        }
    }

    #[test]
    fn the_ssh_service_stops_only_where_something_else_answers() {
        let ssh = |name: &str| service::Desired {
            name: UnitName::parse_service(name).unwrap(),
            unit: None,
            state: Some(service::State::Stopped),
            enabled: None,
            check: None,
            at_rest: false,
        };
        let stops = |to: &str| [Shown::new("state", "active", to)];
        assert!(said(ssh("ssh"), &stops("stopped")).0);
        assert_eq!(said(ssh("ssh"), &stops("stopped; ssh.socket starts it again")), (false, String::new()));
        assert_eq!(said(ssh("web"), &stops("stopped")), (false, String::new()));
        assert!(said(ssh("ssh"), &[Shown::new("enabled", "true", "false")]).1.contains("after a boot"));
    }

    #[test]
    fn a_home_that_sshd_would_not_trust_is_refused_and_what_it_reads_is_marked() {
        let directory = |path: &str, owner: &str, mode: u32| directory::Desired {
            path: at(path),
            present: Some(Ownership { owner: AccountName::parse(owner).unwrap(), group: None, mode: Mode::from_bits(mode) }),
        };
        let changed = [Shown::new("mode", "0700", "0777")];
        for (path, owner, mode, refused) in [
            ("/home/admin", "admin", 0o777, true),
            ("/home/admin/.ssh", "ci", 0o700, true),
            ("/home/admin/.ssh", "admin", 0o700, false),
            ("/home/admin/work", "ci", 0o777, false),
            ("/home/ci", "ci", 0o777, false),
        ] {
            assert_eq!(said(directory(path, owner, mode), &changed).0, refused, "{path} {owner} {mode:o}");
        }
        assert!(said(directory("/home/admin", "admin", 0o775), &changed).1.contains("in its group"));
        let marked = |path: &str| {
            let line = line::Desired { path: at(path), line: "x".to_owned(), replaces: None, absent: false };
            let (refused, note) = said(line, &changed);
            assert!(!refused);
            !note.is_empty()
        };
        for path in [
            "/etc/ssh/sshd_config",
            "/etc/ssh/sshd_config.d/x.conf",
            "/etc/sudoers",
            "/etc/sudoers.d/x",
            "/home/admin/.ssh/authorized_keys",
            "/etc/nologin",
        ] {
            assert!(marked(path), "{path}");
        }
        for path in ["/etc/hosts", "/home/ci/.ssh/authorized_keys", "/etc/ssl/x"] {
            assert!(!marked(path), "{path}");
        }
    }

    #[test]
    fn new_options_of_our_own_key_are_marked() {
        let changed = [Shown::new("options", "", "from=\"10.0.0.1\"")];
        assert_eq!(guarded(vec![step("admin", "mine", "from=\"10.0.0.1\"")], &changed, &["mine"]).notes.len(), 1);
        assert_eq!(guarded(vec![step("admin", "theirs", "from=\"10.0.0.1\"")], &changed, &["mine"]).notes.len(), 0);
    }
}
