//! Executors, their labels, and the commands that prove them.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use super::context::{Context, Read, Reported, origin};
use super::left_out::{Bears, LeftOutWhy};
use super::scope::RoleScope;
use super::walk::{Found, Walk};
use crate::author::diagnostic::Fault;
use crate::author::kinds::{Built, Values, argv, is_decided, meaningless, must, path, word, words};
use crate::author::site::MasterKind;
use crate::author::source::Span;
use crate::author::value::as_text;
use crate::executor::{Executor, Jobs, Launch, Smoke};
use crate::master::jenkins;
use crate::words::{AccountName, Label, MasterName, NodeName};

/// An executor and where it was declared.
struct Declared {
    executor: Executor,
    values: Values,
    span: Span,
}

impl<'a> Context<'a> {
    /// All executors of the node.
    pub(super) fn executors(&self) -> Vec<Executor> {
        let mut declared = Vec::new();
        for role in &self.roles {
            for executor in &role.executors {
                let scope = RoleScope::new(self, role);
                let Ok(values) = self.fields(&executor.fields, &scope) else { continue };
                let count = values.value("count").map(|count| Bears::of(&count.all_marks())).unwrap_or_default();
                self.count_bears.set(self.count_bears.get().or(count));
                if self.image.is_some() {
                    self.left_out(
                        format!("executor {}", values.text("master").unwrap_or_default()),
                        role,
                        &values.span,
                        LeftOutWhy::Executor,
                    );
                }
                match self.executor(&values) {
                    Ok(found) => declared.push(Declared { executor: found, values, span: executor.fields.span.clone() }),
                    Err(fault) => drop(self.fault(*fault)),
                }
            }
        }
        self.judge(&declared);
        let labels = self.labels();
        let smoke = self.smoke();
        let finish = |one: Declared| Executor {
            labels: one.executor.labels.iter().chain(&labels).cloned().collect(),
            smoke: smoke.clone(),
            ..one.executor
        };
        declared.into_iter().map(finish).collect()
    }

    fn executor(&self, values: &Values) -> Built<Executor> {
        let master = must(values, "master", MasterName::parse)?;
        let masters = || self.input.site.file.masters.iter().map(|master| master.name.value.as_str());
        if !masters().any(|known| known == master.as_str()) {
            return Err(Box::new(
                Fault::new(values.span("master"), format!("there is no master `{master}`")).nearest(master.as_str(), masters()),
            ));
        }
        let own = NodeName::parse(self.called()).map_err(|error| Box::new(Fault::new(&values.span, error.to_string())))?;
        let count = match values.integer("count") {
            None => NonZeroU32::MIN,
            Some(number) => u32::try_from(number)
                .ok()
                .filter(|count| *count <= 1_000)
                .and_then(NonZeroU32::new)
                .ok_or_else(|| Box::new(Fault::new(values.span("count"), format!("{number} executors")).expected("1 to 1000")))?,
        };
        let launch = match values.text("launch").as_deref() {
            None => None,
            Some("inbound") => Some(Launch::Inbound),
            Some(_) => {
                let credential = values.text("credential").ok_or_else(|| {
                    Box::new(
                        Fault::new(values.span("launch"), "`launch: ssh` wants a `credential`").hint("the id of the master's credential"),
                    )
                })?;
                Some(Launch::Ssh { credential })
            }
        };
        let name = word(values, "name", NodeName::parse)?.unwrap_or(own);
        let kind = self.input.site.file.masters.iter().find(|one| one.name.value == master.as_str()).map(|one| one.kind);
        nothing_meaningless(values, kind, launch.as_ref())?;
        if kind == Some(MasterKind::Jenkins)
            && let Err(error) = jenkins::Name::parse(name.as_str())
        {
            return Err(Box::new(Fault::new(values.span("name"), error.to_string()).hint("give the executor another `name`")));
        }
        let java = match values.integer("java") {
            None => None,
            Some(number) => Some(u32::try_from(number).map_err(|_| Box::new(Fault::new(values.span("java"), format!("Java {number}"))))?),
        };
        Ok(Executor {
            name,
            java,
            master,
            user: must(values, "user", AccountName::parse)?,
            count,
            alone: values.is_true("alone"),
            jobs: if values.text("jobs").is_some_and(|jobs| jobs == "any") { Jobs::Any } else { Jobs::Labelled },
            labels: words(values, "labels", Label::parse)?.into_iter().collect(),
            remote_fs: path(values, "remote_fs")?,
            launch,
            smoke: Vec::new(),
            origin: origin(&values.span),
        })
    }

