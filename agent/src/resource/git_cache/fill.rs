//! One mirror filled: fetched into, or made anew in an empty directory.

use super::request::{Done, Task};
use super::worker::{ANSWER, Worker};
use crate::host::OsError;
use crate::host::git::{self, Asking};
use std::path::Path;
use std::time::{Duration, Instant};

/// The longest that one repository may take: the largest of OpenStack take minutes.
const ONE: Duration = Duration::from_secs(3600);
/// Tries at one repository.
const TRIES: u32 = 2;
/// Pause between them.
const PAUSE: Duration = Duration::from_secs(1);

impl Worker<'_> {
    /// Fetches into the mirror that is there, or fills a new one in `aside`.
    pub(super) fn fill(&self, task: &Task, aside: Option<&Path>) -> Done {
        let mut said = String::new();
        for attempt in 0..TRIES {
            if (self.stops)() {
                return Done::Cancelled;
            }
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left <= PAUSE {
                break;
            }
            if attempt > 0 {
                std::thread::sleep(PAUSE);
            }
            let deadline = Instant::now() + left.min(ONE);
            let asking = Asking { http: &self.http, deadline, account: self.owner };
            let done = match aside {
                Some(aside) => self.anew(task, aside, asking),
                None => self.refresh(task, asking),
            };
            match done {
                Done::Failed(why) => said = why,
                other => return other,
            }
        }
        Done::Failed(if said.is_empty() { "no time was left for it".to_owned() } else { said })
    }

    fn anew(&self, task: &Task, aside: &Path, asking: Asking<'_>) -> Done {
        let origin = task.urls.last().map_or("", String::as_str);
        let directory = self.host.outside(aside);
        let mut said = Vec::new();
        for url in &task.urls {
            match git::clone_mirror(url, origin, &directory, asking, self.stops) {
                Ok(()) => match git::Mirror::read(&directory) {
                    Ok(git::Mirror { broken: None, advertised, .. }) => return Done::Good(advertised.digest()),
                    Ok(git::Mirror { broken: Some(why), .. }) => said.push(format!("{url} gave a mirror that {why}")),
                    Err(error) => said.push(format!("cannot {error}: {}", error.source)),
                },
                Err(_) if (self.stops)() => return Done::Cancelled,
                Err(error) if no_space(&error) => return full(&error),
                Err(error) => said.push(format!("cannot {error}: {}", error.source)),
            }
            // git leaves the directory empty after a failure; what it did not would be in the way of the next URL.
            if let Err(error) = self.host.empty_directory(aside) {
                said.push(format!("cannot {error}: {}", error.source));
            }
        }
        Done::Failed(said.join("; "))
    }

    fn refresh(&self, task: &Task, asking: Asking<'_>) -> Done {
        let path = self.host.outside(task.place.as_path());
        let (url, origin) = match self.origin(task, asking.deadline.min(Instant::now() + ANSWER)) {
            Ok(found) => found,
            Err(why) => return Done::Failed(why),
        };
        if git::spoken_by_library(&url) && git::fetch(&path, &url, &origin, asking).is_ok() {
            return Done::Good(origin.digest());
        }
        // What the library cannot do, the program may; what neither can is the mirror's fault, for the origin has just answered.
        match git::fetch_with_program(&path, &url, &origin, asking, self.stops) {
            Ok(()) => Done::Good(origin.digest()),
            Err(_) if (self.stops)() => Done::Cancelled,
            Err(error) if no_space(&error) => full(&error),
            Err(error) => Done::Local(format!("cannot {error}: {}", error.source)),
        }
    }
}

fn full(error: &OsError) -> Done {
    Done::NoSpace(format!("cannot {error}"), error.source.to_string())
}

fn no_space(error: &OsError) -> bool {
    let said = error.source.to_string();
    error.is_full() || said.contains("No space left on device") || said.contains("Disk quota exceeded")
}
