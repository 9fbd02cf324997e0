//! Looks that many wait for.

use super::*;
use crate::fleet::fake::FakeNode;
use crate::journal::FileStore;
use crate::masters::Cancellation;
use crate::masters::driver::{Cordon, EventSink, Observation, Report};
use crate::masters::witness::Witness;
use crate::registration::SiteState;
use ostler_roles::executor::Jobs;
use ostler_roles::words::{AbsPath, AccountName, Digest, Origin};
use std::num::NonZeroU32;
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
    fn cordon(&self, _name: &NodeName, _reason: &str) -> Result<Cordon, MasterError> {
        unreachable!("looks only")
    }
    fn drain(&self, _name: &NodeName, _patience: Duration, _tell: EventSink<'_>) -> Result<bool, MasterError> {
        unreachable!("looks only")
    }
    fn uncordon(&self, _name: &NodeName) -> Result<(), MasterError> {
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

fn reporter(name: &str) -> Arc<Reporter> {
    let (preparation, _told) = FakeNode::new(Vec::new()).preparation();
    let transaction = Transaction::of_planned(&NodeName::parse(name).unwrap(), Digest::of(b"plan"), &preparation.events);
    let site = SiteState { key: Vec::new(), id: None, store: Arc::new(FileStore::new("nowhere".into())) };
    let stop = Cancellation::default();
    let registrar = Registrar { site, preparation, dial: None, controller: "ada@desk".to_owned(), stop, wait: None };
    let executor = Executor {
        name: NodeName::parse(name).unwrap(),
        master: MasterName::parse("ci").unwrap(),
        user: AccountName::parse("job").unwrap(),
        count: NonZeroU32::MIN,
        alone: false,
        jobs: Jobs::Any,
        labels: BTreeSet::new(),
        remote_fs: AbsPath::parse("/srv").unwrap(),
        launch: None,
        java: None,
        smoke: Vec::new(),
        origin: Origin::generated("tests"),
    };
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
