//! Images of a site, before any is built: what `lint` says of them.

use ostler_tests::program::Desk;

const IMAGE: &str = "\
image: worker
summary: A build node, baked.
base: {debootstrap: {suite: bookworm}}
like: {group: build}
size: 10 GiB
";

/// A site with a group that an image is like, and a secret that its role has.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.write("ostler.yaml", "edition: 1\nvars: {web: {token: \"{{ secret.token }}\"}}\n");
    desk.write("nodes.yaml", "groups: {build: {roles: [web]}}\nnodes: {build-1: {host: 192.0.2.1, groups: [build]}}\n");
    // Its name is all that `lint` asks of it.
    desk.write("secrets/token.age", "age-encryption.org/v1\n");
    desk.write("images/worker.yaml", IMAGE);
    role(&desk, "");
    desk
}

fn role(desk: &Desk, beside: &str) {
    let params = "role: web\nsummary: A web server.\nparams: {token: {type: secret}}\n";
    let steps = "steps:\n  - package: {install: [nginx]}\n  - file: {path: /etc/token, content: \"{{ token }}\"}\n";
    desk.write("roles/web.yaml", format!("{params}{steps}{beside}"));
}

#[test]
fn a_secret_is_baked_only_where_the_image_says_so() {
    let desk = desk();
    let refused = desk.run(&["lint"]);
    assert_eq!(refused.code, Some(3), "{refused}");
    let wanted = "roles/web.yaml:6:5: `file /etc/token` would bake a secret into the image worker: token\n";
    assert!(refused.err.starts_with(wanted) && refused.err.contains("secrets: baked"), "{refused}");
    role(&desk, "    live: true\n");
    let live = desk.run(&["lint"]);
    assert!(live.code == Some(0) && live.out.starts_with("No faults: 1 node, 1 image, "), "{live}");
    role(&desk, "");
    desk.write("images/worker.yaml", format!("{IMAGE}secrets: baked\n"));
    let baked = desk.run(&["lint", "--output", "json"]);
    let told: serde_json::Value = serde_json::from_str(baked.out.trim()).expect("one object");
    assert_eq!((baked.code, &told["images"]), (Some(0), &1.into()), "{baked}");
}

#[test]
fn what_is_wrong_with_an_image_is_told_with_all_that_is_wrong() {
    let desk = desk();
    role(&desk, "    live: true\n");
    desk.write("nodes.yaml", "groups: {build: {roles: [web]}}\nnodes: {build-1: {host: 192.0.2.1, groups: [biuld]}}\n");
    desk.write("images/other.yaml", IMAGE.replace("group: build", "group: bulid").replace("worker", "other"));
    desk.write("images/old/worker.yaml", IMAGE);
    desk.write("images/worker.yaml", IMAGE.replace("size: 10 GiB", "size: 10"));
    let said = desk.run(&["lint"]);
    assert_eq!(said.code, Some(3), "{said}");
    for wanted in [
        "images/old/worker.yaml:1:1: the file is not an image",
        "images/other.yaml:4:15: unknown group `bulid`",
        "images/worker.yaml:5:7: `10` has no unit",
        "nodes.yaml:2:45: unknown group `biuld`",
    ] {
        assert!(said.err.contains(wanted), "{wanted}: {said}");
    }
    // A role that only an image has is compiled for it.
    desk.write("nodes.yaml", "groups: {build: {roles: [web]}}\nnodes: {}\n");
    std::fs::remove_dir_all(desk.at("images")).expect("there");
    desk.write("images/worker.yaml", format!("{IMAGE}roles: [sized]\nvars: {{sized: {{count: 3}}}}\n"));
    let sized = "role: sized\nsummary: S.\nparams: {count: {type: integer}}\nsteps:\n  - file: {path: /etc/n, content: \"{{ 6 // (count - 3) }}\"}\n";
    desk.write("roles/sized.yaml", sized);
    let said = desk.run(&["lint"]);
    assert!(said.code == Some(3) && said.err.starts_with("roles/sized.yaml:5:39: division by zero"), "{said}");
}
