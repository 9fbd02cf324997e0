//! How many files this process may hold open: raised as far as it goes, and held against what nodes that are met at once need.

use super::CommandError;
use ostler_roles::words::count;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The site's files, journals, pipes to `ssh -G`, the terminal, key files being read.
const OWN: u64 = 64;
/// A node's connection, and its key's file while it is met.
const A_NODE: u64 = 2;
/// More than any run needs: the kernel's tables are for others too.
const MOST: u64 = 1 << 16;

/// Raises the soft limit to what a run over these nodes could use, as far as the hard one lets us, when so many are met at once; returns how
/// many connections to nodes may stay open beside those. That need not be all: a connection that is not kept is made again.
///
/// # Errors
/// Where not even those can be met: told once, before anybody is.
pub fn raise(nodes: usize, forks: usize) -> Result<usize, CommandError> {
    let at_once = nodes.min(forks);
    let needed = needed(at_once);
    let wished = needed.saturating_add(nodes as u64).min(MOST);
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wished) {
        let raised = limit.maximum.map_or(wished, |most| most.min(wished));
        // What cannot be raised is told below, with its number.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: limit.maximum });
    }
    let may = getrlimit(Resource::Nofile).current.unwrap_or(MOST);
    let room = may.checked_sub(needed).ok_or_else(|| too_few(at_once, may, needed))?;
    Ok(usize::try_from(room).unwrap_or(usize::MAX))
}

fn needed(at_once: usize) -> u64 {
    OWN + A_NODE * at_once as u64
}

fn too_few(at_once: usize, may: u64, needed: u64) -> CommandError {
    CommandError::Usage {
        what: format!("this process may hold {may} files open, and meeting {} at once needs {needed}", count(at_once, "node")),
        hint: format!("ulimit -H -n {needed} as root, or fewer nodes at once with --forks"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_with_its_numbers() {
        assert_eq!((needed(0), needed(20), needed(500)), (64, 104, 1_064));
        assert_eq!(too_few(20, 96, 104).to_string(), "this process may hold 96 files open, and meeting 20 nodes at once needs 104");
    }

    #[test]
    fn what_is_wanted_does_not_grow_with_the_inventory() {
        let room = |nodes| raise(nodes, 20).map_err(|error| error.to_string());
        let (ten, many) = (room(10).unwrap(), room(1_000_000).unwrap());
        assert!(ten >= 10 && many >= 1, "{ten} and {many}");
    }
}
