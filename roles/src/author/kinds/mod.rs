//! Every kind and every field as data: one table for lowering, "unknown field … nearest", the schema and the reference.

mod checks;
mod foreign;
pub(super) mod image;
mod read;
mod site;
mod types;
mod values;
mod vocabulary;

macro_rules! modules {
    ($($(#[$doc:meta])* $variant:ident = $word:ident;)*) => { $(mod $word;)* };
}
crate::each_kind!(modules);

use crate::resource::Kind;

pub use foreign::{LATER, absent, called_here, value_called_here};
pub(super) use read::{Built, argv, is_decided, meaningless, must, path, word, words};
pub use site::{BUILDBOT, EXECUTOR, JENKINS, LAB, SSH};
pub(super) use types::{Becomes, Building, ResourceSpec, SiteFiles, Ways};
pub use types::{FieldSpec, KindSpec, Rule, ScalarType, Shape};
pub(super) use values::{Placed, Values, Written};
pub(super) use vocabulary::SYSTEMS;

/// Where in a role a step stands; the same word may be another kind there (`command`, `package`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// `steps`: resources.
    Steps,
    /// `require`: checks before anything changes.
    Require,
    /// `verify`: checks after the steps.
    Verify,
    /// `smoke`: commands run as a job.
    Smoke,
}

impl Place {
    /// Its key in a role.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Steps => "steps",
            Self::Require => "require",
            Self::Verify => "verify",
            Self::Smoke => "smoke",
        }
    }
}

macro_rules! tables {
    ($($(#[$doc:meta])* $variant:ident = $word:ident;)*) => {
        /// The tables of the kinds that stand in `steps`.
        const RESOURCES: &[&KindSpec] = &[$(&$word::SPEC),*];

        /// The table of a resource's kind.
        #[must_use]
        pub const fn of(kind: Kind) -> &'static KindSpec {
            match kind { $(Kind::$variant => &$word::SPEC),* }
        }
    };
}
crate::each_kind!(tables);

/// All kinds, resources first.
pub fn all() -> impl Iterator<Item = &'static KindSpec> {
    RESOURCES.iter().chain(checks::ALL).copied()
}

/// The kinds that may stand at a place.
pub fn at(place: Place) -> impl Iterator<Item = &'static KindSpec> {
    all().filter(move |spec| spec.allowed_in(place))
}

/// The kind that a word means at a place.
#[must_use]
pub fn named(word: &str, place: Place) -> Option<&'static KindSpec> {
    at(place).find(|spec| spec.word == word)
}

/// How the bodies of a resource's kind become resources.
pub(super) fn resource(kind: Kind) -> Option<&'static ResourceSpec> {
    if let Becomes::Resource(spec) = &of(kind).becomes { Some(spec) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_of_the_list_is_the_table_of_its_kind() {
        for kind in Kind::ALL {
            let spec = of(*kind);
            assert_eq!((spec.word, resource(*kind).map(|spec| spec.kind)), (kind.word(), Some(*kind)));
            assert_eq!(spec.places, [Place::Steps], "{}", spec.word);
        }
        assert!(checks::ALL.iter().all(|spec| spec.is_check() && !spec.allowed_in(Place::Steps)));
    }
}
