//! What a requirement wants may be what an earlier step of the same plan brings: then it is asked again in its turn, and not before.

use super::{Catalog, Step};
use crate::check::{Check, Package, PackageWant, Verdict};
use crate::resource::{Desired, Effect};

/// Where apt finds its sources, their keys and its preferences (sources.list(5), apt_preferences(5)).
const OF_APT: [&str; 2] = ["/etc/apt/", "/usr/share/keyrings/"];

/// The first step of a plan that changes files of apt's.
#[derive(Debug, Clone, Copy)]
pub struct ProvidedLater<'a> {
    catalog: &'a Catalog,
    first: Option<usize>,
}

impl<'a> ProvidedLater<'a> {
    /// Looks for it; `changes` says of a step whether it changes something.
    pub fn of(catalog: &'a Catalog, changes: &dyn Fn(usize) -> bool) -> Self {
        let brings = |step: &Step| step.desired.provides().iter().any(is_of_apt);
        Self { catalog, first: (0..catalog.steps.len()).find(|index| changes(*index) && brings(&catalog.steps[*index])) }
    }

    /// The answer to a requirement that `now` is the answer to, where an earlier step that changes may bring what it wants.
    ///
    /// A package is offered by sources: a step that makes a file of apt's may bring it. What a command writes is not known, so one that names
    /// no such file is no reason to promise a package.
    pub fn put_off(&self, check: &Check, now: Verdict) -> Verdict {
        let (Check::Package(Package { want: PackageWant::Offered, name, .. }), Verdict::Fail { found, .. }, Some(first)) =
            (check, &now, self.first)
        else {
            return now;
        };
        let of_package = |step: &Step| matches!(&step.desired, Desired::Package(desired) if desired.name == *name);
        if !self.catalog.steps[first..].iter().any(of_package) {
            return now;
        }
        Verdict::Pass { found: format!("{found}; {} may bring it: asked again in its turn", self.catalog.steps[first].id()) }
    }
}

fn is_of_apt(effect: &Effect) -> bool {
    let (Effect::Path(path) | Effect::Own(path)) = effect else { return false };
    OF_APT.iter().any(|root| path.as_str().starts_with(root))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::{command, link, package};
    use crate::words::{AbsPath, Digest, NodeName, Origin, PackageName, RoleName, Span};

    fn step(desired: Desired) -> Step {
        let role = RoleName::parse("docker").unwrap();
        let (origin, within) = (Origin::default(), Span::seconds(1));
        Step { desired, role, origin, within, watches: Vec::new(), together: None, while_busy: false }
    }

    fn path(text: &str) -> AbsPath {
        AbsPath::parse(text).unwrap()
    }

    fn file(at: &str) -> Step {
        step(link::Desired { path: path(at), to: Some("/srv/x".to_owned()) }.into())
    }

    fn command(creates: Option<&str>) -> Step {
        let desired = command::Desired {
            name: "add-source".to_owned(),
            run: vec!["true".to_owned()],
            creates: creates.map(path),
            unless: None,
            environment: Vec::new(),
            run_as: None,
            directory: None,
            stdin: None,
            accept: Vec::new(),
            stdout_to: None,
        };
        step(desired.into())
    }

    fn package() -> Step {
        let name = PackageName::parse("docker-ce").unwrap();
        step(package::Desired { name, state: package::State::Installed { version: None } }.into())
    }

    #[test]
    fn only_what_changes_files_of_apts_before_its_turn_may_bring_a_package() {
        let list = "/etc/apt/sources.list.d/docker.list";
        let unmet = || Verdict::Fail { found: "nobody offers it".to_owned(), wanted: String::new(), missing: None, hint: String::new() };
        let check = |want| Check::Package(Package { name: PackageName::parse("docker-ce").unwrap(), want, version: None });
        let offered = check(PackageWant::Offered);
        let answer = |steps: Vec<Step>, check: &Check, changes: bool| {
            let (node, facts) = (NodeName::parse("n1").unwrap(), Digest::of(b""));
            let catalog = Catalog { node, facts, require: Vec::new(), steps, verify: Vec::new() };
            ProvidedLater::of(&catalog, &|_| changes).put_off(check, unmet())
        };
        for (steps, brought, why) in [
            (vec![file(list), package()], true, "a source"),
            (vec![file("/usr/share/keyrings/docker.gpg"), package()], true, "a key"),
            (vec![file("/etc/apt/preferences.d/docker"), package()], true, "preferences"),
            (vec![command(Some(list)), package()], true, "a command that says what it makes"),
            (vec![command(None), package()], false, "a command that does not"),
            (vec![file("/etc/motd"), package()], false, "something else"),
            (vec![file("/etc/aptitude"), package()], false, "another directory"),
            (vec![package(), file(list)], false, "it comes too late"),
            (vec![file(list)], false, "no step installs it: a requirement stands for itself"),
        ] {
            assert_eq!(answer(steps, &offered, true).passed(), brought, "{why}");
        }
        assert!(!answer(vec![file(list), package()], &offered, false).passed(), "the source is there already");
        assert!(!answer(vec![file(list), package()], &check(PackageWant::Installed), true).passed());
        let Verdict::Pass { found } = answer(vec![file(list), package()], &offered, true) else { panic!() };
        assert_eq!(found, format!("nobody offers it; link {list} may bring it: asked again in its turn"));
    }
}
