//! The way of executors to their labels, the same with every master: quarantined, connected, proved, labelled; nothing written when nothing
//! is to do, and gone on with from what the master shows after a run that was cut.

use super::driver::{self, CordonError, Driver, Event, EventSink, MasterError, Observation, Report, Verdict};
use super::vacancy::{Made, Vacancy, Vacated, vacate};
use super::witness::{Challenge, Unkept, Witness};
use ostler_roles::master::{Found, Hold, Next, Proof, Stage, Standing, next};
use ostler_roles::words::NodeName;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

/// More steps than an executor can need: made, connected, proved, labelled, with a relaunch and a lost answer in between.
const STEPS: usize = 16;
/// How often a smoke job is tried again that something else than the node cut off.
const CUT_OFF: usize = 1;

/// How long jobs that run may take to end before labels come off.
const DRAIN_WITHIN: Duration = Duration::from_secs(3600);
/// What people read at an executor that is taken out of service.
const LAPSED: &str = "a run changed this node and did not come through; the next one that does proves it";
const WANTED: &str = "this node has changed; its labels are to be earned again";

/// What is known of an executor when its way begins.
#[derive(Clone, Copy)]
pub struct Task<'a> {
    /// Of its fitness.
    pub proof: Proof,
    /// What people read at one whose proof has lapsed, where it is not that a run failed.
    pub why: Option<&'a str>,
    /// What has become of a proof that has lapsed: asked before anything is written; true: behind a wait, when what this run knows is old.
    pub debt: &'a (dyn Fn(bool) -> Debt + Sync),
    /// This run holds it already, and nobody before it.
    pub is_held: bool,
    /// Its turn has not come at once.
    pub has_waited: bool,
}

/// What has become of a proof that has lapsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Debt {
    /// It is owed still.
    Owed,
    /// It is not, for this reason.
    Earned(&'static str),
    /// Another run has the node: this one.
    Taken(String),
}

impl std::fmt::Debug for Task<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Task").field("proof", &self.proof).field("why", &self.why).field("is_held", &self.is_held).finish_non_exhaustive()
    }
}

impl Task<'_> {
    /// Of one of which nothing else is known.
    pub fn of(proof: Proof) -> Self {
        Self { proof, why: None, debt: &|_| Debt::Owed, is_held: false, has_waited: false }
    }

    fn reason(&self) -> &str {
        if self.proof == Proof::Lapsed { self.why.unwrap_or(LAPSED) } else { WANTED }
    }
}

/// How it ended for one executor.
#[derive(Debug)]
#[must_use]
pub enum Ending {
    /// It had its labels, nothing on the node changed, and nothing was written.
    Unchanged,
    /// It passed the smoke job and has its labels.
    Labelled(Report),
    /// As before; the master has it connect when a job wants it.
    Resting,
    /// As before; somebody holds it back, and it takes no jobs.
    Away(Hold),
    /// It failed the smoke job and has no labels.
    Red(Report),
    /// Its smoke job showed nothing; it has no labels.
    Unproved(Report),
    /// Its node changed and the run did not come through: it has no labels until one does.
    Lapsed,
    /// Jobs still run there: it takes no new ones, and keeps its labels until they have ended.
    Busy,
    /// It is in quarantine and somebody holds it back.
    Held(Hold),
    /// Another run has its node by now: the hold is that one's, and so is what becomes of its labels.
    Taken(String),
    /// The run was interrupted on its way; what is left, and what else could not be taken back. A further run goes on from there.
    Stopped(Leftover, Option<String>),
    /// It went no further.
    Failed(MasterError),
}

/// What an interrupted run leaves of an executor on the master.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftover {
    /// Nothing.
    Nothing,
    /// It, in quarantine.
    Quarantined,
    /// It, with its labels, as it was found.
    Labelled,
    /// It, with its labels; it takes no new jobs.
    Cordoned,
    /// It could not be looked up any more.
    Unknown,
}

