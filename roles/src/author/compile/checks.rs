//! `require` and `verify`: from bodies to checks.

use super::build::{Built, command, path};
use super::contents::{must, word, words};
use super::context::{Context, Read, Reported, origin};
use super::fields::Values;
use super::triggers::check_deadline;
use super::walk::Found;
use crate::author::diagnostic::Fault;
use crate::author::kinds::Kind as Word;
use crate::author::source::Span;
use crate::catalog::Requirement;
use crate::check::{Assert, Check, Connect, Disk, Kernel, Login, Memory, Package, PackageWant, Virtualization};
use crate::words::{AccountName, Bytes, ModuleName, PackageName, RoleName};

/// A check and where its numbers were written.
pub(super) struct FoundCheck {
    pub(super) requirement: Requirement,
    pub(super) span: Span,
}

impl<'a> Context<'a> {
    /// The check of one body; `executors` is the node's count.
    pub(super) fn check(&self, found: &Found<'_, '_, 'a>, executors: u32) -> Read<FoundCheck> {
        let values = self.fields(&found.body.fields, found.scope)?;
        if executors == 0 && values.value("per").is_some() && self.roles.iter().any(|role| !role.executors.is_empty()) {
            // The executors could not be read, which was told.
            return Err(Reported);
        }
        let that = found.body.fields.get("that").and_then(|node| node.as_scalar()).map(|scalar| scalar.text.clone());
        let check = self.close_check(found.body.kind, &values, executors, that).map_err(|fault| self.fault(*fault))?;
        let role = RoleName::parse(&found.scope.role.name.value).map_err(|_| Reported)?;
        let within = found.words.within.unwrap_or_else(|| check_deadline(found.body.kind));
        Ok(FoundCheck { requirement: Requirement { check, role, origin: origin(&found.step.span), within }, span: found.step.span.clone() })
    }

    fn close_check(&self, kind: Word, values: &Values, executors: u32, that: Option<String>) -> Built<Check> {
        Ok(match kind {
            Word::Disk => Check::Disk(disk(values, executors)?),
            Word::Kernel => Check::Kernel(Kernel {
                at_least: values.version("at_least"),
                below: values.version("below"),
                not: values.texts("not").unwrap_or_default(),
                modules: words(values, "modules", ModuleName::parse)?,
                shared: values.boolean("shared"),
            }),
            Word::Memory => Check::Memory(Memory { total: values.bytes("total").ok_or_else(|| lacking(values, "total"))? }),
            Word::PackageCheck => Check::Package(Package {
                name: must(values, "name", PackageName::parse)?,
                want: if values.is_true("offered") { PackageWant::Offered } else { PackageWant::Installed },
                version: values.version("version"),
            }),
            Word::Connect => Check::Connect(connect(values)?),
            Word::Virtualization => Check::Virtualization(Virtualization {
                any_of: values.texts("any_of").unwrap_or_default(),
                none_of: values.texts("none_of").unwrap_or_default(),
            }),
            Word::Assert => Check::Assert(Assert {
                holds: values.is_true("that"),
                say: values.text("say").unwrap_or_default(),
                that: that.unwrap_or_default(),
            }),
            Word::System => Check::Assert(self.system(values)),
            Word::Login => Check::Login(Login { user: must(values, "user", AccountName::parse)? }),
            Word::Probe => Check::Command(Box::new(self.probe(values)?)),
            Word::Package
            | Word::File
            | Word::Directory
            | Word::Link
            | Word::User
            | Word::Group
            | Word::AuthorizedKey
            | Word::Line
            | Word::Service
            | Word::Sysctl
            | Word::KernelModule
            | Word::Command
            | Word::GitCache
            | Word::Download => return Err(Box::new(Fault::new(&values.span, format!("`{}` is no check", kind.word())))),
        })
    }

    /// The distribution is known already: the answer is decided here.
    fn system(&self, values: &Values) -> Assert {
        let any_of = values.texts("any_of").unwrap_or_default();
        let facts = self.input.facts.get(self.input.node);
        let holds = facts.is_some_and(|facts| {
            let system = &facts.system;
            let full = format!("{}-{}", system.id, system.version);
            any_of.iter().any(|wanted| [&full, &system.id, &system.family].contains(&wanted))
        });
        let found = facts.map(|facts| format!("{} {}", facts.system.id, facts.system.version)).unwrap_or_default();
        Assert { holds, say: format!("the system is {}", found.trim()), that: format!("system is one of {}", any_of.join(", ")) }
    }

    /// A command that looks. Without `as` the agent runs it as nobody.
    fn probe(&self, values: &Values) -> Built<crate::resource::command::Desired> {
        let mut probe = command(values)?;
        self.sensitive_fields(values, &mut probe);
        Ok(probe)
    }
}

fn lacking(values: &Values, field: &str) -> Box<Fault> {
    Box::new(Fault::new(&values.span, format!("`{field}` is missing")))
}

fn disk(values: &Values, executors: u32) -> Built<Disk> {
    let per = values.text("per").is_some();
    if per && values.value("free_after").is_none() {
        return Err(Box::new(Fault::new(values.span("per"), "`per` has no meaning beside `size`").expected("`free_after`")));
    }
    if per && executors == 0 {
        return Err(Box::new(
            Fault::new(values.span("per"), "this node has no executor to multiply by")
                .hint("a role with `executors` is wanted on the node"),
        ));
    }
    let free_after = match values.bytes("free_after") {
        Some(bytes) if per => {
            let total = bytes.count().checked_mul(u64::from(executors)).map(Bytes);
            Some(total.ok_or_else(|| Box::new(Fault::new(values.span("free_after"), "the sum over all executors is too large")))?)
        }
        other => other,
    };
    Ok(Disk { path: path(values, "path")?, size: values.bytes("size"), free_after, executors: per.then_some(executors) })
}

/// Host and port, or a URL that says both.
fn connect(values: &Values) -> Built<Connect> {
    let to = values.text("to").unwrap_or_default();
    let fail = |message: String| Box::new(Fault::new(values.span("to"), message).expected("a host and `port`, or a URL"));
    let written = match values.integer("port") {
        Some(port) => Some(u16::try_from(port).map_err(|_| fail(format!("{port} is no port")))?),
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
        return Err(fail(format!("`{to}` is no host")));
    }
    let own = own.map(|port| port.parse::<u16>().map_err(|_| fail(format!("`{port}` is no port")))).transpose()?;
    let usual = match scheme {
        "http" => Some(80),
        "https" => Some(443),
        "ssh" => Some(22),
        "git" => Some(9418),
        _ => None,
    };
    let port = match (written, own) {
        (Some(written), Some(own)) if written != own => return Err(fail(format!("`{to}` and `port: {written}` disagree"))),
        (written, own) => written.or(own).or(usual),
    };
    match port {
        Some(port) if port > 0 => Ok(Connect { host: host.to_owned(), port }),
        Some(_) | None => Err(fail(format!("no port for `{to}`"))),
    }
}