    /// `alone`, and names that are unique per master.
    fn judge(&self, declared: &[Declared]) {
        let node = self.called();
        for one in declared.iter().filter(|one| one.executor.alone) {
            if one.executor.count.get() > 1 {
                self.fault(
                    Fault::new(one.values.span("alone"), format!("an executor that is `alone` has a count of {}", one.executor.count))
                        .on_node(node)
                        .also(one.values.span("count"), "the count"),
                );
            }
            for other in declared.iter().filter(|other| other.span != one.span) {
                self.fault(
                    Fault::new(one.values.span("alone"), format!("this executor is `alone`, and another adds {}", other.executor.count))
                        .on_node(node)
                        .also(&other.span, "the other"),
                );
            }
        }
        for (index, one) in declared.iter().enumerate() {
            for other in &declared[..index] {
                if one.executor.master == other.executor.master && one.executor.name == other.executor.name {
                    let message = format!("two executors of {} are called `{}`", one.executor.master, one.executor.name);
                    let fault = Fault::new(&one.span, message).also(&other.span, "the first").hint("give one of them a `name`");
                    self.fault(fault.on_node(node));
                }
            }
        }
    }

    /// The labels that roles earn for every executor of the node.
    fn labels(&self) -> BTreeSet<Label> {
        let mut labels = BTreeSet::new();
        for role in &self.roles {
            let scope = RoleScope::new(self, role);
            for node in &role.labels {
                // A label may be one expression that gives several.
                let values = if node.as_scalar().is_some() { self.one_or_many(node, &scope) } else { Err(Reported) };
                for text in values.unwrap_or_default() {
                    match Label::parse(&text) {
                        Ok(label) => drop(labels.insert(label)),
                        Err(error) => drop(self.fault(Fault::new(&node.span, error.to_string()))),
                    }
                }
            }
        }
        labels
    }

    fn one_or_many(&self, node: &crate::author::source::Node, scope: &RoleScope<'_, 'a>) -> Read<Vec<String>> {
        let value = self.value(node, scope)?;
        if value.all_marks().is_secret() {
            return Err(self.fault(Fault::new(&node.span, "a secret may not stand in `labels`")));
        }
        let items = match value.data {
            crate::author::value::Data::List(items) => items.to_vec(),
            _ => vec![value],
        };
        let text = |item: &crate::author::value::Value| {
            as_text(&item.data).ok_or_else(|| self.fault(Fault::new(&node.span, format!("{} is not a label", item.data.noun()))))
        };
        items.iter().map(text).collect()
    }

    /// The commands of `smoke`, of every role.
    fn smoke(&self) -> Vec<Smoke> {
        let mut smoke: Vec<Smoke> = Vec::new();
        for role in &self.roles {
            let mut visit = |found: &Found<'_, '_, 'a>| {
                if found.left_out {
                    return;
                }
                let Ok(values) = self.fields(&found.body.fields, found.scope) else { return };
                if let Some(within) = &found.step.within {
                    self.fault(
                        Fault::new(&within.span, "`within` is not in smoke commands of this release")
                            .hint("the smoke job has one deadline"),
                    );
                }
                match one_smoke(&values, &found.step.span) {
                    Ok(one) => match smoke.iter().find(|known| known.name == one.name) {
                        Some(known) if known.run == one.run => {}
                        Some(known) => {
                            let message =
                                format!("two smoke commands of this node are called `{}`: the other stands at {}", one.name, known.origin);
                            self.fault(Fault::new(values.span("name"), message));
                        }
                        None => smoke.push(one),
                    },
                    Err(fault) => drop(self.fault(*fault)),
                }
            };
            Walk::role(self, role, &role.smoke, &mut 0, &mut visit);
        }
        smoke
    }
}

/// A field that its master never reads, or that the way of the launch does not.
fn nothing_meaningless(values: &Values, kind: Option<MasterKind>, launch: Option<&Launch>) -> Built<()> {
    if kind == Some(MasterKind::Buildbot) {
        for field in ["launch", "credential", "java"] {
            if values.fields.contains_key(field) {
                return Err(meaningless(values, field, "to a Buildbot master: its workers call in by themselves", Some("master")));
            }
        }
        if values.text("jobs").is_some_and(|jobs| jobs == "any") {
            return Err(meaningless(values, "jobs", "to a Buildbot master: each of its builders names a label", Some("master")));
        }
    }
    let is_ssh = matches!(launch, Some(Launch::Ssh { .. }));
    if values.fields.contains_key("credential") && !is_ssh && !is_decided(values, "launch") {
        return Err(meaningless(values, "credential", "without `launch: ssh`: no master logs in", Some("launch")));
    }
    Ok(())
}

fn one_smoke(values: &Values, span: &Span) -> Built<Smoke> {
    for field in ["as", "directory", "environment", "stdin", "accept"] {
        if values.fields.contains_key(field) {
            let fault = Fault::new(values.span(field), format!("`{field}` is not in smoke commands of this release"));
            return Err(Box::new(fault.hint("it runs as the executor's user, in the job's directory, and must exit with 0")));
        }
    }
    let lacking = || Box::new(Fault::new(&values.span, "the command names no program"));
    Ok(Smoke { name: values.text("name").ok_or_else(lacking)?, run: argv(values, "run")?.ok_or_else(lacking)?, origin: origin(span) })
}
