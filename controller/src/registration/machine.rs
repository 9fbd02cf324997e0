//! The machine of a master that is configured by files: written by its own agent, as one small run a go.

use super::connections::SharedJob;
use super::node_job::Patch;
use crate::masters::driver::Cause;
use crate::masters::files::{Install, InstallError};
use std::sync::PoisonError;

/// What files become on the machine.
type Steps<F> = Box<dyn Fn(&[F]) -> Result<Patch, Cause> + Send>;

/// One machine, and what files become there.
pub struct Machine<F> {
    job: SharedJob,
    steps: Steps<F>,
}

impl<F> Machine<F> {
    /// The machine that this job leads to.
    pub fn new(job: SharedJob, steps: impl Fn(&[F]) -> Result<Patch, Cause> + Send + 'static) -> Self {
        Self { job, steps: Box::new(steps) }
    }
}

impl<F> Install<F> for Machine<F> {
    fn install(&mut self, files: &[F]) -> Result<(), InstallError> {
        let patch = (self.steps)(files).map_err(InstallError::new)?;
        let mut job = self.job.lock().unwrap_or_else(PoisonError::into_inner);
        job.run(&patch, &mut || Ok(())).map(drop).map_err(|error| InstallError::new(Box::new(error)))
    }
}
