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
            // Behind the first failure nothing is heard any more.
            if failed.borrow().is_none() {
                let taken = hear_all(&mut decoder, bytes, &wrong, |answer| {
                    heard.set(Instant::now());
                    hear(answer)
                });
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

/// Hears the whole answers in what has come.
fn hear_all<A: DeserializeOwned>(
    decoder: &mut Decoder,
    bytes: &[u8],
    wrong: &dyn Fn(frame::FrameError) -> Failure,
    mut hear: impl FnMut(A) -> Result<(), Failure>,
) -> Result<(), Failure> {
    decoder.push(bytes);
    while let Some(answer) = decoder.message::<A>().map_err(wrong)? {
        hear(answer)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use frame::FRAME_CAP;

    /// What is heard of these bytes, and what was wrong with them.
    fn heard(bytes: &[&[u8]]) -> (Vec<u32>, Option<String>) {
        let (mut decoder, mut heard) = (Decoder::begun(), Vec::new());
        let wrong = |error: frame::FrameError| failure(FailureKind::Internal, error.to_string());
        let mut hear = |answer: u32| {
            heard.push(answer);
            Ok(())
        };
        let ended = bytes.iter().try_for_each(|bytes| hear_all(&mut decoder, bytes, &wrong, &mut hear));
        (heard, ended.err().map(|failed| failed.message))
    }

    #[test]
    fn what_an_account_says_that_is_no_answer_ends_its_work() {
        let answer = frame::encode(&7u32).unwrap().to_vec();
        let (first, rest) = answer.split_at(2);
        assert_eq!(heard(&[&answer, first, rest]), (vec![7, 7], None));
        let word = frame::encode(&"no number").unwrap().to_vec();
        let (told, why) = heard(&[&answer, &word]);
        assert!(told == [7] && why.is_some(), "{told:?} {why:?}");
        // No more is waited for, or kept, than an answer may have.
        let length = u32::try_from(FRAME_CAP + 1).unwrap().to_be_bytes();
        let (told, why) = heard(&[&answer, &[&length[..], &[0; 8]].concat()]);
        assert!(told == [7] && why.is_some(), "{told:?} {why:?}");
        assert!(heard(&[&[0xff; 64]]).1.is_some());
    }
}
