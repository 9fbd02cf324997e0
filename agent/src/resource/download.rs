//! `download` at work: fetched beside its place, gone on with after a break, proved before it gets its name.

mod fetch;
mod known;

use super::Act;
use super::fault::{failure, hinted, unmade, unread};
use super::node::Node;
use super::note;
use crate::engine::ApplyContext;
use crate::host::EntryKind;
use crate::host::http::Deadlines;
use fetch::{Fetch, FetchError};
use ostler_roles::outcome::{Failure, FailureKind};
use ostler_roles::resource::download::{Change, Desired, Observed};
use ostler_roles::words::{Bytes, Digest};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Tries, each going on where the last one broke.
const TRIES: u32 = 4;
/// How long a server is asked for a length: only the forecast of room needs it.
const TOLD: Duration = Duration::from_secs(5);
/// How long a file may take to be hashed that is not remembered: who asked for a plan waits for five minutes.
const LOOK: Duration = Duration::from_secs(240);
/// Pause before the second try; it doubles.
const PAUSE: Duration = Duration::from_millis(500);

/// Where the bytes gather until all are there: named by what they shall be, so that another version starts anew.
fn partial(desired: &Desired) -> PathBuf {
    let name: String = desired.path.file_name().chars().take(150).collect();
    desired.path.as_path().with_file_name(format!(".{name}.part-{}", desired.sha256.short()))
}

impl Act for Desired {
    fn observe(&self, node: &Node) -> Result<Observed, Failure> {
        let path = self.path.as_path();
        let Some(entry) = node.host.look(path).map_err(unread)? else {
            let partial = node.host.look(&partial(self)).map_err(unread)?.map_or(0, |entry| entry.length);
            return Ok(Observed::Absent { missing_parents: node.host.missing_parents(&self.path).map_err(unread)?, partial });
        };
        if entry.kind != EntryKind::File {
            return Ok(Observed::Other(entry.kind.word().to_owned()));
        }
        let digest = match known::recall(node, &self.path, &entry).map_err(unread)? {
            Some(digest) => digest,
            // None that we put there, and not read: whoever may write there makes it as long as he likes. Any digest but the wanted one.
            None if entry.length > fetch::LARGEST => Digest::of(self.sha256.hex().as_bytes()),
            None => {
                let until = Instant::now() + LOOK;
                let found = fetch::digest_of(node, path, &|| Instant::now() >= until).map_err(unread)?;
                if found.is_none() && Instant::now() >= until {
                    let message = format!("{} cannot be hashed within {} s", self.path, LOOK.as_secs());
                    let hint = format!(
                        "on the node: ls -ls {}; put it on a faster disk; or let it be root's, in a directory of root's, and remove it: it is fetched again and hashed once",
                        self.path
                    );
                    return Err(hinted(FailureKind::Observe, message, hint));
                }
                // It may be gone by now: then it is nothing.
                found.map_or_else(|| Digest::of(b""), |(digest, _)| digest)
            }
        };
        Ok(Observed::File { digest, length: entry.length, ownership: node.observed_ownership(&entry, Some(&self.ownership))? })
    }

    fn apply(&self, node: &Node, changes: Vec<Change>, work: &ApplyContext<'_>) -> Result<Vec<String>, Failure> {
        let path = self.path.as_path();
        let writing = node.writing(&self.ownership)?;
        let mut fetches = false;
        for change in changes {
            match change {
                Change::MakeParent(parent) => node.host.make_parent(parent.as_path()).map_err(unmade)?,
                Change::Fetch { .. } | Change::Replace { .. } => fetches = true,
                Change::Ownership(_) => {}
            }
        }
        if !fetches {
            // Whoever might write there before may have it in memory still: it stays known only where it was.
            let before = node.host.look(path).map_err(unmade)?;
            let is_known = before.is_some_and(|entry| matches!(known::recall(node, &self.path, &entry), Ok(Some(_))));
            node.host.set_ownership(path, writing).map_err(unmade)?;
            if !is_known {
                return Ok(Vec::new());
            }
        } else {
            let partial = partial(self);
            fetched(self, node, &partial, work)?;
            node.host.put_in_place(&partial, path, writing).map_err(unmade)?;
        }
        let stops = || (work.cancelled)() || Instant::now() >= work.deadline;
        known::remember(node, &self.path, &self.sha256, &stops).map_err(unmade)?;
        Ok(Vec::new())
    }

