//! Large sites, looked at without a node.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use ostler::lab::Suite;

use super::Fault;
use super::contestants::Tools;
use super::scenes::{Rounds, bare, environment};
use super::stopwatch::{Entry, race};
use super::table::section;

const NODES: &str = "500 nodes with 100 roles each";
const STEPS: &str = "a role of 10,000 steps";
const LINES: &str = "a template of 32,000 lines";

fn site(at: &Path, nodes: usize, roles: &[(String, String)]) -> Result<(), Fault> {
    fs::create_dir_all(at.join("roles"))?;
    fs::create_dir_all(at.join("templates"))?;
    fs::write(at.join("ostler.yaml"), "edition: 1\nssh: {user: root}\n")?;
    let names: Vec<&str> = roles.iter().map(|(name, _)| name.as_str()).collect();
    let mut text = "nodes:\n".to_owned();
    for node in 0..nodes {
        writeln!(text, "  m{node:03}: {{host: 10.77.{}.{}, roles: [{}]}}", node / 200, node % 200 + 1, names.join(", "))?;
    }
    fs::write(at.join("nodes.yaml"), text)?;
    for (name, text) in roles {
        fs::write(at.join(format!("roles/{name}.yaml")), text)?;
    }
    Ok(())
}

fn hundred() -> Vec<(String, String)> {
    let role = |number: usize| {
        let head =
            format!("role: r{number:02}\nsummary: One of a hundred.\nparams:\n  size: {{type: integer, default: {number}}}\nsteps:\n");
        let steps = format!(
            "  - directory: {{path: /srv/r{number:02}}}\n  - file: {{path: /srv/r{number:02}/conf, content: \"{{{{ node.name }}}} {{{{ size * 2 }}}}\\n\"}}\n  - user: {{name: u{number:02}, shell: /bin/sh}}\n"
        );
        (format!("r{number:02}"), format!("{head}{steps}"))
    };
    (0..100).map(role).collect()
}

fn steps() -> String {
    let mut text = "role: steps\nsummary: Many steps.\nsteps:\n".to_owned();
    for number in 0..10_000 {
        let _ = writeln!(text, "  - file: {{path: /srv/f{number:05}, content: \"{{{{ node.name }}}} {number}\\n\"}}");
    }
    text
}

fn template() -> String {
    (0..32_000).fold(String::new(), |mut text, number| {
        let _ = writeln!(text, "o{number} {{{{ names | length }}}}");
        text
    })
}

/// `lint` of three sites that are large each in its way.
pub fn lint(tools: &Tools, rounds: Rounds) -> Result<String, Fault> {
    let dir = tools.scratch.join("large");
    site(&dir.join("nodes"), 500, &hundred())?;
    site(&dir.join("steps"), 1, &[("steps".to_owned(), steps())])?;
    let names: Vec<String> = (0..1000).map(|number| format!("name-{number}")).collect();
    let role = format!(
        "role: lines\nsummary: A long file.\nparams:\n  names: {{type: list(text), default: [{}]}}\nsteps:\n  - file: {{path: /srv/long, template: templates/long}}\n",
        names.join(", ")
    );
    site(&dir.join("lines"), 1, &[("lines".to_owned(), role)])?;
    fs::write(dir.join("lines/templates/long"), template())?;
    let program = tools.ostler.display().to_string();
    let entry = |(name, site): (&str, &str)| Entry::new(name, [&program, "-C", &dir.join(site).display().to_string(), "lint"]);
    let entries = [(NODES, "nodes"), (STEPS, "steps"), (LINES, "lines")].map(entry);
    // A lab of one node that nobody asks: what is measured runs where everything else did.
    let lab = bare(&tools.scratch.join("lab"), Suite::Bookworm, &["n1"])?;
    let results = race(&lab, rounds.fast, true, &entries, &environment(tools))?;
    lab.end()?;
    let words = "No node is asked. Each line of the template has the length of a list of a thousand.";
    Ok(section("`ostler lint` of large sites", words, &[NODES, STEPS, LINES], &results))
}
