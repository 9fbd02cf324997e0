//! A credential that is another one for some of the nodes that are logged in to with it.

use super::*;

/// A new key of the master's, and what stands in `authorized_keys` for it.
fn new_key(stage: &Stage) {
    let directory = stage.site.root().join("..");
    let script = "rm -f new-key*; ssh-keygen -q -t ed25519 -N '' -C launch -f new-key";
    assert!(Command::new("sh").args(["-euc", script]).current_dir(&directory).status().unwrap().success());
    let file = directory.join("new-key");
    stage.site.run(&["secret", "set", "launch", "--replace", "--from", file.to_str().unwrap()]).good();
}

#[test]
fn a_key_that_is_rotated_for_some_nodes_names_those_that_know_the_old_one_alone() {
    let stage = Stage::of(3, "ci-agent", "launch: ssh");
    new_key(&stage);
    let step = "  - authorized_key: {user: jenkins, key: \"{{ key }}\"}\nexecutors:\n";
    stage.site.replace("roles/ci-agent.yaml", "executors:\n", step);
    stage.site.replace("roles/ci-agent.yaml", "params:\n", "params:\n  key: {type: public_key}\n");
    stage.set("key", "\"{{ secret.launch | public_half }}\"");
    let first = stage.site.apply();
    first.good();
    assert!(!first.told().contains("no part of this run"), "{}", first.told());

    new_key(&stage);
    let cut_off = "no part of this run, and may let in the old one alone until they are applied: n2, n3";
    let plan = stage.site.run(&["plan", "-l", "n1"]);
    let master = plan.lines.iter().find(|line| line["type"] == "planned_master").unwrap();
    assert_eq!(master["changes"][0]["to"], format!("replaced; {cut_off}"), "{}", plan.told());
    let some = stage.site.run(&["apply", "--yes", "-l", "n1"]);
    some.good();
    assert!(some.masters("n1").contains(&format!("credential launch-key: {cut_off}")), "{}", some.told());
    // What is still to be done there is part of any plan of theirs.
    let theirs = stage.site.run(&["plan", "-l", "n2,n3"]);
    for node in ["n2", "n3"] {
        assert!(theirs.plan(node).iter().any(|step| step.starts_with("authorized_key ")), "{}", theirs.told());
    }
    // It is for all of them: nobody is left behind, and nothing more is told.
    let all = stage.site.apply();
    all.good();
    assert!(!all.told().contains("no part of this run"), "{}", all.told());
    stage.site.apply().nothing_to_do();
}
