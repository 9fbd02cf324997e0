//! What a site becomes: each `data/sites/NAME.yaml` gives exactly `NAME.txt`, a catalog, explanations or faults.
//!
//! A case begins with directives (`# secret: NAME VALUE`, `# secret-key: NAME FILE`, `# sealed: NAME`, `# system: debian-12`, `# node: NAME`, `# met: NAME`,
//! `# large: PATH LENGTH`, `# not-utf8: PATH`, `# -e ROLE.PARAM=VALUE`, `# library`, `# explain`, `# lint`, `# order`, `# image: NAME`) and holds files, each begun by `# file: PATH`. Without `ostler.yaml` the site is empty; without
//! `nodes.yaml` one node `n1` has every role of the site. `BLESS=1` writes the expected texts anew; read the difference before you keep it.
#![cfg(feature = "author")]
#![expect(clippy::disallowed_methods, reason = "`BLESS=1` is how expected texts are written")]
#![expect(clippy::unwrap_used, reason = "a test that cannot read its case has failed")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ostler_roles::author::compile::{
    Compiled, Input, KnownFacts, Secrets, Site, SiteContent, SiteEntry, Unread, compile, explain, lint, order, recorded,
};
use ostler_roles::author::diagnostic::{Fault, Faults, RenderStyle};
use ostler_roles::author::graph::Roles;
use ostler_roles::author::layers::Override;
use ostler_roles::author::source::{Source, Tree};
use ostler_roles::author::yaml;
use ostler_roles::author::{library, lower, references};
use ostler_roles::facts::Facts;
use ostler_roles::words::{Blob, NodeName};

#[path = "sites/fields.rs"]
mod fields;
#[path = "sites/images.rs"]
mod images;

const LOOK: RenderStyle = RenderStyle { color: false, width: 140 };

