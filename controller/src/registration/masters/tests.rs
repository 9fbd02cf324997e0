//! Looks that many wait for, and what happens to those who wait for room.

use super::*;
use crate::fleet::fake::{Act, FakeNode, run_id};
use crate::journal::{FileStore, ProofStore, Store};
use crate::masters::Cancellation;
use crate::masters::driver::{Cordon, CordonError, EventSink, Observation, Report};
use crate::masters::witness::Witness;
use crate::registration::SiteState;
use crate::registration::fake::{executor, registrar};
use ostler_roles::catalog::Requirement;
use ostler_roles::check::{Check, Disk, Verdict};
use ostler_roles::ledger::{Ledger, Proved, Subject};
use ostler_roles::master::{Difference, Found, Hold};
use ostler_roles::plan::Plan;
use ostler_roles::wire::message::{ActiveRun, Hello, ToController};
use ostler_roles::words::{AbsPath, Digest, Origin, RoleName, Span};
use std::sync::mpsc;
use std::time::Duration;

/// Tells of every look, and waits for a word in it.
#[derive(Debug)]
struct Slow {
    looks: mpsc::Sender<Vec<String>>,
    go_on: Mutex<mpsc::Receiver<()>>,
    stop: Cancellation,
}

impl Driver for Slow {
    fn observe(&self, names: &[NodeName], _tell: EventSink<'_>) -> Result<Observation, MasterError> {
        self.looks.send(names.iter().map(ToString::to_string).collect()).unwrap();
        self.go_on.lock().unwrap().recv().unwrap();
        Ok(Observation::default())
    }
    fn cordon(&self, _name: &NodeName, _reason: &str, _tell: EventSink<'_>) -> Result<Cordon, CordonError> {
        unreachable!("looks only")
    }
    fn drain(&self, _name: &NodeName, _patience: Duration, _tell: EventSink<'_>) -> Result<driver::Drain, MasterError> {
        unreachable!("looks only")
    }
    fn uncordon(&self, _name: &NodeName, _tell: EventSink<'_>) -> Result<(), MasterError> {
        unreachable!("looks only")
    }
    fn quarantine(&self, _name: &NodeName, _tell: EventSink<'_>) -> Result<(), MasterError> {
        unreachable!("looks only")
    }
    fn quarantine_ends_jobs(&self) -> bool {
        unreachable!("looks only")
    }
    fn connect(&self, _name: &NodeName, _tell: EventSink<'_>) -> Result<(), MasterError> {
        unreachable!("looks only")
    }
    fn witness(&self, _name: &NodeName) -> Result<Arc<dyn Witness>, MasterError> {
        unreachable!("looks only")
    }
    fn prove(&self, _name: &NodeName, _tell: EventSink<'_>) -> Result<Report, MasterError> {
        unreachable!("looks only")
    }
    fn label(&self, _name: &NodeName, _tell: EventSink<'_>) -> Result<(), MasterError> {
        unreachable!("looks only")
    }
    fn retire(&self, _name: &NodeName) -> Result<(), MasterError> {
        unreachable!("looks only")
    }
    fn workers(&self) -> usize {
        unreachable!("looks only")
    }
    fn stop(&self) -> &Cancellation {
        &self.stop
    }
}

/// A master with room for one. Tells what is asked of it; a drain waits for a word. Whoever was held back has lost its labels by the next look:
/// somebody else took them off.
#[derive(Debug)]
pub(super) struct Narrow {
    asked: mpsc::Sender<String>,
    go_on: Mutex<mpsc::Receiver<()>>,
    held: Mutex<BTreeSet<NodeName>>,
    stop: Cancellation,
    /// Nobody takes off what was held back.
    keeps_labels: bool,
    /// What a hold comes to.
    cordoned: fn() -> Result<Cordon, CordonError>,
    /// Who holds it back, as each look shows it.
    shows: Option<Hold>,
}

