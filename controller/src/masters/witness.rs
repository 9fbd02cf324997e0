//! Which machine a smoke job ran on: the node of this run alone is given a nonce, and the job prints it (`docs/decisions/0016`).

use super::driver::{Cause, MasterError, Report, Verdict, told};
use std::sync::Arc;

/// Bytes of a nonce: nobody guesses 128 bits, nor meets them twice.
const BYTES: usize = 16;
/// How much of what a job printed instead is quoted.
const QUOTED: usize = 200;

/// What nobody but one node knows, for one smoke job.
#[derive(Clone, PartialEq, Eq)]
pub struct Nonce(String);

impl Nonce {
    /// Another one at each call.
    ///
    /// # Errors
    /// When the kernel has no random bytes.
    pub fn fresh() -> Result<Self, std::io::Error> {
        let mut bytes = [0_u8; BYTES];
        let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
        if filled < BYTES {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// The line that a job prints, without its end.
    pub fn line(&self) -> &str {
        &self.0
    }

    /// The content of the file on the node.
    pub fn content(&self) -> Vec<u8> {
        format!("{}\n", self.0).into_bytes()
    }
}

impl std::fmt::Debug for Nonce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Nonce(***)")
    }
}

/// The way to the node of one executor, by no master.
pub trait Witness: std::fmt::Debug + Send + Sync {
    /// Who it is, for messages.
    fn node(&self) -> String;

    /// The file in which whoever runs jobs there reads a nonce; it is the same in every run.
    fn path(&self) -> String;

    /// Puts a nonce there, for the account that runs jobs and no other.
    ///
    /// # Errors
    /// When it is not there afterwards.
    fn give(&self, nonce: &Nonce) -> Result<(), Cause>;

    /// Removes it. False: it was not there all the time.
    ///
    /// # Errors
    /// When the node cannot be asked: then that is not known.
    fn take(&self) -> Result<bool, Cause>;

    /// Keeps on the node that the smoke job passed on it, as this run has left it.
    ///
    /// # Errors
    /// [`Unkept`].
    fn keep(&self) -> Result<(), Unkept>;

    /// Which other run has the node now, asked anew, and is to let its executors in; none: none.
    ///
    /// # Errors
    /// When the node does not say.
    fn taken_by(&self) -> Result<Option<String>, Cause>;
}

/// Why a node does not keep a proof.
#[derive(Debug)]
pub enum Unkept {
    /// It is not as the run has left it: another one changes it, or has. Nothing is proved of it as it is.
    Changed(Cause),
    /// That could not be told or written there. What was proved is proved; the node goes on owing it.
    Owed(Cause),
}

/// What a smoke job printed of its machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// These lines, the nonce among them if it had it.
    Lines(Vec<String>),
    /// That cannot be told: why.
    Unread(String),
}

/// A nonce on its node. It is taken away in any case.
#[derive(Debug)]
pub struct Challenge {
    witness: Arc<dyn Witness>,
    nonce: Nonce,
    is_given: bool,
}

impl Challenge {
    /// Gives the node a nonce of its own.
    ///
    /// # Errors
    /// When it cannot be given: then no job can prove anything.
    pub fn give(witness: Arc<dyn Witness>) -> Result<Self, MasterError> {
        let nonce = Nonce::fresh().map_err(MasterError::failed)?;
        let challenge = Self { witness, nonce, is_given: true };
        match challenge.witness.give(&challenge.nonce) {
            Ok(()) => Ok(challenge),
            Err(cause) => {
                let text = format!("let node {} prove that its smoke job runs there", challenge.witness.node());
                Err(MasterError::Failed(Box::new(Ungiven { text, cause })))
            }
        }
    }

    /// What the job proves: nothing, unless it has shown the nonce.
    pub fn judge(mut self, report: Report) -> Report {
        self.is_given = false;
        let stayed = self.witness.take();
        if report.verdict == Verdict::Unknown {
            return report;
        }
        let lines = match &report.shown {
            Shown::Lines(lines) => lines,
            Shown::Unread(why) => return Report { text: format!("which machine it ran on is not known: {why}"), ..unknown(report) },
        };
        if lines.iter().any(|line| line.trim() == self.nonce.line()) {
            return report;
        }
        let node = self.witness.node();
        match stayed {
            Ok(true) => {
                let said = lines.iter().find(|line| !line.trim().is_empty()).map_or("nothing", |line| line.trim());
                let said: String = said.chars().take(QUOTED).collect();
                let text = format!("ran on another machine: it did not show what {node} alone was given, but `{said}`");
                Report { verdict: Verdict::Red, text, ..report }
            }
            Ok(false) => self.unseen(report, "it was gone before the job had ended"),
            Err(cause) => self.unseen(report, &told(&*cause)),
        }
    }

