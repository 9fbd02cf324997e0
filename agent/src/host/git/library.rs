//! libgit2: what an origin has, what a mirror has, and fetching the difference.

use super::program::is_of_the_machine;
use super::{Advertised, Asking, References, failed, prepared, transport};
use crate::host::{Operation, OsError};
use git2::{AutotagOption, Direction, Error, ErrorClass, FetchOptions, FetchPrune, Repository};
use std::path::Path;

/// Makes libgit2 behave: no configuration of whoever started us, and no refusal of repositories that the job user owns.
#[expect(unsafe_code, reason = "libgit2's options are globals without a lock")]
pub(super) fn configure() -> Result<(), Error> {
    // SAFETY: called once, by `prepared`, before the library is used. Without the check of owners a repository's own configuration
    // is believed; we open mirrors in a process that has only their owner's rights.
    unsafe {
        git2::opts::set_verify_owner_validation(false)?;
        // Nowhere: a directory that nobody has may be made by somebody, and be closed to us.
        git2::opts::set_search_path(git2::ConfigLevel::Global, "")?;
        git2::opts::set_search_path(git2::ConfigLevel::XDG, "")
    }
}

/// What the origin has.
pub(super) fn advertised(url: &str, asking: Asking<'_>) -> Result<Advertised, OsError> {
    prepared()?;
    transport::with_ambient(asking.http, asking.deadline, || ask(url)).map_err(|error| failed(Operation::Ask, url, &error))
}

fn ask(url: &str) -> Result<Advertised, Error> {
    let mut remote = git2::Remote::create_detached(url)?;
    let connection = remote.connect_auth(Direction::Fetch, None, None)?;
    let mut advertised = Advertised::default();
    for head in connection.list()? {
        let name = head.name();
        if name == "HEAD" {
            advertised.head = head.symref_target().map(str::to_owned);
        } else if !name.ends_with("^{}") && name.starts_with("refs/") {
            advertised.references.insert(name.to_owned(), head.oid().to_string());
        }
    }
    Ok(advertised)
}

/// A mirror on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// What it has.
    pub advertised: Advertised,
    /// Where it says it comes from.
    pub origin: Option<String>,
    /// What makes it unusable.
    pub broken: Option<String>,
}

impl Mirror {
    /// Reads a bare mirror. One that is not usable says why.
    ///
    /// # Errors
    /// When the library cannot be prepared, or the machine has nothing left for it.
    pub fn read(path: &Path) -> Result<Self, OsError> {
        prepared()?;
        let broken = |why: String| Self { advertised: Advertised::default(), origin: None, broken: Some(why) };
        match read(path) {
            Err(error) if error.class() == ErrorClass::NoMemory || is_of_the_machine(error.message()) => {
                let why = std::io::Error::new(std::io::ErrorKind::Interrupted, error.message().to_owned());
                Err(OsError::new(Operation::Read, path.display(), why))
            }
            Err(error) => Ok(broken(format!("is no usable repository: {}", error.message()))),
            Ok(mirror) => Ok(mirror),
        }
    }
}

fn read(path: &Path) -> Result<Mirror, Error> {
    let repository = Repository::open_bare(path)?;
    let origin = repository.config()?.get_string("remote.origin.url").ok();
    let mut references = References::new();
    let database = repository.odb()?;
    let mut broken = repository.is_shallow().then(|| "is shallow".to_owned());
    for reference in repository.references()? {
        let reference = reference?;
        let (Ok(name), Some(id)) = (reference.name(), reference.target()) else { continue };
        // What a reference names must be there, and be readable: a truncated pack has neither.
        if broken.is_none() && (!database.exists(id) || database.read_header(id).is_err()) {
            broken = Some(format!("lacks the object of {name}"));
        }
        references.insert(name.to_owned(), id.to_string());
    }
    let head = repository.find_reference("HEAD")?.symbolic_target().ok().flatten().map(str::to_owned);
    Ok(Mirror { advertised: Advertised { references, head }, origin, broken })
}

/// Fetches what differs into the mirror itself: objects first, then each reference in one step, so that whoever clones at that
/// moment gets old or new references, never one without its objects. References that the origin no longer has go.
///
/// # Errors
/// When it cannot; the mirror is as before, or has some of the references already.
pub fn fetch(path: &Path, url: &str, origin: &Advertised, asking: Asking<'_>) -> Result<(), OsError> {
    prepared()?;
    let done = transport::with_ambient(asking.http, asking.deadline, || {
        let repository = Repository::open_bare(path)?;
        let mut remote = repository.remote_anonymous(url)?;
        let mut options = FetchOptions::new();
        options.prune(FetchPrune::On).download_tags(AutotagOption::None).update_fetchhead(false);
        remote.fetch(&["+refs/*:refs/*"], Some(&mut options), None)?;
        if let Some(head) = &origin.head {
            repository.set_head(head)?;
        }
        Ok(())
    });
    done.map_err(|error: Error| failed(Operation::Read, url, &error))
}

/// Makes a new mirror name its origin, wherever its bytes came from.
pub(super) fn set_origin(path: &Path, url: &str) -> Result<(), OsError> {
    prepared()?;
    let set = || Repository::open_bare(path)?.config()?.set_str("remote.origin.url", url);
    set().map_err(|error: Error| OsError::new(Operation::Write, path.display(), std::io::Error::other(error.message().to_owned())))
}
