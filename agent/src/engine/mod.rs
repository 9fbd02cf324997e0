//! Plans and runs: the order of things, the journal, what is remembered between runs. Knows no resource kind.

mod hands;

pub use hands::{Applied, ApplyContext, Examined, Hands};
