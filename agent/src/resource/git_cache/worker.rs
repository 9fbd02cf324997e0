//! The work itself, with the rights of the mirrors' owner and nobody else's: everything that reads what is in a mirror is here.

use super::request::{Answer, Request, Task, Work};
use super::workers;
use crate::host::http::Http;
use crate::host::{Host, OsError, account};
use ostler_roles::wire::frame::{self, Decoder, FRAME_CAP};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// An origin that does not say within this time what it has is away.
pub(super) const ANSWER: Duration = Duration::from_secs(30);

/// Mirrors as all workers see them.
pub(super) struct Worker<'a> {
    pub(super) host: Host,
    pub(super) http: Http,
    pub(super) owner: Option<&'a crate::host::accounts::Account>,
    pub(super) deadline: Instant,
    /// Servers that were waited for in vain: the others of their repositories are not waited for again.
    pub(super) silent: Mutex<BTreeMap<String, String>>,
    pub(super) stops: &'a (dyn Fn() -> bool + Sync),
}

impl<'a> Worker<'a> {
    /// Makes ready for a request.
    ///
    /// # Errors
    /// When the tree cannot be opened, or its certificates cannot be read.
    pub(super) fn of(request: &'a Request, stops: &'a (dyn Fn() -> bool + Sync)) -> Result<Self, OsError> {
        let host = Host::at(&request.tree)?;
        let (http, deadline) = (Http::new(&host)?, Instant::now() + request.within);
        Ok(Self { host, http, owner: request.owner.as_ref(), deadline, silent: Mutex::default(), stops })
    }

    /// Does all of it; each answer is told when it is there.
    ///
    /// # Errors
    /// The first of `tell`.
    pub(super) fn work<E>(&self, request: &Request, tell: impl FnMut(Answer) -> Result<(), E>, look: impl FnMut()) -> Result<(), E> {
        workers::run(request.workers, request.tasks.clone(), |task| self.answer(task), tell, look)
    }

    fn answer(&self, task: Task) -> Answer {
        let done = match &task.work {
            Work::Look(filled) => self.look(&task, *filled),
            Work::Fetch => self.fill(&task, None),
            Work::Fill(aside) => self.fill(&task, Some(aside)),
        };
        Answer { repository: task.repository, done }
    }
}

/// The process that works as the owner: its request on standard input, its answers on standard output.
pub(in crate::resource) fn serve() -> ExitCode {
    match served() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Root's process shows the last words of one that fails.
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn served() -> std::io::Result<()> {
    let mut decoder = Decoder::begun();
    decoder.push(&account::request(FRAME_CAP as u64)?);
    let request = decoder.message::<Request>().map_err(std::io::Error::other)?;
    let request = request.ok_or_else(|| std::io::Error::other("half a request came"))?;
    let mut output = std::io::stdout();
    let tell = |answer: Answer| -> std::io::Result<()> {
        let bytes = frame::encode(&answer).map_err(std::io::Error::other)?;
        output.write_all(&bytes).and_then(|()| output.flush())
    };
    let unready = |error: OsError| std::io::Error::other(format!("cannot {error}: {}", error.source));
    // It is stopped by its end.
    Worker::of(&request, &|| false).map_err(unready)?.work(&request, tell, || {})
}
