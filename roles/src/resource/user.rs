//! `user`: an account. Passwords are not ours: a new account has none that works.

use super::{AtRest, Contradiction, Describe, Effect, Resource, Shown};
use crate::words::{AbsPath, AccountName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What stands in the comment of an account (passwd(5)) from its first moment until its home is made, whole. So an account that we began to
/// make tells so itself, and no other one is ever taken for it.
pub const UNFINISHED: &str = "being made by ostler";

/// The same for an account that gets no home: none is owed to it.
pub const UNFINISHED_WITHOUT_HOME: &str = "being made by ostler, without a home";

/// Where people's homes are (FHS 3.0).
const HOMES: &str = "/home";

/// An account as it shall be. A field that is none is left as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// Its name.
    pub name: AccountName,
    /// What it is; none: it shall not be there (its home stays).
    pub present: Option<Present>,
}

/// An account that shall be there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Present {
    /// Number; the system's choice where none.
    pub uid: Option<u32>,
    /// Primary group; one of its own name where none.
    pub group: Option<AccountName>,
    /// Supplementary groups it must be in; others stay.
    pub groups: BTreeSet<AccountName>,
    /// Home directory, made when missing; where none, that of an account that is there stays, and a new one gets [`Desired::new_home`].
    pub home: Option<AbsPath>,
    /// Login shell.
    pub shell: Option<AbsPath>,
    /// A system account (useradd --system); only when it is made.
    pub system: bool,
}

/// An account as found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Observed {
    /// No such account.
    Absent,
    /// It is there.
    Present {
        /// Number.
        uid: u32,
        /// Primary group's name, or its number.
        group: String,
        /// Supplementary groups.
        groups: BTreeSet<String>,
        /// Home directory as in the database.
        home: String,
        /// Whether that directory exists.
        home_exists: bool,
        /// Login shell.
        shell: String,
        /// We began to make it, and its home is not made yet, or not whole.
        #[serde(default)]
        unfinished: bool,
        /// We began to make it, and what was written of it is not all: it has no line of shadow(5), or no group.
        #[serde(default)]
        half_made: bool,
        /// It is whole, and says still that it is being made.
        #[serde(default)]
        marked: bool,
    },
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Make the account, whole.
    Create,
    /// Make it anew: only a part of it was written.
    Remake,
    /// Take away the mark of an account that is being made.
    Unmark,
    /// Another primary group.
    Group {
        /// Which it is.
        from: String,
        /// Which it shall be.
        to: AccountName,
    },
    /// Into these groups too.
    AddGroups(BTreeSet<AccountName>),
    /// Another home; the old one stays where it is.
    Home {
        /// Which it is.
        from: String,
        /// Which it shall be.
        to: AbsPath,
    },
    /// Make the home directory.
    MakeHome(AbsPath),
    /// Make the home that was not made, or not whole, when we made the account.
    Finish(AbsPath),
    /// Another shell.
    Shell {
        /// Which it is.
        from: String,
        /// Which it shall be.
        to: AbsPath,
    },
    /// Take the account away.
    Remove,
}

impl Describe for Change {
    fn shown(&self) -> Shown {
        match self {
            Self::Create => Shown::new("user", "absent", "present"),
            Self::Remake => Shown::new("user", "half made", "present"),
            Self::Unmark => Shown::new("comment", UNFINISHED_WITHOUT_HOME, "none"),
            Self::Group { from, to } => Shown::new("group", from, to),
            Self::AddGroups(groups) => {
                let names: Vec<&str> = groups.iter().map(AccountName::as_str).collect();
                Shown::new("groups", "not in", names.join(", "))
            }
            Self::Home { from, to } => Shown::new("home", from, to),
            Self::MakeHome(home) => Shown::new("home directory", "absent", home),
            Self::Finish(home) => Shown::new("home directory", "not made with the account", home),
            Self::Shell { from, to } => Shown::new("shell", from, to),
            Self::Remove => Shown::new("user", "present", "absent"),
        }
    }
}

impl Desired {
    /// The home that comes with a new account, and its skeleton's files; none: none is made.
    pub fn new_home(&self) -> Option<AbsPath> {
        let present = self.present.as_ref()?;
        let usual = || AbsPath::parse(&format!("{HOMES}/{}", self.name)).ok().filter(|_| !present.system);
        present.home.clone().or_else(usual)
    }
}

impl Resource for Desired {
    type Observed = Observed;
    type Change = Change;
    const AT_REST: &'static str = "Whole.";

    fn key(&self) -> String {
        self.name.to_string()
    }

    fn at_rest(&self) -> AtRest<Self> {
        AtRest::Whole
    }

