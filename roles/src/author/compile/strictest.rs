//! Requirements of several roles on one thing: of a size, memory and kernel the strictest counts.

use super::checks::FoundCheck;
use super::context::Context;
use crate::author::diagnostic::Fault;
use crate::author::source::Span;
use crate::catalog::Requirement;
use crate::check::{Check, Kernel, Virtualization};
use crate::words::Version;

/// Joins requirements; each stands where its first stood.
pub(super) fn joined(context: &Context<'_>, found: Vec<FoundCheck>) -> Vec<Requirement> {
    let mut kept: Vec<FoundCheck> = Vec::new();
    for next in found {
        let mut taken = false;
        for known in &mut kept {
            let other = known.span.clone();
            match (&mut known.requirement.check, &next.requirement.check) {
                (Check::Disk(first), Check::Disk(second)) if first.path == second.path && first.size.is_some() && second.size.is_some() => {
                    first.size = first.size.max(second.size);
                    taken = true;
                }
                // What must remain adds up on the node, where it is known which file system holds what; also twice the same.
                (Check::Disk(_), Check::Disk(_)) => {}
                (Check::Memory(first), Check::Memory(second)) => {
                    first.total = first.total.max(second.total);
                    taken = true;
                }
                (Check::Kernel(first), Check::Kernel(second)) => {
                    kernel(context, first, second, (&other, &next.span));
                    taken = true;
                }
                (Check::Virtualization(first), Check::Virtualization(second)) => {
                    virtualization(context, first, second, (&other, &next.span));
                    taken = true;
                }
                (first, second) if first == second => taken = true,
                _ => {}
            }
            if taken {
                known.requirement.within = known.requirement.within.max(next.requirement.within);
                break;
            }
        }
        if !taken {
            if let Check::Kernel(kernel) = &next.requirement.check {
                empty_kernel(context, kernel, (&next.span, &next.span));
            }
            kept.push(next);
        }
    }
    kept.into_iter().map(|found| found.requirement).collect()
}

fn kernel(context: &Context<'_>, first: &mut Kernel, second: &Kernel, places: (&Span, &Span)) {
    let wanted = |a: &Option<_>, b: &Option<_>| a.is_none() || b.is_none() || a == b;
    if !wanted(&first.shared, &second.shared) {
        context.fault(Fault::new(places.1, "one role wants a kernel of its own, another a shared one").also(places.0, "the other"));
    }
    // As a node will judge them.
    first.at_least = first.at_least.take().into_iter().chain(second.at_least.clone()).max_by(Version::cmp_release);
    first.below = first.below.take().into_iter().chain(second.below.clone()).min_by(Version::cmp_release);
    first.shared = first.shared.or(second.shared);
    for bad in &second.not {
        if !first.not.contains(bad) {
            first.not.push(bad.clone());
        }
    }
    for module in &second.modules {
        if !first.modules.contains(module) {
            first.modules.push(module.clone());
        }
    }
    empty_kernel(context, first, places);
}

fn empty_kernel(context: &Context<'_>, kernel: &Kernel, places: (&Span, &Span)) {
    if let (Some(least), Some(below)) = (&kernel.at_least, &kernel.below)
        && least.cmp_release(below).is_ge()
    {
        let fault = Fault::new(places.1, format!("no kernel is at least {least} and below {below}"));
        context.fault(if places.0 == places.1 { fault } else { fault.also(places.0, "the other") });
    }
}

fn virtualization(context: &Context<'_>, first: &mut Virtualization, second: &Virtualization, places: (&Span, &Span)) {
    if first.any_of.is_empty() {
        first.any_of.clone_from(&second.any_of);
    } else if !second.any_of.is_empty() {
        first.any_of.retain(|kind| second.any_of.contains(kind));
        if first.any_of.is_empty() {
            context.fault(Fault::new(places.1, "no kind of machine suits both roles").also(places.0, "the other"));
        }
    }
    for bad in &second.none_of {
        if !first.none_of.contains(bad) {
            first.none_of.push(bad.clone());
        }
    }
}
