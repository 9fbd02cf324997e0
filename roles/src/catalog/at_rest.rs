//! A catalog for an image while it is built: of each step what can be made so where nothing runs, and what is left out.

use super::{Action, Catalog, Requirement, Step};
use crate::resource::{AtRest, ResourceId};
use crate::words::{Origin, RoleName};
use serde::Serialize;

/// What a catalog at rest does without, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// What.
    pub what: Omitted,
    /// The role that wants it.
    pub role: RoleName,
    /// Where it says so.
    pub origin: Origin,
    /// Why; of a part: what is left to the running machine.
    pub why: &'static str,
}

/// What is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Omitted {
    /// A whole step.
    Step(ResourceId),
    /// What of a step only a running machine can have.
    Part(ResourceId),
    /// A requirement, by its name in reports.
    Check(String),
}

impl Action {
    /// Whether it does anything where nothing runs.
    fn acts_at_rest(self) -> bool {
        match self {
            Self::Run => true,
            Self::Reload | Self::Restart => false,
        }
    }
}

impl Catalog {
    /// What of it is made so in an image while that is built, and what is left out. What it verifies is asked of the machine that is booted
    /// from it, and is not among either.
    pub fn at_rest(&self) -> (Self, Vec<LeftOut>) {
        let mut left = Vec::new();
        let require = self.require.iter().filter(|requirement| is_asked(requirement, &mut left)).cloned().collect();
        let steps = self.steps.iter().filter_map(|step| step.at_rest(&mut left)).collect();
        (Self { node: self.node.clone(), facts: self.facts, require, steps, verify: Vec::new() }, left)
    }
}

/// Whether it can be asked where nothing runs.
fn is_asked(requirement: &Requirement, left: &mut Vec<LeftOut>) -> bool {
    let Requirement { check, role, origin, .. } = requirement;
    let leave = |why| LeftOut { what: Omitted::Check(check.to_string()), role: role.clone(), origin: origin.clone(), why };
    left.extend(check.running().map(leave));
    check.running().is_none()
}

impl Step {
    fn at_rest(&self, left: &mut Vec<LeftOut>) -> Option<Self> {
        let leave = |what: fn(ResourceId) -> Omitted, why| LeftOut {
            what: what(self.id()),
            role: self.role.clone(),
            origin: self.origin.clone(),
            why,
        };
        let desired = match self.desired.at_rest() {
            AtRest::Whole => self.desired.clone(),
            AtRest::Part { desired, later } => {
                left.push(leave(Omitted::Part, later));
                desired
            }
            AtRest::LeftOut(why) => {
                left.push(leave(Omitted::Step, why));
                return None;
            }
        };
        let watches = self.watches.iter().filter(|watch| watch.action.acts_at_rest()).cloned().collect();
        Some(Self { desired, watches, ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Watch;
    use crate::check::{self, Check, Memory};
    use crate::resource::{Desired, Kind, command, service, sysctl};
    use crate::words::{Bytes, Digest, NodeName, PackageName, Span, SysctlName, UnitName};

    fn step(desired: Desired, watches: &[(&str, Action)]) -> Step {
        let watch =
            |(path, action): &(&str, Action)| Watch { id: ResourceId { kind: Kind::File, key: (*path).to_owned() }, action: *action };
        Step {
            desired,
            role: RoleName::parse("web").unwrap(),
            origin: Origin::default(),
            within: Span::seconds(1),
            watches: watches.iter().map(watch).collect(),
            together: Some(3),
            while_busy: true,
        }
    }

    fn service(name: &str, state: Option<service::State>, enabled: Option<bool>) -> Desired {
        let name = UnitName::parse_service(name).unwrap();
        Desired::Service(service::Desired { name, unit: None, state, enabled, check: None, at_rest: false })
    }

    fn required(check: Check) -> Requirement {
        Requirement { check, role: RoleName::parse("web").unwrap(), origin: Origin::default(), within: Span::seconds(1) }
    }

    fn live() -> Catalog {
        let run = Desired::Command(command::Desired {
            name: "index".to_owned(),
            run: vec!["true".to_owned()],
            creates: None,
            unless: None,
            environment: Vec::new(),
            run_as: None,
            directory: None,
            stdin: None,
            accept: Vec::new(),
            stdout_to: None,
        });
        let setting = sysctl::Desired { name: SysctlName::parse("vm.swappiness").unwrap(), value: "1".to_owned(), at_rest: false };
        let both = [("/etc/web", Action::Restart), ("/etc/more", Action::Run)];
        let memory = || required(Check::Memory(Memory { total: Bytes(1) }));
        let package = check::Package { name: PackageName::parse("git").unwrap(), want: check::PackageWant::Installed, version: None };
        Catalog {
            node: NodeName::parse("n1").unwrap(),
            facts: Digest::of(b"facts"),
            require: vec![memory(), required(Check::Package(package))],
            steps: vec![
                step(service("web", Some(service::State::Running), Some(true)), &both[..1]),
                step(service("old", Some(service::State::Stopped), None), &[]),
                step(service("timer", None, Some(true)), &[]),
                step(run, &both),
                step(Desired::Sysctl(setting), &[]),
            ],
            verify: vec![memory()],
        }
    }

    #[test]
    fn what_runs_is_left_to_the_machine_and_the_rest_stays_in_its_order() {
        let live = live();
        let (rest, left) = live.at_rest();
        let ids: Vec<String> = rest.steps.iter().map(|step| step.id().to_string()).collect();
        assert_eq!(ids, ["service web", "service timer", "command index", "sysctl vm.swappiness"]);
        assert_eq!((rest.require.len(), rest.require[0].check.word(), rest.verify.len()), (1, "package", 0));
        assert_eq!((&rest.node, rest.facts), (&live.node, live.facts));
        let told: Vec<(String, &str)> = left
            .iter()
            .map(|left| match &left.what {
                Omitted::Step(id) => (format!("step {id}"), left.why),
                Omitted::Part(id) => (format!("part of {id}"), left.why),
                Omitted::Check(name) => (format!("check {name}"), left.why),
            })
            .collect();
        let told: Vec<(&str, &str)> = told.iter().map(|(what, why)| (what.as_str(), *why)).collect();
        let expected = [
            ("check memory", "its memory is that of the machine that it becomes"),
            ("part of service web", "whether it runs"),
            ("step service old", "nothing runs in an image"),
            ("part of sysctl vm.swappiness", "its value in the running kernel"),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_command_that_a_change_runs_runs_and_nothing_is_restarted() {
        let (rest, _) = live().at_rest();
        let watched: Vec<Vec<Action>> = rest.steps.iter().map(|step| step.watches.iter().map(|watch| watch.action).collect()).collect();
        assert_eq!(watched, [vec![], vec![], vec![Action::Run], vec![]]);
        assert!(rest.steps.iter().all(|step| step.together == Some(3) && step.while_busy));
    }

    #[test]
    fn at_rest_once_is_at_rest_for_good() {
        let (rest, _) = live().at_rest();
        assert_eq!(rest.at_rest().0, rest);
        assert_ne!(rest.digest(), live().digest());
    }
}
