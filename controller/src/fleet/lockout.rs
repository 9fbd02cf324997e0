//! A plan that takes away the key by which we came: whoever carried it out could not come back.

use crate::transport::Login;
use ostler_roles::catalog::Catalog;
use ostler_roles::outcome::{Failure, FailureKind};
use ostler_roles::plan::{Plan, Planned};
use ostler_roles::resource::authorized_key::KeyBlob;
use ostler_roles::resource::{Desired, authorized_key};
use std::collections::BTreeSet;

fn key(public: &str) -> Option<KeyBlob> {
    let mut words = public.split_whitespace().map(str::to_owned);
    Some(KeyBlob { algorithm: words.next()?, blob: words.next()? })
}

/// Makes impossible what would take our own key away, unless another that the roles declare for this account, without options that could
/// restrict it, is one that we offer. A note says where options of our own key change.
pub(super) fn guard(catalog: &Catalog, plan: &mut Plan, login: Option<&Login>) {
    let Some((login, own)) = login.and_then(|login| Some((login, key(&login.key)?))) else { return };
    let of_account = |desired: &Desired| match desired {
        Desired::AuthorizedKey(desired) if desired.user.as_str() == login.user => Some(desired.clone()),
        _ => None,
    };
    let declared: Vec<authorized_key::Desired> = catalog.steps.iter().filter_map(|step| of_account(&step.desired)).collect();
    let stay: BTreeSet<&KeyBlob> =
        declared.iter().filter(|declared| !declared.absent && declared.options.is_empty()).map(|declared| &declared.key).collect();
    let comes_back = login.offered.iter().filter_map(|offered| key(offered)).any(|offered| stay.contains(&offered));
    for (step, planned) in catalog.steps.iter().zip(&mut plan.steps) {
        let (Planned::Change { changes, .. } | Planned::MayChange { changes, .. }) = &*planned else { continue };
        let Some(desired) = of_account(&step.desired) else { continue };
        let goes = changes.iter().any(|change| change.from == own.short() && change.to == "absent");
        if goes && !comes_back {
            *planned = Planned::Impossible(locked_out(login, &own));
        } else if desired.key == own && changes.iter().any(|change| change.field == "options") {
            plan.notes.push(format!("{}: this is the key that we came by: see that its new options let us in", step.id()));
        }
    }
}

fn locked_out(login: &Login, own: &KeyBlob) -> Failure {
    let user = &login.user;
    Failure {
        kind: FailureKind::Contradiction,
        message: format!("it takes away the key that we came by, {}: the next run could not log in as {user}", own.short()),
        causes: vec![format!("of the keys that roles declare for {user} without options, none is one that we offer")],
        command: None,
        hint: Some(format!("declare this key for {user} in a role, or come by one that stays: `identity:` of the node")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_roles::catalog::Step;
    use ostler_roles::resource::Shown;
    use ostler_roles::words::{AccountName, Digest, NodeName, Origin, RoleName, Span};

    fn blob(name: &str) -> KeyBlob {
        KeyBlob { algorithm: "ssh-ed25519".to_owned(), blob: format!("AAAAC3NzaC1lZDI1NTE5{name}") }
    }

    fn public(name: &str) -> String {
        format!("ssh-ed25519 {} {name}@desk", blob(name).blob)
    }

    fn step(user: &str, name: &str, options: &str) -> Step {
        let desired = authorized_key::Desired {
            user: AccountName::parse(user).unwrap(),
            key: blob(name),
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
    }

    #[test]
    fn new_options_of_our_own_key_are_marked() {
        let changed = [Shown::new("options", "", "from=\"10.0.0.1\"")];
        assert_eq!(guarded(vec![step("admin", "mine", "from=\"10.0.0.1\"")], &changed, &["mine"]).notes.len(), 1);
        assert_eq!(guarded(vec![step("admin", "theirs", "from=\"10.0.0.1\"")], &changed, &["mine"]).notes.len(), 0);
    }
}
