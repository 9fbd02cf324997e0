//! `line` at work: one line of a file whose other bytes stay as they are.

use super::Act;
use super::fault::{unmade, unread};
use super::node::Node;
use crate::engine::ApplyContext;
use crate::host::{EntryKind, OsError, Writing};
use ostler_roles::outcome::Failure;
use ostler_roles::resource::line::{Change, Desired, Observed};
use ostler_roles::words::Mode;

/// A file with lines for people is smaller.
const CAP: u64 = 64 << 20;

/// Whether a line of the file, in bytes, is one that counts. What is no text counts for nothing and stays.
fn counts(desired: &Desired, line: &[u8]) -> bool {
    std::str::from_utf8(line).is_ok_and(|line| desired.counts(line))
}

/// The lines of a file, each with its end: a line feed, one behind a carriage return, or nothing at the end of the file.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    bytes.split_inclusive(|byte| *byte == b'\n').map(|whole| {
        let text = whole.strip_suffix(b"\n").map_or(whole, |line| line.strip_suffix(b"\r").unwrap_or(line));
        whole.split_at(text.len())
    })
}

/// The file's new bytes: `to` stands where the first line that counts stood, or behind all; the others that count go. Each line keeps its
/// end, and a new one has that of the file's first.
fn edited(desired: &Desired, bytes: &[u8], to: Option<&str>) -> Vec<u8> {
    let usual = lines(bytes).next().map_or(&b"\n"[..], |(_, end)| if end.is_empty() { b"\n" } else { end });
    let mut new = Vec::with_capacity(bytes.len() + 200);
    let mut pending = to;
    let mut put = |line: &[u8], end: &[u8]| {
        new.extend_from_slice(line);
        new.extend_from_slice(if end.is_empty() { usual } else { end });
    };
    for (line, end) in lines(bytes) {
        if !counts(desired, line) {
            put(line, end);
        } else if let Some(to) = pending.take() {
            put(to.as_bytes(), end);
        }
    }
    if let Some(to) = pending {
        put(to.as_bytes(), usual);
    }
    new
}

impl Act for Desired {
    fn observe(&self, node: &Node) -> Result<Observed, Failure> {
        let path = self.path.as_path();
        match node.host.look(path).map_err(unread)? {
            None => Ok(Observed::Absent { missing_parents: node.host.missing_parents(&self.path).map_err(unread)? }),
            Some(entry) if entry.kind == EntryKind::File => {
                let (bytes, read) = node.host.read_to_edit(path, CAP).map_err(unread)?.unzip();
                let bytes = bytes.unwrap_or_default();
                let counting = lines(&bytes).map(|(line, _)| line).filter(|line| counts(self, line));
                let found = counting.map(|line| String::from_utf8_lossy(line).into_owned()).collect();
                Ok(if read.is_some_and(|read| read.mode & 0o004 == 0) { self.unshown(found) } else { Observed::Lines(found) })
            }
            Some(entry) => Ok(Observed::Other(entry.kind.word().to_owned())),
        }
    }

    fn apply(&self, node: &Node, changes: Vec<Change>, _work: &ApplyContext<'_>) -> Result<Vec<String>, Failure> {
        let path = self.path.as_path();
        for change in changes {
            let to = match change {
                Change::MakeParent(parent) => {
                    node.host.make_parent(parent.as_path()).map_err(unmade)?;
                    continue;
                }
                Change::Append(line) | Change::Replace { to: line, .. } => Some(line),
                Change::Remove(_) => None,
            };
            // Bytes and owner by one opening: who swaps the name in between gets no bytes of another owner's.
            let (bytes, writing) = match node.host.read_to_edit(path, CAP).map_err(unread)? {
                Some((bytes, entry)) => (bytes, Writing { user: entry.user, group: entry.group, mode: entry.mode }),
                None => (Vec::new(), node.roots(Mode::FILE)),
            };
            node.host.write::<OsError>(path, &edited(self, &bytes, to.as_deref()), writing, None).map_err(unmade)?;
        }
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_roles::words::AbsPath;

    #[test]
    fn only_lines_that_count_are_touched() {
        let desired = |line: &str, replaces: Option<&str>, absent| Desired {
            path: AbsPath::parse("/etc/x").unwrap(),
            line: line.to_owned(),
            replaces: replaces.map(str::to_owned),
            absent,
        };
        let replacing = desired("b=2", Some("b="), false);
        assert_eq!(edited(&replacing, b"a=1\nb=0\n\xff\nb=1\nc", Some("b=2")), b"a=1\nb=2\n\xff\nc\n");
        assert_eq!(edited(&replacing, b"a=1", Some("b=2")), b"a=1\nb=2\n");
        assert_eq!(edited(&replacing, b"", Some("b=2")), b"b=2\n");
        assert_eq!(edited(&desired("x", None, true), b"x\n\nx \ny\nx", None), b"\nx \ny\n");
        // Ends of lines are no part of a line, and stay as they are.
        assert_eq!(edited(&replacing, b"a=1\r\nb=0\r\nc\n", Some("b=2")), b"a=1\r\nb=2\r\nc\n");
        assert_eq!(edited(&replacing, b"a=1\r\nc", Some("b=2")), b"a=1\r\nc\r\nb=2\r\n");
        assert_eq!(edited(&desired("x", None, true), b"x\r\ny\r\n", None), b"y\r\n");
    }
}
