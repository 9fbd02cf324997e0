//! Exit codes: documented in `--help`, in the man page and in `docs/reference/exit-codes.md`.

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exit {
    /// Nothing is wrong.
    Good = 0,
    /// A node failed, or this machine did: a full disk, a file that cannot be read.
    NodeFailed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The site is wrong: YAML, inventory, a missing secret.
    Site = 3,
    /// A node could not be reached.
    Unreachable = 4,
    /// `plan --detailed-exitcode` found changes.
    Changes = 5,
    /// A requirement does not hold; nothing was changed.
    Refused = 6,
    /// Another run has a node.
    Locked = 7,
    /// A confirmation is needed and there is no terminal to ask at.
    NoConfirmation = 8,
    /// `plan --detailed-exitcode` found nothing to change, and an executor that takes no jobs.
    Held = 9,
    /// A defect of ours.
    Internal = 70,
    /// Interrupted by a person.
    Interrupted = 130,
}

impl Exit {
    /// Every code with its meaning, in order.
    pub const TABLE: &'static [(Self, &'static str)] = &[
        (Self::Good, "done, or nothing to do"),
        (Self::NodeFailed, "a node failed, or a file of this machine could not be read or written"),
        (Self::Usage, "wrong usage"),
        (Self::Site, "the site is wrong: YAML, inventory or a missing secret"),
        (Self::Unreachable, "a node, or a master that was to be asked, could not be reached"),
        (Self::Changes, "`plan --detailed-exitcode` found changes"),
        (Self::Refused, "a requirement does not hold; nothing was changed"),
        (Self::Locked, "another run has a node"),
        (Self::NoConfirmation, "a confirmation is needed and there is no terminal"),
        (Self::Held, "`plan --detailed-exitcode` found an executor that takes no jobs, and nothing to change"),
        (Self::Internal, "a defect of ostler"),
        (Self::Interrupted, "interrupted; runs that began go on, `ostler attach` shows them"),
    ];
    /// The number.
    pub fn code(self) -> u8 {
        self as u8
    }
    /// How much it weighs when several nodes ended differently: the heaviest is the program's.
    fn weight(self) -> u8 {
        match self {
            Self::Good => 0,
            Self::Held => 1,
            Self::Changes => 2,
            Self::Locked => 3,
            Self::Unreachable => 4,
            Self::NodeFailed => 5,
            Self::Refused => 6,
            Self::Site => 7,
            Self::NoConfirmation => 8,
            Self::Usage => 9,
            Self::Interrupted => 10,
            Self::Internal => 11,
        }
    }
}

/// One code for many nodes: the heaviest.
pub fn merge(codes: impl IntoIterator<Item = Exit>) -> Exit {
    codes.into_iter().max_by_key(|code| code.weight()).unwrap_or(Exit::Good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_node_outweighs_an_unreachable_one() {
        assert_eq!(merge([Exit::Good, Exit::Unreachable, Exit::NodeFailed, Exit::Good]), Exit::NodeFailed);
        assert_eq!(merge([Exit::Good, Exit::Unreachable]), Exit::Unreachable);
        assert_eq!(merge([]), Exit::Good);
        assert_eq!(merge([Exit::Refused, Exit::Unreachable]), Exit::Refused);
    }

    #[test]
    fn the_table_is_whole_and_in_order() {
        let codes: Vec<u8> = Exit::TABLE.iter().map(|(code, _)| code.code()).collect();
        assert_eq!(codes, vec![0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 70, 130]);
    }
}
