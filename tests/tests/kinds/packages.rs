//! Packages on a real node: none goes that no step names, what was interrupted is mended, and what apt would find is found.

use ostler_tests::site::data;
use serde::Deserialize;
use serde_json::{Value, json};
use std::process::Command;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    setup: Option<String>,
    step: Value,
    /// What would go with it.
    #[serde(default)]
    takes: Vec<String>,
    then: Vec<String>,
}

#[test]
fn no_package_goes_that_no_step_names() {
    let site = crate::site("packages", crate::node());
    site.sh("n1", &std::fs::read_to_string(data().join("kinds/packages.sh")).unwrap());
    for case in crate::cases::<Case>("packages.yaml") {
        site.sh("n1", case.setup.as_deref().unwrap_or("true"));
        crate::write_role(&site, "packages", &[], &[&case.step]);
        let ran = site.apply();
        let failed: String = ran.failed("n1").into_iter().map(|(_, why)| why).collect();
        assert_eq!(ran.exit, i32::from(!case.takes.is_empty()), "{}: {}", case.name, ran.told());
        let named = format!("would also remove {}, which the role does not name", case.takes.join(", "));
        let hint = format!("`remove: [{}]`", case.takes.join(", "));
        assert!(case.takes.is_empty() || (failed.contains(&named) && failed.contains(&hint)), "{}: {named}: {failed}", case.name);
        let found =
            site.sh("n1", "dpkg-query -W -f '${db:Status-Abbrev}${Package}\\n' 'kinds-*' | sed -n 's/^ii *//p' | sort | tr '\\n' ' '");
        assert_eq!(found.split_whitespace().collect::<Vec<_>>(), case.then, "{}", case.name);
        if case.takes.is_empty() {
            site.apply().nothing_to_do();
        }
    }
}

fn site() -> ostler_tests::site::Site {
    let site = crate::site("packages", crate::node());
    site.sh("n1", &std::fs::read_to_string(data().join("kinds/sources.sh")).unwrap());
    site
}

/// dpkg is killed with the package half configured: only its journal knows.
fn interrupt(site: &ostler_tests::site::Site, deb: &str) {
    let script = format!("touch /srv/kill; dpkg -i /srv/archive/{deb} >/dev/null 2>&1 || true; rm /srv/kill; ls /var/lib/dpkg/updates");
    assert_ne!(site.sh("n1", &script), "", "dpkg was killed at work");
}

fn state(site: &ostler_tests::site::Site, package: &str) -> String {
    site.sh("n1", &format!("dpkg-query -W -f '${{db:Status-Abbrev}}${{Version}}' {package} 2>/dev/null || echo none"))
}

#[test]
fn an_interrupted_dpkg_is_seen_by_steps_and_checks_and_mended() {
    let site = site();
    let role = |require: &[&Value], step: Value| crate::write_role(&site, "packages", require, &[&step]);
    interrupt(&site, "kinds-old-2.deb");
    let installs = json!({"package": {"install": ["kinds-old"]}});
    role(&[&json!({"package": {"name": "kinds-old"}})], json!({"file": {"path": "/srv/made", "content": "x"}}));
    let refused = site.apply().good_with(6).refused("n1");
    assert_eq!(refused[0].1["fail"]["found"], "kinds-old 2 is half-configured");
    role(&[], installs.clone());
    let plan = site.run(&["plan"]);
    plan.good();
    assert_eq!(crate::changes(&plan.planned("n1")[0].1), ["package: half-configured -> installed"], "{}", plan.told());
    site.apply().good();
    assert_eq!(state(&site, "kinds-old"), "ii 2");
    site.apply().nothing_to_do();

    // What was never whole is there all the same, and goes.
    interrupt(&site, "kinds-new-1.deb");
    role(&[], json!({"package": {"remove": ["kinds-new"]}}));
    let plan = site.run(&["plan"]);
    assert_eq!(crate::changes(&plan.planned("n1")[0].1), ["package: half-configured -> absent"], "{}", plan.told());
    site.apply().good();
    assert!(!state(&site, "kinds-new").starts_with("ii"), "{}", state(&site, "kinds-new"));
    site.apply().nothing_to_do();
    // What is left of another package stands in the way of nobody.
    interrupt(&site, "kinds-new-1.deb");
    role(&[], json!({"package": {"install": ["kinds-old"]}}));
    site.apply().nothing_to_do();
}

