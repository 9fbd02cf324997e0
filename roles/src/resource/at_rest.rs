//! What a resource is in a tree of files on which nothing runs: an image while it is built.

/// Which half of what shall be can be made so there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AtRest<D> {
    /// All of it.
    Whole,
    /// This much; the running machine has to do the rest.
    Part {
        /// What can be made so.
        desired: D,
        /// What is left to the running machine, as a noun.
        later: &'static str,
    },
    /// None of it: why.
    LeftOut(&'static str),
}

impl<D> AtRest<D> {
    /// The same of another type.
    pub fn map<T>(self, to: impl FnOnce(D) -> T) -> AtRest<T> {
        match self {
            Self::Whole => AtRest::Whole,
            Self::Part { desired, later } => AtRest::Part { desired: to(desired), later },
            Self::LeftOut(why) => AtRest::LeftOut(why),
        }
    }
}

/// Whether a field that only resources at rest have is left out: the digest of one that is not at rest is as it always was.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
pub(super) fn is_live(at_rest: &bool) -> bool {
    !at_rest
}
