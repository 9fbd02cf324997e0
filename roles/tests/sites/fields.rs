//! Whatever is written counts for something: each field of each table, beside each value that takes its meaning away, is refused by name, or
//! something else comes of it.

use super::*;
use ostler_roles::author::compile::masters;
use ostler_roles::author::kinds::{self, BUILDBOT, EXECUTOR, FieldSpec, JENKINS, Place, ScalarType, Shape};

/// Bodies that are good by themselves; and the fields that mean nothing beside what stands there.
type Base<'a> = (&'a str, &'a str, &'a [&'a str]);

/// Of the kinds in `steps`.
const STEPS: &[Base] = &[
    ("authorized_key", "user: ci, key: KEY", &[]),
    ("authorized_key", "user: ci, key: KEY, absent: true", &["options", "exclusive"]),
    ("command", "name: c, run: [a], creates: /srv/c", &[]),
    ("directory", "path: /srv/a", &[]),
    ("directory", "path: /srv/a, absent: true", &["owner", "group", "mode"]),
    ("download", "path: /srv/a, url: \"https://192.0.2.7/a\", sha256: SHA", &[]),
    ("file", "path: /srv/a, content: a", &[]),
    ("file", "path: /srv/a, absent: true", &["content", "from", "template", "owner", "group", "mode", "validate"]),
    ("git_cache", "root: /srv/a, repositories: [a/b, a/c], upstreams: [\"https://192.0.2.7\"]", &["from"]),
    ("group", "name: a", &[]),
    ("group", "name: a, absent: true", &["gid", "system"]),
    ("kernel_module", "name: a", &[]),
    ("line", "path: /srv/a, line: \"sample a\"", &[]),
    // What is replaced is removed, too.
    ("line", "path: /srv/a, line: \"sample a\", absent: true", &[]),
    ("link", "path: /srv/a, to: b", &[]),
    ("link", "path: /srv/a, absent: true", &["to"]),
    ("package", "install: [a]", &[]),
    ("package", "remove: [a]", &["versions"]),
    ("package", "install: [b], remove: [a]", &["versions"]),
    ("service", "name: a, state: running", &[]),
    ("service", "name: a, state: stopped", &["restart_on", "reload_on", "check"]),
    ("sysctl", "name: a.b, value: \"1\"", &[]),
    ("user", "name: a", &[]),
    ("user", "name: a, absent: true", &["uid", "group", "groups", "home", "shell", "system"]),
];

/// Of the kinds in `verify`.
const CHECKS: &[Base] = &[
    ("assert", "that: true, say: a", &[]),
    ("command", "name: c, run: [a]", &[]),
    ("connect", "to: 192.0.2.7, port: 22", &[]),
    ("connect", "to: \"https://192.0.2.7\"", &["port"]),
    ("disk", "path: /srv, size: 1 GiB", &["free_after", "per"]),
    ("disk", "path: /srv, free_after: 1 GiB", &["size"]),
    ("kernel", "at_least: \"6\"", &[]),
    ("login", "user: a", &[]),
    ("memory", "total: 1 GiB", &[]),
    ("package", "name: a", &[]),
    ("system", "any_of: [debian]", &[]),
    ("virtualization", "any_of: [kvm]", &["none_of"]),
];

/// Of executors.
const EXECUTORS: &[Base] = &[
    ("", "master: buildbot, user: ci, remote_fs: /srv/ci", &["launch", "credential", "java", "jobs"]),
    ("", "master: jenkins, user: ci, remote_fs: /srv/ci", &["credential"]),
    ("", "master: jenkins, user: ci, remote_fs: /srv/ci, launch: inbound", &["credential"]),
    ("", "master: jenkins, user: ci, remote_fs: /srv/ci, launch: ssh, credential: c", &[]),
];

/// Of masters.
const MASTERS: &[Base] = &[
    ("buildbot", "url: \"https://192.0.2.9/\"", &["directory", "service", "user", "plain_http"]),
    ("buildbot", "url: \"https://192.0.2.9/\", node: n1", &["user", "plain_http"]),
    ("buildbot", "url: \"https://192.0.2.9/\", node: n1, password: S", &["plain_http"]),
    ("jenkins", "url: \"https://192.0.2.9/\", user: a, token: S", &["password", "plain_http"]),
    ("jenkins", "url: \"http://192.0.2.9/\", user: a, token: S, plain_http: true", &["password", "trust"]),
];

/// A value of a field that is none that holds where nothing is written.
fn sample(field: &FieldSpec) -> String {
    match field.name {
        "template" | "unit_template" => "templates/t".to_owned(),
        "versions" => "{a: \"7\"}".to_owned(),
        "required" => "[a/b]".to_owned(),
        "validate" => "[\"true\", \"%f\"]".to_owned(),
        "options" => "[no-pty]".to_owned(),
        "repositories" => "[a/b]".to_owned(),
        "that" => "false".to_owned(),
        "name" => "other".to_owned(),
        "node" => "n1".to_owned(),
        _ => of_shape(&field.shape),
    }
}

fn of_shape(shape: &Shape) -> String {
    match shape {
        Shape::Scalar(kind) => match kind {
            ScalarType::Text | ScalarType::Name | ScalarType::Label => "sample",
            ScalarType::Host => "192.0.2.7",
            ScalarType::Url => "\"https://192.0.2.7/sample\"",
            ScalarType::Path => "/srv/sample",
            ScalarType::SitePath => "files/f",
            ScalarType::Port | ScalarType::Integer => "7",
            ScalarType::Boolean => "true",
            ScalarType::Percent => "7%",
            ScalarType::Bytes => "7 GiB",
            ScalarType::Duration => "7s",
            ScalarType::Version => "\"7\"",
            ScalarType::Mode => "\"0700\"",
            ScalarType::Digest => "SHA",
            ScalarType::PublicKey => "KEY",
            ScalarType::Secret => "S",
            ScalarType::System => "debian-12",
            ScalarType::Node => "n1",
            ScalarType::Master => "jenkins",
        }
        .to_owned(),
        Shape::Choice(words) => (*words.last().unwrap()).to_owned(),
        Shape::List(inner) => format!("[{}]", of_shape(inner)),
        Shape::Map(inner) => format!("{{sample: {}}}", of_shape(inner)),
        Shape::Record(fields) => {
            let one = |field: &FieldSpec| format!("{}: {}", field.name, of_shape(&field.shape));
            let needed: Vec<&FieldSpec> = fields.iter().filter(|field| field.required).collect();
            let shown = if needed.is_empty() { vec![one(&fields[0])] } else { needed.into_iter().map(one).collect() };
            format!("{{{}}}", shown.join(", "))
        }
        Shape::Triggers(_) => "[file /srv/watched]".to_owned(),
        Shape::Expression => "true".to_owned(),
    }
}

/// A site with these bodies.
fn site(steps: &str, checks: &str, executors: &str, masters: &str) -> String {
    let key = "\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEuZxsRzUqCg0XyG4dkIKXMXe6Y4yN1RZvFGzPfE5n9w\"";
    let text = format!(
        "# secret: s hidden-value\n# file: ostler.yaml\nedition: 1\nmasters:\n  buildbot: {{buildbot: {{url: \"https://192.0.2.8/\", node: n1}}}}\n  \
         jenkins: {{jenkins: {{url: \"https://192.0.2.7/\", user: a, token: S}}}}\n{masters}# file: nodes.yaml\nnodes: {{n1: {{host: 192.0.2.1, roles: [r]}}}}\n\
         # file: files/f\na/b\n# file: templates/t\n[Service]\n# file: roles/r.yaml\nrole: r\nsummary: R.\nsteps:\n  - file: {{path: /srv/watched, content: w}}\n\
         {steps}verify:\n  - connect: {{to: 192.0.2.99, port: 1}}\n{checks}executors:\n  - {{master: jenkins, name: another, user: ci, remote_fs: /srv/ci}}\n{executors}"
    );
    text.replace(" S,", " \"{{ secret.s }}\",").replace(" S}", " \"{{ secret.s }}\"}").replace("KEY", key).replace("SHA", &"ab".repeat(32))
}

/// What comes of a site, its masters too.
fn becomes(text: &str) -> Result<String, String> {
    let case = read(text).map_err(|faults| faults.render(LOOK))?;
    let Case { roles, site, content, secrets, facts, node, overrides, .. } = &case;
    let found = masters(roles, site, facts, secrets).map_err(|faults| faults.render(LOOK))?;
    let told = lint(roles, site, content, facts, secrets, overrides);
    told.into_result(()).map_err(|faults| faults.render(LOOK))?;
    let compiled = compile(&Input { roles, site, content, node, facts, secrets, overrides }).map_err(|faults| faults.render(LOOK))?;
    Ok(format!("{}{found:?}", shown(&compiled)))
}

/// What is wrong with the fields of one table.
fn judge(fields: &[FieldSpec], (kind, base, refused): &Base<'_>, site_of: &dyn Fn(&str) -> String) -> Vec<String> {
    let plain = match becomes(&site_of(base)) {
        Ok(plain) => plain,
        Err(faults) => return vec![format!("{kind} {{{base}}} is not good by itself:\n{faults}")],
    };
    let is_written = |name: &str| base.starts_with(&format!("{name}: ")) || base.contains(&format!(", {name}: "));
    let mut wrong = Vec::new();
    for field in fields.iter().filter(|field| !field.later && !is_written(field.name)) {
        let with = format!("{base}, {}: {}", field.name, sample(field));
        let said = becomes(&site_of(&with));
        let name = format!("`{}`", field.name);
        match (refused.contains(&field.name), said) {
            (true, Err(faults)) if faults.contains(&name) => {}
            (true, Err(faults)) => wrong.push(format!("{kind} {{{with}}} is refused for something else:\n{faults}")),
            (true, Ok(_)) => wrong.push(format!("{kind} {{{with}}} is accepted, and {name} means nothing there")),
            (false, Ok(more)) if more == plain => wrong.push(format!("{kind} {{{with}}} is accepted, and {name} makes no difference")),
            (false, _) => {}
        }
    }
    wrong
}

#[test]
fn no_field_is_accepted_where_it_means_nothing() {
    let mut wrong = Vec::new();
    for (place, bases) in [(Place::Steps, STEPS), (Place::Verify, CHECKS)] {
        for spec in kinds::at(place) {
            let needed: Vec<String> =
                spec.fields.iter().filter(|field| field.required).map(|field| format!("{}: {}", field.name, sample(field))).collect();
            let (needed, mut own) =
                (needed.join(", "), bases.iter().filter(|base| base.0 == spec.word).copied().collect::<Vec<Base<'_>>>());
            if own.is_empty() {
                // Each of its fields means something beside what it needs.
                own.push((spec.word, &needed, &[]));
            }
            for base in &own {
                let body = |fields: &str| format!("  - {}: {{{fields}}}\n", spec.word);
                wrong.extend(judge(spec.fields, base, &|fields| match place {
                    Place::Steps => site(&body(fields), "", "", ""),
                    _ => site("", &body(fields), "", ""),
                }));
            }
        }
    }
    for base in EXECUTORS {
        wrong.extend(judge(EXECUTOR, base, &|fields| site("", "", &format!("  - {{{fields}}}\n"), "")));
    }
    for base in MASTERS {
        let table = if base.0 == "buildbot" { BUILDBOT } else { JENKINS };
        wrong.extend(judge(table, base, &|fields| site("", "", "", &format!("  other: {{{}: {{{fields}}}}}\n", base.0))));
    }
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
}
