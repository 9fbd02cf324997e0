//! Clones of a build, booted and asked what would be changed of them.

use crate::command::image::workshop::Workshop;
use crate::command::{CommandError, Context};
use crate::fleet::{
    Compile, CompileError, ConnectionLimit, EventSender, Preparation, Prepared, Reach, Ready, ReconnectLimits, SiteExecutors, Trouble,
    prepare,
};
use crate::image::boot::{BootFirmware, BootSpec};
use crate::image::scratch::Scratch;
use crate::image::verify::{Booted, Look};
use crate::report::Console;
use crate::session::{AgentFile, Identity, Password, PlanOf};
use crate::transport::{BoxFuture, ConnectError, Link};
use ostler_roles::author::compile::LeftOut;
use ostler_roles::facts::Facts;
use ostler_roles::words::NodeName;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;

/// What a machine needs beside the memory that it sees, in MiB.
const BESIDE: u64 = 512;

/// The clones of a build that are wanted.
#[derive(Debug)]
pub(super) struct Clones<'a> {
    pub(super) context: &'a Context,
    pub(super) workshop: &'a Arc<Workshop>,
    pub(super) specs: Vec<BootSpec>,
}

/// What became of one.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) firmware: BootFirmware,
    pub(super) to_ssh: Duration,
    pub(super) to_end: Duration,
    pub(super) look: Look,
    /// Its plan, or why there is none.
    pub(super) answer: Result<Ready, (NodeName, Trouble)>,
    pub(super) left_out: Vec<LeftOut>,
}

impl Clones<'_> {
    /// Boots them, as many at a time as this machine has memory for, and asks each.
    ///
    /// # Errors
    /// When one does not come up.
    pub(super) async fn look(self) -> Result<Vec<Found>, CommandError> {
        let scratch = Scratch::below(&self.workshop.setup.cache.join("verify"))?;
        let memory = self.specs.iter().map(|spec| u64::from(spec.memory)).max().unwrap_or_default() + BESIDE;
        let at_a_time = usize::try_from(available_memory() / memory).unwrap_or(usize::MAX).max(1);
        let mut found = Vec::new();
        let all: Vec<(usize, BootSpec)> = self.specs.iter().cloned().enumerate().collect();
        for some in all.chunks(at_a_time) {
            let mut machines = JoinSet::new();
            for (number, spec) in some.iter().cloned() {
                let dir = scratch.path().join(number.to_string());
                std::fs::create_dir(&dir)
                    .map_err(|source| CommandError::File { what: format!("create directory {}", dir.display()), source })?;
                machines.spawn(async move { (number, spec.firmware, Booted::boot(spec, dir).await) });
            }
            let mut booted = Vec::new();
            while let Some(joined) = machines.join_next().await {
                let (number, firmware, machine) = joined.map_err(|error| CommandError::Defect(error.to_string()))?;
                booted.push((number, firmware, machine?));
            }
            booted.sort_by_key(|(number, ..)| *number);
            for (_, firmware, machine) in booted {
                found.push(self.ask(firmware, machine).await?);
            }
        }
        Ok(found)
    }

    /// Asks one for its plan.
    async fn ask(&self, firmware: BootFirmware, machine: Booted) -> Result<Found, CommandError> {
        let (context, node) = (self.context, self.workshop.node()?);
        let (sender, events) = EventSender::channel();
        let console = Console::start(context.printer.clone(), events, None);
        let wanted = Arc::new(Wanted { workshop: Arc::clone(self.workshop), left_out: Mutex::default() });
        let compile: Arc<dyn Compile> = Arc::<Wanted>::clone(&wanted);
        let preparation = Preparation {
            reach: Arc::new(CloneReach(Arc::clone(&machine.link))),
            compile,
            agent: AgentFile::embedded().ok_or(CommandError::NoAgent)?,
            password: Arc::new(Password::new(None, Box::new(|_, _| Box::pin(std::future::ready(None))))),
            forks: 1,
            plan_of: PlanOf { part: false, want_old: context.printer.verbose > 0 },
            reconnect: ReconnectLimits::default(),
            limit: ConnectionLimit::new(usize::MAX, 1),
            plans_only: true,
            events: sender.clone(),
            mask: context.printer.mask.clone(),
        };
        let (mut ready, mut lost) = prepare(&preparation, std::slice::from_ref(&node)).await;
        console.finish(&sender).await;
        let answer = match (ready.pop(), lost.pop()) {
            (Some(mut ready), _) => {
                ready.connection = ready.connection.hang_up().await;
                Ok(ready)
            }
            (None, Some(lost)) => Err(lost),
            (None, None) => return Err(CommandError::Defect("a clone neither answered nor was lost".to_owned())),
        };
        let left_out = std::mem::take(&mut *wanted.left_out.lock().unwrap_or_else(PoisonError::into_inner));
        let Booted { to_ssh, to_end, ref look, .. } = machine;
        Ok(Found { firmware, to_ssh, to_end, look: look.clone(), answer, left_out })
    }
}

/// Memory that this machine can give, in MiB.
fn available_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() / 1024
}

/// The way into a clone, which stands already.
#[derive(Debug)]
struct CloneReach(Arc<dyn Link>);

impl Reach for CloneReach {
    fn connect<'a>(&'a self, _: &'a NodeName, _: &'a EventSender) -> BoxFuture<'a, Result<Arc<dyn Link>, ConnectError>> {
        Box::pin(std::future::ready(Ok(Arc::clone(&self.0))))
    }

    fn identity<'a>(&'a self, node: &'a NodeName) -> BoxFuture<'a, Identity> {
        Box::pin(std::future::ready(Identity { node: node.clone(), login: "root".to_owned(), r#become: None }))
    }
}

/// What a machine of the image shall be.
struct Wanted {
    workshop: Arc<Workshop>,
    left_out: Mutex<Vec<LeftOut>>,
}

impl Compile for Wanted {
    fn compile(&self, _: &NodeName, facts: &Facts) -> Result<Prepared, CompileError> {
        let compiled = self.workshop.compiled(facts)?;
        *self.left_out.lock().unwrap_or_else(PoisonError::into_inner) = compiled.left_out;
        let blob = self.workshop.workspace.blobs(&compiled.whole);
        let whole = compiled.whole;
        Ok(Prepared { catalog: whole.catalog, blob, secrets: Arc::new(whole.secrets), masked: whole.masked, executors: Vec::new() })
    }

    fn last_facts(&self, _: &NodeName) -> Option<Facts> {
        None
    }

    fn keep_facts(&self, _: &NodeName, _: &Facts) {}

    fn secret_key(&self) -> Vec<u8> {
        self.workshop.workspace.secrets.key().to_vec()
    }

    fn executors(&self) -> Arc<SiteExecutors> {
        Arc::default()
    }
}
