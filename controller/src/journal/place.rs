//! Where a site's state lies: by the id that the site carries, not by the path of a checkout.

use super::StateError;
use crate::private::FileError;
use ostler_roles::words::Digest;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The directory of a site below the program's state directory. One with an `id` has it wherever it is checked out; one without is known by
/// its path. The first checkout of a site that is given an id brings what was kept by its path along.
///
/// # Errors
/// When what was kept by the path cannot be moved.
pub fn site_directory(state: &Path, id: Option<&str>, root: &Path) -> Result<PathBuf, StateError> {
    let sites = state.join("sites");
    let path = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let by_path = sites.join(Digest::of(path.to_string_lossy().as_bytes()).short());
    let Some(id) = id else { return Ok(by_path) };
    let by_id = sites.join(format!("id-{id}"));
    if by_id.exists() {
        return Ok(by_id);
    }
    match std::fs::rename(&by_path, &by_id) {
        Ok(()) => Ok(by_id),
        // A new site, or another run was faster.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::AlreadyExists | ErrorKind::DirectoryNotEmpty) => Ok(by_id),
        Err(error) => Err(FileError::write(&by_id)(error).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_checkouts_of_a_site_with_an_id_have_one_state_and_two_sites_have_two() {
        let directory = tempfile::tempdir().unwrap();
        let place = |id, root: &str| site_directory(directory.path(), id, &directory.path().join(root)).unwrap();
        assert_eq!(place(Some("lab"), "one"), place(Some("lab"), "two"));
        assert_ne!(place(Some("lab"), "one"), place(Some("lab2"), "one"));
        assert_ne!(place(None, "one"), place(None, "two"));
        assert_ne!(place(Some("lab"), "one"), place(None, "one"));
    }

    #[test]
    fn what_was_kept_by_the_path_comes_along_once() {
        let directory = tempfile::tempdir().unwrap();
        let place = |id, root: &str| site_directory(directory.path(), id, &directory.path().join(root)).unwrap();
        for root in ["one", "two"] {
            let before = place(None, root);
            std::fs::create_dir_all(&before).unwrap();
            std::fs::write(before.join("hmac.key"), root).unwrap();
        }
        let after = place(Some("lab"), "one");
        assert_eq!(std::fs::read(after.join("hmac.key")).unwrap(), b"one");
        assert_eq!(place(Some("lab"), "two"), after);
        assert_eq!(std::fs::read(after.join("hmac.key")).unwrap(), b"one", "what is the site's already stays");
    }
}