    fn to_write(&self, node: &Node, changes: &[Change]) -> Option<Bytes> {
        let have = changes.iter().find_map(|change| match change {
            Change::Fetch { partial } => Some(*partial),
            Change::Replace { .. } => Some(0),
            Change::MakeParent(_) | Change::Ownership(_) => None,
        });
        let Some(have) = have else { return Some(Bytes(0)) };
        // A server that does not tell leaves it unknown; whether it can be reached at all is not this question.
        let length = node.http().ok()?.length(&self.url, Deadlines::until(Instant::now() + TOLD))?;
        Some(Bytes(length.saturating_sub(have)))
    }
}

/// All bytes in the partial file, proved.
fn fetched(desired: &Desired, node: &Node, partial: &std::path::Path, work: &ApplyContext<'_>) -> Result<(), Failure> {
    let http = node.http()?;
    let fetch = Fetch { url: &desired.url, file: partial, node, http: &http, work, stall: node.stall };
    let mut pause = PAUSE;
    let mut said = Vec::new();
    let mut anew = false;
    for attempt in 1..=TRIES {
        let resumes = !anew && node.host.look(partial).map_err(unmade)?.is_some_and(|entry| entry.length > 0);
        match fetch.run(anew) {
            Ok(digest) if digest == desired.sha256 => return Ok(()),
            // Bytes of an earlier try may be to blame: once more from the first, then it is the server's word against ours.
            Ok(digest) if resumes => {
                anew = true;
                said.push(format!("gone on with, it has sha256 {}", digest.short()));
            }
            Ok(digest) => return Err(other_bytes(desired, node, partial, &digest)),
            Err(FetchError::Final(failed)) => return Err(*failed),
            Err(FetchError::Passing(why)) => {
                anew = false;
                said.push(why);
            }
            Err(FetchError::Misanswered(why)) => {
                anew = true;
                said.push(why);
            }
        }
        let left = work.deadline.saturating_duration_since(Instant::now());
        if left <= pause || (work.cancelled)() {
            break;
        }
        if attempt < TRIES {
            note(work, format!("{}: {}; trying again", crate::host::http::redacted(&desired.url), said.last().map_or("", String::as_str)));
            std::thread::sleep(pause);
            pause *= 2;
        }
    }
    let url = crate::host::http::redacted(&desired.url);
    if (work.cancelled)() {
        let kept = "what has come is kept, and the next run goes on with it";
        return Err(hinted(FailureKind::Cancelled, format!("the download of {url} was stopped"), kept.to_owned()));
    }
    let kind = if Instant::now() >= work.deadline { FailureKind::Deadline } else { FailureKind::Apply };
    Err(Failure {
        causes: said,
        ..hinted(kind, format!("cannot download {url}"), format!("on the node: curl -fLO '{url}'; what has come is kept and gone on with"))
    })
}

fn other_bytes(desired: &Desired, node: &Node, partial: &std::path::Path, digest: &Digest) -> Failure {
    // Bytes that are not the wanted ones are of no use to the next run.
    let _ = node.host.remove(partial);
    Failure {
        causes: vec![format!("its sha256 is {digest}, {} is wanted", desired.sha256)],
        hint: Some("the file behind the URL has changed, or the role's `sha256` is wrong: compare with what its publisher says".to_owned()),
        ..failure(FailureKind::Apply, format!("{} is another file", crate::host::http::redacted(&desired.url)))
    }
}
