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

/// Whether it is large, and nobody but root may write it, or put another in its place. Who has mapped a file alters it in memory, and neither of
/// its times tells (mmap(2), `MAP_SHARED`: they change at the first of many writes).
fn is_kept(node: &Node, path: &AbsPath, entry: &Entry) -> Result<bool, OsError> {
    let is_roots = entry.length >= LARGE && entry.user == node.host.default_owner().0 && entry.mode & 0o022 == 0;
    Ok(is_roots && !node.host.is_beside_others(path.as_path())?)
}

/// What the file's digest was when it was last written by us; none: it is small, others may write it, it is unknown or has changed since.
pub(super) fn recall(node: &Node, path: &AbsPath, entry: &Entry) -> Result<Option<Digest>, OsError> {
    if !is_kept(node, path, entry)? {
        return Ok(None);
    }
    let text = node.host.read(&record(path), 64 << 10)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let Some((digest, was)) = text.trim_end().split_once(' ') else { return Ok(None) };
    Ok(if was == seen(path, entry) { Digest::parse(digest).ok() } else { None })
}

/// Remembers a large file that has this digest under its final name. Hashed once more: whoever may write there could have put another file
/// in its place since it was proved, and what is remembered is not asked again. Where that is stopped, nothing is remembered. Only for what was
/// root's from its birth: a mapping of whoever could write there before outlives a change of owner and mode.
pub(super) fn remember(node: &Node, path: &AbsPath, digest: &Digest, stops: &dyn Fn() -> bool) -> Result<(), OsError> {
    let Some(entry) = node.host.look(path.as_path())? else { return Ok(()) };
    if !is_kept(node, path, &entry)? {
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
    use std::io::{Read as _, Write as _};
    use std::process::{Command, Stdio};

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

    #[test]
    fn what_its_owner_alters_in_memory_is_not_what_is_remembered() {
        if !crate::host::tests::proves_as_root("an account that alters its own file in memory") {
            return;
        }
        // In memory no page is ever written out and watched anew.
        let tree = tempfile::tempdir_in("/dev/shm").unwrap();
        std::fs::create_dir_all(tree.path().join("var/lib")).unwrap();
        std::fs::create_dir_all(tree.path().join("srv")).unwrap();
        let node = Node::new(Host::at(tree.path()).unwrap(), None);
        let (path, image) = (AbsPath::parse("/srv/image").unwrap(), tree.path().join("srv/image"));
        let bytes = vec![b'a'; usize::try_from(LARGE).unwrap()];
        let recalled = || recall(&node, &path, &node.host.look(path.as_path()).unwrap().unwrap()).unwrap();
        std::fs::write(&image, &bytes).unwrap();
        remember(&node, &path, &Digest::of(&bytes), &|| false).unwrap();
        assert_eq!(recalled(), Some(Digest::of(&bytes)), "root's");
        std::os::unix::fs::chown(&image, Some(1001), Some(1001)).unwrap();
        let script = "import mmap, sys
file = open(sys.argv[1], 'r+b'); held = mmap.mmap(file.fileno(), 0)
held[0:1] = b'a'; sys.stdout.write('+'); sys.stdout.flush(); sys.stdin.read(1)
held[0:1] = b'b'; sys.stdout.write('+')";
        let mut command = Command::new("python3");
        let mut owner = command.args(["-c", script]).arg(&image).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut altered = || owner.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        altered();
        remember(&node, &path, &Digest::of(&bytes), &|| false).unwrap();
        owner.stdin.as_mut().unwrap().write_all(b"+").unwrap();
        altered();
        assert!(owner.wait().unwrap().success());
        assert_eq!(std::fs::read(&image).unwrap()[0], b'b');
        assert_eq!(recalled(), None);
        // Nor of root's where another account may put its own in its place, which is given to root with the name.
        std::os::unix::fs::chown(&image, Some(0), Some(0)).unwrap();
        std::os::unix::fs::chown(tree.path().join("srv"), Some(1001), Some(1001)).unwrap();
        remember(&node, &path, &Digest::of(&std::fs::read(&image).unwrap()), &|| false).unwrap();
        assert_eq!(recalled(), None);
        std::os::unix::fs::chown(tree.path().join("srv"), Some(0), Some(0)).unwrap();
        // Nor of root's that others may write.
        std::os::unix::fs::chown(&image, Some(0), Some(1001)).unwrap();
        std::fs::set_permissions(&image, std::os::unix::fs::PermissionsExt::from_mode(0o664)).unwrap();
        remember(&node, &path, &Digest::of(&std::fs::read(&image).unwrap()), &|| false).unwrap();
        assert_eq!(recalled(), None);
    }
}
