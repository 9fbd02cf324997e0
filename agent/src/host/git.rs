//! Two git engines behind one door: the library for questions and small fetches, the program for first fills and what only it speaks.

mod library;
mod program;
mod proof;
mod transport;

pub use library::{Mirror, fetch};
pub use program::{clone_mirror, fetch_with_program};
pub use proof::{Proved, prove, proved, remember};

use super::http::Http;
use super::{Operation, OsError};
use ostler_roles::words::Digest;
use std::collections::BTreeMap;
use std::io;
use std::sync::OnceLock;
use std::time::Instant;

/// References by name, each with its object's id in hexadecimal.
pub type References = BTreeMap<String, String>;

/// What a repository shows to those who ask.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Advertised {
    /// Its references, peeled tags and HEAD left out.
    pub references: References,
    /// Where HEAD points, where that is told: `refs/heads/main`.
    pub head: Option<String>,
}

impl Advertised {
    /// A digest of all of it: equal only for equal ones.
    pub fn digest(&self) -> Digest {
        let mut text = format!("{}\n", self.head.as_deref().unwrap_or(""));
        self.references.iter().for_each(|(name, id)| text.extend([id, " ", name, "\n"]));
        Digest::of(text.as_bytes())
    }
    /// How many references differ between the two; a HEAD that points elsewhere is one.
    pub fn differences(&self, origin: &Self) -> u32 {
        let changed = origin.references.iter().filter(|(name, id)| self.references.get(*name) != Some(id)).count();
        let gone = self.references.keys().filter(|name| !origin.references.contains_key(*name)).count();
        let head = usize::from(origin.head.is_some() && self.head != origin.head);
        u32::try_from(changed + gone + head).unwrap_or(u32::MAX)
    }
}

/// Who asks, and until when.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// For http and https.
    pub http: &'a Http,
    /// The end of patience.
    pub deadline: Instant,
    /// Whose home and name the program is told; its rights are ours.
    pub account: Option<&'a super::accounts::Account>,
}

/// What the origin has.
///
/// # Errors
/// When it does not answer, or is no repository.
pub fn advertised(url: &str, asking: Asking<'_>) -> Result<Advertised, OsError> {
    if spoken_by_library(url) { library::advertised(url, asking) } else { program::advertised(url, asking) }
}

/// Whether the library reaches this URL: without a password, by a protocol whose names we resolve ourselves.
pub fn spoken_by_library(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let authority = rest.split('/').next().unwrap_or("");
    matches!(scheme, "http" | "https" | "git") && !authority.contains('@')
}

/// Whether an error says something of the repository that was read, and nothing of the machine that read it: git's own verdict, or what is
/// not there, is something else, or may not be read.
pub fn is_its_fault(error: &OsError) -> bool {
    use io::ErrorKind::{IsADirectory, NotADirectory, NotFound, PermissionDenied};
    error.is_loop()
        || error.source.kind() == program::VERDICT
        || matches!(error.source.kind(), NotFound | NotADirectory | IsADirectory | PermissionDenied)
}

/// Prepares the library, once for this process.
///
/// # Errors
/// When it cannot be prepared: then only the program is left.
fn prepared() -> Result<(), OsError> {
    static PREPARED: OnceLock<Result<(), String>> = OnceLock::new();
    let done =
        PREPARED.get_or_init(|| transport::register().and_then(|()| library::configure()).map_err(|error| error.message().to_owned()));
    done.clone().map_err(|why| OsError::new(Operation::Start, "libgit2", io::Error::other(why)))
}

fn failed(operation: Operation, subject: &str, error: &git2::Error) -> OsError {
    OsError::new(operation, super::http::redacted(subject), io::Error::other(error.message().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_no_password_and_no_libc_goes_to_the_library() {
        for (url, library) in [
            ("https://opendev.org/x", true),
            ("git://10.0.0.1/x", true),
            ("http://user:pw@host/x", false),
            ("https://host/x@y", true),
            ("ssh://git@host/x", false),
            ("git@host:x", false),
            ("file:///srv/x", false),
            ("/srv/x", false),
        ] {
            assert_eq!(spoken_by_library(url), library, "{url}");
        }
    }

    #[test]
    fn differences_count_each_reference_once() {
        let of = |pairs: &[(&str, &str)], head: Option<&str>| Advertised {
            references: pairs.iter().map(|(name, id)| ((*name).to_owned(), (*id).to_owned())).collect(),
            head: head.map(str::to_owned),
        };
        let ours = of(&[("a", "1"), ("b", "2"), ("gone", "3")], Some("a"));
        assert_eq!(ours.differences(&of(&[("a", "1"), ("b", "9"), ("new", "4")], Some("b"))), 4);
        assert_eq!(ours.differences(&ours), 0);
        assert_eq!(ours.differences(&of(&[("a", "1"), ("b", "2"), ("gone", "3")], None)), 0);
    }
}
