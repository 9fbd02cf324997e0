//! Filling: fetches into mirrors that are good, new ones beside those that are not, swapped in whole.

use super::super::fault::{failure, unmade};
use super::{ANSWER, Cache, workers};
use crate::engine::ApplyContext;
use crate::host::git::{self, Advertised, Asking};
use crate::host::http::Http;
use crate::host::{OsError, Writing};
use ostler_roles::outcome::{Event, Failure, FailureKind};
use ostler_roles::resource::git_cache::Change;
use ostler_roles::words::Bytes;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The longest that one repository may take: the largest of OpenStack take minutes.
const ONE: Duration = Duration::from_secs(3600);
/// Tries at one repository.
const TRIES: u32 = 2;
/// Pause between them.
const PAUSE: Duration = Duration::from_secs(1);

/// One piece of work.
struct Job {
    repository: String,
    /// The empty directory beside its place; none: fetch into the mirror that is there.
    aside: Option<PathBuf>,
}

/// How a piece of work ended.
enum Done {
    /// It has all that the origin had.
    Good(Box<Advertised>),
    /// The origin's fault, or the network's.
    Failed(String),
    /// The mirror's own fault: it is to be filled anew.
    Local(String),
    NoSpace(OsError),
    Cancelled,
}

impl Cache<'_> {
    /// Makes the changes; what could not be reached is a note, and remembered.
    pub(super) fn refill(&self, changes: Vec<Change>, work: &ApplyContext<'_>) -> Result<Vec<String>, Failure> {
        let http = self.node.http()?;
        let mut jobs = Vec::new();
        for change in changes {
            let repository = change.repository().to_owned();
            let anew = !matches!(change, Change::Fetch { .. });
            jobs.push(self.job(repository, anew)?);
        }
        let total = u32::try_from(jobs.len()).unwrap_or(u32::MAX);
        let mut tally = Tally { done: 0, total, bytes: 0, notes: Vec::new() };
        let again = self.round(jobs, &http, work, &mut tally)?;
        let mut jobs = Vec::new();
        for repository in again {
            jobs.push(self.job(repository, true)?);
        }
        for left in self.round(jobs, &http, work, &mut tally)? {
            tally.notes.push(format!("{left} could not be mended"));
        }
        Ok(tally.notes)
    }

    fn job(&self, repository: String, anew: bool) -> Result<Job, Failure> {
        let place = self.place(&repository)?;
        self.node.git_failed.clear(place.as_str());
        if !anew {
            return Ok(Job { repository, aside: None });
        }
        for parent in self.node.host.missing_parents(&place).map_err(unmade)? {
            self.node.host.make_parent(parent.as_path()).map_err(unmade)?;
        }
        let aside = place.as_path().with_file_name(format!(".{}.ostler-new", place.file_name()));
        self.node.host.remove_tree(&aside).map_err(unmade)?;
        let (user, group) = self.owner.as_ref().map_or(self.node.host.default_owner(), |owner| (owner.uid, owner.gid));
        self.node.host.make_directory(&aside, Writing { user, group, mode: 0o755 }).map_err(unmade)?;
        Ok(Job { repository, aside: Some(aside) })
    }

    /// One round of work; those whose mirror is to be filled anew come back.
    fn round(&self, jobs: Vec<Job>, http: &Http, work: &ApplyContext<'_>, tally: &mut Tally) -> Result<Vec<String>, Failure> {
        let mut again = Vec::new();
        let asides: Vec<PathBuf> = jobs.iter().filter_map(|job| job.aside.clone()).collect();
        let shared = std::cell::RefCell::new(tally);
        let told = |tally: &Tally, what: &str, growing: u64| {
            let (items, bytes) = (Some((tally.done, tally.total)), Some((Bytes(tally.bytes + growing), None)));
            (work.tell)(Event::Progress { index: work.index, what: what.to_owned(), items, bytes });
        };
        let take = |job: Job, done: Done| {
            let tally = &mut *shared.borrow_mut();
            let place = self.place(&job.repository)?;
            let note = match done {
                Done::Good(origin) => {
                    self.node.git_filled.put(place.as_str(), *origin);
                    if let Some(aside) = &job.aside {
                        tally.bytes += self.packed(aside);
                        self.node.host.swap_in(aside, place.as_path()).map_err(unmade)?;
                    }
                    None
                }
                Done::Local(_) if job.aside.is_none() => {
                    again.push(job.repository);
                    return Ok(());
                }
                Done::Local(why) | Done::Failed(why) => Some(why),
                Done::NoSpace(error) => {
                    self.discard(&job);
                    return Err(unmade(error));
                }
                Done::Cancelled => {
                    self.discard(&job);
                    return Err(failure(FailureKind::Cancelled, "cancelled; mirrors that are filled stay"));
                }
            };
            if let Some(why) = note {
                self.discard(&job);
                self.node.git_failed.put(place.as_str(), why.clone());
                tally.notes.push(format!("{}: {why}", job.repository));
            }
            tally.done += 1;
            told(tally, &job.repository, 0);
            Ok(())
        };
        let look = || {
            let tally = shared.borrow();
            told(&tally, "", asides.iter().map(|aside| self.packed(aside)).sum());
        };
        workers::watched(self, jobs, |job| self.fill(job, http, work), take, look)?;
        Ok(again)
    }

    /// Bytes of packs in a mirror, the growing one too.
    fn packed(&self, mirror: &Path) -> u64 {
        self.node.host.bytes_in(&mirror.join("objects/pack"))
    }

    /// What a failed try left has no use.
    fn discard(&self, job: &Job) {
        if let Some(aside) = &job.aside {
            let _ = self.node.host.remove_tree(aside);
        }
    }

    /// One piece of work, on a lane.
    fn fill(&self, job: &Job, http: &Http, work: &ApplyContext<'_>) -> Done {
        let mut said = String::new();
        for attempt in 0..TRIES {
            if (work.cancelled)() {
                return Done::Cancelled;
            }
            let left = work.deadline.saturating_duration_since(Instant::now());
            if left <= PAUSE {
                break;
            }
            if attempt > 0 {
                std::thread::sleep(PAUSE);
            }
            match self.attempt(job, http, work, Instant::now() + left.min(ONE)) {
                Done::Failed(why) => said = why,
                other => return other,
            }
        }
        Done::Failed(if said.is_empty() { "no time was left for it".to_owned() } else { said })
    }

    fn attempt(&self, job: &Job, http: &Http, work: &ApplyContext<'_>, deadline: Instant) -> Done {
        let Ok(place) = self.place(&job.repository) else { return Done::Failed("it has no usable name".to_owned()) };
        let asking = Asking { http, deadline, account: self.owner.as_ref() };
        let Some(aside) = &job.aside else {
            return self.refresh(&job.repository, &self.node.host.outside(place.as_path()), asking, work);
        };
        let urls = self.desired.repositories.get(&job.repository).map(|source| source.urls.as_slice()).unwrap_or_default();
        let origin = urls.last().map_or("", String::as_str);
        let directory = self.node.host.outside(aside);
        let mut said = Vec::new();
        for url in urls {
            match git::clone_mirror(url, origin, &directory, asking, work.cancelled) {
                Ok(()) => match git::Mirror::read(&directory) {
                    Ok(git::Mirror { broken: None, advertised, .. }) => return Done::Good(Box::new(advertised)),
                    Ok(git::Mirror { broken: Some(why), .. }) => said.push(format!("{url} gave a mirror that {why}")),
                    Err(error) => said.push(format!("cannot {error}: {}", error.source)),
                },
                Err(_) if (work.cancelled)() => return Done::Cancelled,
                Err(error) if no_space(&error) => return Done::NoSpace(error),
                Err(error) => said.push(format!("cannot {error}: {}", error.source)),
            }
            // git leaves the directory empty after a failure; what it did not would be in the way of the next URL.
            if let Err(error) = self.node.host.empty_directory(aside) {
                said.push(format!("cannot {error}: {}", error.source));
            }
        }
        Done::Failed(said.join("; "))
    }

    fn refresh(&self, repository: &str, path: &Path, asking: Asking<'_>, work: &ApplyContext<'_>) -> Done {
        let deadline = asking.deadline.min(Instant::now() + ANSWER);
        let (url, origin) = match self.origin(repository, asking.http, deadline) {
            Ok(found) => found,
            Err(why) => return Done::Failed(why),
        };
        if git::spoken_by_library(&url) && git::fetch(path, &url, &origin, asking).is_ok() {
            return Done::Good(Box::new(origin));
        }
        // What the library cannot do, the program may; what neither can is the mirror's fault, for the origin has just answered.
        match git::fetch_with_program(path, &url, &origin, asking, work.cancelled) {
            Ok(()) => Done::Good(Box::new(origin)),
            Err(_) if (work.cancelled)() => Done::Cancelled,
            Err(error) if no_space(&error) => Done::NoSpace(error),
            Err(error) => Done::Local(format!("cannot {error}: {}", error.source)),
        }
    }
}

/// What has been done so far.
struct Tally {
    done: u32,
    total: u32,
    bytes: u64,
    notes: Vec<String>,
}

fn no_space(error: &OsError) -> bool {
    let said = error.source.to_string();
    error.is_full() || said.contains("No space left on device") || said.contains("Disk quota exceeded")
}
