//! Looks that many wait for, and what happens to those who wait for room.

use super::*;
use crate::masters::Cancellation;
use crate::masters::driver::{Cordon, EventSink, Observation, Report};
use crate::masters::witness::Witness;
use crate::registration::fake::{executor, registrar};
use ostler_roles::master::{Difference, Found};
use ostler_roles::words::Digest;
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
    fn cordon(&self, _name: &NodeName, _reason: &str, _tell: EventSink<'_>) -> Result<Cordon, MasterError> {
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
}

impl Narrow {
    pub(super) fn that(asked: mpsc::Sender<String>, go_on: mpsc::Receiver<()>) -> Self {
        Self { asked, go_on: Mutex::new(go_on), held: Mutex::default(), stop: Cancellation::default() }
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
            let is_held = held.contains(name);
            let (to_quarantine, to_labels) = (unless(is_held), unless(!is_held));
            let found = Found { to_quarantine, to_labels, is_connected: false, is_resting: false, hold: None };
            (name.clone(), Ok(Standing::There(found)))
        };
        Ok(Observation { standings: names.iter().map(of).collect(), ..Observation::default() })
    }
    fn cordon(&self, name: &NodeName, _reason: &str, _tell: EventSink<'_>) -> Result<Cordon, MasterError> {
        self.asked("cordon", name);
        self.held.lock().unwrap().insert(name.clone());
        Ok(Cordon::Ours)
    }
    fn drain(&self, name: &NodeName, _patience: Duration, _tell: EventSink<'_>) -> Result<driver::Drain, MasterError> {
        self.asked("drain", name);
        self.go_on.lock().unwrap().recv().unwrap();
        Ok(driver::Drain::Idle)
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

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_for_room_takes_no_jobs_meanwhile_and_is_looked_at_again_in_its_turn() {
    for (proof, end) in [(Proof::Lapsed, None), (Proof::Wanted, Some("connect two"))] {
        let (asked, seen) = mpsc::channel();
        let (word, go_on) = mpsc::channel();
        let driver: Option<Arc<dyn Driver>> = Some(Arc::new(Narrow::that(asked, go_on)));
        let (room, holding) = (Semaphore::new(1), Semaphore::new(1));
        let open = OpenMaster { driver, refused: Vec::new(), hint: None, room, holding, looks: SharedListing::default() };
        let batch =
            ["one", "two"].map(|name| Candidate { node: NodeName::parse(name).unwrap(), executor: executor(name), host_keys: Vec::new() });
        let entry = Entry { master: None, batch: batch.to_vec(), opened: OnceCell::new_with(Some(Ok(Arc::new(open)))) };
        let registrar = registrar();
        let connections = Connections::new(&registrar);
        let entries = Arc::new(BTreeMap::from([(MasterName::parse("ci").unwrap(), entry)]));
        let drains = Arc::new(Semaphore::new(1));
        let masters = Masters { registrar: registrar.clone(), connections, masters: entries, settled: Arc::default(), drains };
        let mut tasks = JoinSet::new();
        let mut begin = |name: &'static str, proof: Proof| {
            let (masters, events) = (masters.clone(), registrar.preparation.events.clone());
            tasks.spawn(async move {
                let node = NodeName::parse(name).unwrap();
                let transaction = Transaction::of_planned(&node, Digest::of(b"plan"), &events);
                masters.register(&node, vec![(executor(name), proof)], None, &transaction).await
            });
        };
        let comes = |what: &str| assert_eq!(seen.recv_timeout(Duration::from_secs(60)).unwrap(), what);
        begin("one", Proof::Lapsed);
        ["look one", "cordon one", "drain one"].iter().for_each(|what| comes(what));
        begin("two", proof);
        ["look two", "cordon two"].iter().for_each(|what| comes(what));
        word.send(()).unwrap();
        ["look one", "look two"].iter().chain(&end).for_each(|what| comes(what));
        assert_eq!(tasks.join_all().await.len(), 2);
        assert_eq!(seen.try_recv().ok(), None, "what an old look has shown was acted on");
    }
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