impl Narrow {
    pub(super) fn that(asked: mpsc::Sender<String>, go_on: mpsc::Receiver<()>) -> Self {
        let (held, stop, cordoned): (_, _, fn() -> _) = (Mutex::default(), Cancellation::default(), || Ok(Cordon::Ours));
        Self { asked, go_on: Mutex::new(go_on), held, stop, keeps_labels: false, cordoned, shows: None }
    }

    pub(super) fn labelled(self) -> Self {
        Self { keeps_labels: true, ..self }
    }

    pub(super) fn cordoning(self, cordoned: fn() -> Result<Cordon, CordonError>) -> Self {
        Self { cordoned, ..self }
    }

    pub(super) fn held_by_us(self, is_held: bool) -> Self {
        Self { shows: is_held.then(|| Hold { is_ours: true, text: "held by a run".to_owned() }), ..self }
    }

    fn asked(&self, what: &str, name: &NodeName) {
        self.asked.send(format!("{what} {name}")).unwrap();
    }
}

impl Driver for Narrow {
    fn observe(&self, names: &[NodeName], _tell: EventSink<'_>) -> Result<Observation, MasterError> {
        let held = self.held.lock().unwrap();
        let unless = |is_so: bool| if is_so { Vec::new() } else { vec![Difference::new("labels", "a", "b")] };
        let of = |name: &NodeName| {
            self.asked("look", name);
            let is_held = held.contains(name) && !self.keeps_labels;
            let (to_quarantine, to_labels) = (unless(is_held), unless(!is_held));
            let found = Found { to_quarantine, to_labels, is_connected: false, is_resting: false, hold: self.shows.clone() };
            (name.clone(), Ok(Standing::There(found)))
        };
        Ok(Observation { standings: names.iter().map(of).collect(), ..Observation::default() })
    }
    fn cordon(&self, name: &NodeName, _reason: &str, _tell: EventSink<'_>) -> Result<Cordon, CordonError> {
        self.asked("cordon", name);
        self.held.lock().unwrap().insert(name.clone());
        (self.cordoned)()
    }
    fn drain(&self, name: &NodeName, _patience: Duration, _tell: EventSink<'_>) -> Result<driver::Drain, MasterError> {
        self.asked("drain", name);
        match self.go_on.lock().unwrap().recv() {
            Ok(()) => Ok(driver::Drain::Idle),
            Err(_) => Ok(driver::Drain::Busy),
        }
    }
    fn uncordon(&self, name: &NodeName, _tell: EventSink<'_>) -> Result<(), MasterError> {
        self.asked("uncordon", name);
        Ok(())
    }
    fn quarantine(&self, name: &NodeName, _tell: EventSink<'_>) -> Result<(), MasterError> {
        self.asked("quarantine", name);
        Ok(())
    }
    fn quarantine_ends_jobs(&self) -> bool {
        false
    }
    fn connect(&self, name: &NodeName, _tell: EventSink<'_>) -> Result<(), MasterError> {
        self.asked("connect", name);
        Err(MasterError::Failed("far enough".into()))
    }
    fn witness(&self, _name: &NodeName) -> Result<Arc<dyn Witness>, MasterError> {
        unreachable!("nobody connects")
    }
    fn prove(&self, _name: &NodeName, _tell: EventSink<'_>) -> Result<Report, MasterError> {
        unreachable!("nobody connects")
    }
    fn label(&self, _name: &NodeName, _tell: EventSink<'_>) -> Result<(), MasterError> {
        unreachable!("nobody connects")
    }
    fn retire(&self, _name: &NodeName) -> Result<(), MasterError> {
        unreachable!("nobody goes")
    }
    fn workers(&self) -> usize {
        1
    }
    fn stop(&self) -> &Cancellation {
        &self.stop
    }
}

