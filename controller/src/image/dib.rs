//! The contract of `dib-cmd` of nodepool-builder, argument by argument.
//!
//! What nodepool 11.0.0 does, by `nodepool/builder.py` (the rig in `tests/tests/nodepool.rs` runs it):
//! - `BuildWorker._buildImage` runs `DIB-CMD -x -t F1,F2 --checksum --no-tmpfs [--qemu-img-options 'compat=0.10'] -o IMAGES-DIR/NAME-ID
//!   ELEMENTS` as one string through `shlex.split`: `dib-cmd` may have arguments of its own. The options of qemu-img are there whenever one of
//!   the formats is qcow2; the formats come in any order; ID is a UUID in hex.
//! - The environment is the builder's, with `DIB_RELEASE` (empty where the image names none), `DIB_IMAGE_NAME`, `DIB_IMAGE_FILENAME` (the same
//!   as `-o`), `ELEMENTS_PATH` where `elements-dir` is set, and `env-vars`. Standard input is the builder's own.
//! - Standard output and error are one pipe, copied to the build's log until *every* writer has closed it: a process of ours that outlives us
//!   with that pipe keeps the build "building" up to its `build-timeout`.
//! - A build that takes longer is ended by SIGKILL of `dib-cmd` alone, nobody waits for it, and the pipe is closed a moment later. Where
//!   `dib-cmd` is `sudo ostler`, only sudo is killed: that it has gone, or that the pipe has no reader any more, is all that we hear
//!   ([`is_unread`]).
//! - Exit status 0 is a good build, whatever files there are: an image that is missing is noticed by nobody but the upload that never happens
//!   (`UploadWorker._checkProviderImageUpload`). So 0 is said here only when all of them are there.
//! - `DibImageFile.from_image_id` knows files `NAME-ID.SUFFIX` with one suffix; `to_path` finds `.md5` and `.sha256` beside *them*, and reads the
//!   first 32 and 64 letters as the sum.
//! - `CleanupWorker.deleteLocalBuild` deletes those files with their sums, and then the directory `NAME-ID.d`, but only where there is such a
//!   file: sums, or a directory, that stand alone stay for ever. `_getLocalBuilds` finds what is left of builds that nobody knows any more by
//!   the pattern `NAME-ID.LETTERS`. So whatever is written aside is `OUT.part`, a plain file; an image gets its name before its sums get
//!   theirs; `OUT.d` is filled last, in its place.

mod request;

pub use request::{Asked, Compat, DibRequest, Format, HARMLESS, HONOURED, REFUSED, UNKNOWN_FORMATS, site};

use std::fs;
use std::io::ErrorKind;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, lchown};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags};
use rustix::process::{PidfdFlags, getppid, pidfd_open};

use super::ImageError;

/// Has the files of a request made, and looks at them: all are there, or none is and it has failed.
///
/// They belong to whom the directory belongs to: a builder that has us run by sudo deletes them later.
///
/// # Errors
/// What `bake` failed with; a directory that is not there; a file that is there already, which stays; a file that `bake` owes.
pub fn deliver<E: From<ImageError>>(request: &DibRequest, bake: impl FnOnce(&DibRequest) -> Result<(), E>) -> Result<Vec<PathBuf>, E> {
    let directory = request.directory();
    let owner = fs::metadata(directory).map_err(ImageError::file("look at the directory of images", directory))?;
    if !owner.is_dir() {
        let hint = "`-o` is a path in a directory that is there, without a suffix: -o /var/lib/nodepool/images/NAME";
        return Err(ImageError::refused(format!("{} is no directory", directory.display()), hint).into());
    }
    let every = request.files().into_iter().chain([request.manifests()]);
    if let Some(old) = every.into_iter().find(|file| fs::symlink_metadata(file).is_ok()) {
        let hint = format!("name another with `-o`, or move it away: mv {0} {0}.old", old.display());
        return Err(ImageError::refused(format!("{} is there already", old.display()), hint).into());
    }
    let done = bake(request).and_then(|()| {
        let files = request.files();
        files.iter().try_for_each(|file| is_there(file))?;
        let all = files.iter().cloned().chain([request.manifests()]);
        for path in all {
            belongs_to(&path, owner.uid(), owner.gid()).map_err(ImageError::file("give to the directory's owner", &path))?;
        }
        Ok(files)
    });
    if done.is_err() {
        withdraw(request);
    }
    done
}

/// A file of the build, whole and with something in it.
fn is_there(file: &Path) -> Result<(), ImageError> {
    let found = fs::symlink_metadata(file).map_err(ImageError::file("find what the build owes,", file))?;
    if found.is_file() && found.len() > 0 {
        return Ok(());
    }
    Err(ImageError::refused(
        format!("{} is empty, or no file", file.display()),
        "please report it: a build that ends well leaves all its files",
    ))
}

/// A directory with all that is in it. What is not there needs no owner.
fn belongs_to(path: &Path, uid: u32, gid: u32) -> std::io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if found.is_dir() {
        for entry in fs::read_dir(path)? {
            belongs_to(&entry?.path(), uid, gid)?;
        }
    }
    if (found.uid(), found.gid()) == (uid, gid) { Ok(()) } else { lchown(path, Some(uid), Some(gid)) }
}

/// Takes back what a failed build left. What cannot be removed is not worth another word: the builder tries again, the error is on its way.
fn withdraw(request: &DibRequest) {
    let _ = fs::remove_dir_all(request.manifests());
    let every = request.formats.iter().flat_map(|format| request.sums(*format).into_iter().chain([request.image(*format)]));
    for file in every.chain([request.part()]) {
        let _ = fs::remove_file(file);
    }
}

/// The `sudo` that we were started by; none: somebody else has started us.
pub fn escalator() -> Option<OwnedFd> {
    let parent = getppid()?;
    let name = fs::read_to_string(format!("/proc/{}/comm", parent.as_raw_pid())).ok()?;
    ["sudo", "doas"].contains(&name.trim()).then(|| pidfd_open(parent, PidfdFlags::empty()).ok())?
}

/// Waits until nobody reads a pipe any more, or a process has ended; returns at once, with false, where there is neither.
///
/// The builder's end of the pipe may stay open for as long as it starts no other program: Python keeps what belongs to a child that was not
/// seen dead (`subprocess.Popen.__del__`, `_active`).
pub fn is_unread(pipe: BorrowedFd<'_>, escalator: Option<BorrowedFd<'_>>) -> bool {
    let is_pipe = rustix::fs::fstat(pipe).is_ok_and(|found| rustix::fs::FileType::from_raw_mode(found.st_mode).is_fifo());
    loop {
        // Of the pipe nothing is asked for: errors are told all the same (poll(2), POLLERR).
        let mut watched: Vec<PollFd<'_>> = Vec::new();
        watched.extend(Some(pipe).filter(|_| is_pipe).map(|pipe| PollFd::from_borrowed_fd(pipe, PollFlags::empty())));
        watched.extend(escalator.map(|process| PollFd::from_borrowed_fd(process, PollFlags::IN)));
        if watched.is_empty() {
            return false;
        }
        match rustix::event::poll(&mut watched, None) {
            Ok(_) if watched.iter().any(|one| one.revents().intersects(PollFlags::ERR | PollFlags::IN)) => return true,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests;
