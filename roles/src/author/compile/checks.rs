//! `require` and `verify`: from bodies to checks.

use super::context::{Context, Read, Reported, origin};
use super::drafts::OfNode;
use super::walk::Found;
use crate::author::diagnostic::Fault;
use crate::author::kinds::Becomes;
use crate::author::source::Span;
use crate::catalog::Requirement;
use crate::words::RoleName;

/// A check and where its numbers were written.
pub(super) struct FoundCheck {
    pub(super) requirement: Requirement,
    pub(super) span: Span,
}

impl<'a> Context<'a> {
    /// The check of one body; `executors` is the node's count.
    pub(super) fn check(&self, found: &Found<'_, '_, 'a>, executors: u32) -> Read<FoundCheck> {
        self.assumed.set(found.words.assumed);
        self.bears.set(found.words.bears);
        let values = self.fields(&found.body.fields, found.scope)?;
        if self.assumed.get() {
            return Err(Reported);
        }
        if values.value("per").is_some() {
            self.bears(self.count_bears.get());
        }
        self.given(&values, found.body.kind)?;
        if executors == 0 && values.value("per").is_some() && self.roles.iter().any(|role| !role.executors.is_empty()) {
            // The executors could not be read, which was told.
            return Err(Reported);
        }
        let Becomes::Check(spec) = &found.body.kind.becomes else {
            return Err(self.fault(Fault::new(&values.span, format!("`{}` is not a check", found.body.kind.word))));
        };
        let check = (spec.build)(&values, &found.body.fields, &OfNode { context: self, executors }).map_err(|fault| self.fault(*fault))?;
        let role = RoleName::parse(&found.scope.role.name.value).map_err(|_| Reported)?;
        let within = found.words.within.unwrap_or(found.body.kind.deadline);
        Ok(FoundCheck { requirement: Requirement { check, role, origin: origin(&found.step.span), within }, span: found.step.span.clone() })
    }
}
