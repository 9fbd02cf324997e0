//! One request, given up soon after the run is to stop: whoever wants to leave waits for no master that hangs.

use super::super::http::{Answer, Http, HttpError, Method};
use super::super::wait::Cancellation;
use ostler_roles::words::Secret;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How long a request may take from then on: a master that is well answers, and takes labels off that are not earned.
const PARTING: Duration = Duration::from_secs(2);
/// How long all that one look asks for may take from then on: each of a thousand nodes may be asked for.
const LOOK: Duration = Duration::from_secs(5);
/// How often that is looked for.
const STEP: Duration = Duration::from_millis(20);

/// What is asked, by whoever may outlive his caller.
enum Asked {
    Get,
    Beginning(u64),
    Post(String, Vec<u8>),
}

/// Asks once. What is given up has no answer; whether a write was heard is not known, as of any answer that was lost.
pub(super) fn ask(
    http: &Http,
    stop: &Cancellation,
    ask: Method<'_>,
    path: &str,
    headers: &[(&str, &Secret<String>)],
) -> Result<Answer, HttpError> {
    let (asked, method) = match ask {
        Method::Get => (Asked::Get, "GET"),
        Method::Beginning(limit) => (Asked::Beginning(limit), "GET"),
        Method::Post(kind, body) => (Asked::Post(kind.to_owned(), body.to_vec()), "POST"),
    };
    let headers: Vec<(String, Secret<String>)> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).clone())).collect();
    let (other, wanted) = (http.clone(), path.to_owned());
    let (send, answered) = mpsc::sync_channel(1);
    let work = move || {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.expose().as_str())).collect();
        let ask = match &asked {
            Asked::Get => Method::Get,
            Asked::Beginning(limit) => Method::Beginning(*limit),
            Asked::Post(kind, body) => Method::Post(kind, body),
        };
        // Whoever asked may have gone.
        let _ = send.send(other.ask(ask, &wanted, &headers));
    };
    let unanswered = |source: ureq::Error| HttpError::Exchange { method, url: http.url(path), source: Box::new(source) };
    let worker = std::thread::Builder::new().name("jenkins".to_owned()).spawn(work).map_err(|error| unanswered(error.into()))?;
    let mut parting = Parting::new(stop, PARTING);
    loop {
        match answered.recv_timeout(STEP) {
            Ok(answer) => return answer,
            Err(RecvTimeoutError::Timeout) if parting.is_over() => return Err(unanswered(ureq::Error::Timeout(ureq::Timeout::Global))),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => match worker.join() {
                Ok(()) => return Err(unanswered(ureq::Error::ConnectionFailed)),
                Err(panic) => std::panic::resume_unwind(panic),
            },
        }
    }
}

/// The time that is left to something once the run is to stop.
#[derive(Debug)]
pub(super) struct Parting<'s> {
    stop: &'s Cancellation,
    limit: Duration,
    since: Option<Instant>,
}

impl<'s> Parting<'s> {
    fn new(stop: &'s Cancellation, limit: Duration) -> Self {
        Self { stop, limit, since: None }
    }

    /// That of a look.
    pub(super) fn of_a_look(stop: &'s Cancellation) -> Self {
        Self::new(stop, LOOK)
    }

    pub(super) fn is_over(&mut self) -> bool {
        self.stop.is_asked() && self.since.get_or_insert_with(Instant::now).elapsed() >= self.limit
    }
}