/// A case, read.
struct Case {
    roles: Roles,
    site: Site,
    content: SiteContent,
    secrets: Secrets,
    facts: KnownFacts,
    node: NodeName,
    overrides: Vec<Override>,
    verb: String,
    /// The image that is compiled, and its tree.
    image: Option<(String, Arc<Facts>)>,
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

/// Directives and files of a case.
fn split(text: &str) -> (Vec<String>, Vec<(String, String)>) {
    let (mut directives, mut files): (Vec<String>, Vec<(String, String)>) = (Vec::new(), Vec::new());
    for line in text.split_inclusive('\n') {
        if let Some(name) = line.strip_prefix("# file: ") {
            let name = name.trim().to_owned();
            // The line is a comment of a YAML file, and no part of any other.
            let first = if name.ends_with(".yaml") && !name.contains("files/") { line } else { "" };
            files.push((name, first.to_owned()));
        } else if let Some((_, file)) = files.last_mut() {
            file.push_str(line);
        } else if let Some(directive) = line.strip_prefix("# ") {
            directives.push(directive.trim_end().to_owned());
        }
    }
    (directives, files)
}

fn projects(text: &str) -> Option<Arc<[String]>> {
    let mut faults = Faults::new();
    let root = yaml::read(&Source::new(Tree::Site, "projects", text), &mut faults)?;
    root.as_list()?.iter().map(|one| Some(one.get("project")?.as_scalar()?.text.clone())).collect()
}

fn read(text: &str) -> Result<Case, Faults> {
    let (directives, files) = split(text);
    let mut faults = Faults::new();
    let (mut roles, mut site, mut content) = (Vec::new(), Site::default(), BTreeMap::new());
    let (mut nodes, mut own) = (None, Vec::new());
    let unread = |path: &str, text: &str| {
        directives.iter().find_map(|directive| match directive.split(' ').collect::<Vec<_>>()[..] {
            ["large:", large, length] if large == path => Some(Unread::Large(length.parse().unwrap(), 1 << 20)),
            ["not-utf8:", latin] if latin == path => {
                let source = Source::new(Tree::Site, path, text);
                Some(Unread::NotUtf8(Box::new(Fault::new(
                    &source.span(text.len() - 6..text.len() - 5),
                    "it is not UTF-8: the byte 0xfc stands here",
                ))))
            }
            _ => None,
        })
    };
    if directives.iter().any(|directive| directive == "library") {
        roles.extend(library::roles(&mut faults));
        for file in library::files().iter().filter(|file| !file.path.starts_with("roles/")) {
            let text = Ok(std::str::from_utf8(file.bytes).unwrap().into());
            content.insert((Tree::Library, file.path.to_owned()), SiteEntry { blob: Blob::of(file.bytes), text, projects: None });
        }
    }
    for (name, text) in files {
        let (tree, path) = match name.strip_prefix("library/") {
            Some(path) => (Tree::Library, path.to_owned()),
            None => (Tree::Site, name.clone()),
        };
        if path.starts_with("files/") || path.starts_with("templates/") {
            let projects = projects(&text);
            let read = unread(&path, &text).map_or_else(|| Ok(text.as_str().into()), Err);
            let entry = SiteEntry { blob: Blob::of(text.as_bytes()), text: read, projects };
            content.insert((tree, path), entry);
            continue;
        }
        let source = Source::new(tree, name.as_str(), text);
        match name.as_str() {
            "ostler.yaml" => site.file = lower::site_file(&source, &mut faults).unwrap_or_default(),
            "nodes.yaml" => nodes = lower::nodes_file(&source, &mut faults),
            _ if name.starts_with("images/") => site.images.extend(lower::image(&source, &mut faults)),
            _ => {
                let role = lower::role(&source, &mut faults);
                own.extend(role.iter().map(|role| role.name.value.clone()));
                roles.extend(role);
            }
        }
    }
    site.nodes = nodes.unwrap_or_else(|| {
        let text = format!("nodes:\n  n1: {{host: 192.0.2.1, roles: [{}]}}\n", own.join(", "));
        lower::nodes_file(&Source::new(Tree::Site, "nodes.yaml", text), &mut faults).unwrap()
    });
    let roles = Roles::new(roles, &mut faults);
    references::check(&roles, &site.file, &site.nodes, &mut faults);
    let images: Vec<&str> = site.images.iter().map(|image| image.name.value.as_str()).collect();
    references::images(&roles, &site, &images, &mut faults);
    let mut case = Case {
        roles,
        site,
        content: SiteContent::new(content),
        secrets: Secrets::new(b"the site's key"),
        facts: KnownFacts::default(),
        node: NodeName::parse("n1").unwrap(),
        overrides: Vec::new(),
        verb: "compile".to_owned(),
        image: None,
    };
    let mut system = "debian-12".to_owned();
    for directive in directives {
        let (word, rest) = directive.split_once(' ').unwrap_or((&directive, ""));
        match word {
            "secret:" => {
                let (name, value) = rest.split_once(' ').unwrap();
                case.secrets.open(name, value.as_bytes());
            }
            "secret-key:" => {
                let (name, file) = rest.split_once(' ').unwrap();
                case.secrets.open(name, &fs::read(data().join("keys").join(file)).unwrap());
            }
            "sealed:" => case.secrets.seal(rest),
            "system:" => system = rest.to_owned(),
            "met:" => case.facts.insert(NodeName::parse(rest).unwrap(), recorded().remove("debian-12").unwrap()),
            "node:" => case.node = NodeName::parse(rest).unwrap(),
            "-e" => match Override::parse(rest) {
                Ok(one) => case.overrides.push(one),
                Err(found) => faults.extend(found),
            },
            "library" => {}
            "explain" | "lint" | "order" => case.verb = word.to_owned(),
            "image:" => case.image = Some((rest.to_owned(), Arc::new(recorded().remove(&system).unwrap()))),
            _ => {}
        }
    }
    if case.verb != "lint" {
        let facts = recorded().remove(&system).unwrap_or_else(|| {
            let (id, version) = system.split_once('-').unwrap();
            let mut facts = recorded().remove("debian-12").unwrap();
            facts.system.id = id.to_owned();
            facts.system.family = id.to_owned();
            facts.system.version = version.to_owned();
            facts
        });
        for node in &case.site.nodes.nodes {
            case.facts.insert(NodeName::parse(&node.name.value).unwrap(), facts.clone());
        }
    }
    faults.into_result(case)
}

fn outcome(text: &str) -> String {
    let result = read(text).and_then(|case| {
        let Case { roles, site, content, secrets, facts, node, overrides, verb, .. } = &case;
        if let Some((_, tree)) = &case.image {
            return images::compiled(&case, tree).map(|image| images::shown(&image));
        }
        let input = Input { roles, site, content, node, facts, secrets, overrides };
        match verb.as_str() {
            "explain" => explain(&input, &|_, _| true).map(|all| {
                all.iter().fold(String::new(), |mut shown, one| {
                    let _ =
                        writeln!(shown, "{}.{}: {} = {} from {} at {}", one.role, one.param, one.kind, one.value, one.layer, one.origin);
                    for lost in &one.losing {
                        let _ = writeln!(shown, "  instead of {} from {} at {}", lost.written, lost.layer, lost.origin);
                    }
                    shown
                })
            }),
            "order" => Ok(order(roles, site, facts, secrets, overrides).to_string()),
            "lint" => lint(roles, site, content, facts, secrets, overrides).into_result(String::from("nothing is wrong\n")),
            _ => compile(&input).map(|compiled| shown(&compiled)),
        }
    });
    result.unwrap_or_else(|faults| faults.render(LOOK))
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap()
}

/// A catalog as a person compares it.
fn shown(compiled: &Compiled) -> String {
    let mut text = String::new();
    let catalog = &compiled.catalog;
    for (word, list) in [("require", &catalog.require), ("verify", &catalog.verify)] {
        if word == "verify" {
            for step in &catalog.steps {
                let _ = writeln!(text, "step {} ({}, {}, within {})", step.id(), step.role, step.origin, step.within);
                let _ = writeln!(text, "  {}", json(&step.desired));
                for watch in &step.watches {
                    let _ = writeln!(text, "  {:?} on {}", watch.action, watch.id);
                }
                if let Some(number) = step.together {
                    let _ = writeln!(text, "  together {number}");
                }
                if step.while_busy {
                    let _ = writeln!(text, "  while busy");
                }
            }
        }
        for one in list {
            let _ = writeln!(text, "{word} {} ({}, {}, within {})", one.check, one.role, one.origin, one.within);
            let _ = writeln!(text, "  {}", json(&one.check));
        }
    }
    for executor in &compiled.executors {
        let _ = writeln!(text, "executor {}", json(executor));
    }
    for (digest, bytes) in &compiled.blobs {
        let _ = writeln!(text, "blob {} {:?}", digest.short(), String::from_utf8_lossy(bytes));
    }
    for (digest, (tree, path)) in &compiled.files {
        let _ = writeln!(text, "file {} {tree:?} {path}", digest.short());
    }
    for (hmac, secret) in &compiled.secrets {
        let _ = writeln!(text, "secret {} of {} bytes", hmac.short(), secret.expose().len());
    }
    text
}

fn cases() -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> = fs::read_dir(data().join("sites")).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    cases.sort();
    cases
}

