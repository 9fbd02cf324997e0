//! `group`: a group of accounts.

use super::{AtRest, Contradiction, Describe, Effect, Resource, Shown};
use crate::words::AccountName;
use serde::{Deserialize, Serialize};

/// A group as it shall be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// Its name.
    pub name: AccountName,
    /// What it is; none: it shall not be there.
    pub present: Option<Present>,
}

/// A group that shall be there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Present {
    /// Number; the system's choice where none.
    pub gid: Option<u32>,
    /// A system group; only when it is made.
    pub system: bool,
}

/// A group as found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Observed {
    /// No such group.
    Absent,
    /// It is there, with this number.
    Present {
        /// Number.
        gid: u32,
    },
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Make it.
    Create,
    /// Take it away.
    Remove,
}

impl Describe for Change {
    fn shown(&self) -> Shown {
        match self {
            Self::Create => Shown::new("group", "absent", "present"),
            Self::Remove => Shown::new("group", "present", "absent"),
        }
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
        match (&self.present, observed) {
            (None, Observed::Absent) => Ok(Vec::new()),
            (None, Observed::Present { .. }) => Ok(vec![Change::Remove]),
            (Some(_), Observed::Absent) => Ok(vec![Change::Create]),
            (Some(desired), Observed::Present { gid }) => match desired.gid.filter(|wanted| wanted != gid) {
                Some(wanted) => Err(Contradiction {
                    why: format!("group {} has gid {gid}, {wanted} is wanted", self.name),
                    hint: "a new gid would orphan files: change it by hand, or drop `gid` from the role".to_owned(),
                }),
                None => Ok(Vec::new()),
            },
        }
    }

    fn provides(&self) -> Vec<Effect> {
        vec![Effect::Group(self.name.clone())]
    }

    fn needs(&self) -> Vec<Effect> {
        vec![Effect::Group(self.name.clone())]
    }

    fn unchanged(&self, observed: &Observed) -> String {
        match observed {
            Observed::Absent => "is not there".to_owned(),
            Observed::Present { gid } => format!("is there, gid {gid}"),
        }
    }
}
