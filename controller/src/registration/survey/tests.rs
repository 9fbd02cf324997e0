//! How long masters are waited for.

use super::super::fake::{executor, registrar};
use super::*;
use crate::masters::driver::{Cordon, CordonError, Drain, EventSink, Report};
use crate::masters::witness::Witness;
use ostler_roles::author::compile::{JenkinsLogin, MasterSettings};
use ostler_roles::catalog::Step;
use ostler_roles::executor::Launch;
use ostler_roles::words::Secret;
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A master that takes connections and never says anything, what is looked at of it, and the end of its listener.
fn silent() -> (TcpListener, BTreeMap<MasterName, Master>, Candidate) {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let login = JenkinsLogin::Token(Secret::new("1142".to_owned()));
    let settings = MasterSettings::Jenkins { user: "ada".to_owned(), login, trust: None, credentials: Vec::new() };
    let master = ci(settings, format!("http://{}/", silent.local_addr().unwrap()));
    let executor = Executor { launch: Some(Launch::Inbound), ..executor("n1") };
    let candidate = Candidate { node: NodeName::parse("n1").unwrap(), executor, host_keys: Vec::new() };
    (silent, BTreeMap::from([(master.name.clone(), master)]), candidate)
}

fn ci(settings: MasterSettings, url: String) -> Master {
    Master { name: MasterName::parse("ci").unwrap(), url, node: None, settings }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_a_master_that_hangs_ends_with_the_run_and_says_so() {
    let (silent, masters, candidate) = silent();
    let (ask, asked) = watch::channel(false);
    let registrar = Registrar { stop: asked.into(), ..registrar() };
    let connected = tokio::task::spawn_blocking(move || (silent.accept().unwrap(), silent));
    let stopping = async {
        let held = connected.await.unwrap();
        ask.send(true).unwrap();
        held
    };
    let (looks, _held) = tokio::join!(registrar.look(&masters, vec![candidate]), stopping);
    let seen = &looks.values().next().unwrap().seen;
    assert!(matches!(seen, Seen::NotAsked(cause) if cause == "the run was interrupted"), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_look_has_ten_seconds_and_leaves_the_rest_to_what_is_asked_because_of_it() {
    let (silent, masters, candidate) = silent();
    let connected = tokio::task::spawn_blocking(move || (silent.accept().unwrap(), silent));
    let registrar = registrar();
    let passing = async {
        let held = connected.await.unwrap();
        tokio::time::advance(PATIENCE).await;
        held
    };
    let (looks, _held) = tokio::join!(registrar.look(&masters, vec![candidate]), passing);
    let looked = looks.values().next().unwrap();
    assert!(matches!(&looked.seen, Seen::NotAsked(cause) if cause == "no answer within 10 s"), "{:?}", looked.seen);
    assert_eq!(looked.left, Duration::ZERO);
}

/// A master that says when it is asked what agents need, and answers when it is let.
#[derive(Debug)]
struct Slow {
    asked: UnboundedSender<NodeName>,
    answer: Mutex<mpsc::Receiver<()>>,
    answered: Arc<AtomicUsize>,
    stop: Cancellation,
}

impl Driver for Slow {
    fn equipment(&self, name: &NodeName) -> Result<Vec<Step>, MasterError> {
        self.asked.send(name.clone()).unwrap();
        // A test that is wrong ends.
        let _let = self.answer.lock().unwrap().recv_timeout(Duration::from_secs(20));
        self.answered.fetch_add(1, Ordering::SeqCst);
        Ok(Vec::new())
    }
    fn workers(&self) -> usize {
        1
    }
    fn stop(&self) -> &Cancellation {
        &self.stop
    }
    fn observe(&self, _names: &[NodeName], _tell: EventSink<'_>) -> Result<Observation, MasterError> {
        unreachable!("equipment only")
    }
    fn cordon(&self, _name: &NodeName, _reason: &str, _tell: EventSink<'_>) -> Result<Cordon, CordonError> {
        unreachable!("equipment only")
    }
    fn drain(&self, _name: &NodeName, _patience: Duration, _tell: EventSink<'_>) -> Result<Drain, MasterError> {
        unreachable!("equipment only")
    }
    fn uncordon(&self, _name: &NodeName, _tell: EventSink<'_>) -> Result<(), MasterError> {
        unreachable!("equipment only")
    }
    fn quarantine(&self, _name: &NodeName, _tell: EventSink<'_>) -> Result<(), MasterError> {
        unreachable!("equipment only")
    }
    fn quarantine_ends_jobs(&self) -> bool {
        unreachable!("equipment only")
    }
    fn connect(&self, _name: &NodeName, _tell: EventSink<'_>) -> Result<(), MasterError> {
        unreachable!("equipment only")
    }
    fn witness(&self, _name: &NodeName) -> Result<Arc<dyn Witness>, MasterError> {
        unreachable!("equipment only")
    }
    fn prove(&self, _name: &NodeName, _tell: EventSink<'_>) -> Result<Report, MasterError> {
        unreachable!("equipment only")
    }
    fn label(&self, _name: &NodeName, _tell: EventSink<'_>) -> Result<(), MasterError> {
        unreachable!("equipment only")
    }
    fn retire(&self, _name: &NodeName) -> Result<(), MasterError> {
        unreachable!("equipment only")
    }
}

/// Slow masters that were looked at, each with what is left of its time; who is asked; lets all answer when dropped; how many have.
type Looked = (Vec<(Observed, Vec<Seat>)>, UnboundedReceiver<NodeName>, Vec<mpsc::Sender<()>>, Arc<AtomicUsize>);

fn slow(left: &[u64]) -> Looked {
    let ((asked, who), answered) = (unbounded_channel(), Arc::new(AtomicUsize::new(0)));
    let (mut looked, mut lets) = (Vec::new(), Vec::new());
    for (number, left) in left.iter().enumerate() {
        let (answers, answer) = mpsc::channel();
        let driver =
            Slow { asked: asked.clone(), answer: Mutex::new(answer), answered: Arc::clone(&answered), stop: Cancellation::default() };
        let (halt, _stop) = watch::channel(false);
        let driver: Arc<dyn Driver> = Arc::new(driver);
        let seen = Seen::Asked { sight: Observation::default(), shared: Vec::new(), refused: Vec::new(), driver: Some(driver), halt };
        let master = ci(
            MasterSettings::Jenkins {
                user: String::new(),
                login: JenkinsLogin::Token(Secret::new("1142".to_owned())),
                trust: None,
                credentials: Vec::new(),
            },
            String::new(),
        );
        let name = NodeName::parse(&format!("n{number}")).unwrap();
        let seats = vec![(name.clone(), master.name.clone(), name)];
        looked.push((Observed { master, batch: Vec::new(), seen, left: Duration::from_secs(*left) }, seats));
        lets.push(answers);
    }
    (looked, who, lets, answered)
}

#[tokio::test(start_paused = true)]
async fn masters_are_asked_at_once_what_agents_need_for_as_long_as_their_time_lasts() {
    let (looked, mut who, lets, answered) = slow(&[4, 9]);
    let began = Instant::now();
    let asked = looked.iter().map(|(looked, seats)| (looked, seats.clone()));
    let run = Cancellation::default();
    let passing = async {
        who.recv().await.unwrap();
        who.recv().await.unwrap();
        assert_eq!(answered.load(Ordering::SeqCst), 0, "the second is asked before the first has answered");
        tokio::time::advance(Duration::from_secs(4)).await;
        tokio::time::advance(Duration::from_secs(5)).await;
    };
    let ((wanted, compared), ()) = tokio::join!(equipment(asked, &run), passing);
    assert_eq!(began.elapsed(), Duration::from_secs(9));
    drop(lets);
    // Nobody is held up by it: the run asks once more.
    assert_eq!((wanted.len(), compared.len()), (0, 2), "{compared:?}");
    assert!(compared.values().all(|told| matches!(told, Ok(Need::Late))), "{compared:?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_slow_master_has_said_of_an_agent_counts_and_of_the_others_no_label_is_told() {
    let (mut looked, mut who, lets, _answered) = slow(&[4]);
    let (mut looked, mut seats) = looked.remove(0);
    let second = NodeName::parse("n1").unwrap();
    seats.push((second.clone(), looked.master.name.clone(), second));
    let of = |(node, _, name): &Seat| Candidate { node: node.clone(), executor: executor(name.as_str()), host_keys: Vec::new() };
    let batch: Vec<Candidate> = seats.iter().map(of).collect();
    let to_quarantine = vec![Difference::new("labels", "big", "none")];
    let found = Found { to_quarantine, to_labels: Vec::new(), is_connected: true, is_resting: false, hold: None };
    let Seen::Asked { sight, .. } = &mut looked.seen else { unreachable!("it was asked") };
    sight.standings.extend(batch.iter().map(|one| (one.executor.name.clone(), Ok(Standing::There(found.clone())))));
    let run = Cancellation::default();
    let passing = async {
        who.recv().await.unwrap();
        lets[0].send(()).unwrap();
        who.recv().await.unwrap();
        tokio::time::advance(Duration::from_secs(4)).await;
    };
    let ((wanted, mut compared), ()) = tokio::join!(equipment([(&looked, seats)].into_iter(), &run), passing);
    drop(lets);
    assert!(wanted.is_empty(), "{wanted:?}");
    let mut survey = Survey::default();
    let MasterAnswer::Asked(told) = survey.judge(looked, &batch, (&|_| Proof::Standing, &mut compared)) else {
        unreachable!("it answered")
    };
    let changes = |one: &PlannedExecutor| one.changes.iter().map(ToString::to_string).collect::<Vec<_>>();
    let late = "agent: as it is -> as its master asks for, which it does not say within 10 s".to_owned();
    assert_eq!(told.executors.iter().map(changes).collect::<Vec<_>>(), [Vec::new(), vec![late]]);
    let settled: Vec<&str> = survey.settled.keys().map(|place| place.executor.as_str()).collect();
    assert_eq!(settled, ["n0"]);
}