#[test]
fn every_site_becomes_what_is_expected() {
    let mut wrong = Vec::new();
    let cases = cases();
    for path in &cases {
        let found = outcome(&fs::read_to_string(path).unwrap());
        let expected = path.with_extension("txt");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&expected, &found).unwrap();
        }
        let wanted = fs::read_to_string(&expected).unwrap_or_default();
        if wanted != found {
            wrong.push(format!("--- {}\nexpected:\n{wanted}\ngot:\n{found}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases.len() >= 40, "only {} cases", cases.len());
}

#[test]
fn the_same_input_gives_the_same_catalog() {
    for path in cases() {
        let text = fs::read_to_string(&path).unwrap();
        let digest = || {
            let case = read(&text).ok()?;
            let Case { roles, site, content, secrets, facts, node, overrides, .. } = &case;
            let input = Input { roles, site, content, node, facts, secrets, overrides };
            compile(&input).ok().map(|compiled| (compiled.catalog.digest(), json(&compiled.executors)))
        };
        assert_eq!(digest(), digest(), "{}", path.display());
    }
}

#[test]
fn no_catalog_holds_a_secret_value() {
    for path in cases() {
        let text = fs::read_to_string(&path).unwrap();
        let (directives, _) = split(&text);
        let values: Vec<&str> =
            directives.iter().filter_map(|line| line.strip_prefix("secret: ")?.split_once(' ').map(|(_, value)| value)).collect();
        let Ok(case) = read(&text) else { continue };
        let Case { roles, site, content, secrets, facts, node, overrides, .. } = &case;
        let input = Input { roles, site, content, node, facts, secrets, overrides };
        let everything = match compile(&input) {
            Ok(compiled) => format!(
                "{:?} {} {:?}",
                compiled,
                json(&compiled.catalog),
                compiled.blobs.values().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect::<Vec<_>>()
            ),
            Err(faults) => format!("{faults:?} {}", faults.json()),
        };
        let explained = explain(&input, &|_, _| true).map(|all| format!("{all:?}")).unwrap_or_default();
        for value in values {
            assert!(!everything.contains(value) && !explained.contains(value), "{}: {value}", path.display());
        }
    }
}
