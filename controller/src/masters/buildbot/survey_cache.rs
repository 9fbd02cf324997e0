//! Looks at a whole master that many wait for: whoever asks while one is under way shares the next.

use super::client::{BuildbotError, Client};
use super::survey::Survey;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// The last look, and when it began.
#[derive(Debug, Default)]
pub(super) struct SurveyCache(Mutex<Option<(Instant, Survey)>>);

impl SurveyCache {
    /// What the master shows, by a look that began after this was asked for.
    pub(super) fn look(&self, client: &Client) -> Result<Survey, BuildbotError> {
        let asked = Instant::now();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, survey)) = last.as_ref().filter(|(began, _)| *began >= asked) {
            return Ok(survey.clone());
        }
        let began = Instant::now();
        let survey = client.survey()?;
        *last = Some((began, survey.clone()));
        Ok(survey)
    }
}
