//! Questions to the kernel that have no deadline of their own: a file system whose server is gone answers nobody.

use super::{Operation, OsError};
use std::io;
use std::sync::mpsc;
use std::time::Instant;

/// The answer of `ask`, which runs in a thread of its own. One that does not come in time is an error, and the thread is left behind.
///
/// # Errors
/// When no thread can be had, or no answer came in time.
pub fn within<T: Send + 'static>(what: &str, deadline: Instant, ask: impl FnOnce() -> T + Send + 'static) -> Result<T, OsError> {
    let fail = |source: io::Error| OsError::new(Operation::Wait, what, source);
    let (send, receive) = mpsc::sync_channel(1);
    let asking = move || {
        // Nobody listens any more after the deadline.
        let _ = send.send(ask());
    };
    std::thread::Builder::new().name("question".to_owned()).spawn(asking).map_err(fail)?;
    receive.recv_timeout(deadline.saturating_duration_since(Instant::now())).map_err(|_| fail(io::ErrorKind::TimedOut.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn who_does_not_answer_in_time_is_left_behind() {
        let soon = || Instant::now() + Duration::from_millis(50);
        assert_eq!(within("the answer", soon() + Duration::from_secs(10), || 42).unwrap(), 42);
        let (never, silence) = mpsc::channel::<()>();
        let began = Instant::now();
        let late = within("the disk of /srv", soon(), move || silence.recv()).unwrap_err();
        assert_eq!((late.to_string().as_str(), late.source.kind()), ("wait for the disk of /srv", io::ErrorKind::TimedOut));
        assert!(began.elapsed() < Duration::from_secs(5));
        drop(never);
    }
}
