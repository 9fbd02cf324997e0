//! The whole example site, in the shape the language aims at: it is read, and all that is refused is refused by name.
#![cfg(feature = "author")]
#![expect(clippy::disallowed_methods, reason = "`BLESS=1` is how expected texts are written")]
#![expect(clippy::unwrap_used, reason = "a test that cannot read its case has failed")]

use std::fs;
use std::path::Path;

use ostler_roles::author::compile::Site;
use ostler_roles::author::diagnostic::Faults;
use ostler_roles::author::graph::Roles;
use ostler_roles::author::source::{Source, Tree};
use ostler_roles::author::{lower, references};

/// Reads every file of the site.
fn faults() -> (Faults, usize) {
    let site = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/example-site");
    let read = |name: &str| Source::new(Tree::Site, name, fs::read_to_string(site.join(name)).unwrap());
    let mut faults = Faults::new();
    let mut names: Vec<String> =
        fs::read_dir(site.join("roles")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let roles: Vec<_> = names.iter().filter_map(|name| lower::role(&read(&format!("roles/{name}")), &mut faults)).collect();
    let count = roles.len();
    let roles = Roles::new(roles, &mut faults);
    let site_file = lower::site_file(&read("ostler.yaml"), &mut faults).unwrap();
    let nodes = lower::nodes_file(&read("nodes.yaml"), &mut faults).unwrap();
    references::check(&roles, &site_file, &nodes, &mut faults);
    let images = lower::image(&read("images/devstack-noble.yaml"), &mut faults).into_iter().collect();
    let site = Site { file: site_file, nodes, images };
    references::images(&roles, &site, &["devstack-noble"], &mut faults);
    assert_eq!(site.images.len(), 1, "the image is read whole");
    faults.sort();
    (faults, count)
}

#[test]
fn only_what_a_later_release_brings_is_refused() {
    let (faults, roles) = faults();
    assert_eq!(roles, 14);
    let other: Vec<String> =
        faults.iter().filter(|fault| !fault.message.ends_with("is not in this release")).map(ToString::to_string).collect();
    assert!(other.is_empty(), "{}", other.join("\n"));
}

#[test]
fn every_refusal_is_the_documented_one() {
    let (faults, _) = faults();
    let expected = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/example-site.refused.txt");
    let found: String = faults.iter().map(|fault| format!("{fault}\n")).collect();
    if std::env::var_os("BLESS").is_some() {
        fs::write(&expected, &found).unwrap();
    }
    assert_eq!(fs::read_to_string(&expected).unwrap(), found);
}
