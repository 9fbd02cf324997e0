//! Where the build of an image may be cut in layers: what comes behind a cut needs nothing of the run before it but its tree.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::catalog::Catalog;
use crate::resource::{Kind, ResourceId};
use crate::words::RoleName;

/// Consecutive steps that are made in one go and kept as one layer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Segment {
    /// The role whose steps they are; of several that cannot be parted, that of the last.
    pub role: RoleName,
    /// Which of the catalog's steps.
    pub steps: Range<usize>,
}

/// The steps before which a cut may be: no step behind it watches one before it, which it could not see change, and no `together` stands on
/// both sides of it. Neither the first step nor the end is among them.
#[must_use]
pub fn image_cuts(catalog: &Catalog) -> Vec<usize> {
    let steps = &catalog.steps;
    // For each step the first that must be in one layer with it.
    let mut reaches: Vec<usize> = (0..steps.len()).collect();
    let mut ids: BTreeMap<ResourceId, usize> = BTreeMap::new();
    let mut blocks: BTreeMap<u32, usize> = BTreeMap::new();
    for (at, step) in steps.iter().enumerate() {
        let first = |known: Option<&usize>| known.copied().unwrap_or(at);
        let mut reach = at;
        for watch in &step.watches {
            reach = reach.min(first(ids.get(&watch.id)));
        }
        if step.watches.iter().any(|watch| watch.id.kind == Kind::Directory) {
            // Every entry below a watched directory counts.
            let below = steps[..at].iter().position(|earlier| step.action_for(&earlier.desired).is_some());
            reach = reach.min(below.unwrap_or(at));
        }
        if let Some(block) = step.together {
            reach = reach.min(*blocks.entry(block).or_insert(at));
        }
        ids.entry(step.id()).or_insert(at);
        reaches[at] = reach;
    }
    let mut cuts = Vec::new();
    let mut least = steps.len();
    for at in (1..steps.len()).rev() {
        least = least.min(reaches[at]);
        if least >= at {
            cuts.push(at);
        }
    }
    cuts.reverse();
    cuts
}

/// The layers of an image, in order: a role each, where it can be cut behind one.
#[must_use]
pub fn image_segments(catalog: &Catalog) -> Vec<Segment> {
    let steps = &catalog.steps;
    let parted = image_cuts(catalog).into_iter().filter(|at| steps[at - 1].role != steps[*at].role);
    let mut segments = Vec::new();
    let mut start = 0;
    for end in parted.chain([steps.len()]).filter(|end| *end > 0) {
        segments.push(Segment { role: steps[end - 1].role.clone(), steps: start..end });
        start = end;
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Action, Step, Watch};
    use crate::resource::{Desired, directory, file};
    use crate::words::{AbsPath, Digest, NodeName, Origin, Span};

    fn path(text: &str) -> AbsPath {
        AbsPath::parse(text).unwrap()
    }

    fn watched(id: &str) -> Watch {
        let (kind, key) = id.split_once(' ').unwrap();
        let kind = if kind == "file" { Kind::File } else { Kind::Directory };
        Watch { id: ResourceId { kind, key: key.to_owned() }, action: Action::Restart }
    }

    /// `ROLE PATH [TOGETHER] [<ID]…`; a path that ends in `/` is a directory's.
    fn catalog(lines: &[&str]) -> Catalog {
        let step = |line: &&str| {
            let mut words = line.split(' ');
            let (role, at) = (words.next().unwrap(), words.next().unwrap());
            let rest: Vec<&str> = words.collect();
            let desired: Desired = if at.ends_with('/') {
                directory::Desired { path: path(at), present: None }.into()
            } else {
                file::Desired { path: path(at), present: None }.into()
            };
            Step {
                desired,
                role: RoleName::parse(role).unwrap(),
                origin: Origin::default(),
                within: Span::seconds(1),
                watches: rest.iter().filter_map(|word| word.strip_prefix('<')).map(|id| watched(&id.replace(':', " "))).collect(),
                together: rest.iter().find_map(|word| word.parse().ok()),
                while_busy: false,
            }
        };
        let (require, verify) = (Vec::new(), Vec::new());
        Catalog { node: NodeName::parse("i").unwrap(), facts: Digest::of(b""), require, steps: lines.iter().map(step).collect(), verify }
    }

    fn segments(lines: &[&str]) -> Vec<String> {
        image_segments(&catalog(lines)).iter().map(|one| format!("{} {}-{}", one.role, one.steps.start, one.steps.end)).collect()
    }

    #[test]
    fn each_role_is_a_layer() {
        assert_eq!(segments(&["a /1", "a /2", "b /3", "c /4", "c /5", "c /6"]), ["a 0-2", "b 2-3", "c 3-6"]);
        assert_eq!(segments(&["a /1"]), ["a 0-1"]);
        assert_eq!(segments(&[]), [""; 0]);
        // A role's steps may stand in several places.
        assert_eq!(segments(&["a /1", "b /2", "a /3"]), ["a 0-1", "b 1-2", "a 2-3"]);
    }

    #[test]
    fn no_cut_parts_a_watcher_from_what_it_watches() {
        assert_eq!(segments(&["a /1", "b /2", "c /3 <file:/1"]), ["c 0-3"]);
        assert_eq!(segments(&["a /1", "b /2", "c /3 <file:/2", "d /4"]), ["a 0-1", "c 1-3", "d 3-4"]);
        assert_eq!(segments(&["a /1", "b /2", "c /3 <directory:/etc"]), ["a 0-1", "b 1-2", "c 2-3"]);
        assert_eq!(segments(&["a /1", "b /etc/2", "c /3", "d /4 <directory:/etc", "e /5"]), ["a 0-1", "d 1-4", "e 4-5"]);
        assert_eq!(segments(&["a /1", "b /etc/", "c /3", "d /4 <directory:/etc"]), ["a 0-1", "d 1-4"]);
        // What is watched by itself or comes later binds nothing.
        assert_eq!(segments(&["a /1 <file:/2", "b /2"]), ["a 0-1", "b 1-2"]);
    }

    #[test]
    fn no_cut_parts_what_runs_together() {
        assert_eq!(segments(&["a /1 1", "b /2 1", "c /3"]), ["b 0-2", "c 2-3"]);
        assert_eq!(segments(&["a /1 1", "b /2 2"]), ["a 0-1", "b 1-2"]);
        // One that was declared first in a block may have its turn in it.
        assert_eq!(segments(&["a /1 1", "b /2", "c /3 1"]), ["c 0-3"]);
    }

    #[test]
    fn cuts_are_also_within_a_role() {
        assert_eq!(image_cuts(&catalog(&["a /1", "a /2", "a /3 <file:/2", "b /4"])), [1, 3]);
        assert_eq!(image_cuts(&catalog(&["a /1"])), [0; 0]);
        assert_eq!(image_cuts(&catalog(&[])), [0; 0]);
    }
}
