//! Each kind on a real node: what it refuses, and what it mends when the node was changed behind its back.

#[path = "kinds/accounts.rs"]
mod accounts;
#[path = "kinds/boot.rs"]
mod boot;
#[path = "kinds/files.rs"]
mod files;
#[path = "kinds/keys.rs"]
mod keys;
#[path = "kinds/moving.rs"]
mod moving;
#[path = "kinds/packages.rs"]
mod packages;
#[path = "kinds/units.rs"]
mod units;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::{Duration, Instant};

use ostler::lab::{BRIDGE, LabChild, LabNode, Suite};
use ostler_roles::resource::Kind;
use ostler_tests::buildbot::library;
use ostler_tests::site::{Ran, Site, data};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

const SSH: &str = "ssh: {user: admin, become: sudo}\n";

fn site(roles: &str, node: LabNode) -> Site {
    let nodes = format!("nodes:\n  n1: {{host: 10.78.0.11, roles: [{roles}]}}\n");
    let site = Site::up(SSH, &nodes, [node]);
    std::fs::write(site.lab().www().join("fixture"), "hello\n").unwrap();
    site
}

fn node() -> LabNode {
    LabNode::new("n1", Suite::Bookworm, Ipv4Addr::new(10, 78, 0, 11))
}

fn cases<T: DeserializeOwned>(name: &str) -> Vec<T> {
    let text = std::fs::read_to_string(data().join("kinds").join(name)).unwrap();
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A role of these steps and requirements; every JSON text is YAML too.
fn write_role(site: &Site, name: &str, require: &[&Value], steps: &[&Value]) {
    let list = |values: &[&Value]| values.iter().map(|value| format!("  - {value}\n")).collect::<String>();
    let require = if require.is_empty() { String::new() } else { format!("require:\n{}", list(require)) };
    let steps = if steps.is_empty() { String::new() } else { format!("steps:\n{}", list(steps)) };
    site.write(&format!("roles/{name}.yaml"), &format!("role: {name}\nsummary: Cases.\n{require}{steps}"));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Drift {
    kind: String,
    step: Value,
    resource: String,
    drift: String,
    /// Asks the node by other means than the product's.
    holds: String,
    changes: Vec<String>,
    #[serde(default)]
    also: Vec<String>,
}

/// `field: from -> to`, as a plan shows it.
fn changes(planned: &Value) -> Vec<String> {
    let list = planned["change"]["changes"].as_array().or_else(|| planned["may_change"]["changes"].as_array());
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let shown = |change: &Value| format!("{}: {} -> {}", word(&change["field"]), word(&change["from"]), word(&change["to"]));
    list.into_iter().flatten().map(shown).collect()
}

fn assert_holds(site: &Site, case: &Drift) {
    let asked = site.sh("n1", &format!("if {{ {}; }} >/dev/null; then echo holds; else echo differs; fi", case.holds));
    assert_eq!(asked, "holds", "{}: {}", case.resource, case.holds);
}

fn assert_drift_is_found_and_mended(site: &Site, case: &Drift) {
    site.sh("n1", &case.drift);
    let plan = site.run(&["plan"]);
    plan.good();
    let planned = plan.planned("n1");
    // What depends on it may change; what drifted will.
    let certain: Vec<&str> = planned.iter().filter(|(_, plan)| plan.get("change").is_some()).map(|(id, _)| id.as_str()).collect();
    assert_eq!(certain, [case.resource.as_str()], "{}: {}", case.kind, plan.told());
    let wanted: Vec<&str> = std::iter::once(case.resource.as_str()).chain(case.also.iter().map(String::as_str)).collect();
    let found: Vec<String> = planned.iter().filter(|(id, _)| *id == case.resource).flat_map(|(_, plan)| changes(plan)).collect();
    let alike = found.len() == case.changes.len() && found.iter().zip(&case.changes).all(|(found, wanted)| found.starts_with(wanted));
    assert!(alike, "{}: {found:?}, and not {:?}", case.kind, case.changes);
    let mended = site.apply();
    mended.good();
    assert_eq!(mended.changed("n1"), wanted, "{}: {}", case.kind, mended.told());
    assert_holds(site, case);
    site.apply().nothing_to_do();
}

/// Serves a repository inside the lab, beside its nodes.
fn git_daemon(site: &Site) -> LabChild {
    let root = site.lab().dir().join("git");
    let script = library("files/git-server/make-repository");
    assert!(Command::new(script).arg(root.join("one")).arg("3").status().unwrap().success());
    let base = format!("--base-path={}", root.display());
    let daemon = site.lab().command(["git", "daemon", "--export-all", "--reuseaddr", base.as_str()]).spawn().unwrap();
    let address = SocketAddr::from((BRIDGE, 9418));
    let end = Instant::now() + Duration::from_secs(20);
    while site.lab().connect(address, Duration::from_secs(1)).is_err() {
        assert!(Instant::now() < end, "git daemon answers");
        std::thread::sleep(Duration::from_millis(20));
    }
    daemon
}

#[test]
fn each_kind_finds_and_mends_exactly_what_drifted() {
    let cases: Vec<Drift> = cases("drift.yaml");
    let site = site("kinds", node());
    let _daemon = git_daemon(&site);
    write_role(&site, "kinds", &[], &cases.iter().map(|case| &case.step).collect::<Vec<_>>());
    let first = site.apply();
    first.good();
    assert_eq!(first.changed("n1"), cases.iter().map(|case| case.resource.clone()).collect::<Vec<_>>(), "{}", first.told());
    cases.iter().for_each(|case| assert_holds(&site, case));
    site.apply().nothing_to_do();
    for case in &cases {
        assert_drift_is_found_and_mended(&site, case);
    }
    let shown: BTreeSet<&str> = cases.iter().map(|case| case.kind.as_str()).collect();
    assert_eq!(shown, Kind::ALL.iter().map(|kind| kind.word()).collect());
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    kind: String,
    setup: Option<String>,
    step: Value,
    /// The requirement that says it.
    require: Option<String>,
    found: Option<String>,
    /// What is only known when its turn has come.
    fails: Option<String>,
}

fn said(ran: &Ran, case: &Refused) -> String {
    match (&case.require, &case.fails) {
        (Some(check), _) => {
            ran.refused("n1").into_iter().filter(|(name, _)| name == check).map(|(_, verdict)| verdict.to_string()).collect()
        }
        (None, Some(_)) => ran.failed("n1").into_iter().map(|(_, why)| why).collect(),
        (None, None) => ran.lines.iter().map(Value::to_string).collect(),
    }
}

#[test]
fn each_kind_refuses_what_it_cannot_make_so() {
    let cases: Vec<Refused> = cases("refused.yaml");
    let site = site("refused", node());
    for case in &cases {
        site.sh("n1", &format!("rm -f /srv/before-*; {}", case.setup.as_deref().unwrap_or("true")));
        let stays: Value = serde_json::json!({"file": {"path": format!("/srv/before-{}", case.kind), "content": "x"}});
        write_role(&site, "refused", &[], &[&stays, &case.step]);
        let exit = if case.fails.is_some() { 1 } else { 6 };
        let ran = site.apply().good_with(exit);
        let wanted = case.found.as_ref().or(case.fails.as_ref()).unwrap();
        assert!(said(&ran, case).contains(wanted), "{}: {wanted:?} in {}", case.kind, ran.told());
        let before = site.sh("n1", &format!("test -e /srv/before-{} && echo changed || echo untouched", case.kind));
        assert_eq!(before, if case.fails.is_some() { "changed" } else { "untouched" }, "{}", case.kind);
    }
    let shown: BTreeSet<&str> = cases.iter().map(|case| case.kind.as_str()).collect();
    assert_eq!(shown, Kind::ALL.iter().map(|kind| kind.word()).collect());
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Required {
    kind: String,
    require: Value,
    /// Another one in the same role.
    beside: Option<Value>,
    check: String,
    broken: Option<String>,
    wanted: String,
    mended: Option<String>,
    holds: Option<Value>,
}

#[test]
fn each_requirement_refuses_with_its_numbers_and_holds_again() {
    let cases: Vec<Required> = cases("required.yaml");
    let site = site("required", node().with_disk_mb(1024));
    let file: Value = serde_json::json!({"file": {"path": "/srv/made", "content": "x"}});
    for case in &cases {
        let require: Vec<&Value> = std::iter::once(&case.require).chain(&case.beside).collect();
        write_role(&site, "required", &require, &[&file]);
        site.sh("n1", case.broken.as_deref().unwrap_or("true"));
        let refused = site.apply().good_with(6);
        let failing = refused.refused("n1");
        let [(check, verdict)] = failing.as_slice() else { panic!("{}: {}", case.kind, refused.told()) };
        let wanted = verdict["fail"]["wanted"].as_str().unwrap_or_default();
        assert!(*check == case.check && wanted.contains(&case.wanted), "{}: {check}: {verdict}", case.kind);
        assert_eq!(site.sh("n1", "test -e /srv/made && echo made || echo untouched"), "untouched", "{}", case.kind);
        site.sh("n1", case.mended.as_deref().unwrap_or("true"));
        write_role(&site, "required", &[case.holds.as_ref().unwrap_or(&case.require)], &[&file]);
        site.apply().good();
        site.sh("n1", "rm /srv/made");
    }
    let shown: BTreeSet<&str> = cases.iter().map(|case| case.kind.as_str()).collect();
    assert_eq!(shown, BTreeSet::from(["connect", "disk", "kernel", "memory", "package", "virtualization"]));
}
