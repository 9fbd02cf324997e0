//! The kinds that stand in `require`, `verify` and `smoke`: they look and never write.

use super::types::KindSpec;

macro_rules! tables {
    ($($word:ident;)*) => {
        $(mod $word;)*
        /// Their tables, in the order of the documentation.
        pub(super) const ALL: &[&KindSpec] = &[$(&$word::SPEC),*];
    };
}
tables! {
    disk;
    kernel;
    memory;
    package;
    connect;
    virtualization;
    assert;
    system;
    login;
    command;
}
