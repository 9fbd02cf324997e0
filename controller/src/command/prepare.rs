//! What check, plan and apply have in common: the site, the nodes, the way to them, the console, their plans.

use super::{
    CommandError, Context,
    compiler::SiteCompiler,
    descriptors,
    interrupt::{Echo, Interrupts},
    one_role::OneRole,
    password,
    reach::{self, SshReach},
    workspace::{Open, Workspace},
};
use crate::cli::FleetArgs;
use crate::fleet::{Compile, ConnectionLimit, EventSender, Preparation, Ready, ReconnectLimits, Trouble, TroubleKind, prepare};
use crate::inventory;
use crate::journal::{RunLog, StateError, Store};
use crate::registration::{Candidate, ObservedMasters, Proofs, Registrar, Survey};
use crate::report::{
    Console, Exit, Journal, Paint, PlannedNode, Style, advice, alike, names, plan_json, refusal_lines, sanitize, verdict_json,
};
use crate::report::{MasterCounts, PlannedMaster, master_counts, master_json, master_lines};
use crate::run::proved_again;
use crate::session::{AgentFile, PlanOf};
use ostler_roles::author::compile::Order;
use ostler_roles::executor::Executor;
use ostler_roles::master::Proof;
use ostler_roles::words::{NodeName, RoleName};
use std::sync::Arc;
use std::time::Instant;

/// A fleet ready to be planned.
pub struct RunContext {
    /// The site.
    pub workspace: Arc<Workspace>,
    /// The nodes selected, in order.
    pub nodes: Vec<NodeName>,
    /// A partial run's role.
    pub only: Option<RoleName>,
    /// How they are met.
    pub preparation: Preparation,
    /// What they are compiled by.
    compiler: Arc<SiteCompiler>,
    /// Reads the events.
    pub console: Console,
    /// Where those of a run are kept.
    pub log: Option<String>,
    /// When it began.
    pub began: Instant,
    /// Listens for Ctrl-C.
    pub interrupts: Interrupts,
}

/// Begins the log of a run.
type BeginLog = fn(&dyn Store) -> Result<RunLog, StateError>;

impl RunContext {
    /// Opens the site and the way to its nodes, to plan.
    ///
    /// # Errors
    /// What is wrong with the site, the selection or the machine.
    pub fn open(context: &Context, args: &FleetArgs, only: Option<&str>, want_old: bool) -> Result<Self, CommandError> {
        Self::begin(context, args, Open::Values, only, want_old, None)
    }

    /// The same, to change nodes: what happens is kept.
    ///
    /// # Errors
    /// As for [`Self::open`]; when a log cannot be begun, too.
    pub fn to_change(context: &Context, args: &FleetArgs, only: Option<&str>, want_old: bool) -> Result<Self, CommandError> {
        Self::begin(context, args, Open::Values, only, want_old, Some(RunLog::create))
    }