#[test]
fn a_name_that_one_package_provides_is_that_package_as_with_apt_and_one_of_several_is_asked_for() {
    let site = site();
    site.sh("n1", "echo 'deb [trusted=yes] file:/srv/archive/offered ./' > /etc/apt/sources.list.d/archive.list");
    let role = |step: Value| crate::write_role(&site, "packages", &[], &[&step]);
    role(json!({"package": {"install": ["kinds-one"]}}));
    let ran = site.apply();
    ran.good();
    assert_eq!(ran.notes("n1", "package kinds-one"), ["kinds-one is provided by kinds-real 1"], "{}", ran.told());
    assert_eq!(state(&site, "kinds-real"), "ii 1");
    site.apply().nothing_to_do();
    role(json!({"package": {"install": ["kinds-two"]}}));
    let refused = site.apply().good_with(6).refused("n1");
    assert_eq!(refused[0].1["fail"]["found"], "kinds-two is a virtual package, provided by kinds-a, kinds-b");
    role(json!({"package": {"install": ["kinds-one"], "versions": {"kinds-one": "1"}}}));
    let impossible = site.apply().good_with(6).impossible("n1");
    assert!(impossible[0].1.contains("which has a version of its own"), "{impossible:?}");
    // The name is another package's: that one stays.
    role(json!({"package": {"remove": ["kinds-one"]}}));
    site.apply().nothing_to_do();
}

#[test]
fn a_package_may_come_from_a_source_that_an_earlier_step_writes() {
    let site = site();
    let source =
        |uri: &str| json!({"file": {"path": "/etc/apt/sources.list.d/archive.list", "content": format!("deb [trusted=yes] {uri} ./\n")}});
    let installs = json!({"package": {"install": ["kinds-real"]}});
    let command = json!({"command": {"name": "source", "run": ["true"], "creates": "/srv/never"}});
    crate::write_role(&site, "packages", &[], &[&command, &installs]);
    let refused = site.apply().good_with(6).refused("n1");
    assert_eq!(refused[0].1["fail"]["found"], "no package source offers kinds-real", "a command promises nothing");
    // What the source does not bring is found missing in its turn.
    site.sh("n1", "mkdir -p /srv/empty && touch /srv/empty/Packages");
    crate::write_role(&site, "packages", &[], &[&source("file:/srv/empty"), &installs]);
    let ran = site.apply().good_with(1);
    let failed = ran.failed("n1");
    assert!(failed[0].1.contains("no package source offers kinds-real"), "{}", ran.told());
    site.sh("n1", "rm /etc/apt/sources.list.d/archive.list");
    crate::write_role(&site, "packages", &[], &[&source("file:/srv/archive/offered"), &installs]);
    let ran = site.apply();
    ran.good();
    assert_eq!(ran.changed("n1"), ["file /etc/apt/sources.list.d/archive.list", "package kinds-real"], "{}", ran.told());
    site.apply().nothing_to_do();
}

#[test]
fn lists_that_are_read_anew_in_the_midst_remove_no_package_that_no_step_names() {
    let site = crate::site("packages", crate::node());
    let archive = |words: &[&str]| {
        let made =
            Command::new("sh").arg(data().join("kinds/archive.sh")).arg(site.lab().www().join("archive")).args(words).status().unwrap();
        assert!(made.success());
    };
    archive(&["1"]);
    site.sh(
        "n1",
        "echo 'deb [trusted=yes] http://10.78.0.1:8088/archive ./' > /etc/apt/sources.list.d/archive.list\n\
         echo 'Acquire::http::Proxy::10.78.0.1 \"DIRECT\";' > /etc/apt/apt.conf.d/99archive\n\
         apt-get update -qq >/dev/null && apt-get install -qq -y kinds-keep kinds-rival >/dev/null && touch /var/lib/apt/lists",
    );
    // What the node's lists name is no longer there; what is there now goes with one package less.
    archive(&["2", "Conflicts: kinds-keep"]);
    let both = json!({"package": {"install": ["kinds-app"], "remove": ["kinds-rival"]}});
    crate::write_role(&site, "packages", &[], &[&both]);
    let ran = site.apply().good_with(1);
    let failed = ran.failed("n1");
    assert!(failed[0].1.contains("would also remove kinds-keep, which the role does not name"), "{}", ran.told());
    assert_eq!(["kinds-keep", "kinds-rival", "kinds-app"].map(|package| state(&site, package)), ["ii 1", "ii 1", "none"]);
    // Without it, what is there now is installed in one run.
    site.sh("n1", "dpkg --purge kinds-keep >/dev/null");
    site.apply().good();
    assert_eq!(["kinds-rival", "kinds-app"].map(|package| state(&site, package)), ["none", "ii 2"]);
    site.apply().nothing_to_do();
}
