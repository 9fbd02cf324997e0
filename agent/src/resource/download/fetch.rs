//! One try: ask for what is missing, write it down, hash all of it.

use super::super::fault::{failure, unmade};
use super::super::node::Node;
use crate::engine::ApplyContext;
use crate::host::http::{Deadlines, Http};
use crate::host::{Entry, Operation, OsError};
use ostler_roles::outcome::{Event, Failure, FailureKind};
use ostler_roles::words::{Bytes, Digest};
use sha2::Digest as _;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};
use ureq::Body;
use ureq::http::{Response, StatusCode};

/// Bytes read at a time.
const BLOCK: usize = 128 << 10;
/// No file of a role is larger: whoever sends more than this, or says so, is not the one that was meant.
pub(super) const LARGEST: u64 = 64 << 30;
/// Progress is for eyes.
const TOLD: Duration = Duration::from_millis(200);

/// Why a try came to nothing.
pub(super) enum FetchError {
    /// Another try may do better.
    Passing(String),
    /// The server has not sent the range that it was asked for: all of it, from the first byte.
    Misanswered(String),
    /// No other try will.
    Final(Box<Failure>),
}

impl From<OsError> for FetchError {
    fn from(error: OsError) -> Self {
        Self::Final(Box::new(unmade(error)))
    }
}

/// What is fetched, and into what.
pub(super) struct Fetch<'a> {
    pub(super) url: &'a str,
    pub(super) file: &'a Path,
    pub(super) node: &'a Node,
    pub(super) http: &'a Http,
    pub(super) work: &'a ApplyContext<'a>,
    pub(super) stall: Option<Duration>,
}

