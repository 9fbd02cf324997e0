//! Packages that no step names are never removed: neither by a removal nor by an installation.

use ostler_tests::site::data;
use serde::Deserialize;
use serde_json::Value;

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
