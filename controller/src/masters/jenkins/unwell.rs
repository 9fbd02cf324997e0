//! A Jenkins that is there and stumbles (a 500, a page in the place of its answer) is asked again for a while: one bad answer ends nothing.

use super::super::wait::Wait;
use super::error::JenkinsError;
use super::session::Session;
use super::watch::Watch;

/// How long such a Jenkins is borne with, in all that one caller asks of it.
#[derive(Debug)]
pub(super) struct Unwell<'s> {
    session: &'s Session,
    /// Since it stumbled first.
    watch: Option<Watch<'s>>,
}

impl<'s> Unwell<'s> {
    pub(super) fn new(session: &'s Session) -> Self {
        Self { session, watch: None }
    }

    /// Does it again while what comes of it may pass. Only for reads, and for what looks first whether it is done already.
    pub(super) fn bear<T>(&mut self, mut work: impl FnMut() -> Result<T, JenkinsError>) -> Result<T, JenkinsError> {
        loop {
            match work() {
                Err(error) if is_a_stumble(self.session, &error) && self.wait(&error) == Wait::Again => {}
                done => return done,
            }
        }
    }

    fn wait(&mut self, error: &JenkinsError) -> Wait {
        let watch = self.watch.get_or_insert_with(|| Watch::new(self.session, self.session.patience.unwell));
        watch.wait(&format!("Jenkins answers ({})", error.told()))
    }
}

/// The same for one thing that is asked.
pub(super) fn bear<T>(session: &Session, work: impl FnMut() -> Result<T, JenkinsError>) -> Result<T, JenkinsError> {
    Unwell::new(session).bear(work)
}

/// What does not come from a Jenkins that has answered before is no stumble of it: another server, a page to log in at.
fn is_a_stumble(session: &Session, error: &JenkinsError) -> bool {
    match error {
        // It was waited for already.
        JenkinsError::NotReady { .. } => false,
        JenkinsError::Status { .. } => error.may_pass(),
        _ => error.may_pass() && session.is_known(),
    }
}