impl std::fmt::Display for Leftover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Nothing => "it is not on the master",
            Self::Quarantined => "it stays on the master in quarantine, without its labels",
            Self::Labelled => "it keeps the labels that it had on the master",
            Self::Cordoned => "it takes no new jobs on the master; its labels come off in the next whole run",
            Self::Unknown => "the master did not say how it stands there",
        })
    }
}

impl Leftover {
    fn of(standing: &Standing) -> Self {
        match standing {
            Standing::Absent => Self::Nothing,
            Standing::There(Found { hold: Some(Hold { is_ours: true, .. }), .. }) if standing.is_labelled() => Self::Cordoned,
            Standing::There(_) if standing.is_labelled() => Self::Labelled,
            Standing::There(_) => Self::Quarantined,
        }
    }
}

impl Ending {
    /// Whether its labels are attached and earned.
    pub fn is_registered(&self) -> bool {
        matches!(self, Self::Unchanged | Self::Resting | Self::Away(_) | Self::Labelled(_))
    }

    /// The last lines of what went wrong.
    pub fn tail(&self) -> &[String] {
        match self {
            Self::Red(report) | Self::Unproved(report) => &report.tail,
            Self::Failed(MasterError::WithLog { log, .. }) => log,
            Self::Unchanged | Self::Resting | Self::Away(_) | Self::Labelled(_) => &[],
            Self::Lapsed | Self::Busy | Self::Held(_) | Self::Taken(_) | Self::Stopped(..) | Self::Failed(_) => &[],
        }
    }
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unchanged => f.write_str("registered, as before"),
            Self::Labelled(_) => f.write_str("registered: the smoke job passed"),
            Self::Resting => f.write_str("registered, as before; its agent rests until a job wants it"),
            Self::Away(hold) => write!(f, "registered, as before, but it takes no jobs: {hold}"),
            Self::Red(report) | Self::Unproved(report) => write!(f, "not registered: smoke job: {}", report.text),
            Self::Lapsed => f.write_str("out of service, without labels, until a run comes through"),
            Self::Busy => f.write_str("not registered: it takes no new jobs, and jobs still run there; apply again when they have ended"),
            Self::Held(hold) => write!(f, "not registered: {hold}"),
            Self::Taken(run) => write!(f, "not registered: {run}; that run, or the next whole one, lets it in"),
            Self::Stopped(left, None) => write!(f, "not registered: interrupted; {left}"),
            Self::Stopped(left, Some(also)) => write!(f, "not registered: interrupted; {left}; {also}"),
            Self::Failed(error) => write!(f, "not registered: {}", error.told()),
        }
    }
}

/// Brings executors to their labels, as many at once as the driver takes; each comes with whether its node changed in this run
/// ([`Proof::Wanted`]) or not ([`Proof::Standing`]). What goes wrong with one is its [`Ending`]. Blocks.
///
/// # Errors
/// When the master cannot be asked at all.
pub fn register(
    driver: &dyn Driver,
    executors: &[(NodeName, Proof)],
    events: &mut dyn FnMut(&NodeName, Event),
) -> Result<Vec<(NodeName, Ending)>, MasterError> {
    let names: Vec<NodeName> = executors.iter().map(|(name, _)| name.clone()).collect();
    driver.begin(&names);
    let standings = Mutex::new(listed(driver, &names, events)?.standings);
    let next_in_line = AtomicUsize::new(0);
    let endings: Mutex<Vec<(usize, Ending)>> = Mutex::default();
    let workers = driver.workers().min(executors.len());
    let (send, told) = mpsc::sync_channel::<(NodeName, Event)>(workers.max(1));
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let (send, standings, next_in_line, endings) = (send.clone(), &standings, &next_in_line, &endings);
            scope.spawn(move || {
                while let Some((at, (name, proof))) = take(next_in_line, executors) {
                    // The receiver lives until every worker has ended.
                    let tell = |event| drop(send.send((name.clone(), event)));
                    let seen = standings.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
                    let ending = match seen.unwrap_or(Ok(Standing::Absent)) {
                        Ok(seen) => register_one(driver, name, seen, Task::of(*proof), &tell),
                        Err(error) => Ending::Failed(error),
                    };
                    driver.end(name);
                    endings.lock().unwrap_or_else(PoisonError::into_inner).push((at, ending));
                }
            });
        }
        drop(send);
        told.iter().for_each(|(name, event)| events(&name, event));
    });
    let mut endings = endings.into_inner().unwrap_or_else(PoisonError::into_inner);
    endings.sort_by_key(|(at, _)| *at);
    Ok(names.into_iter().zip(endings.into_iter().map(|(_, ending)| ending)).collect())
}

