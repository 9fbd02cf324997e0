//! What a requirement wants may be what an earlier step of the same plan brings: then it is asked again in its turn, and not before.

use super::Catalog;
use crate::check::{Check, Package, PackageWant, Verdict};
use crate::resource::{Desired, Effect, ResourceId};
use crate::words::AbsPath;

/// Where apt finds its sources, their keys and its preferences (sources.list(5), apt_preferences(5)).
const OF_APT: [&str; 2] = ["/etc/apt", "/usr/share/keyrings"];

impl Catalog {
    /// The answer to a requirement that `now` is the answer to, where an earlier step that changes may bring what it wants.
    ///
    /// A package is offered by sources: a step that makes a file of apt's may bring it. What a command writes is not known, so one that names
    /// no such file is no reason to promise a package.
    pub fn put_off(&self, check: &Check, now: Verdict, changes: impl Fn(usize) -> bool) -> Verdict {
        let Verdict::Fail { found, .. } = &now else { return now };
        let by = match check {
            Check::Package(package @ Package { want: PackageWant::Offered, .. }) => self.brought_by(package, changes),
            Check::Package(_)
            | Check::Disk(_)
            | Check::Kernel(_)
            | Check::Memory(_)
            | Check::Connect(_)
            | Check::Virtualization(_)
            | Check::Assert(_)
            | Check::Login(_)
            | Check::Command(_) => None,
        };
        match by {
            Some(by) => Verdict::Pass { found: format!("{found}; {by} may bring it: asked again in its turn") },
            None => now,
        }
    }

    /// The first step that changes files of apt's, of those before the turn of the package's own step.
    fn brought_by(&self, package: &Package, changes: impl Fn(usize) -> bool) -> Option<ResourceId> {
        let of_package = |desired: &Desired| matches!(desired, Desired::Package(desired) if desired.name == package.name);
        let turn = self.steps.iter().position(|step| of_package(&step.desired))?;
        let before = self.steps.iter().take(turn).enumerate();
        let mut bringing = before.filter(|(index, step)| changes(*index) && step.desired.provides().iter().any(is_of_apt));
        bringing.next().map(|(_, step)| step.id())
    }
}

fn is_of_apt(effect: &Effect) -> bool {
    let (Effect::Path(path) | Effect::Own(path)) = effect else { return false };
    OF_APT.iter().any(|root| AbsPath::parse(root).is_ok_and(|root| path.is_within(&root)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Step;
    use crate::resource::{command, link, package};
    use crate::words::{Digest, NodeName, Origin, PackageName, RoleName, Span};

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
            catalog.put_off(check, unmet(), |_| changes)
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
