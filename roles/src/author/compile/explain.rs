//! Where each parameter of a node comes from.

use super::Input;
use super::context::{Context, origin};
use crate::author::diagnostic::Faults;
use crate::author::layers::{Explained, Layer, Overridden};
use crate::author::role::{Param, Role, Type};
use crate::author::source::{Node, Span};
use crate::author::value::Value;

/// Says for each parameter of a node's roles that is `wanted` (by role and name) where its value comes from.
///
/// # Errors
/// All that is wrong with their values, and with what these read.
pub fn explain(input: &Input<'_>, wanted: &dyn Fn(&str, &str) -> bool) -> Result<Vec<Explained>, Faults> {
    let context = Context::new(input)?;
    // What is wrong elsewhere is for `lint` to say: who asks where a value comes from may be looking for just that.
    drop(context.take_faults());
    let mut all = Vec::new();
    for role in &context.roles {
        for param in role.params.iter().filter(|param| wanted(&role.name.value, &param.name.value)) {
            if let Ok(value) = context.param(role, &param.name.value) {
                all.push(one(&context, role, param, &value));
            }
        }
    }
    context.take_faults().into_result(all)
}

fn one<'a>(context: &Context<'a>, role: &'a Role, param: &'a Param, value: &Value) -> Explained {
    let mut layers: Vec<(Layer, &Span, Option<&Node>)> = Vec::new();
    match &param.default {
        Some(default) => layers.push((Layer::Default, &default.span, Some(default))),
        None if param.optional => layers.push((Layer::Default, &param.name.span, None)),
        None => {}
    }
    layers.extend(
        context.params.given(&role.name.value, &param.name.value).iter().map(|given| (given.layer, &given.node.span, Some(given.node))),
    );
    layers.sort_by_key(|(layer, ..)| *layer);
    let winner = layers.pop();
    let losing = layers.into_iter().rev().filter(|(layer, ..)| winner.is_none_or(|(won, ..)| won != *layer));
    Explained {
        role: role.name.value.clone(),
        param: param.name.value.clone(),
        kind: written(&param.kind),
        value: value.shown(),
        layer: winner.map_or(Layer::Default, |(layer, ..)| layer),
        origin: origin(winner.map_or(&param.name.span, |(_, span, _)| span)),
        losing: losing
            .map(|(layer, span, node)| Overridden {
                layer,
                origin: origin(span),
                written: node.map_or_else(|| "none".to_owned(), |node| node.span.text().split_whitespace().collect::<Vec<_>>().join(" ")),
            })
            .collect(),
    }
}

/// A type as roles write it.
fn written(kind: &Type) -> String {
    match kind {
        Type::Scalar(scalar) => scalar.word().to_owned(),
        Type::Microversions => "microversions".to_owned(),
        Type::List(element) => format!("list({})", written(element)),
        Type::Map(value) => format!("map({})", written(value)),
        Type::Record(_) => "record".to_owned(),
    }
}
