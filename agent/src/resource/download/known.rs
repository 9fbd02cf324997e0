//! The digest of a large file, remembered with what the kernel says of it, so that a run that changes nothing does not read gigabytes.

use super::super::node::Node;
use super::fetch;
use crate::host::{Entry, OsError, Writing};
use ostler_roles::words::{AbsPath, Digest};
use std::path::{Path, PathBuf};

/// Smaller files are hashed each time: in milliseconds.
const LARGE: u64 = 8 << 20;

fn record(path: &AbsPath) -> PathBuf {
    Path::new("/var/lib/ostler/digests").join(Digest::of(path.as_str().as_bytes()).short())
}

/// Everything that a change of the file changes: its number, length, and both times (the second cannot be set by a program).
fn seen(path: &AbsPath, entry: &Entry) -> String {
    let Entry { device, inode, length, modified, changed, .. } = entry;
    format!("{device} {inode} {length} {} {} {} {} {path}", modified.0, modified.1, changed.0, changed.1)
}

/// What the file's digest was when it was last written by us; none: it is small, unknown, or has changed since.
pub(super) fn recall(node: &Node, path: &AbsPath, entry: &Entry) -> Result<Option<Digest>, OsError> {
    if entry.length < LARGE {
        return Ok(None);
    }
    let text = node.host.read(&record(path), 64 << 10)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let Some((digest, was)) = text.trim_end().split_once(' ') else { return Ok(None) };
    Ok(if was == seen(path, entry) { Digest::parse(digest).ok() } else { None })
}

/// Remembers a large file that has this digest under its final name. Hashed once more: whoever may write there could have put another file
/// in its place since it was proved, and what is remembered is not asked again. Where that is stopped, nothing is remembered. Also behind a
/// change of its owner: it is observed again in any case, and what is remembered spares that reading, and those of all later runs.
pub(super) fn remember(node: &Node, path: &AbsPath, digest: &Digest, stops: &dyn Fn() -> bool) -> Result<(), OsError> {
    if node.host.look(path.as_path())?.is_none_or(|entry| entry.length < LARGE) {
        return Ok(());
    }
    let Some((found, entry)) = fetch::digest_of(node, path.as_path(), stops)? else { return Ok(()) };
    // Its name must still mean the very file that was hashed; what was altered while it was read is not known either.
    if found != *digest || node.host.look(path.as_path())?.as_ref() != Some(&entry) {
        return Ok(());
    }
    let record = record(path);
    let (user, group) = node.host.default_owner();
    node.host.make_parents(&record)?;
    let text = format!("{} {}\n", digest.hex(), seen(path, &entry));
    node.host.write(&record, text.as_bytes(), Writing { user, group, mode: 0o600 }, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Host;

    #[test]
    fn a_file_that_took_the_place_of_the_proved_one_is_not_remembered() {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(tree.path().join("var/lib")).unwrap();
        std::fs::create_dir_all(tree.path().join("srv")).unwrap();
        let node = Node::new(Host::at(tree.path()).unwrap(), None);
        let path = AbsPath::parse("/srv/image").unwrap();
        let bytes = |byte: u8| vec![byte; usize::try_from(LARGE).unwrap()];
        let entry = || node.host.look(path.as_path()).unwrap().unwrap();
        std::fs::write(tree.path().join("srv/image"), bytes(b'b')).unwrap();
        remember(&node, &path, &Digest::of(&bytes(b'a')), &|| false).unwrap();
        assert_eq!(recall(&node, &path, &entry()).unwrap(), None);
        remember(&node, &path, &Digest::of(&bytes(b'b')), &|| true).unwrap();
        assert_eq!(recall(&node, &path, &entry()).unwrap(), None, "cancelled while it was hashed");
        remember(&node, &path, &Digest::of(&bytes(b'b')), &|| false).unwrap();
        assert_eq!(recall(&node, &path, &entry()).unwrap(), Some(Digest::of(&bytes(b'b'))));
        std::fs::write(tree.path().join("srv/image"), bytes(b'a')).unwrap();
        assert_eq!(recall(&node, &path, &entry()).unwrap(), None, "it has changed since");
    }

    #[test]
    fn a_file_that_is_put_in_place_of_another_while_that_is_hashed_is_not_remembered() {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(tree.path().join("var/lib")).unwrap();
        std::fs::create_dir_all(tree.path().join("srv")).unwrap();
        let node = Node::new(Host::at(tree.path()).unwrap(), None);
        let path = AbsPath::parse("/srv/image").unwrap();
        let bytes = vec![b'a'; usize::try_from(LARGE).unwrap()];
        let (image, other) = (tree.path().join("srv/image"), tree.path().join("srv/other"));
        std::fs::write(&image, &bytes).unwrap();
        // The one that was opened loses its name while it is hashed.
        std::fs::write(&other, &bytes).unwrap();
        let swaps = || {
            let _ = std::fs::rename(&other, &image);
            false
        };
        remember(&node, &path, &Digest::of(&bytes), &swaps).unwrap();
        let entry = node.host.look(path.as_path()).unwrap().unwrap();
        assert_eq!(recall(&node, &path, &entry).unwrap(), None);
    }
}