/// The first look, at all at once; what is waited for is told of all.
fn listed(driver: &dyn Driver, names: &[NodeName], events: &mut dyn FnMut(&NodeName, Event)) -> Result<Observation, MasterError> {
    let (send, told) = mpsc::sync_channel::<Event>(1);
    std::thread::scope(|scope| {
        let look = scope.spawn(move || driver.observe(names, &|event| drop(send.send(event))));
        told.iter().for_each(|event| names.iter().for_each(|name| events(name, event.clone())));
        look.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn take<'a>(next_in_line: &AtomicUsize, executors: &'a [(NodeName, Proof)]) -> Option<(usize, &'a (NodeName, Proof))> {
    let at = next_in_line.fetch_add(1, Ordering::Relaxed);
    executors.get(at).map(|executor| (at, executor))
}

/// Brings one executor, which stands so, to its labels. Blocks; every wait is the driver's, with its deadline.
pub fn register_one(driver: &dyn Driver, name: &NodeName, seen: Standing, task: Task<'_>, tell: EventSink<'_>) -> Ending {
    match go(driver, name, seen, task, tell) {
        Ok(ending) => ending,
        Err(MasterError::Stopped { left }) => {
            Ending::Stopped(look(driver, name, tell).map_or(Leftover::Unknown, |seen| Leftover::of(&seen)), left)
        }
        Err(error) => Ending::Failed(error),
    }
}

fn look(driver: &dyn Driver, name: &NodeName, tell: EventSink<'_>) -> Result<Standing, MasterError> {
    let Observation { mut standings, .. } = driver.observe(std::slice::from_ref(name), tell)?;
    standings.remove(name).unwrap_or(Ok(Standing::Absent))
}

/// Whether this step is taken also after an interrupt: a write that takes unearned labels off, or puts earned ones on.
fn may_finish(next: &Next, seen: &Standing, proof: Proof) -> bool {
    match next {
        Next::Quarantine(_) => seen.is_labelled(),
        Next::Label(_) => proof == Proof::Green,
        Next::Settled(_) | Next::Held(_) => true,
        Next::Release | Next::Connect | Next::Smoke => false,
    }
}

/// Whether it takes off a hold in our words, or leads there, which may be another run's: that may have begun on the node since this one met it.
fn ends_a_hold(next: &Next, seen: &Standing, proof: Proof) -> bool {
    let Standing::There(Found { hold: Some(hold), .. }) = seen else { return false };
    match next {
        Next::Release => true,
        Next::Quarantine(_) => proof == Proof::Standing && hold.is_ours,
        Next::Connect | Next::Smoke | Next::Held(_) | Next::Label(_) | Next::Settled(_) => false,
    }
}

fn go(driver: &dyn Driver, name: &NodeName, mut seen: Standing, mut task: Task<'_>, tell: EventSink<'_>) -> Result<Ending, MasterError> {
    let mut report: Option<Report> = None;
    let (mut is_equipped, mut is_drained, mut cut_off) = (false, false, 0);
    for _ in 0..STEPS {
        let next = next(&seen, task.proof);
        if ends_a_hold(&next, &seen, task.proof)
            && !driver.stop().is_asked()
            && let Some(run) = driver.witness(name)?.taken_by().map_err(MasterError::Failed)?
        {
            return Ok(Ending::Taken(run));
        }
        // Only an executor that is there can be equipped; labels that are not earned are taken off first.
        if let (Standing::There(found), false, false) = (&seen, is_equipped, driver.stop().is_asked())
            && !matches!(next, Next::Quarantine(_))
            && task.proof != Proof::Lapsed
        {
            is_equipped = true;
            if driver.equip(name, found.is_connected, tell)? {
                tell(Event::Equipped);
                task.proof = Proof::Wanted;
                seen = look(driver, name, tell)?;
                continue;
            }
        }
        if driver.stop().is_asked() && !may_finish(&next, &seen, task.proof) {
            return Ok(Ending::Stopped(Leftover::of(&seen), None));
        }
        if task.proof == Proof::Lapsed && matches!(next, Next::Quarantine(_)) {
            match (task.debt)(task.has_waited) {
                Debt::Owed => {}
                Debt::Earned(why) => return earned(driver, name, &seen, (task, why), tell),
                Debt::Taken(run) => return Ok(Ending::Taken(run)),
            }
        }
        match next {
            Next::Quarantine(_) if !is_drained && seen.is_labelled() && (task.proof == Proof::Lapsed || driver.quarantine_ends_jobs()) => {
                if let Some(ending) = set_aside(driver, name, &mut task, tell)? {
                    return Ok(ending);
                }
                (is_drained, task.has_waited) = (true, true);
            }
            Next::Quarantine(changes) => {
                tell(Event::Quarantining { is_new: seen == Standing::Absent, changes });
                driver.quarantine(name, tell)?;
            }
            Next::Release => driver.uncordon(name, tell)?,
            Next::Connect => driver.connect(name, tell)?,
            Next::Smoke => {
                let witness = driver.witness(name)?;
                let done = smoke(driver, name, &witness, tell)?;
                match done.verdict {
                    Verdict::Green => match keep(witness.as_ref(), tell) {
                        None => task.proof = Proof::Green,
                        Some(text) => return Ok(Ending::Unproved(Report { verdict: Verdict::Unknown, text, ..done })),
                    },
                    Verdict::Red => task.proof = Proof::Red,
                    Verdict::Unknown if done.was_cut_off && cut_off < CUT_OFF => cut_off += 1,
                    // It is in quarantine, and stays there.
                    Verdict::Unknown => return Ok(Ending::Unproved(done)),
                }
                report = Some(done);
            }
            Next::Label(changes) => {
                tell(Event::Labelling { changes });
                driver.label(name, tell)?;
            }
            Next::Held(hold) => return Ok(Ending::Held(hold)),
            Next::Settled(stage) => return Ok(settled(stage, report, &seen, task.proof, tell)),
        }
        seen = look(driver, name, tell)?;
    }
    Ok(Ending::Failed(MasterError::Failed("it does not settle; somebody else changes it on the master".into())))
}

fn smoke(driver: &dyn Driver, name: &NodeName, witness: &Arc<dyn Witness>, tell: EventSink<'_>) -> Result<Report, MasterError> {
    tell(Event::Smoking);
    let challenge = Challenge::give(Arc::clone(witness))?;
    let done = challenge.judge(driver.prove(name, tell)?);
    tell(Event::Smoked { verdict: done.verdict, text: done.text.clone(), took: done.took });
    done.left.iter().for_each(|left| tell(Event::Note(left.clone())));
    Ok(done)
}

/// Keeps on the node that the smoke job passed, before any label says so; why it proves nothing of the node as it is now. A run that is cut
/// behind it finds it in quarantine, and runs the smoke job again.
fn keep(witness: &dyn Witness, tell: EventSink<'_>) -> Option<String> {
    match witness.keep() {
        Ok(()) => None,
        Err(Unkept::Owed(cause)) => {
            let text = format!("its proof is not kept on the node, which goes on owing it: {}", driver::told(&*cause));
            tell(Event::Note(text));
            None
        }
        Err(Unkept::Changed(cause)) => {
            let why = driver::told(&*cause);
            Some(format!("passed, but another run has the node, or has changed it since: {why}; run the same command again"))
        }
    }
}

/// What had lapsed is owed no more: its labels are earned. What this run alone has held takes jobs again; what was held before stays so, and that
/// is told.
fn earned(
    driver: &dyn Driver,
    name: &NodeName,
    seen: &Standing,
    (task, why): (Task<'_>, &str),
    tell: EventSink<'_>,
) -> Result<Ending, MasterError> {
    tell(Event::Note(format!("{why}: it keeps its labels")));
    if task.is_held {
        driver.uncordon(name, tell)?;
        return Ok(Ending::Unchanged);
    }
    Ok(settled(Stage::Labelled, None, seen, Proof::Standing, tell))
}

/// Lets an executor that has labels and no longer earns them take no new jobs, before its turn has come; true: by this call. Blocks for a
/// moment.
///
/// # Errors
/// [`CordonError`].
pub fn hold_back(driver: &dyn Driver, name: &NodeName, seen: &Standing, task: Task<'_>, tell: EventSink<'_>) -> Result<bool, CordonError> {
    match task.proof {
        Proof::Lapsed if (task.debt)(false) != Debt::Owed => Ok(false),
        Proof::Wanted | Proof::Lapsed if seen.is_labelled() => driver.cordon(name, task.reason(), tell).map(|cordon| cordon.is_made()),
        Proof::Standing | Proof::Wanted | Proof::Green | Proof::Red | Proof::Lapsed => Ok(false),
    }
}

/// Takes an executor out of service and waits until no job runs there; none: it may go into quarantine.
fn set_aside(driver: &dyn Driver, name: &NodeName, task: &mut Task<'_>, tell: EventSink<'_>) -> Result<Option<Ending>, MasterError> {
    if driver.stop().is_asked() && !driver.quarantine_ends_jobs() {
        return driver.cordon(name, task.reason(), tell).map(|_| None).map_err(|unheld| unheld.error);
    }
    let Vacated { made, is_held, vacancy } = vacate(driver, name, task.reason(), DRAIN_WITHIN, tell);
    task.is_held |= made >= Made::Perhaps;
    match vacancy {
        Ok(Vacancy::Free) => Ok(None),
        Ok(Vacancy::Busy) => Ok(Some(Ending::Busy)),
        Err(MasterError::Stopped { left }) if is_held => Ok(Some(Ending::Stopped(Leftover::Cordoned, left))),
        Err(error) => Err(error),
    }
}

/// How it ends for an executor that a look has just shown so; none: something is to be done about it.
pub fn as_seen(seen: &Standing, proof: Proof, tell: EventSink<'_>) -> Option<Ending> {
    match next(seen, proof) {
        Next::Settled(stage) => Some(settled(stage, None, seen, proof, tell)),
        _ => None,
    }
}

fn settled(stage: Stage, report: Option<Report>, seen: &Standing, proof: Proof, tell: EventSink<'_>) -> Ending {
    let ending = match (stage, report, seen) {
        (_, _, _) if proof == Proof::Lapsed => Ending::Lapsed,
        (Stage::Labelled, None, Standing::There(Found { hold: Some(hold), .. })) => Ending::Away(hold.clone()),
        (Stage::Labelled, None, Standing::There(Found { is_resting: true, .. })) => Ending::Resting,
        (Stage::Labelled, None, _) => Ending::Unchanged,
        (Stage::Labelled, Some(report), _) => Ending::Labelled(report),
        (Stage::Quarantined, Some(report), _) => Ending::Red(report),
        (Stage::Quarantined, None, _) => Ending::Failed(MasterError::Failed("it was proved by nobody".into())),
    };
    if matches!(ending, Ending::Away(_) | Ending::Resting) {
        tell(Event::Note(ending.to_string()));
    }
    ending
}
