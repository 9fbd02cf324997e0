//! What an editor makes of `ostler schema`: what it offers at a place, and what it says of a fault.

use ostler_roles::author::library;
use ostler_roles::resource::Kind;
use ostler_tests::program::Desk;
use ostler_tests::schema::Schema;
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn schema(desk: &Desk, of: &str) -> Schema {
    let said = desk.run(&["schema", of]);
    assert_eq!(said.code, Some(0), "{of}: {said}");
    Schema::new(serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{of}: {error}")))
}

fn role(steps: Value) -> Value {
    json!({ "role": "web", "summary": "W.", "steps": steps })
}

fn words(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
}

const BESIDE: [&str; 4] = ["each", "live", "when", "within"];

#[test]
fn a_new_step_is_offered_every_kind_and_one_with_a_kind_only_what_stands_beside_it() {
    let schema = schema(&Desk::new(), "role");
    let mut all = words(&BESIDE);
    all.extend(["steps", "together"].map(str::to_owned));
    all.extend(Kind::ALL.iter().map(|kind| kind.word().to_owned()));
    assert_eq!(schema.offered(&role(json!([null])), &["steps", "0"]), all);
    let written = role(json!([{ "file": { "path": "/etc/motd", "content": "x" } }]));
    assert_eq!(schema.offered(&written, &["steps", "0"]), words(&BESIDE));
    let block = role(json!([{ "steps": [null] }]));
    assert_eq!(schema.offered(&block, &["steps", "0"]), words(&BESIDE));
    assert_eq!(schema.offered(&block, &["steps", "0", "steps", "0"]), all);
}

#[test]
fn the_fields_of_a_kind_are_offered_in_its_braces() {
    let schema = schema(&Desk::new(), "role");
    let fields = ["absent", "content", "from", "group", "mode", "owner", "path", "template", "validate"];
    assert_eq!(schema.offered(&role(json!([{ "file": {} }])), &["steps", "0", "file"]), words(&fields));
    let begun = role(json!([{ "service": { "name": "nginx", "state": null } }]));
    assert_eq!(schema.offered(&begun, &["steps", "0", "service", "state"]), words(&["running", "stopped"]));
}

#[test]
fn a_parameters_type_is_offered() {
    let schema = schema(&Desk::new(), "role");
    let offered = schema.offered(&json!({ "params": { "port": { "type": null } } }), &["params", "port", "type"]);
    for word in ["port", "text", "record", "microversions", "list(path)", "map(secret)"] {
        assert!(offered.contains(word), "{word}: {offered:?}");
    }
    assert_eq!(schema.faults(&json!({ "role": "web", "summary": "W.", "params": { "x": { "type": "list(map(text))" } } })), [""; 0]);
}

#[test]
fn a_fault_in_a_step_is_told_by_what_is_wrong_with_it() {
    let schema = schema(&Desk::new(), "role");
    let said = |step: Value| schema.faults(&role(json!([step])));
    let file = json!({ "path": "/etc/motd", "content": "x" });
    let [unknown] = &said(json!({ "fiel": file }))[..] else { panic!("{:?}", said(json!({ "fiel": file }))) };
    assert!(unknown.starts_with("no kind that may stand here; one of `package`, `file`,"), "{unknown}");
    let [none] = &said(json!({ "when": "x" }))[..] else { panic!("{:?}", said(json!({ "when": "x" }))) };
    assert!(none.starts_with("a step without a kind; one of `package`,"), "{none}");
    assert_eq!(said(json!({ "file": file, "link": {} })), ["beside `file` stand only `each`, `live`, `when`, `within`"]);
    let wanted = "one of `content`, `from`, `template` is wanted, or `absent`";
    assert_eq!(said(json!({ "file": { "path": "/x" } })), [wanted]);
    assert_eq!(said(json!({ "file": { "path": "/x", "content": "a", "from": "b" } })), ["`content` and `from` exclude each other"]);
    assert_eq!(said(json!({ "file": { "path": "/x", "content": "a", "absent": true } })), ["`absent` and `content` exclude each other"]);
    assert_eq!(said(json!({ "file": { "path": "/x", "absent": true } })), [""; 0]);
    assert_eq!(said(json!({ "package": { "versions": {}, "remove": ["git"] } })), ["`versions` stands only beside `install`"]);
}

#[test]
fn roles_and_their_parameters_are_offered_and_those_of_the_site_are_among_them() {
    let desk = Desk::new();
    let needs = |schema: &Schema| schema.offered(&json!({ "needs": [null] }), &["needs", "0"]);
    assert!(needs(&schema(&desk, "role")).is_superset(&words(&["job-user", "git-cache"])), "the library's");
    let write = |name: &str, text: &str| {
        std::fs::create_dir_all(desk.path().join("roles")).unwrap();
        std::fs::write(desk.path().join(name), text).unwrap();
    };
    write("ostler.yaml", "edition: 1\n");
    let params = "{size: {type: bytes}, colour: {type: text, choices: [red, blue]}, ports: {type: list(port)}}";
    write("roles/stable.yaml", &format!("role: stable\nsummary: S.\nparams: {params}\nsteps: []\n"));
    let role = schema(&desk, "role");
    assert!(needs(&role).contains("stable"));
    let need = json!({ "needs": [{ "stable": { "colour": null } }] });
    assert_eq!(role.offered(&need, &["needs", "0", "stable"]), words(&["size", "ports"]), "what is written is offered no more");
    assert_eq!(role.offered(&need, &["needs", "0", "stable", "colour"]), words(&["red", "blue"]));
    let nodes = schema(&desk, "nodes");
    let written = json!({ "nodes": { "n1": { "roles": [null], "vars": { "stable": {} } } } });
    assert!(nodes.offered(&written, &["nodes", "n1", "roles", "0"]).is_superset(&words(&["stable", "job-user"])));
    assert_eq!(nodes.offered(&written, &["nodes", "n1", "vars", "stable"]), words(&["size", "colour", "ports"]));
    for (vars, good) in [(json!({ "ports": [80] }), true), (json!({ "ports": "x" }), false), (json!({ "prots": [80] }), false)] {
        let faults = nodes.faults(&json!({ "nodes": { "n1": { "vars": { "stable": vars } } } }));
        assert_eq!(faults.is_empty(), good, "{vars}: {faults:?}");
    }
    assert!(
        nodes.faults(&json!({ "nodes": { "n1": { "vars": { "stabel": {} } } } }))[0]
            .starts_with("no role of this site; its roles are `base`")
    );
}

#[test]
fn an_image_is_offered_what_may_stand_in_it_and_told_what_may_not() {
    let schema = schema(&Desk::new(), "image");
    let whole = json!({
        "image": "worker", "summary": "W.", "base": { "debootstrap": { "suite": "bookworm" } }, "like": { "group": "build" }, "size": "10 GiB",
    });
    assert_eq!(schema.faults(&whole), [""; 0]);
    let with = |key: &str, value: Value| {
        let mut image = whole.clone();
        image[key] = value;
        image
    };
    assert_eq!(schema.offered(&with("formats", json!([null])), &["formats", "0"]), words(&["box", "oci", "qcow2", "raw", "tar"]));
    assert_eq!(schema.offered(&with("secrets", Value::Null), &["secrets"]), words(&["baked", "refused"]));
    assert_eq!(schema.offered(&with("base", json!({ "tree": "a" })), &["base"]), words(&["cloud_image", "debootstrap", "image", "sha256"]));
    assert!(schema.offered(&with("roles", json!([null])), &["roles", "0"]).contains("job-user"));
    for (key, value, wanted) in [
        ("base", json!({ "tree": "a", "image": "b" }), "`tree` and `image` exclude each other"),
        ("base", json!({}), "one of `debootstrap`, `cloud_image`, `tree`, `image` is wanted"),
        ("like", json!({ "group": "a", "node": "b" }), "`group` and `node` exclude each other"),
        ("sise", json!("10 GiB"), "`sise` may not stand here"),
    ] {
        assert_eq!(schema.faults(&with(key, value)), [wanted], "{key}");
    }
}

#[test]
fn the_roles_of_the_library_have_no_fault() {
    let schema = schema(&Desk::new(), "role");
    let roles = library::files().iter().filter(|file| file.path.starts_with("roles/"));
    for file in roles {
        let value: Value = serde_yaml::from_slice(file.bytes).unwrap_or_else(|error| panic!("{}: {error}", file.path));
        assert_eq!(schema.faults(&value), [""; 0], "{}", file.path);
    }
}
