//! Nodes that clouds have made, and accounts that may make jobs in folders alone.

use ostler::masters::jenkins::JenkinsError;
use ostler::masters::register::Ending;
use ostler_roles::master::jenkins::{Name, Seen};
use ostler_tests::jenkins::Permission;

use super::bench::{PLANTED, SITE_KEY, client, credential, model, node, registration, run, ssh, token, writes};

#[test]
fn a_node_of_a_cloud_is_neither_ours_nor_an_orphan_whatever_its_description_says() {
    let model = model();
    let client = client(&model, token("narrow"));
    let names = ["n1", "n2", "n3"].map(|name| Name::parse(name).unwrap());
    names.iter().for_each(|name| client.create(&node(name.as_str(), ssh())).unwrap());
    // A template has our words: two of these are a cloud's.
    model.state().clouds.extend(["n1", "n2"].map(str::to_owned));
    writes(&model);
    let seen = client.list(&[names[0].clone(), names[2].clone()]).unwrap();
    let refused = "register node `n1`: refused: a cloud has made it, and removes it (KubernetesComputer); give the executor another name";
    assert_eq!(seen.seen[&names[0]].as_ref().unwrap_err().to_string(), refused);
    assert!(matches!(seen.seen[&names[2]], Ok(Seen::Ours { .. })), "{seen:?}");
    assert_eq!(seen.others, [""; 0]);
    let ending = run(&client, &registration(node("n1", ssh()), "true"));
    assert_eq!(ending.to_string(), format!("not registered: {refused}"));
    assert!(matches!(client.delete(&names[1]), Err(JenkinsError::Refused { .. })), "a cloud's node is not ours to remove");
    assert_eq!(writes(&model), [""; 0]);
}

#[test]
fn an_account_that_may_make_jobs_in_folders_alone_is_told_that_it_is_not_enough() {
    let model = model();
    let client = client(&model, token("narrow"));
    client.put_credential(&credential(PLANTED), SITE_KEY).unwrap();
    for gone in [Permission::JobCreate, Permission::JobRead] {
        // At the top it may do nothing; what it may do in its folder nobody asks for.
        model.state().users[1].permissions.remove(&gone);
        let ending = run(&client, &registration(node("n1", ssh()), "true"));
        assert!(matches!(ending, Ending::Failed(_)), "{ending:?}");
        let why = "user `narrow` is missing the permission Job/Create (at the top: in a folder alone is not enough)";
        assert_eq!(ending.to_string(), format!("not registered: create job `ostler-smoke-n1`: {why}"));
        assert_eq!(model.state().nodes["n1"].label, "ostler-quarantine-n1");
    }
}
