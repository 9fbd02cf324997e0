//! The kinds that stand in `require`, `verify` and `smoke`: they look and never write.

use super::types::KindSpec;

/// A check that is decided when the catalog is compiled: what a node gets of it is an [`crate::check::Assert`].
mod system;

macro_rules! tables {
    ($($(#[$doc:meta])* $variant:ident = $word:ident;)*) => {
        $(mod $word;)*
        /// Their tables, in the order of the documentation.
        pub(super) const ALL: &[&KindSpec] = &[$(&$word::SPEC,)* &system::SPEC];

        #[cfg(test)]
        mod tests {
            #[test]
            fn each_row_of_the_list_is_the_table_of_its_kind() {
                $(assert_eq!(super::$word::SPEC.word, stringify!($word));)*
            }
        }
    };
}
crate::each_check!(tables);
