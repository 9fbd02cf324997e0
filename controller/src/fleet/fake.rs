//! A node for tests: each connection to it plays its part from a script, over a pipe in memory.

use super::{Compile, CompileError, EventSender, FleetMessage, Preparation, Prepared, Reach, ReconnectLimits};
use crate::mask::RunMask;
use crate::session::{AgentFile, Identity, Password};
use crate::transport::{BoxFuture, CommandLine, ConnectError, ConnectFault, Deadlines, Ended, Exec, Exit, Link, LinkError, Tail};
use ostler_roles::facts::Facts;
use ostler_roles::wire::frame::{self, Decoder, MAGIC};
use ostler_roles::wire::message::{ToAgent, ToController};
use ostler_roles::words::{Digest, NodeName, RunId};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;

/// What the agent does on one connection, one after the other; behind the last the connection is cut.
pub enum Act {
    /// Waits for one message.
    Hear,
    /// Says something.
    Say(ToController),
    /// Says nothing for ever but that it is there.
    Beat,
}

/// Connections to come; none: nobody is there.
pub type Script = Vec<Option<Vec<Act>>>;

/// The node, with what it has heard.
pub struct FakeNode {
    script: Mutex<VecDeque<Option<Vec<Act>>>>,
    heard: Arc<Mutex<Vec<ToAgent>>>,
    tasks: Arc<Mutex<JoinSet<()>>>,
}

impl FakeNode {
    pub fn new(script: Script) -> Arc<Self> {
        Arc::new(Self { script: Mutex::new(script.into()), heard: Arc::default(), tasks: Arc::default() })
    }
    /// All that was said to it, opening words left out.
    pub fn heard(&self) -> Vec<ToAgent> {
        let heard = self.heard.lock().unwrap();
        heard.iter().filter(|message| !matches!(message, ToAgent::Open(_))).cloned().collect()
    }
    /// Connections that nobody has made yet.
    pub fn left(&self) -> usize {
        self.script.lock().unwrap().len()
    }
    /// A preparation for it, impatient, and what it tells.
    pub fn preparation(self: &Arc<Self>) -> (Preparation, UnboundedReceiver<FleetMessage>) {
        let (events, told) = EventSender::channel();
        let reach: Arc<dyn Reach> = Arc::new(Way(Arc::clone(self)));
        let reconnect = ReconnectLimits { tries: 3, pause: Duration::from_millis(1), within: Duration::from_secs(5), without_news: 4 };
        let preparation = Preparation {
            limit: super::ConnectionLimit::default(),
            plans_only: false,
            reach,
            compile: Arc::new(NoSite),
            agent: AgentFile { bytes: b"agent", digest: Digest::of(b"agent") },
            password: Arc::new(Password::new(None, Box::new(|_, _| Box::pin(async { None })))),
            forks: 1,
            plan_of: crate::session::PlanOf::default(),
            reconnect,
            events,
            mask: RunMask::default(),
        };
        (preparation, told)
    }
}

/// The node's name.
pub fn name() -> NodeName {
    NodeName::parse("n1").unwrap()
}

/// A run's id.
pub fn run_id() -> RunId {
    RunId::parse("019ab000-0000-7000-8000-000000000001").unwrap()
}

/// The hello of a root agent.
pub fn hello() -> ToController {
    ToController::Hello(Box::new(crate::session::fake::hello()))
}

struct NoSite;

impl Compile for NoSite {
    fn compile(&self, _node: &NodeName, _facts: &Facts) -> Result<Prepared, CompileError> {
        Err(CompileError { count: 1, rendered: "no site".to_owned() })
    }
    fn last_facts(&self, _node: &NodeName) -> Option<Facts> {
        None
    }
    fn keep_facts(&self, _node: &NodeName, _facts: &Facts) {}
    fn secret_key(&self) -> Vec<u8> {
        Vec::new()
    }
    fn executors(&self) -> Arc<super::SiteExecutors> {
        Arc::default()
    }
}

struct Way(Arc<FakeNode>);

impl Reach for Way {
    fn connect<'a>(&'a self, _node: &'a NodeName, _tell: &'a EventSender) -> BoxFuture<'a, Result<Arc<dyn Link>, ConnectError>> {
        let next = self.0.script.lock().unwrap().pop_front().flatten();
        let node = Arc::clone(&self.0);
        Box::pin(async move {
            let fault = ConnectFault::Refused { address: ([127, 0, 0, 1], 22).into() };
            let acts = next.ok_or(ConnectError { host: "n1".to_owned(), fault, invocation: crate::transport::Invocation::default() })?;
            let link: Arc<dyn Link> = Arc::new(FakeLink { node, acts: Mutex::new(acts), deadlines: Deadlines::default() });
            Ok(link)
        })
    }
    fn identity<'a>(&'a self, node: &'a NodeName) -> BoxFuture<'a, Identity> {
        Box::pin(std::future::ready(Identity { node: node.clone(), login: "root".to_owned(), r#become: None }))
    }
}

/// One connection.
pub struct FakeLink {
    node: Arc<FakeNode>,
    acts: Mutex<Vec<Act>>,
    deadlines: Deadlines,
}

impl std::fmt::Debug for FakeLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FakeLink")
    }
}

impl Link for FakeLink {
    fn exec<'a>(&'a self, _command: &'a CommandLine) -> BoxFuture<'a, Result<Exec, LinkError>> {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let acts = std::mem::take(&mut *self.acts.lock().unwrap());
        self.node.tasks.lock().unwrap().spawn(play(theirs, acts, Arc::clone(&self.node.heard)));
        let (stdout, stdin) = tokio::io::split(ours);
        let ended = Box::pin(async { Ended { exit: Exit::Cut("the cable was pulled".to_owned()), stderr: Tail::default() } });
        Box::pin(std::future::ready(Ok(Exec { stdin: Box::new(stdin), stdout: Box::new(stdout), ended })))
    }
    fn deadlines(&self) -> &Deadlines {
        &self.deadlines
    }
    fn close<'a>(&'a self) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }
}

async fn play(mut connection: DuplexStream, acts: Vec<Act>, heard: Arc<Mutex<Vec<ToAgent>>>) {
    let mut decoder = Decoder::new();
    connection.write_all(MAGIC).await.unwrap();
    for act in acts {
        match act {
            Act::Say(message) => connection.write_all(&frame::encode(&message).unwrap()).await.unwrap(),
            Act::Beat => {
                let beat = frame::encode(&ToController::Alive).unwrap();
                let mut pause = tokio::time::interval(Duration::from_millis(20));
                while connection.write_all(&beat).await.is_ok() {
                    pause.tick().await;
                }
            }
            Act::Hear => loop {
                if let Some(message) = decoder.message::<ToAgent>().unwrap() {
                    heard.lock().unwrap().push(message);
                    break;
                }
                let mut bytes = [0; 4096];
                match connection.read(&mut bytes).await {
                    Ok(count @ 1..) => decoder.push(&bytes[..count]),
                    Ok(0) | Err(_) => return,
                }
            },
        }
    }
}
