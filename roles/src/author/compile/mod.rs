//! From roles, site, facts and secrets to one node's closed catalog. Pure: the same input gives the same catalog, to the byte.

mod address;
mod checks;
mod contents;
mod context;
mod drafts;
mod executors;
mod explain;
mod fields;
mod further_faults;
mod image;
mod input;
mod known;
mod left_out;
mod limits;
mod lint;
mod masters;
mod names;
mod order;
mod params;
mod paths;
mod prove;
mod scope;
mod segments;
mod strictest;
mod triggers;
mod units;
mod untrusted_programs;
mod walk;

pub use explain::explain;
pub use further_faults::rest;
pub use image::{CompiledImage, ImageInput, image, image_system};
pub use input::{Compiled, Input, Secrets, Site, SiteContent, SiteEntry, Unread};
pub use known::KnownFacts;
pub use left_out::{LeftOut, LeftOutWhy};
pub use lint::{assumed, in_scope, lint, recorded};
pub use masters::{JenkinsCredential, JenkinsLogin, Master, MasterSettings, master_names, masters};
pub use order::{Order, order};
pub use segments::{Segment, image_cuts, image_segments};

use self::checks::FoundCheck;
use self::context::{Context, Reported, origin};
use self::drafts::Drafts;
use self::walk::{Found, Walk};
use super::diagnostic::Faults;
use super::kinds;
use super::role::{Role, Step as Written};
use crate::catalog::{Catalog, Requirement, Step};
use crate::check::{Assert, Check};
use crate::words::{RoleName, Span};
use std::collections::BTreeSet;

/// Compiles the catalog of one node.
///
/// # Errors
/// All that is wrong, each with its place.
pub fn compile(input: &Input<'_>) -> Result<Compiled, Faults> {
    compile_in(&Context::new(input)?)
}

fn compile_in(context: &Context<'_>) -> Result<Compiled, Faults> {
    let input = context.input;
    context.every_parameter();
    let executors = context.executors();
    let count = executors.iter().map(|executor| executor.count.get()).fold(0u32, u32::saturating_add);
    let mut require = context.requirements(count);
    let steps = context.steps();
    let verify = context.checks(|role| &role.verify, count).into_iter().map(|found| found.requirement).collect();
    require.extend(steps.iter().filter_map(asked));
    require.extend(context.lacking());
    let roles = context.roles.iter().filter_map(|role| RoleName::parse(&role.name.value).ok()).collect();
    let catalog = Catalog {
        node: input.node.clone(),
        facts: input.facts.get(input.node).map_or_else(|| crate::words::Digest::of(b""), |facts| facts.digest()),
        require,
        steps,
        verify,
    };
    let stores = context.stores.take();
    let compiled =
        Compiled { catalog, executors, secrets: stores.secrets, masked: stores.masked, blobs: stores.blobs, files: stores.files, roles };
    context.take_faults().into_result(compiled)
}

/// What a step asks of the node before anything changes.
fn asked(step: &Step) -> Option<Requirement> {
    let check = (kinds::resource(step.desired.kind())?.asks)(&step.desired)?;
    Some(Requirement { check, role: step.role.clone(), origin: step.origin.clone(), within: Span::seconds(30) })
}

impl<'a> Context<'a> {
    /// Evaluates every parameter of every role: all their faults are told before anything reads them.
    fn every_parameter(&self) {
        for role in &self.roles {
            for param in &role.params {
                let _told = self.param(role, &param.name.value);
            }
        }
    }

    /// The requirements of all roles, joined.
    fn requirements(&self, executors: u32) -> Vec<Requirement> {
        strictest::joined(self, self.checks(|role| &role.require, executors))
    }

    /// The checks of all roles at one place.
    fn checks(&self, place: impl Fn(&'a Role) -> &'a [Written], executors: u32) -> Vec<FoundCheck> {
        let mut checks: Vec<FoundCheck> = Vec::new();
        for role in &self.roles {
            let mut visit = |found: &Found<'_, '_, 'a>| {
                if found.left_out {
                    if let Some(why) = self.why_left_out_elsewhere(found.words) {
                        self.leave_out(found, &[], why);
                    }
                } else if let Ok(check) = self.check(found, executors) {
                    match self.why_left_out(self.bears.get(), found.words) {
                        Some(why) => self.leave_out(found, &[], why),
                        None => checks.push(check),
                    }
                }
            };
            Walk::role(self, role, place(role), &mut 0, &mut visit);
        }
        checks
    }

    /// The resources of all roles, in order.
    fn steps(&self) -> Vec<Step> {
        // Of a role that was not read whole, what a trigger names may be what is missing.
        let mut drafts = Drafts { failed: self.roles.iter().any(|role| !role.whole), ..Drafts::default() };
        let mut together = 0;
        for role in &self.roles {
            let mut visit = |found: &Found<'_, '_, 'a>| drafts.take(self, found);
            Walk::role(self, role, &role.steps, &mut together, &mut visit);
        }
        triggers::judge(&drafts, self);
        triggers::judge_directories(&drafts, self);
        let closed = drafts.close(self);
        paths::judge(&drafts.list, &closed, self);
        paths::judge_masks(&drafts.list, &closed, self);
        paths::judge_lines(&drafts.list, &closed, self);
        untrusted_programs::judge(&drafts.list, &closed, self);
        units::judge(&drafts.list, &closed, self);
        let watches = |turn: &drafts::OrderEntry<'a>| {
            let mut watches = turn.watches.clone();
            watches.retain(|watch| !drafts.is_withheld(self, &watch.id));
            watches
        };
        let mut seen = BTreeSet::new();
        let turn = |turn: &drafts::OrderEntry<'a>| {
            let draft = drafts.list.get(turn.draft)?;
            // A second turn is there for what it watches.
            let again = !seen.insert(turn.draft) && watches(turn).is_empty();
            if again || drafts.is_withheld(self, &draft.id) {
                return None;
            }
            Some(Step {
                desired: closed.get(turn.draft)?.clone()?,
                role: RoleName::parse(&turn.role.name.value).ok()?,
                origin: origin(&turn.span),
                within: draft.words.within.unwrap_or(kinds::of(draft.id.kind).deadline),
                watches: watches(turn),
                together: turn.together,
                while_busy: draft.words.while_busy,
            })
        };
        let steps: Vec<Step> = drafts.turns.iter().filter_map(turn).collect();
        self.no_secret_is_baked(&drafts, &closed);
        steps
    }

    /// A requirement that fails for each word that this node's system lacks.
    fn lacking(&self) -> Vec<Requirement> {
        let requirement = |(missing, span): (super::expr::Missing, super::source::Span)| {
            let role = RoleName::parse(&missing.role).map_err(|_| Reported).ok()?;
            let say = format!("role {} has no `{}` for {}", missing.role, missing.word, missing.system);
            let check = Check::Assert(Assert { holds: false, say, that: format!("{}.{}", missing.role, missing.word) });
            Some(Requirement { check, role, origin: origin(&span), within: Span::seconds(30) })
        };
        self.missing().into_iter().filter_map(requirement).collect()
    }
}