    /// Opens the way to nodes whose runs go on: nothing is compiled, so no secret is needed. Those that can be opened are masked.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub fn to_runs(context: &Context, args: &FleetArgs) -> Result<Self, CommandError> {
        let run = Self::begin(context, args, Open::Names, None, false, None)?;
        run.workspace.mask_what_opens(context);
        Ok(run)
    }

    fn begin(
        context: &Context,
        args: &FleetArgs,
        open: Open,
        only: Option<&str>,
        want_old: bool,
        log: Option<BeginLog>,
    ) -> Result<Self, CommandError> {
        let began = Instant::now();
        let echo = Echo::default();
        let interrupts = Interrupts::listen(context.printer.clone(), echo.clone()).map_err(CommandError::Signals)?;
        let workspace = Arc::new(Workspace::open(context, &args.values.set, open)?);
        let mut nodes = inventory::select(&workspace.inventory.site.nodes, &args.select.limit)?;
        let only = only.map(|role| OneRole::of(&workspace, role)).transpose()?;
        if let Some(only) = &only {
            nodes = only.among(&workspace, nodes)?;
        }
        let agent = AgentFile::embedded().ok_or(CommandError::NoAgent)?;
        let limit = ConnectionLimit::new(descriptors::raise(nodes.len(), usize::from(args.pace.forks))?, nodes.len());
        let (sender, events) = EventSender::channel();
        let all: Vec<NodeName> =
            workspace.inventory.site.nodes.nodes.iter().filter_map(|node| NodeName::parse(&node.name.value).ok()).collect();
        let reach = Arc::new(SshReach::new(context, &workspace, (&args.pace, &args.reach), &all, &sender)?);
        let journal = log.map(|begin| begin(&*workspace.store)).transpose()?;
        let log = journal.as_ref().map(RunLog::place);
        let console = Console::start(context.printer.clone(), events, journal.map(|journal| Box::new(journal) as Box<dyn Journal>));
        let compiler = Arc::new(SiteCompiler::new(&workspace, only.clone()));
        let preparation = Preparation {
            reach,
            compile: Arc::clone(&compiler) as Arc<dyn Compile>,
            agent,
            password: Arc::new(password::keeper(context, args.reach.ask_become_pass, &echo, &interrupts.stop())?),
            forks: usize::from(args.pace.forks),
            plan_of: PlanOf { part: only.is_some(), want_old },
            limit,
            plans_only: false,
            reconnect: ReconnectLimits::default(),
            events: sender,
            mask: context.printer.mask.clone(),
        };
        let only = only.map(|only| only.role().clone());
        Ok(Self { workspace, nodes, only, preparation, compiler, console, log, began, interrupts })
    }

    /// Meets all nodes and asks for their plans.
    pub async fn meet(&self) -> (Vec<Ready>, Vec<(NodeName, Trouble)>) {
        prepare(&self.preparation, &self.nodes).await
    }

    /// The same, and looks at the masters of their executors meanwhile.
    pub async fn plans(&self, context: &Context) -> (Vec<Ready>, Vec<(NodeName, Trouble)>, ObservedMasters) {
        let ((ready, lost), looks) = tokio::join!(self.meet(), self.look(context));
        (ready, lost, looks)
    }

    /// Looks at masters by what the nodes were when they were met last. What cannot be had now is told when they have been met.
    async fn look(&self, context: &Context) -> ObservedMasters {
        if self.only.is_some() {
            return ObservedMasters::new();
        }
        let (Ok(masters), Ok(registrar)) = (self.workspace.masters(), registrar(context, self)) else { return ObservedMasters::new() };
        if masters.is_empty() {
            return ObservedMasters::new();
        }
        let (compiler, nodes) = (Arc::clone(&self.compiler), self.nodes.clone());
        let known = tokio::task::spawn_blocking(move || candidates(&compiler, &nodes));
        match known.await {
            Ok(candidates) => registrar.look(&masters, candidates).await,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

/// Registration in the name of this run, ended by its first interrupt.
pub fn registrar(context: &Context, run: &RunContext) -> Result<Registrar, CommandError> {
    let dial = reach::lab_of(context, &run.workspace)?.map(reach::master_dial);
    let (site, preparation) = (run.workspace.site_state(), run.preparation.clone());
    Ok(Registrar { site, preparation, dial, controller: controller(context), stop: run.interrupts.stop().into(), wait: None })
}

/// Who asks: `user@host`.
pub fn controller(context: &Context) -> String {
    format!("{}@{}", context.environment.user, rustix::system::uname().nodename().to_string_lossy())
}

/// What the masters say of these nodes' executors, by these looks where they still hold. A partial run registers nothing, and asks nobody.
///
/// # Errors
/// What is wrong with the site's masters.
pub async fn survey(
    context: &Context,
    run: &RunContext,
    ready: &mut Vec<Ready>,
    owed: &[Candidate],
    looks: ObservedMasters,
) -> Result<Survey, CommandError> {
    if run.only.is_some() || (owed.is_empty() && ready.iter().all(|one| one.prepared.executors.is_empty())) {
        // Who is left behind by what changes on a master's machine is told all the same. What is wrong with the masters is no matter of this run.
        if let (Ok(masters), Ok(registrar)) = (run.workspace.masters(), registrar(context, run)) {
            registrar.note_rotations(&masters, ready).await;
        }
        return Ok(Survey::default());
    }
    let masters = run.workspace.masters()?;
    let again = proved_again(&run.workspace.order().after(), ready);
    let proof = |one: &Ready, executor: &Executor| match one.plan.is_empty() {
        true if !one.unproved().is_empty() && !again.contains(&one.node) => Proof::Lapsed,
        true if !Proofs::is_known_owed(&run.workspace.store, one, executor) => Proof::Standing,
        true | false => Proof::Wanted,
    };
    Ok(registrar(context, run)?.survey(&masters, ready, (&proof, owed), looks).await)
}

/// Executors of nodes that are out in this run, which the site knows to owe their labels: their masters hear of it all the same. Whoever has
/// a node now sees to its labels.
pub async fn owed(run: &RunContext, lost: &[(NodeName, Trouble)]) -> Vec<Candidate> {
    let is_out = |trouble: &Trouble| matches!(trouble.kind, TroubleKind::Unreachable | TroubleKind::Failed | TroubleKind::Moved);
    let nodes: Vec<NodeName> = lost.iter().filter(|(_, trouble)| is_out(trouble)).map(|(node, _)| node.clone()).collect();
    if run.only.is_some() || nodes.is_empty() {
        return Vec::new();
    }
    let (compiler, store) = (Arc::clone(&run.compiler), Arc::clone(&run.workspace.store));
    match tokio::task::spawn_blocking(move || Proofs::known_owed(&store, candidates(&compiler, &nodes))).await {
        Ok(owed) => owed,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// The executors of these nodes, by what they told last.
fn candidates(compiler: &SiteCompiler, nodes: &[NodeName]) -> Vec<Candidate> {
    let of_node = |node: &NodeName| {
        let (executors, host_keys) = compiler.executors_of(node)?;
        let of = |executor| Candidate { node: node.clone(), executor, host_keys: host_keys.clone() };
        Some(executors.into_iter().map(of).collect::<Vec<_>>())
    };
    nodes.iter().filter_map(of_node).flatten().collect()
}

/// Shows what the masters would change.
pub fn print_masters(context: &Context, masters: &[PlannedMaster]) -> MasterCounts {
    context.printer.details(&master_lines(masters, context.printer.style));
    master_json(masters).iter().for_each(|line| context.printer.json(line));
    master_counts(masters)
}

/// The order between the nodes, by what is known of them now.
///
/// # Errors
/// When selected nodes wait for each other.
pub fn order(run: &RunContext) -> Result<Order, CommandError> {
    let order = run.workspace.order();
    order.circles(&run.nodes.iter().cloned().collect()).into_result(()).map_err(CommandError::Site)?;
    Ok(order)
}

/// Runs a verb to its end. What it has left behind, a look at a master that was given up, is not waited for.
pub fn block_on<T>(verb: impl Future<Output = Result<T, CommandError>>) -> Result<T, CommandError> {
    let runtime = runtime()?;
    let ended = runtime.block_on(verb);
    runtime.shutdown_background();
    ended
}

/// A runtime for one verb.
pub fn runtime() -> Result<tokio::runtime::Runtime, CommandError> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(CommandError::Runtime)
}

/// The report's view of a node that is ready.
pub fn planned(ready: &Ready) -> PlannedNode<'_> {
    PlannedNode { node: &ready.node, catalog: &ready.prepared.catalog, plan: &ready.plan, blob: ready.prepared.blob.as_ref() }
}

/// The exit code that a node's trouble means.
pub fn exit_of(trouble: &Trouble) -> Exit {
    match trouble.kind {
        TroubleKind::Unreachable => Exit::Unreachable,
        TroubleKind::Site => Exit::Site,
        TroubleKind::Locked => Exit::Locked,
        TroubleKind::Moved | TroubleKind::Busy | TroubleKind::Failed => Exit::NodeFailed,
    }
}

/// Prints nodes that are out; of many, those of which the same is to be said together.
pub fn print_lost(context: &Context, lost: &[(NodeName, Trouble)]) {
    let printer = &context.printer;
    let lines = |(node, trouble): &(NodeName, Trouble)| {
        let mut trouble = trouble.clone();
        printer.mask.hide_in(&mut trouble);
        (node.to_string(), lost_lines(&trouble, printer.style))
    };
    for (nodes, lines) in alike(lost.iter().map(lines).collect()) {
        let heads = printer.style.paragraph(&format!("  {}", names(&nodes)), 2);
        printer.lines(&heads.iter().map(|line| printer.style.paint(Paint::Bad, line)).collect::<Vec<_>>());
        printer.lines(&lines);
    }
}

/// What happened and what to do; both may be a node's words.
fn lost_lines(trouble: &Trouble, style: Style) -> Vec<String> {
    let hint = format!("try: {}", advice(&trouble.hint));
    let texts = trouble.chain.iter().flat_map(|text| text.lines()).chain([hint.as_str()]);
    texts.flat_map(|text| style.wrap(&sanitize(text, false), 6)).map(|line| format!("      {line}")).collect()
}

/// Prints requirements that do not hold; returns whether there are any.
pub fn print_refusals(context: &Context, ready: &[Ready]) -> bool {
    let refused: Vec<&Ready> = ready.iter().filter(|one| !one.plan.may_go()).collect();
    for one in &refused {
        context.printer.lines(&refusal_lines(&planned(one), context.printer.style));
    }
    for one in ready {
        for (requirement, verdict) in one.prepared.catalog.require.iter().zip(&one.plan.requirements) {
            context.printer.json(&verdict_json(&one.node, requirement, verdict));
        }
    }
    !refused.is_empty()
}

/// Plans as JSON lines.
pub fn print_plans_json(context: &Context, ready: &[Ready]) {
    for one in ready {
        for value in plan_json(&planned(one)) {
            context.printer.json(&value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nodes_hint_cannot_steer_the_terminal() {
        let hint = "log in\u{1b}]0;title\u{7}\nagain".to_owned();
        let trouble = Trouble { kind: TroubleKind::Failed, chain: vec!["gave\u{1b}[2J up".to_owned()], hint, failure: None };
        assert_eq!(lost_lines(&trouble, Style::PLAIN), vec!["      gave up", "      try: log in·]0;title· again"]);
    }
}
