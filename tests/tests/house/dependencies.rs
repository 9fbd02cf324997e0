//! What we build on: the agent's list, a reason for each, licences, bans, sources.

use ostler_tests::house::root;
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;

/// SPDX names that are fine anywhere. `deny.toml` has the same list.
const LICENCES: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Unicode-3.0",
    "Zlib",
    "BSL-1.0",
    "CC0-1.0",
    "MPL-2.0",
    "0BSD",
    "Unlicense",
];

/// Crates under another licence, each with its reason.
const LICENCE_EXCEPTIONS: &[(&str, &str, &str)] =
    &[("webpki-roots", "CDLA-Permissive-2.0", "data: the authorities that Mozilla trusts; comes with ureq's rustls")];

/// Crates that must not be in the tree, each with its reason.
const BANNED: &[(&str, &str)] = &[
    ("rsa", "RUSTSEC-2023-0071 has no fix: RSA user keys go through ssh-agent"),
    ("openssl", "rustls does TLS"),
    ("openssl-sys", "rustls does TLS"),
    ("native-tls", "rustls does TLS"),
    ("serde_yml", "RUSTSEC-2025-0068"),
    ("libyml", "RUSTSEC-2025-0067"),
    ("yaml-rust", "RUSTSEC-2024-0320"),
    ("bincode", "RUSTSEC-2025-0141"),
    ("reqwest", "ureq is the one HTTP client of both halves"),
    ("libssh2-sys", "russh is the transport"),
];

/// Never in the agent: it is small, synchronous and reads no YAML.
const NOT_IN_THE_AGENT: &[&str] =
    &["tokio", "clap", "russh", "serde_yaml", "granit-parser", "serde_json", "annotate-snippets", "tracing", "indicatif"];

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().expect("cargo runs");
    assert!(output.status.success(), "cargo {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

fn packages() -> Vec<Value> {
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let text = cargo(&["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", &platform]);
    let metadata: Value = serde_json::from_str(&text).expect("cargo prints JSON");
    let used: BTreeSet<&str> =
        metadata["resolve"]["nodes"].as_array().expect("nodes").iter().map(|node| node["id"].as_str().expect("an id")).collect();
    metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .filter(|package| used.contains(package["id"].as_str().expect("an id")))
        .cloned()
        .collect()
}

fn text<'a>(package: &'a Value, key: &str) -> &'a str {
    package[key].as_str().unwrap_or_default()
}

/// Whether an SPDX expression (also the old form with a slash) can be met with what `fine` says yes to.
fn met(expression: &str, fine: &dyn Fn(&str) -> bool) -> bool {
    let expression = expression.replace('/', " OR ").replace(['(', ')'], " ");
    // `AND` binds tighter than `OR`; every expression of the tree that has brackets is an `AND` of `OR`s.
    if expression.contains(" AND ") && expression.contains(" OR ") {
        return expression.split(" AND ").all(|part| part.split(" OR ").any(|name| fine(name.trim())));
    }
    expression.split(" OR ").any(|part| part.split(" AND ").all(|name| fine(name.trim())))
}

#[test]
fn the_agent_depends_on_what_was_reviewed() {
    let tree = cargo(&["tree", "--locked", "--offline", "-p", "ostler-agent", "-e", "normal", "--prefix", "none", "--format", "{p}"]);
    let names: BTreeSet<&str> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    for name in NOT_IN_THE_AGENT {
        assert!(!names.contains(name), "the agent depends on {name}");
    }
    let file = root().join("tests/data/house/agent-dependencies.txt");
    let now = names.iter().map(|name| format!("{name}\n")).collect::<String>();
    if std::env::vars_os().any(|(name, _)| name == "BLESS") {
        std::fs::write(&file, &now).expect("the list is written");
    }
    let reviewed = std::fs::read_to_string(&file).expect("the reviewed list");
    assert_eq!(now, reviewed, "the agent's dependencies changed: review them, then run this test with BLESS=1");
}

