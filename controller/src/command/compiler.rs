//! Compiles nodes of an opened site for the fleet: ahead of its asking, and each again only when what is known of any has changed.

use super::one_role::OneRole;
use super::workspace::Workspace;
use crate::fleet::{Compile, CompileError, Prepared, SiteExecutors};
use ostler_roles::author::compile;
use ostler_roles::author::diagnostic::{Faults, RenderStyle};
use ostler_roles::executor::Executor;
use ostler_roles::facts::Facts;
use ostler_roles::words::NodeName;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Compiles nodes of a site for the fleet.
#[derive(Debug)]
pub struct SiteCompiler {
    workspace: Arc<Workspace>,
    /// A partial run's part.
    part: Option<OneRole>,
    /// Compiled ahead for whoever asks next, each with the facts of all nodes by which it was.
    ahead: Mutex<BTreeMap<NodeName, (u64, Facts, Prepared)>>,
    /// Counts changes of what is known of any node.
    changes: AtomicU64,
    /// All executors of the site, by what was known after so many changes.
    executors: Mutex<Option<(u64, Arc<SiteExecutors>)>>,
}

fn rendered(faults: &Faults) -> CompileError {
    CompileError { count: faults.len(), rendered: faults.render(RenderStyle::default()) }
}

impl SiteCompiler {
    /// For this site, or one role of it.
    pub fn new(workspace: &Arc<Workspace>, part: Option<OneRole>) -> Self {
        let (workspace, ahead, changes, executors) = (Arc::clone(workspace), Mutex::default(), AtomicU64::new(0), Mutex::default());
        Self { workspace, part, ahead, changes, executors }
    }

    /// The executors of a node by what it told last, and its host keys. What is compiled for that is kept for its plan.
    pub fn executors_of(&self, node: &NodeName) -> Option<(Vec<Executor>, Vec<String>)> {
        let (changes, facts) = (self.changes.load(Ordering::SeqCst), self.last_facts(node)?);
        let prepared = self.compile_now(node, &facts).ok()?;
        let (executors, host_keys) = (prepared.executors.clone(), facts.host_keys.clone());
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner).insert(node.clone(), (changes, facts, prepared));
        Some((executors, host_keys))
    }

    fn compile_now(&self, node: &NodeName, facts: &Facts) -> Result<Prepared, CompileError> {
        let all = self.workspace.facts().with(node, Arc::new(facts.clone()));
        let mut compiled = self.workspace.with_input(node, &all, compile::compile).map_err(|faults| rendered(&faults))?;
        if let Some(part) = &self.part {
            part.narrow(&mut compiled.catalog);
        }
        let blob = self.workspace.blobs(&compiled);
        Ok(Prepared {
            catalog: compiled.catalog,
            blob,
            secrets: Arc::new(compiled.secrets),
            masked: compiled.masked,
            executors: compiled.executors,
        })
    }
}

impl Compile for SiteCompiler {
    fn compile(&self, node: &NodeName, facts: &Facts) -> Result<Prepared, CompileError> {
        let ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner).remove(node);
        match ahead {
            Some((changes, by, prepared)) if by == *facts && changes == self.changes.load(Ordering::SeqCst) => Ok(prepared),
            Some(_) | None => self.compile_now(node, facts),
        }
    }

    fn last_facts(&self, node: &NodeName) -> Option<Facts> {
        self.workspace.last_facts(node)
    }

    fn keep_facts(&self, node: &NodeName, facts: &Facts) {
        if self.workspace.learn(node, facts) {
            self.changes.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn secret_key(&self) -> Vec<u8> {
        self.workspace.secrets.key().to_vec()
    }

    fn executors(&self) -> Arc<SiteExecutors> {
        let changes = self.changes.load(Ordering::SeqCst);
        let mut kept = self.executors.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some((by, all)) if *by == changes => Arc::clone(all),
            Some(_) | None => {
                let all = Arc::new(self.workspace.executors());
                *kept = Some((changes, Arc::clone(&all)));
                all
            }
        }
    }
}