fn reporter(name: &str) -> Arc<Reporter> {
    let (registrar, executor) = (registrar(), executor(name));
    let transaction = Transaction::of_planned(&NodeName::parse(name).unwrap(), Digest::of(b"plan"), &registrar.preparation.events);
    let candidate = Candidate { node: NodeName::parse(name).unwrap(), executor, host_keys: Vec::new() };
    Arc::new(Reporter { registrar, candidate, hint: None, transaction, shared: AtomicU32::new(0) })
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_while_a_look_is_under_way_shares_the_next() {
    let (looks, seen) = mpsc::channel();
    let (word, go_on) = mpsc::channel();
    let driver: Arc<dyn Driver> = Arc::new(Slow { looks, go_on: Mutex::new(go_on), stop: Cancellation::default() });
    let all = Arc::new(SharedListing::default());
    let mut tasks = JoinSet::new();
    let mut ask = |name: &'static str| {
        let (all, driver) = (Arc::clone(&all), Arc::clone(&driver));
        tasks.spawn(async move { all.look(&driver, &NodeName::parse(name).unwrap(), &reporter(name)).await });
    };
    ask("one");
    assert_eq!(seen.recv_timeout(Duration::from_secs(60)).unwrap(), ["one"]);
    ["two", "three", "four"].into_iter().for_each(&mut ask);
    while all.waiting.lock().unwrap().len() < 3 {
        tokio::task::yield_now().await;
    }
    (0..2).for_each(|_| word.send(()).unwrap());
    let mut second = seen.recv_timeout(Duration::from_secs(60)).unwrap();
    second.sort();
    assert_eq!(second, ["four", "three", "two"]);
    assert!(tasks.join_all().await.iter().all(|look| matches!(look, Ok(Standing::Absent))));
    assert!(seen.try_recv().is_err(), "a look for nobody");
}

/// `one` and `two` on a master with room for one.
pub(super) fn masters(driver: Narrow, registrar: &Registrar) -> Masters {
    let open = OpenMaster::of(Opened { driver: Some(Box::new(driver)), refused: Vec::new(), hint: None });
    let of = |name: &&str| Candidate { node: NodeName::parse(name).unwrap(), executor: executor(name), host_keys: Vec::new() };
    let batch = ["one", "two"].iter().map(of).collect();
    let entry = Entry { master: None, batch, opened: OnceCell::new_with(Some(Ok(Arc::new(open)))) };
    let masters = Arc::new(BTreeMap::from([(MasterName::parse("ci").unwrap(), entry)]));
    let (connections, drains) = (Connections::new(registrar), Arc::new(Semaphore::new(1)));
    Masters { registrar: registrar.clone(), connections, masters, settled: Arc::default(), drains }
}

