//! How many files this process may hold open: raised as far as it goes, and held against what a run over so many nodes needs.

use super::CommandError;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The site's files, journals, pipes to `ssh -G`, the terminal, key files being read.
const OWN: u64 = 64;
/// A node's connection, and its key's file while it is met.
const A_NODE: u64 = 2;
/// More than any run needs: the kernel's tables are for others too.
const MOST: u64 = 1 << 16;

/// Raises the soft limit to what a run over these nodes needs, as far as the hard one lets us.
///
/// # Errors
/// Where that is too little: told once, before anybody is met.
pub fn raise(nodes: usize) -> Result<(), CommandError> {
    let needed = needed(nodes);
    let limit = getrlimit(Resource::Nofile);
    let has = |limit: Option<u64>| limit.is_none_or(|limit| limit >= needed);
    if has(limit.current) {
        return Ok(());
    }
    let raised = limit.maximum.map_or(needed, |most| most.min(needed));
    // What cannot be raised is told below, with its number.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: limit.maximum });
    let now = getrlimit(Resource::Nofile).current;
    if has(now) { Ok(()) } else { Err(too_few(nodes, now.unwrap_or_default(), needed)) }
}

fn needed(nodes: usize) -> u64 {
    (OWN + A_NODE * nodes as u64).min(MOST)
}

fn too_few(nodes: usize, may: u64, needed: u64) -> CommandError {
    CommandError::Usage {
        what: format!("this process may hold {may} files open, and {nodes} nodes need {needed}"),
        hint: format!("ulimit -H -n {needed} as root, or fewer nodes at once with --limit"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_with_its_numbers() {
        assert_eq!((needed(0), needed(200), needed(1_000_000)), (64, 464, 65_536));
        assert_eq!(too_few(200, 256, 464).to_string(), "this process may hold 256 files open, and 200 nodes need 464");
    }
}
