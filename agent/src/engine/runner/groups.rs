//! The order of things: which steps take their turn alone, which as one transaction, which at once.

use ostler_roles::catalog::Step;

/// How many members of a `together` block run at once.
pub(super) const WORKERS: usize = 8;

/// Steps whose turn comes at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Group {
    /// One step, or consecutive ones of a kind that makes one transaction of them.
    Transaction(Vec<u32>),
    /// Members of one `together` block.
    Together(Vec<u32>),
}

impl Group {
    /// The steps' numbers.
    pub(super) fn members(self) -> Vec<u32> {
        match self {
            Self::Transaction(members) | Self::Together(members) => members,
        }
    }
}

/// Splits a catalog's steps, in order.
pub(super) fn groups(steps: &[Step]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut before: Option<&Step> = None;
    for (index, step) in (0u32..).zip(steps) {
        let kind = |step: &Step| Some(step.desired.kind()).filter(|kind| kind.is_transaction() && step.watches.is_empty());
        let joins = |before: &Step| kind(step).is_some() && kind(before) == kind(step);
        match (groups.last_mut(), before) {
            (Some(Group::Together(members)), Some(before)) if step.together.is_some() && before.together == step.together => {
                members.push(index)
            }
            (Some(Group::Transaction(members)), Some(before)) if step.together.is_none() && joins(before) => members.push(index),
            _ if step.together.is_some() => groups.push(Group::Together(vec![index])),
            _ => groups.push(Group::Transaction(vec![index])),
        }
        before = Some(step);
    }
    groups
}