/// Registers one of them; why it is not `fit`.
fn begin(tasks: &mut JoinSet<Vec<Registered>>, masters: &Masters, name: &'static str, (proof, unfit): (Proof, Option<Unfit>)) {
    let masters = masters.clone();
    tasks.spawn(async move {
        let node = NodeName::parse(name).unwrap();
        let transaction = Transaction::of_planned(&node, Digest::of(b"plan"), &masters.registrar.preparation.events);
        masters.register(&node, vec![(executor(name), proof)], (unfit, None), &transaction).await
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_for_room_takes_no_jobs_meanwhile_and_is_looked_at_again_in_its_turn() {
    for (proof, end) in [(Proof::Lapsed, None), (Proof::Wanted, Some("connect two"))] {
        let (asked, seen) = mpsc::channel();
        let (word, go_on) = mpsc::channel();
        let masters = masters(Narrow::that(asked, go_on), &registrar());
        let mut tasks = JoinSet::new();
        let comes = |what: &str| assert_eq!(seen.recv_timeout(Duration::from_secs(60)).unwrap(), what);
        begin(&mut tasks, &masters, "one", (Proof::Lapsed, None));
        ["look one", "cordon one", "drain one"].iter().for_each(|what| comes(what));
        begin(&mut tasks, &masters, "two", (proof, None));
        ["look two", "cordon two"].iter().for_each(|what| comes(what));
        word.send(()).unwrap();
        ["look one", "look two"].iter().chain(&end).for_each(|what| comes(what));
        assert_eq!(tasks.join_all().await.len(), 2);
        assert_eq!(seen.try_recv().ok(), None, "what an old look has shown was acted on");
    }
}

fn unfit() -> Unfit {
    let check = Check::Disk(Disk { path: AbsPath::parse("/srv").unwrap(), size: None, free_after: None, executors: None });
    let proof = Requirement { check, role: RoleName::parse("ci").unwrap(), origin: Origin::generated("tests"), within: Span::seconds(1) };
    Unfit { why: "it does not hold".to_owned(), failed: vec![proof] }
}

/// What is asked of the master for `two`, of which something has lapsed, when its turn has come, and how that ends; where its node, which was
/// left at generation 4, says this when it is asked anew; none: nobody is there. `holds`: it was not fit, and what did not hold does now, or not.
async fn turn_of_two(hello: Option<Hello>, holds: Option<bool>) -> (Vec<String>, String) {
    turn_on(hello, holds, |driver| driver, (None, None)).await
}

/// The same on this master; where the site knows of a change of its node that was not proved.
async fn turn_on(
    hello: Option<Hello>,
    holds: Option<bool>,
    made: impl FnOnce(Narrow) -> Narrow,
    (site_owes, then): (Option<u64>, Option<Hello>),
) -> (Vec<String>, String) {
    let plan = |holds| Plan {
        catalog: Digest::of(b""),
        generation: 4,
        requirements: Vec::new(),
        steps: Vec::new(),
        verify: vec![if holds {
            Verdict::Pass { found: "there".to_owned() }
        } else {
            Verdict::CouldNotTell { why: "nobody knows".to_owned() }
        }],
        notes: Vec::new(),
    };
    let met = |hello| {
        let answer = holds.map(|holds| Act::Say(ToController::Planned(Box::new(plan(holds)))));
        [Act::Hear, Act::Say(ToController::Hello(Box::new(hello))), Act::Hear].into_iter().chain(answer).chain([Act::Hear]).collect()
    };
    // Once more behind an answer: it is as it was, unless something else is to be met there.
    let met_again = |hello| vec![Act::Hear, Act::Say(ToController::Hello(Box::new(hello))), Act::Hear];
    let again = then.or(hello.clone()).filter(|_| holds == Some(true)).map(|hello| Some(met_again(hello)));
    let fake = FakeNode::new(hello.map(|hello| Some(met(hello))).into_iter().chain(again).collect());
    let (preparation, _told) = fake.preparation();
    let directory = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(FileStore::new(directory.path().join("site")));
    if let Some(changed) = site_owes {
        let (store, node, mut ledger) = (ProofStore::new(Arc::clone(&store)), NodeName::parse("two").unwrap(), Ledger::default());
        ledger.change(Some(changed));
        store.swap(&node, &store.get(&node).unwrap(), ledger).unwrap().unwrap();
    }
    let registrar = Registrar { preparation, site: SiteState { store, ..registrar().site }, ..registrar() };
    let (asked, seen) = mpsc::channel();
    let (word, go_on) = mpsc::channel();
    // A drain, if it comes to that, goes no further.
    let masters = masters(made(Narrow::that(asked, go_on).labelled()), &registrar);
    masters.connections.give(&NodeName::parse("two").unwrap(), None, Vec::new(), 4).await;
    let room = masters.masters.values().next().unwrap().opened.get().unwrap().clone().unwrap();
    let turn = room.room.acquire().await.unwrap();
    let mut tasks = JoinSet::new();
    let unfit = holds.map(|_| unfit());
    begin(&mut tasks, &masters, "two", (Proof::Lapsed, unfit));
    for what in ["look two", "cordon two"] {
        assert_eq!(seen.recv_timeout(Duration::from_secs(60)).unwrap(), what);
    }
    drop(word);
    drop(turn);
    let ended = tasks.join_all().await.remove(0).remove(0);
    (seen.try_iter().collect(), ended.text)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lapsed_and_was_proved_by_another_run_while_it_waited_keeps_its_labels() {
    let at = |generation: u64, is_proved: bool, run: Option<ActiveRun>| {
        let mut ledger = Ledger::default();
        ledger.change(Some(generation));
        if is_proved {
            ledger.prove(Proved { subject: Subject::of(&executor("two")), generation }).unwrap();
        }
        Hello { run, ledger, ..crate::session::fake::hello() }
    };
    let earned = [(at(4, true, None), None), (at(5, true, None), None), (at(5, true, None), Some(false)), (at(4, true, None), Some(true))];
    for (hello, holds) in earned {
        let (asked, text) = turn_of_two(Some(hello), holds).await;
        assert_eq!((asked, text.as_str()), (vec!["look two".to_owned()], "registered, as before"));
    }
    let run =
        ActiveRun { run: run_id(), alive: true, controller: "eve@desk".into(), since: 1, age: Span::seconds(0), events: 3, owes: true };
    let (asked, text) = turn_of_two(Some(at(4, false, Some(run.clone()))), None).await;
    assert_eq!(asked, ["look two"], "that run has it");
    assert_eq!(text, "not registered: run 00000001 of eve@desk has had the node for 0s; that run, or the next whole one, lets it in");
    // It is owed still: by this run or by another, by a node that knows nothing, that says nothing, or that is as unfit as it was.
    let ended = ActiveRun { alive: false, ..run };
    let owed = [at(4, false, None), at(5, false, Some(ended)), at(3, true, None), crate::session::fake::hello()];
    let owed = owed.map(|hello| (Some(hello), None)).into_iter().chain([(None, None), (Some(at(4, true, None)), Some(false))]);
    for (hello, holds) in owed {
        let (asked, _) = turn_of_two(hello, holds).await;
        assert_eq!(asked[..3], ["look two", "cordon two", "drain two"]);
    }
}

/// As a node says it that was changed last at this generation, and is proved since or not.
fn left_at(generation: u64, is_proved: bool) -> Hello {
    let mut ledger = Ledger::default();
    ledger.change(Some(generation));
    if is_proved {
        ledger.prove(Proved { subject: Subject::of(&executor("two")), generation }).unwrap();
    }
    Hello { ledger, ..crate::session::fake::hello() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_holds_again_keeps_no_labels_where_its_node_or_the_site_owes_a_proof_besides() {
    let owing = [(left_at(4, false), None), (left_at(5, false), None), (crate::session::fake::hello(), None), (left_at(4, true), Some(4))];
    for (hello, site_owes) in owing {
        let (asked, text) = turn_on(Some(hello), Some(true), |driver| driver, (site_owes, None)).await;
        assert_eq!(asked.iter().take(3).collect::<Vec<_>>(), ["look two", "cordon two", "drain two"], "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_holds_again_keeps_no_labels_where_another_run_began_while_it_was_asked() {
    let turn = |then| async { turn_on(Some(left_at(4, true)), Some(true), |driver| driver, (None, Some(then))).await };
    let run =
        ActiveRun { run: run_id(), alive: true, controller: "eve@desk".into(), since: 1, age: Span::seconds(0), events: 3, owes: true };
    let (asked, text) = turn(Hello { run: Some(run), ..left_at(4, true) }).await;
    assert_eq!((asked, text.contains("eve@desk")), (vec!["look two".to_owned()], true), "{text}");
    let (asked, text) = turn(left_at(5, false)).await;
    assert_eq!(asked.iter().take(3).collect::<Vec<_>>(), ["look two", "cordon two", "drain two"], "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_its_labels_after_all_says_so_where_a_run_before_holds_it_still() {
    let turn = |cordoned| async move {
        turn_on(Some(left_at(4, true)), Some(true), |driver| driver.held_by_us(true).cordoning(cordoned), (None, None)).await
    };
    let (asked, text) = turn(|| Ok(Cordon::Ours)).await;
    assert_eq!((asked, text.as_str()), (vec!["look two".to_owned()], "registered, as before, but it takes no jobs: held by a run"));
    // Its own hold is taken off.
    let (asked, text) = turn(|| Ok(Cordon::Made)).await;
    assert_eq!((asked, text.as_str()), (["look two", "uncordon two"].map(str::to_owned).to_vec(), "registered, as before"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_asked_what_it_owes_is_not_waited_for_once_the_run_is_to_stop() {
    let met = || vec![Act::Hear, Act::Say(ToController::Hello(Box::new(left_at(4, true)))), Act::Hear, Act::Beat];
    for (acts, is_met) in [(met(), true), (vec![Act::Hear, Act::Hear], false)] {
        let fake = FakeNode::new(vec![Some(acts)]);
        let (preparation, _told) = fake.preparation();
        let (ask, stop) = tokio::sync::watch::channel(false);
        let registrar = Registrar { preparation, stop: stop.into(), ..registrar() };
        let connections = Connections::new(&registrar);
        let node = NodeName::parse("two").unwrap();
        connections.give(&node, None, Vec::new(), 4).await;
        let reporter = Arc::new(Reporter { registrar, ..Arc::into_inner(reporter("two")).unwrap() });
        let (lapse, job) = (Lapse::of_run(Some(unfit()), None), connections.of(&node));
        let asked = Arc::clone(&job);
        let debt = tokio::task::spawn_blocking(move || lapse.debt(&reporter, &asked, true));
        while fake.left() > 0 || fake.heard().is_empty() == is_met {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        ask.send(true).unwrap();
        let debt = tokio::time::timeout(Duration::from_secs(30), debt).await.expect("it waits for the node").unwrap();
        assert_eq!(debt, register::Debt::Owed);
        assert!(job.lock().unwrap().connection.is_none(), "what it says late is taken for another answer");
    }
}

#[test]
fn an_interrupt_before_it_was_held_says_that_it_keeps_its_labels_and_not_that_it_takes_no_jobs() {
    let ends = |cordoned: fn() -> Result<Cordon, CordonError>, is_held: bool| {
        let (asked, seen) = mpsc::channel();
        let driver = Narrow::that(asked, mpsc::channel().1).labelled().cordoning(cordoned).held_by_us(is_held);
        let name = NodeName::parse("one").unwrap();
        let standing = driver.observe(std::slice::from_ref(&name), &|_| {}).unwrap().standings.remove(&name).unwrap().unwrap();
        let ending = register::register_one(&driver, &name, standing, Task::of(Proof::Lapsed), &|_| {});
        (ending.to_string(), seen.try_iter().skip(1).collect::<Vec<_>>())
    };
    let keeps = "not registered: interrupted; it keeps the labels that it had on the master";
    let asked = ["cordon one", "look one"].map(str::to_owned).to_vec();
    assert_eq!(ends(|| Err(MasterError::Stopped { left: None }.into()), false), (keeps.to_owned(), asked.clone()));
    let told: fn() -> _ = || Err(CordonError::told(MasterError::Stopped { left: None }));
    assert_eq!(ends(told, false), (keeps.to_owned(), asked.clone()));
    let takes_none = "not registered: interrupted; it takes no new jobs on the master; its labels come off in the next whole run";
    assert_eq!(ends(told, true), (takes_none.to_owned(), asked), "the hold landed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_an_executor_that_its_master_cannot_take_is_not_begun() {
    let (node, executor) = (NodeName::parse("n1").unwrap(), executor("n1"));
    let one = Candidate { node: node.clone(), executor: executor.clone(), host_keys: Vec::new() };
    let refused = vec![failed(&one, "no address of its sshd".to_owned())];
    let open = OpenMaster::of(Opened { driver: None, refused, hint: None });
    let entry = Entry { master: None, batch: vec![one], opened: OnceCell::new_with(Some(Ok(Arc::new(open)))) };
    let registrar = registrar();
    let connections = Connections::new(&registrar);
    let entries = Arc::new(BTreeMap::from([(executor.master.clone(), entry)]));
    let drains = Arc::new(Semaphore::new(1));
    let masters = Masters { registrar: registrar.clone(), connections, masters: entries, settled: Arc::default(), drains };
    let transaction = Transaction::of_planned(&node, Digest::of(b"plan"), &registrar.preparation.events);
    let drained = masters.drain(&node, (vec![executor], Vec::new()), Duration::ZERO, &transaction).await;
    let Err((Blocked::Trouble(trouble), _)) = drained else { panic!("{drained:?}") };
    assert_eq!(trouble.chain, ["not begun: n1 cannot be registered with ci, where jobs may run on it: no address of its sshd"]);
}
