//! The pages of roles: what a role's file holds, and the roles of the library with their parameters.

use std::fmt::Write as _;

use super::row;
use crate::author::diagnostic::Faults;
use crate::author::keys::{self, KeySpec};
use crate::author::library;
use crate::author::role::{Param, Role, Type};

/// A table: its title, the head of its first column, and rows of a word and a sentence.
type Table = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// What expressions of a role see.
const SCOPE: Table = (
    "What its expressions see",
    "name",
    &[
        ("PARAMETER", "Its own parameters, and its words of `by_system`."),
        ("ROLE.PARAMETER", "Those of the roles that it needs itself; a `-` in the role's name is written `_`: `job_user.home`."),
        ("node.name", "This node's name; `node.host` where it is reached."),
        ("facts", "What the node told of itself, below. Nothing of it changes in a run."),
    ],
);

/// The facts. A test holds that there are no others.
const FACTS: Table = (
    "Facts",
    "fact",
    &[
        ("facts.system.id", "`debian`"),
        ("facts.system.version", "`12`, a version"),
        ("facts.system.codename", "`bookworm`"),
        ("facts.system.family", "`debian`, for Ubuntu too"),
        ("facts.kernel.release", "`6.1.0-18-amd64`, a version"),
        ("facts.kernel.shared", "whether it is shared with other machines (a container)"),
        ("facts.arch", "`x86_64`"),
        ("facts.virtualization", "as systemd-detect-virt(1) says: `kvm`, `none`"),
        ("facts.cpus", "how many"),
        ("facts.memory.total", "a size"),
        ("facts.hostname", "what it calls itself"),
        ("facts.addresses", "a list of texts"),
        ("facts.host_keys", "its ssh host keys, a list of texts"),
        ("facts.package_manager", "`apt`"),
        ("facts.init", "`systemd`"),
    ],
);

/// The page of what a role's file holds.
#[must_use]
pub fn role() -> String {
    let mut page = String::from(
        "# A role: `roles/NAME.yaml`\n\n\
         Written by the program from its own tables; a test keeps it fresh. What stands in `steps`, `require`, `verify`, `smoke` and \
         `executors`\nis in [kinds](kinds.md), what stands in `{{ }}` in [expressions](expressions.md), the roles that come with the \
         program in [library](library.md).\n",
    );
    let step = [keys::STEP, keys::BLOCKS].concat();
    let of = |keys: &[KeySpec]| keys.iter().map(|key| (key.name, key.doc)).collect::<Vec<_>>();
    for (title, head, rows) in [
        ("The file", "key", of(keys::ROLE)),
        ("A parameter", "key", of(keys::PARAMETER)),
        ("A step", "word", of(&step)),
        (SCOPE.0, SCOPE.1, SCOPE.2.to_vec()),
        (FACTS.0, FACTS.1, FACTS.2.to_vec()),
    ] {
        let _ = writeln!(page, "\n## {title}\n\n| {head} | |\n|---|---|");
        rows.iter().for_each(|(word, text)| row(&mut page, &[&format!("`{word}`"), text]));
    }
    page.push_str(
        "\n## Where a parameter's value comes from\n\n\
         Default, a role's `needs`, `vars` of the site, of a group, of the node, `-e` on the command line: the later the stronger. A layer \
         replaces\nthe whole value; nothing is merged. `ostler explain var NODE ROLE.PARAMETER` tells which one it is.\n\n\
         ## One thing, declared twice\n\n\
         A resource is called by its kind and its key: `file /etc/motd`, `package git`. Two declarations of one name become one if no field \
         that\nboth write differs; otherwise both places are shown. What watches (`restart_on`, `reload_on`, `run_on`) names resources that \
         stand before it.\n",
    );
    page
}

/// The page of the library.
#[must_use]
pub fn library() -> String {
    let mut page = String::from(
        "# The roles of the library\n\n\
         Written by the program from the roles themselves; a test keeps it fresh. They are used by their names, in `nodes.yaml` or in `needs`.\n\
         A parameter without a default must be given, unless it is optional.\n",
    );
    // Their faults are the business of other tests.
    for role in library::roles(&mut Faults::new()) {
        one(&mut page, &role);
    }
    page
}

fn one(page: &mut String, role: &Role) {
    let _ = writeln!(page, "\n## `{}`\n\n{}", role.name.value, role.summary.value);
    let needs: Vec<String> = role.needs.iter().map(|need| format!("`{}`", need.role.value)).collect();
    if !needs.is_empty() {
        let _ = writeln!(page, "Needs {}.", needs.join(", "));
    }
    if role.params.is_empty() {
        return;
    }
    page.push_str("\n| parameter | type | default | |\n|---|---|---|---|\n");
    for param in &role.params {
        let default = match &param.default {
            Some(default) => format!("`{}`", default.span.text().split_whitespace().collect::<Vec<_>>().join(" ")),
            None if param.optional => "optional".to_owned(),
            None => "**must**".to_owned(),
        };
        row(page, &[&format!("`{}`", param.name.value), &format!("`{}`", word(&param.kind)), &default, &text(param)]);
    }
}

/// What it is for, and what is allowed.
fn text(param: &Param) -> String {
    let bounds = [("at least", &param.at_least), ("at most", &param.at_most)];
    let bounds = bounds.into_iter().filter_map(|(word, bound)| Some(format!("{word} {}", bound.as_ref()?.span.text().trim())));
    let choices: Vec<&str> = param.choices.iter().map(|choice| choice.span.text().trim()).collect();
    let choices = (!choices.is_empty()).then(|| choices.join(" or "));
    param.help.clone().into_iter().chain(choices).chain(bounds).collect::<Vec<_>>().join("; ")
}

/// A type as it is written.
fn word(kind: &Type) -> String {
    match kind {
        Type::Scalar(scalar) => scalar.word().to_owned(),
        Type::Microversions => "microversions".to_owned(),
        Type::List(element) => format!("list({})", word(element)),
        Type::Map(value) => format!("map({})", word(value)),
        Type::Record(fields) => {
            let fields: Vec<&str> = fields.iter().map(|field| field.name.value.as_str()).collect();
            format!("record: {}", fields.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::author::value::{Data, facts_value};
    use std::collections::BTreeSet;

    fn first(table: Table) -> BTreeSet<String> {
        table.2.iter().map(|(word, _)| (*word).to_owned()).collect()
    }

    #[test]
    fn the_tables_name_every_fact() {
        fn leaves(name: &str, value: &crate::author::value::Value, found: &mut BTreeSet<String>) {
            match &value.data {
                Data::Map(entries) => entries.iter().for_each(|(key, value)| leaves(&format!("{name}.{key}"), value, found)),
                _ => _ = found.insert(name.to_owned()),
            }
        }
        let mut found = BTreeSet::new();
        let facts = crate::author::compile::recorded().into_values().next().unwrap();
        leaves("facts", &facts_value(&facts), &mut found);
        assert_eq!(first(FACTS), found);
    }
}
