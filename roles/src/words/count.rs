//! Numbers of things, as people say them.

use std::fmt::Display;

/// `1 node`, `3 nodes`: `one` is the word for one; of several it ends in `s`.
pub fn count<N: Display + PartialEq + From<u8>>(number: N, one: &str) -> String {
    if number == N::from(1) { format!("{number} {one}") } else { format!("{number} {one}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        assert_eq!([0, 1, 2].map(|number: usize| count(number, "node")), ["0 nodes", "1 node", "2 nodes"]);
        assert_eq!(count(1u64, "byte"), "1 byte");
    }
}
