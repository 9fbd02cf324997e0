//! `connect` as a check: its fields, and what must hold.

use super::super::read::{Built, word};
use super::super::types::{Becomes, CheckSpec, FieldSpec, KindSpec, ScalarType, Shape};
use super::super::values::Values;
use super::super::vocabulary::{CHECKS, TEXT};
use crate::author::diagnostic::Fault;
use crate::check::{Check, Connect};
use crate::words::Span;

/// Its table.
pub(in crate::author) const SPEC: KindSpec = KindSpec {
    word: "connect",
    doc: "A TCP connection from the node. In `verify`, a port of the node itself that is refused behind a changed service, package or command is asked for again for up to 3 seconds, and the report says how long was waited.",
    places: CHECKS,
    fields: &[
        FieldSpec::new("to", TEXT, "A host, or a URL whose host and port are meant.").required().key(),
        FieldSpec::new("port", Shape::Scalar(ScalarType::Port), "The port; a URL brings its own.").key(),
        FieldSpec::new("from", Shape::Scalar(ScalarType::Node), "Another node that connects.").later(),
    ],
    rules: &[],
    deadline: Span::seconds(10),
    becomes: Becomes::Check(CheckSpec::new(|values, _, _| Ok(Check::Connect(connect(values)?)))),
};

/// Host and port, or a URL that says both.
fn connect(values: &Values) -> Built<Connect> {
    let to = values.text("to").unwrap_or_default();
    let fail = |message: String| Box::new(Fault::new(values.span("to"), message).expected("a host and `port`, or a URL"));
    let written = match values.integer("port") {
        Some(port) => Some(u16::try_from(port).map_err(|_| fail(format!("{port} is not a port")))?),
        None => word(values, "port", str::parse::<u16>)?,
    };
    let (scheme, rest) = to.split_once("://").unwrap_or(("", &to));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, own) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None if scheme.is_empty() || authority.matches(':').count() > 1 => (authority, None),
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() || host.chars().any(|c| c.is_whitespace() || c.is_control()) || (scheme.is_empty() && rest.contains('/')) {
        return Err(fail(format!("`{to}` is not a host")));
    }
    let own = own.map(|port| port.parse::<u16>().map_err(|_| fail(format!("`{port}` is not a port")))).transpose()?;
    let usual = match scheme {
        "http" => Some(80),
        "https" => Some(443),
        "ssh" => Some(22),
        "git" => Some(9418),
        _ => None,
    };
    let port = match (written, own) {
        // What a URL means is its scheme's port where it names none.
        (Some(written), own) if !scheme.is_empty() && own.or(usual).is_some_and(|own| own != written) => {
            return Err(fail(format!("`{to}` and `port: {written}` disagree")));
        }
        (written, own) => written.or(own).or(usual),
    };
    match port {
        Some(port) if port > 0 => Ok(Connect { host: host.to_owned(), port }),
        Some(_) | None => Err(fail(format!("no port for `{to}`"))),
    }
}