#[test]
fn every_dependency_of_the_workspace_has_its_reason_and_a_version() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("the manifest");
    let (_, rest) = manifest.split_once("[workspace.dependencies]\n").expect("the dependencies");
    let (mut count, mut wrong) = (0, Vec::new());
    for line in rest.lines().take_while(|line| !line.starts_with('[')) {
        if line.is_empty() || line.starts_with('#') || line.contains("path = \"") {
            continue;
        }
        count += 1;
        let reason = line.rsplit_once(" # ").map_or("", |(_, reason)| reason.trim());
        if reason.len() < 10 || line.contains("\"*\"") {
            wrong.push(line);
        }
    }
    assert!(count > 20, "only {count} dependencies were read");
    assert!(wrong.is_empty(), "no reason behind `#`, or a wildcard:\n{}", wrong.join("\n"));
}

#[test]
fn crates_take_versions_from_the_workspace_alone() {
    for krate in ["agent", "controller", "roles", "tests"] {
        let manifest = std::fs::read_to_string(root().join(krate).join("Cargo.toml")).expect("a manifest");
        let mut inside = false;
        for line in manifest.lines() {
            if line.starts_with('[') {
                inside = line.contains("dependencies");
            } else if inside && line.contains('=') {
                assert!(line.contains("workspace = true"), "{krate}/Cargo.toml: {line}");
            }
        }
    }
}

#[test]
fn every_licence_is_on_the_list() {
    let mut wrong = Vec::new();
    let packages = packages();
    assert!(packages.len() > 100, "only {} packages were read", packages.len());
    for package in &packages {
        let (name, licence) = (text(package, "name"), text(package, "license"));
        let fine =
            |one: &str| LICENCES.contains(&one) || LICENCE_EXCEPTIONS.iter().any(|(krate, other, _)| *krate == name && *other == one);
        if !met(licence, &fine) {
            wrong.push(format!("{name}: `{licence}`"));
        }
    }
    assert!(wrong.is_empty(), "licences that nobody reviewed:\n{}", wrong.join("\n"));
}

#[test]
fn no_banned_crate_is_in_the_tree() {
    let packages = packages();
    for (banned, why) in BANNED {
        assert!(!packages.iter().any(|package| text(package, "name") == *banned), "{banned} is in the tree: {why}");
    }
}

#[test]
fn every_crate_comes_from_the_registry_or_from_here() {
    for package in packages() {
        let name = text(&package, "name");
        match package["source"].as_str() {
            Some(source) => assert!(source.starts_with("registry+"), "{name} comes from {source}"),
            None => assert!(name == "ostler" || name.starts_with("ostler-"), "{name} comes from a path"),
        }
    }
}

#[test]
fn cargo_deny_is_told_the_same() {
    let deny = std::fs::read_to_string(root().join("deny.toml")).expect("deny.toml");
    for licence in LICENCES {
        assert!(deny.contains(&format!("\"{licence}\"")), "deny.toml does not allow {licence}");
    }
    for (krate, licence, _) in LICENCE_EXCEPTIONS {
        assert!(deny.contains(&format!("crate = \"{krate}\"")) && deny.contains(licence), "deny.toml has no exception for {krate}");
    }
    for (krate, _) in BANNED {
        assert!(deny.contains(&format!("crate = \"{krate}\"")), "deny.toml does not ban {krate}");
    }
}

#[test]
fn licence_expressions_are_read() {
    let fine = |name: &str| name == "MIT" || name == "ISC";
    for good in ["MIT", "MIT OR GPL-3.0", "GPL-3.0/MIT", "MIT AND ISC", "(MIT OR GPL-3.0) AND ISC"] {
        assert!(met(good, &fine), "{good}");
    }
    for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND GPL-3.0"] {
        assert!(!met(bad, &fine), "{bad}");
    }
}