impl Fetch<'_> {
    /// The digest of all bytes, once the server has no more.
    pub(super) fn run(&self, anew: bool) -> Result<Digest, FetchError> {
        let (mut file, mut hasher, mut have) = self.opened(anew)?;
        let mut patience = Deadlines::until(self.work.deadline);
        patience.stall = self.stall.unwrap_or(patience.stall);
        let range: Vec<(&str, String)> = if have > 0 { vec![("Range", format!("bytes={have}-"))] } else { Vec::new() };
        let response =
            self.http.get(self.url, &range, patience).map_err(|error| FetchError::Passing(format!("cannot {error}: {}", error.source)))?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT if starts_at(&response) == Some(have) => {}
            StatusCode::OK => {
                (file, hasher, have) = self.opened(true)?;
            }
            // Everything is here already, or more than there is: the digest tells.
            StatusCode::RANGE_NOT_SATISFIABLE if have > 0 => return Ok(finished(hasher)),
            StatusCode::PARTIAL_CONTENT => {
                let range = response
                    .headers()
                    .get("content-range")
                    .map_or_else(|| "no range".into(), |range| String::from_utf8_lossy(range.as_bytes()));
                return Err(FetchError::Misanswered(format!("asked for bytes from {have}, the server sends {range}")));
            }
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                return Err(FetchError::Passing(format!("the server answers {status}")));
            }
            status => {
                let failed = failure(FailureKind::Apply, format!("{} answers {status}", crate::host::http::redacted(self.url)));
                return Err(FetchError::Final(Box::new(Failure { hint: Some("check the URL of the role".to_owned()), ..failed })));
            }
        }
        self.copy(response, &mut file, &mut hasher, have)?;
        Ok(finished(hasher))
    }

    /// The partial file behind its last byte, and the digest so far.
    fn opened(&self, anew: bool) -> Result<(File, sha2::Sha256, u64), FetchError> {
        let fail = |source| OsError::new(Operation::Read, self.file.display(), source);
        let known = if anew { None } else { self.node.host.open_to_append(self.file)? };
        let Some(mut file) = known else { return Ok((self.node.host.create_private(self.file)?, sha2::Sha256::new(), 0)) };
        let mut hasher = sha2::Sha256::new();
        file.seek(SeekFrom::Start(0)).map_err(fail)?;
        let stops = || (self.work.cancelled)() || Instant::now() >= self.work.deadline;
        let Some(have) = hash_rest(&mut file, &mut hasher, &stops).map_err(fail)? else {
            return Err(FetchError::Passing("stopped".to_owned()));
        };
        Ok((file, hasher, have))
    }

    fn copy(&self, response: Response<Body>, file: &mut File, hasher: &mut sha2::Sha256, mut have: u64) -> Result<(), FetchError> {
        let total = response.body().content_length().map(|length| Bytes(length.saturating_add(have)));
        if total.is_some_and(|total| total > Bytes(LARGEST)) {
            return Err(self.endless());
        }
        let mut body = response.into_body().into_reader();
        let mut block = vec![0u8; BLOCK];
        let mut told = Instant::now();
        loop {
            if (self.work.cancelled)() {
                return Err(FetchError::Passing("cancelled".to_owned()));
            }
            let count = body.read(&mut block).map_err(|error| FetchError::Passing(format!("broken off after {have} bytes: {error}")))?;
            if count == 0 {
                self.tell(have, total);
                return Ok(());
            }
            let bytes = &block[..count];
            if have.saturating_add(count as u64) > LARGEST {
                return Err(self.endless());
            }
            if let Err(source) = file.write_all(bytes) {
                let full = OsError::new(Operation::Write, self.file.display(), source);
                if full.is_full() {
                    // A full disk needs the room more than the next run needs these bytes.
                    let _ = self.node.host.remove(self.file);
                }
                return Err(full.into());
            }
            hasher.update(bytes);
            have += count as u64;
            if told.elapsed() >= TOLD {
                told = Instant::now();
                self.tell(have, total);
            }
        }
    }

    /// More comes than any file has: what is here is of no use.
    fn endless(&self) -> FetchError {
        let _ = self.node.host.remove(self.file);
        let message = format!("{} has more than {}: it is not fetched", crate::host::http::redacted(self.url), Bytes(LARGEST));
        FetchError::Final(Box::new(Failure { hint: Some("check the URL of the role".to_owned()), ..failure(FailureKind::Apply, message) }))
    }

    fn tell(&self, have: u64, total: Option<Bytes>) {
        let what = self.url.rsplit('/').next().unwrap_or("").split(['?', '#']).next().unwrap_or("").to_owned();
        (self.work.tell)(Event::Progress { index: self.work.index, what, items: None, bytes: Some((Bytes(have), total)) });
    }
}

fn finished(hasher: sha2::Sha256) -> Digest {
    Digest::from_bytes(hasher.finalize().into())
}

/// Hashes to the end; none where it was stopped before.
fn hash_rest(file: &mut File, hasher: &mut sha2::Sha256, stops: &dyn Fn() -> bool) -> std::io::Result<Option<u64>> {
    let mut block = vec![0u8; BLOCK];
    let mut have = 0;
    while !stops() {
        match file.read(&mut block)? {
            0 => return Ok(Some(have)),
            count => {
                hasher.update(&block[..count]);
                have += count as u64;
            }
        }
    }
    Ok(None)
}

/// The first byte that a `Content-Range` names (RFC 9110 section 14.4).
fn starts_at(response: &Response<Body>) -> Option<u64> {
    let range = response.headers().get("content-range")?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

/// The digest of a file's bytes, and what was said of that very file before it was read; none: no such file, or it was stopped.
pub(super) fn digest_of(node: &Node, path: &Path, stops: &dyn Fn() -> bool) -> Result<Option<(Digest, Entry)>, OsError> {
    let Some((mut file, entry)) = node.host.open(path)? else { return Ok(None) };
    let mut hasher = sha2::Sha256::new();
    let read = hash_rest(&mut file, &mut hasher, stops).map_err(|source| OsError::new(Operation::Read, path.display(), source))?;
    Ok(read.map(|_| (finished(hasher), entry)))
}
