//! Accounts on a real node: what a tool has half done is done by the next run, and nothing of accounts that were there before.

use serde_json::{Value, json};

#[test]
fn a_home_that_was_not_made_with_its_account_is_made_by_the_next_run_and_no_other_one_is() {
    let site = crate::site("accounts", crate::node());
    let role = |steps: &[Value]| crate::write_role(&site, "accounts", &[], &steps.iter().collect::<Vec<_>>());
    let seen = "useradd --no-create-home --shell /bin/bash before; touch /etc/skel/.owed; mount --bind /home /home; mount -o remount,bind,ro /home";
    site.sh("n1", seen);
    role(&[json!({"user": {"name": "before", "shell": "/bin/bash"}}), json!({"user": {"name": "nohome", "shell": "/bin/bash"}})]);
    let failed = site.apply().good_with(1).failed("n1");
    assert!(failed.len() == 1 && failed[0].0 == "user nohome" && failed[0].1.contains("useradd"), "{failed:?}");
    assert_eq!(site.sh("n1", "grep -c ^nohome: /etc/passwd"), "1", "the account is there");
    // Whoever still runs from there keeps it mounted.
    site.sh("n1", "mount -o remount,bind,rw /home");
    let plan = site.run(&["plan"]);
    let planned = plan.planned("n1");
    assert_eq!(planned.len(), 1, "{}", plan.told());
    assert_eq!(crate::changes(&planned[0].1), ["home directory: not made with the account -> /home/nohome"]);
    site.apply().good();
    assert_eq!(
        site.sh("n1", "stat -c '%U %a' /home/nohome; ls -A /home/nohome | grep owed; grep -c 'nohome:.*being made' /etc/passwd || true"),
        "nohome 700\n.owed\n0"
    );
    site.apply().nothing_to_do();
    assert_eq!(site.sh("n1", "test -e /home/before && echo made || echo none"), "none");
}
