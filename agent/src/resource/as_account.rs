//! Work of our own that is done as another account: one request, answers as they come, and an end in time whatever that account does.

use super::fault::{failure, unread};
use crate::host::child::{Identity, Program};
use ostler_roles::outcome::{Failure, FailureKind};
use ostler_roles::wire::frame::{self, Decoder};
use ostler_roles::words::Secret;
use serde::{Serialize, de::DeserializeOwned};
use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

/// Who works on what, and until when.
pub(super) struct AccountJob<'a> {
    /// Whose rights it has.
    pub(super) identity: &'a Identity,
    /// The work's name.
    pub(super) work: &'static str,
    /// The longest time without an answer.
    pub(super) silence: Duration,
    /// The end of it all.
    pub(super) deadline: Instant,
    /// Asked now and then: true ends it.
    pub(super) stops: &'a dyn Fn() -> bool,
}

impl AccountJob<'_> {
    /// Starts the process, and hears its answers to their end.
    ///
    /// # Errors
    /// When it cannot be started, is killed, stands still or says what is no answer; and the first error of `hear`, which ends it.
    pub(super) fn ask<Q: Serialize, A: DeserializeOwned>(
        &self,
        request: &Q,
        mut hear: impl FnMut(A) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let who = &self.identity.name;
        let wrong = |error: frame::FrameError| failure(FailureKind::Internal, format!("the process that works as {who}: {error}"));
        let mut program = Program::new([format!("{} as {who}", self.work)]);
        program.work = Some(self.work);
        program.identity = Some(self.identity.clone());
        program.stdin = Some(Secret::new(frame::encode(request).map_err(wrong)?.to_vec()));
        let mut decoder = Decoder::begun();
        let (failed, heard) = (RefCell::new(None), Cell::new(Instant::now()));
        let mut take = |bytes: &[u8]| {
            decoder.push(bytes);
            while failed.borrow().is_none() {
                let taken = match decoder.message::<A>() {
                    Ok(None) => return,
                    Ok(Some(answer)) => hear(answer),
                    Err(error) => Err(wrong(error)),
                };
                heard.set(Instant::now());
                *failed.borrow_mut() = taken.err();
            }
        };
        let is_silent = || heard.get().elapsed() >= self.silence;
        let ends = || failed.borrow().is_some() || is_silent() || (self.stops)();
        let finished = program.run_heard(self.deadline, &ends, &mut take).map_err(unread)?;
        if let Some(failed) = failed.take() {
            return Err(failed);
        }
        if finished.is_good() {
            return Ok(());
        }
        if (self.stops)() {
            return Err(failure(FailureKind::Cancelled, "cancelled"));
        }
        if is_silent() {
            let seconds = self.silence.as_secs();
            let message = format!("the process that works as {who} has said nothing for {seconds} s and was stopped");
            return Err(Failure { causes: finished.tail.into_lines(), ..failure(FailureKind::Deadline, message) });
        }
        Err(finished.failure(&format!("finish what is done as {who}")))
    }
}
