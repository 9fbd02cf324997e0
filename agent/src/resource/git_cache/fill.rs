//! One mirror filled: fetched into, or made anew in an empty directory.

use super::request::{Done, Task};
use super::worker::{ANSWER, Worker};
use crate::host::OsError;
use crate::host::git::{self, Advertised, Asking};
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
                Ok(()) => match self.whole(&directory, url, asking) {
                    Ok(advertised) => return Done::Good(advertised.digest()),
                    Err(_) if (self.stops)() => return Done::Cancelled,
                    Err(why) => said.push(format!("{url} gave a mirror that {why}")),
                },
                Err(_) if (self.stops)() => return Done::Cancelled,
                Err(error) if no_space(&error) => return full(&error),
                Err(error) => said.push(format!("cannot {error}: {}", error.source)),
            }
            // git leaves the directory empty after a failure; what it did not would be in the way of the next URL.
            if let Err(error) = self.host.empty_directory(aside, self.stops) {
                said.push(format!("cannot {error}: {}", error.source));
            }
        }
        Done::Failed(said.join("; "))
    }

    /// What a new mirror has, once that is proved and durable. What comes by a protocol git itself has proved; a directory beside it is
    /// only copied (git-clone(1), `--local`).
    fn whole(&self, mirror: &Path, url: &str, asking: Asking<'_>) -> Result<Advertised, String> {
        let told = |error: OsError| format!("cannot be used: cannot {error}: {}", error.source);
        let git::Mirror { advertised, broken, .. } = git::Mirror::read(mirror).map_err(told)?;
        if let Some(why) = broken {
            return Err(why);
        }
        if url.starts_with('/') {
            git::prove(mirror, &advertised.references, None, asking, self.stops).map_err(told)?;
        }
        git::remember(mirror).map_err(told)?;
        Ok(advertised)
    }

    /// Fetches what differs, and proves the mirror: what has come, or all of it where its objects are not those that were proved.
    fn refresh(&self, task: &Task, asking: Asking<'_>) -> Done {
        let path = self.host.outside(task.place.as_path());
        let before = match (git::Mirror::read(&path), git::proved(&path)) {
            (Ok(git::Mirror { broken: None, advertised, .. }), Ok(git::Proved::Since(_))) => Some(advertised.references),
            (Ok(_), Ok(_)) => None,
            (Err(error), _) | (_, Err(error)) => return judged(&error),
        };
        match self.fetched(task, &path, asking) {
            Done::Good(origin) => {
                let proved = git::Mirror::read(&path)
                    .and_then(|now| git::prove(&path, &now.advertised.references, before.as_ref(), asking, self.stops))
                    .and_then(|()| git::remember(&path));
                match proved {
                    Ok(()) => Done::Good(origin),
                    Err(_) if (self.stops)() => Done::Cancelled,
                    Err(error) => judged(&error),
                }
            }
            other => other,
        }
    }

    fn fetched(&self, task: &Task, path: &Path, asking: Asking<'_>) -> Done {
        let (url, origin) = match self.origin(task, asking.deadline.min(Instant::now() + ANSWER)) {
            Ok(found) => found,
            Err(why) => return Done::Failed(why),
        };
        if git::spoken_by_library(&url) && git::fetch(path, &url, &origin, asking).is_ok() {
            return Done::Good(origin.digest());
        }
        // What the library cannot do, the program may; what neither can is the mirror's fault, for the origin has just answered.
        match git::fetch_with_program(path, &url, &origin, asking, self.stops) {
            Ok(()) => Done::Good(origin.digest()),
            Err(_) if (self.stops)() => Done::Cancelled,
            Err(error) => judged(&error),
        }
    }
}

/// What an error is about: the mirror, which is filled anew, only where git has come to its end and said so. One that was killed, or whose
/// time was up, has said nothing: the mirror stays as it is, and the next run goes on.
fn judged(error: &OsError) -> Done {
    let why = format!("cannot {error}: {}", error.source);
    match () {
        () if no_space(error) => full(error),
        () if git::is_its_fault(error) => Done::Local(why),
        () => Done::Failed(why),
    }
}

fn full(error: &OsError) -> Done {
    Done::NoSpace(format!("cannot {error}"), error.source.to_string())
}

fn no_space(error: &OsError) -> bool {
    let said = error.source.to_string();
    error.is_full() || said.contains("No space left on device") || said.contains("Disk quota exceeded")
}

#[cfg(test)]
mod tests {
    use super::super::request::{Request, Work};
    use super::*;
    use ostler_roles::words::AbsPath;
    use std::net::TcpListener;
    use std::os::fd::OwnedFd;
    use std::process::Command;

    fn run(directory: &Path, arguments: &[&str]) {
        let mut command = Command::new("git");
        command.current_dir(directory).args(["-c", "user.name=t", "-c", "user.email=t@t"]).args(arguments);
        assert!(command.env("GIT_CONFIG_GLOBAL", "/dev/null").status().unwrap().success(), "git {arguments:?}");
    }

    #[test]
    fn a_fetch_whose_time_is_up_says_nothing_of_the_mirror() {
        let tree = tempfile::tempdir().unwrap();
        let root = tree.path();
        run(root, &["init", "--quiet", "--initial-branch=main", "origin"]);
        run(&root.join("origin"), &["commit", "--quiet", "--allow-empty", "-m", "one"]);
        run(root, &["clone", "--mirror", "--quiet", "origin", "mirror"]);
        git::remember(&root.join("mirror")).unwrap();
        run(&root.join("origin"), &["commit", "--quiet", "--allow-empty", "-m", "two"]);
        // An origin that tells what it has, and then never a word again.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("git://{}/origin", listener.local_addr().unwrap());
        let base = format!("--base-path={}", root.display());
        std::thread::spawn(move || {
            let mut silent = Vec::new();
            for (number, connection) in listener.incoming().enumerate() {
                let connection = OwnedFd::from(connection.unwrap());
                if number > 0 {
                    silent.push(connection);
                    continue;
                }
                let mut daemon = Command::new("git");
                daemon.args(["daemon", "--inetd", "--export-all", &base]).stdin(connection.try_clone().unwrap()).stdout(connection);
                daemon.status().unwrap();
            }
        });
        let place = AbsPath::parse("/mirror").unwrap();
        let task = Task { repository: "mirror".to_owned(), place, urls: vec![url], work: Work::Fetch };
        let request = Request { tree: root.to_owned(), owner: None, workers: 1, within: Duration::from_secs(8), tasks: vec![] };
        let done = Worker::of(&request, &|| false).unwrap().fill(&task, None);
        assert!(matches!(&done, Done::Failed(why) if why.contains("git: stopped at its deadline")), "{done:?}");
        assert!(matches!(git::proved(&root.join("mirror")), Ok(git::Proved::Since(_))), "what is there stays, and is whole");
    }
}