    /// What the job was to show may not have been there to be read.
    fn unseen(&self, report: Report, why: &str) -> Report {
        let text = format!("which machine it ran on is not known; what {} was given for it: {why}", self.witness.node());
        Report { text, was_cut_off: true, ..unknown(report) }
    }
}

fn unknown(report: Report) -> Report {
    Report { verdict: Verdict::Unknown, ..report }
}

impl Drop for Challenge {
    fn drop(&mut self) {
        if self.is_given {
            // It goes with the conversation at the latest.
            let _ = self.witness.take();
        }
    }
}

/// Why a node has no nonce.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
struct Ungiven {
    text: String,
    #[source]
    cause: Cause,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::time::Duration;

    #[derive(Debug, Default)]
    struct Node {
        given: Mutex<Vec<Nonce>>,
        lost: Option<bool>,
    }

    impl Witness for Node {
        fn node(&self) -> String {
            "p06".to_owned()
        }
        fn path(&self) -> String {
            "/run/x".to_owned()
        }
        fn give(&self, nonce: &Nonce) -> Result<(), Cause> {
            self.given.lock().unwrap().push(nonce.clone());
            Ok(())
        }
        fn take(&self) -> Result<bool, Cause> {
            match self.lost {
                None => Ok(true),
                Some(true) => Err("the connection is lost".into()),
                Some(false) => Ok(false),
            }
        }
        fn keep(&self) -> Result<(), Unkept> {
            unreachable!("judged only")
        }
        fn taken_by(&self) -> Result<Option<String>, Cause> {
            unreachable!("judged only")
        }
    }

    fn judged(lost: Option<bool>, verdict: Verdict, shown: impl Fn(&Nonce) -> Shown) -> (Verdict, String, bool) {
        let node = Arc::new(Node { lost, ..Node::default() });
        let challenge = Challenge::give(Arc::clone(&node) as Arc<dyn Witness>).unwrap();
        let nonce = node.given.lock().unwrap()[0].clone();
        let (text, tail, took) = ("success".to_owned(), Vec::new(), Duration::ZERO);
        let report = Report { verdict, text, url: None, tail, was_cut_off: false, left: None, took, shown: shown(&nonce) };
        let report = challenge.judge(report);
        (report.verdict, report.text, report.was_cut_off)
    }

    fn lines(lines: &[&str]) -> Shown {
        Shown::Lines(lines.iter().map(|line| (*line).to_owned()).collect())
    }

    #[test]
    fn a_nonce_is_never_the_same_and_shows_nowhere() {
        let (one, other) = (Nonce::fresh().unwrap(), Nonce::fresh().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.line().len(), 32);
        assert!(!format!("{one:?}").contains(one.line()));
    }

    #[test]
    fn a_job_proves_what_it_says_only_where_it_shows_the_nonce() {
        let shown = |nonce: &Nonce| lines(&["+ cat", nonce.line()]);
        assert_eq!(judged(None, Verdict::Green, shown), (Verdict::Green, "success".to_owned(), false));
        assert_eq!(judged(None, Verdict::Red, shown).0, Verdict::Red);
        // It was read while it was there: what became of it afterwards is no matter.
        assert_eq!(judged(Some(false), Verdict::Green, shown).0, Verdict::Green);
        let text = "ran on another machine: it did not show what p06 alone was given, but `cat: no such file`";
        for verdict in [Verdict::Green, Verdict::Red] {
            let other = judged(None, verdict, |_| lines(&["", "cat: no such file"]));
            assert_eq!(other, (Verdict::Red, text.to_owned(), false));
        }
        // A part of it, or an older one, is another.
        assert_eq!(judged(None, Verdict::Green, |nonce| lines(&[&nonce.line()[1..]])).0, Verdict::Red);
        assert_eq!(judged(None, Verdict::Green, |_| lines(&[Nonce::fresh().unwrap().line()])).0, Verdict::Red);
    }

    #[test]
    fn what_was_not_there_to_be_read_proves_nothing_and_is_tried_again() {
        for (lost, why) in [(false, "it was gone before the job had ended"), (true, "the connection is lost")] {
            let (verdict, text, again) = judged(Some(lost), Verdict::Green, |_| lines(&[]));
            assert_eq!((verdict, again), (Verdict::Unknown, true));
            assert!(text.ends_with(why), "{text}");
        }
        let unread = judged(None, Verdict::Green, |_| Shown::Unread("no such log".to_owned()));
        assert_eq!(unread, (Verdict::Unknown, "which machine it ran on is not known: no such log".to_owned(), false));
        assert_eq!(judged(None, Verdict::Unknown, |_| lines(&[])).1, "success");
    }
}