    fn diff(&self, observed: &Observed) -> Result<Vec<Change>, Contradiction> {
        let (desired, observed) = match (&self.present, observed) {
            (None, Observed::Absent) => return Ok(Vec::new()),
            (None, Observed::Present { .. }) => return Ok(vec![Change::Remove]),
            (Some(_), Observed::Absent) => return Ok(vec![Change::Create]),
            (Some(desired), present) => (desired, present),
        };
        let Observed::Present { uid, group, groups, home, home_exists, shell, unfinished, half_made, marked } = observed else {
            return Ok(Vec::new());
        };
        if *half_made {
            return Ok(vec![Change::Remake]);
        }
        if let Some(wanted) = desired.uid.filter(|wanted| wanted != uid) {
            return Err(Contradiction {
                why: format!("user {} has uid {uid}, {wanted} is wanted", self.name),
                hint: "a new uid would orphan files: change it by hand, or drop `uid` from the role".to_owned(),
            });
        }
        let mut changes = Vec::new();
        if let Some(to) = desired.group.as_ref().filter(|to| to.as_str() != group) {
            changes.push(Change::Group { from: group.clone(), to: to.clone() });
        }
        let missing: BTreeSet<AccountName> = desired.groups.iter().filter(|name| !groups.contains(name.as_str())).cloned().collect();
        if !missing.is_empty() {
            changes.push(Change::AddGroups(missing));
        }
        if let Some(to) = desired.home.as_ref().filter(|to| to.as_str() != home) {
            changes.push(Change::Home { from: home.clone(), to: to.clone() });
        }
        let owed = desired.home.clone().or_else(|| AbsPath::parse(home).ok().filter(|_| *unfinished));
        match owed {
            Some(home) if *unfinished => changes.push(Change::Finish(home)),
            Some(home) if !home_exists => changes.push(Change::MakeHome(home)),
            Some(_) | None => {}
        }
        if let Some(to) = desired.shell.as_ref().filter(|to| to.as_str() != shell) {
            changes.push(Change::Shell { from: shell.clone(), to: to.clone() });
        }
        if *marked {
            changes.push(Change::Unmark);
        }
        Ok(changes)
    }

    fn provides(&self) -> Vec<Effect> {
        let mut effects = vec![Effect::User(self.name.clone())];
        effects.extend(self.new_home().map(Effect::Path));
        // useradd makes a group of its own where none is named, and userdel takes it away (login.defs(5), USERGROUPS_ENAB).
        if self.present.as_ref().is_none_or(|present| present.group.is_none()) {
            effects.push(Effect::Group(self.name.clone()));
        }
        effects
    }

    fn needs(&self) -> Vec<Effect> {
        let mut effects = vec![Effect::User(self.name.clone())];
        if let Some(present) = &self.present {
            effects.extend(present.group.iter().chain(&present.groups).cloned().map(Effect::Group));
            effects.extend(present.home.iter().cloned().map(Effect::Path));
        }
        effects
    }

    fn unchanged(&self, observed: &Observed) -> String {
        match observed {
            Observed::Absent => "is not there".to_owned(),
            Observed::Present { uid, .. } => format!("is there, uid {uid}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_of_its_own_comes_and_goes_with_it() {
        let name = AccountName::parse("ci").unwrap();
        let group = AccountName::parse("build").unwrap();
        let present = |group| Present { group, system: true, ..Present::default() };
        let provides = |present| Desired { name: name.clone(), present }.provides();
        let both = [Effect::User(name.clone()), Effect::Group(name.clone())];
        assert_eq!(provides(Some(present(None))), both);
        assert_eq!(provides(None), both, "userdel takes it away");
        assert_eq!(provides(Some(present(Some(group)))), [Effect::User(name.clone())]);
    }

    #[test]
    fn a_new_account_brings_a_home_unless_it_is_the_systems_and_one_that_is_there_keeps_its_own() {
        let path = |text: &str| Some(AbsPath::parse(text).unwrap());
        let desired = |home, system| Desired {
            name: AccountName::parse("ci").unwrap(),
            present: Some(Present { home, system, ..Present::default() }),
        };
        for (home, system, made) in [
            (None, false, path("/home/ci")),
            (None, true, None),
            (path("/srv/ci"), false, path("/srv/ci")),
            (path("/var/lib/ci"), true, path("/var/lib/ci")),
        ] {
            let desired = desired(home, system);
            assert_eq!(desired.new_home(), made);
            let paths: Vec<_> = desired.provides().into_iter().filter(|effect| matches!(effect, Effect::Path(_))).collect();
            assert_eq!(paths, Vec::from_iter(made.map(Effect::Path)));
        }
        let elsewhere = Observed::Present {
            uid: 1000,
            group: "ci".to_owned(),
            groups: BTreeSet::new(),
            home: "/export/ci".to_owned(),
            home_exists: false,
            shell: "/bin/sh".to_owned(),
            unfinished: false,
            half_made: false,
            marked: false,
        };
        assert_eq!(desired(None, false).diff(&elsewhere), Ok(Vec::new()), "no drift");
    }
}
