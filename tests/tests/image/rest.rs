//! Each kind at rest in a real tree: made so, twice, with nothing of the tree running; then the same tree is booted, and the same catalog, live,
//! wants what was left to the running machine and nothing else.

use ostler::lab::{Fault, LabNode, NodeState, Suite};
use ostler_roles::catalog::{Action, Catalog, Omitted, Step, Watch};
use ostler_roles::outcome::{Ending, Event, Outcome};
use ostler_roles::plan::{Plan, Planned};
use ostler_roles::resource::{Desired, Kind, ResourceId};
use ostler_roles::wire::message::{Become, Hello, Hidden, SecretData, ToController};
use ostler_roles::words::{Blob, Digest, RunId, Span};
use ostler_tests::agent::{PlacedAgent, file};
use ostler_tests::protocol::{Conversation, catalog, secret_file, step};
use ostler_tests::site::{Site, data};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// A package manager at work says nothing for long.
const PATIENCE: Duration = Duration::from_secs(240);
const OFF_WITHIN: Duration = Duration::from_secs(60);
const UNIT: &str = "[Service]\nExecStart=/bin/sleep infinity\n\n[Install]\nWantedBy=multi-user.target\n";
const SSHD: &str = "AuthorizedKeysFile .ssh/authorized_keys /etc/ssh/keys/%u\n";
const SECRET: &str = "correct horse battery staple";
const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIEuZxsRzUqCg0XyG4dkIKXMXe6Y4yN1RZvFGzPfE5n9w";

fn site(suite: Suite) -> Site {
    let node = LabNode::new("n1", suite, Ipv4Addr::new(10, 78, 0, 11)).with_packages(["git"]);
    let site = Site::up("ssh: {user: admin, become: sudo}\n", "nodes:\n  n1: {host: 10.78.0.11, roles: []}\n", [node]);
    std::fs::write(site.lab().www().join("fixture"), "hello\n").unwrap();
    site.sh("n1", &std::fs::read_to_string(data().join("image/rest.sh")).unwrap());
    site
}

/// Where the agent in the tree keeps its state, outside of it.
fn state(site: &Site) -> String {
    site.lab().dir().join("scratch/n1/state").display().to_string()
}

/// Ends all that runs on the node; its tree, without host keys, and its network are still there.
fn power_off(site: &Site) -> String {
    // Its manager is asked: after a cut (cgroup.kill) some kernels kill what the next one starts first.
    site.sh("n1", "systemctl poweroff");
    let end = Instant::now() + OFF_WITHIN;
    while site.lab().status().unwrap()["n1"].state != NodeState::Off {
        assert!(Instant::now() < end, "n1 is off within {OFF_WITHIN:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    let root = site.lab().dir().join("scratch/n1/root").display().to_string();
    in_lab(site, &format!("mv {root}/etc/ssh/ssh_host_* {root}/root/keys"));
    root
}

/// Boots it, with the lab's kernel.
fn power_on(site: &Site, root: &str) {
    in_lab(site, &format!("mv {root}/root/keys/ssh_host_* {root}/etc/ssh; rm -r {root}/usr/sbin/policy-rc.d {root}/lib/modules"));
    site.lab().fault("n1", Fault::PowerOn).unwrap();
}

/// What a shell line says in the lab, where the tree of a node that is off is there.
fn in_lab(site: &Site, script: &str) -> String {
    let output = site.lab().command(["sh", "-euc", script]).output().unwrap();
    assert!(output.ended.is_success(), "{script}: {}", output.all());
    output.text()
}

/// A shell's words for: the processes whose root is this tree.
fn in_tree(root: &str) -> String {
    format!("for p in /proc/[0-9]*; do [ \"$(readlink $p/root)\" != {root} ] || echo $p; done")
}

/// The same, one by one.
fn processes(site: &Site, root: &str) -> Vec<String> {
    in_lab(site, &in_tree(root)).lines().map(str::to_owned).collect()
}

/// An agent in the tree of the node that is off.
fn agent_at_rest(site: &Site) -> Conversation {
    let (enter, root, state) = (data().join("image/enter.sh"), site.lab().dir().join("scratch/n1/root"), state(site));
    let start = ["lab", "exec", "--", "sh", enter.to_str().unwrap(), root.to_str().unwrap(), "/run/netns/n1", &state];
    let agent = file().canonicalize().unwrap();
    Conversation::over(site.command(&[&start[..], &[agent.to_str().unwrap(), "/run/tool/agent", "serve"]].concat())).with_patience(PATIENCE)
}

fn desired(value: Value) -> Step {
    let desired: Desired = serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error}: {value}"));
    Step { within: Span::seconds(600), ..step(desired) }
}

fn owned(mode: &str) -> Value {
    json!({"owner": "root", "group": null, "mode": mode})
}

fn public(text: &str) -> Value {
    json!({"Blob": Blob::of(text.as_bytes())})
}

fn file_with(path: &str, text: &str) -> Step {
    desired(json!({"file": {"path": path, "present": {"content": public(text), "ownership": owned("0644"), "validate": null}}}))
}

fn service(name: &str, unit: Option<&str>, state: Option<&str>, enabled: Option<bool>) -> Step {
    let name = format!("{name}.service");
    desired(json!({"service": {"name": name, "unit": unit.map(public), "state": state, "enabled": enabled, "check": null}}))
}

fn command(name: &str, script: &str, creates: Option<&str>) -> Step {
    let body = json!({"name": name, "run": ["sh", "-euc", script], "creates": creates, "unless": null, "environment": [], "run_as": null,
                      "directory": null, "stdin": null, "accept": [], "stdout_to": null});
    desired(json!({"command": body}))
}

fn watching(mut step: Step, action: Action, file: &str) -> Step {
    step.watches.push(Watch { id: ResourceId { kind: Kind::File, key: file.to_owned() }, action });
    step
}

/// A step of each kind, as a live node would get it.
fn steps() -> Vec<Step> {
    let package = |name: &str| desired(json!({"package": {"name": name, "state": {"Installed": {"version": null}}}}));
    let mut steps: Vec<Step> = ["cron", "procps", "man-db", "linked"].map(package).into();
    let accounts = [
        json!({"group": {"name": "docker", "present": {"gid": null, "system": true}}}),
        json!({"user": {"name": "ci", "present": {"uid": 1234, "group": null, "groups": ["docker"], "home": "/home/ci", "shell": "/bin/sh", "system": false}}}),
        json!({"directory": {"path": "/srv/data", "present": owned("0755")}}),
    ];
    steps.extend(accounts.map(desired));
    steps.push(file_with("/srv/data/one", "one\n"));
    steps.push(file_with("/etc/ssh/sshd_config.d/keys.conf", SSHD));
    let others = [
        json!({"link": {"path": "/etc/systemd/system/e2scrub_reap.service", "to": "/dev/null"}}),
        json!({"authorized_key": {"user": "ci", "key": {"algorithm": "ssh-ed25519", "blob": KEY}, "comment": "one@rest", "options": "", "absent": false, "only": null}}),
        json!({"line": {"path": "/etc/motd", "line": "at rest", "replaces": null, "absent": false}}),
        json!({"sysctl": {"name": "net.ipv4.ip_forward", "value": "1"}}),
        json!({"kernel_module": {"name": "overlay", "absent": false}}),
        json!({"kernel_module": {"name": "floppy", "absent": true}}),
        json!({"download": {"path": "/srv/fixture", "url": "http://10.78.0.1:8088/fixture", "sha256": Digest::of(b"hello\n"), "ownership": owned("0644")}}),
        json!({"git_cache": {"root": "/srv/git", "repositories": {"origin": {"urls": ["/srv/origin"]}}, "owner": "ci", "required": ["origin"], "workers": 2}}),
    ];
    let origin = "cd /srv; git init -q o; cd o; git -c user.name=x -c user.email=x@x commit -q --allow-empty -m x; git clone -q --bare . /srv/origin; chown -R ci /srv/origin; rm -r /srv/o";
    steps.push(command("origin", origin, Some("/srv/origin")));
    steps.extend(others.map(desired));
    steps.push(secret_file("/etc/token", b"key", SECRET.as_bytes()));
    steps.push(watching(command("index", "echo run >> /srv/indexed", None), Action::Run, "/srv/data/one"));
    steps.push(watching(service("web", Some(UNIT), Some("running"), Some(true)), Action::Restart, "/srv/data/one"));
    steps.push(service("masked", None, Some("running"), Some(true)));
    steps.push(service("late", None, Some("running"), None));
    steps.push(service("cron", None, Some("stopped"), Some(false)));
    steps.push(service("old", None, None, Some(true)));
    // An alias: it is ssh.service that is enabled.
    steps.push(service("sshd", None, None, Some(true)));
    steps.push(watching(service("systemd-journald", None, None, None), Action::Restart, "/srv/data/one"));
    steps.push(service("console-getty", None, Some("stopped"), None));
    steps
}

fn contents() -> BTreeMap<Digest, Vec<u8>> {
    ["one\n", UNIT, SSHD].map(|text| (Digest::of(text.as_bytes()), text.as_bytes().to_vec())).into()
}

fn run_id(last: u8) -> RunId {
    RunId::parse(&format!("019ab000-0000-7000-8000-0000000000{last:02}")).unwrap()
}

/// The steps that a plan would change, each with its fields.
fn wanted(catalog: &Catalog, plan: &Plan) -> Vec<String> {
    let told = |(step, planned): (&Step, &Planned)| match planned {
        Planned::Unchanged { .. } => None,
        Planned::Change { changes, triggered, .. } => {
            let fields: Vec<_> = changes.iter().map(|shown| format!("{}: {} -> {}", shown.field, shown.from, shown.to)).collect();
            Some(format!("{} {fields:?} {triggered:?}", step.id()))
        }
        Planned::MayChange { because, .. } => Some(format!("{} may change because of {because}", step.id())),
        Planned::Impossible(failure) => Some(format!("{} cannot: {}", step.id(), failure.message)),
    };
    catalog.steps.iter().zip(&plan.steps).filter_map(told).collect()
}

/// Begins to make it so.
fn start(agent: &mut Conversation, catalog: &Catalog, run: &RunId) {
    let (plan, needed) = agent.plan(catalog);
    assert!(plan.may_go(), "{:#?}", wanted(catalog, &plan));
    if !needed.is_empty() {
        agent.give(&needed, &contents());
    }
    let secrets: Vec<SecretData> = catalog.secrets().keys().map(|hmac| SecretData { hmac: *hmac, value: Hidden(SECRET.into()) }).collect();
    agent.send(&[Conversation::going(run, &plan, secrets)]);
}

/// Makes it so; every event.
fn go(agent: &mut Conversation, catalog: &Catalog, run: &RunId) -> Vec<(u64, Event)> {
    start(agent, catalog, run);
    let (events, end) = agent.story();
    let good = matches!(events.last(), Some((_, Event::Ended { ending: Ending::Good { .. }, .. })));
    let failed = |(_, event): &(u64, Event)| match event {
        Event::StepDone { id, outcome: Outcome::Failed(failure), .. } => Some(format!("{id}: {} {:?}", failure.message, failure.causes)),
        _ => None,
    };
    assert!(good, "{:#?}, {end:?}, {:?}", events.iter().filter_map(failed).collect::<Vec<_>>(), events.last());
    events
}

fn live(hello: &Hello) -> Catalog {
    Catalog { facts: hello.facts.digest(), ..catalog(steps()) }
}

/// As admin, who becomes root.
fn meet(agent: &PlacedAgent<'_>) -> (Conversation, Hello) {
    let mut conversation = agent.connect();
    conversation.send(&[Conversation::opening(Some(Become::Sudo))]);
    loop {
        match conversation.receive() {
            Some(ToController::Login(_)) => {}
            Some(ToController::Hello(hello)) => return (conversation, *hello),
            other => panic!("a hello, not {other:?}"),
        }
    }
}

#[test]
fn each_kind_is_made_so_at_rest_and_the_booted_machine_wants_only_what_was_left_to_it() {
    let kinds: BTreeSet<Kind> = steps().iter().map(|step| step.desired.kind()).collect();
    assert_eq!(kinds, Kind::ALL.iter().copied().collect(), "each kind");
    whole_story(Suite::Bookworm);
}

/// systemd 257, and an sshd that says how it is configured by other means.
#[test]
fn on_trixie_each_kind_is_made_so_at_rest_too() {
    whole_story(Suite::Trixie);
}

fn whole_story(suite: Suite) {
    let site = site(suite);
    let root = power_off(&site);
    let mut agent = agent_at_rest(&site);
    let hello = agent.hello();
    let facts = &hello.facts;
    assert_eq!((facts.init.as_str(), facts.kernel.shared, facts.system.codename.as_str()), ("systemd", false, suite.to_string().as_str()));
    let (rest, left) = live(&hello).at_rest();
    let events = go(&mut agent, &rest, &run_id(1));
    let (plan, _) = agent.plan(&rest);
    assert!(plan.is_empty(), "a second time: {:#?}", wanted(&rest, &plan));

    // Nothing of the tree runs but this agent, what must be in memory alone is nowhere else, and no key of the moment is left.
    let [runs] = processes(&site, &root).try_into().expect("one process");
    assert_eq!(in_lab(&site, &format!("tr '\\0' ' ' < {runs}/cmdline")), "/run/tool/agent serve");
    let (state, inside) = (state(&site), format!("{runs}/root"));
    let found = format!(
        "cd {inside}; grep -rlF '{SECRET}' etc root run srv tmp usr/local var dev/shm {state} 2>/dev/null; find run/ostler -type f"
    );
    assert_eq!(in_lab(&site, &found), "etc/token");
    // Its journal tells the run to the next one who asks.
    drop(agent);
    let mut later = agent_at_rest(&site);
    later.hello();
    assert_eq!(later.attach(&run_id(1), 0).0, events);
    let older = desired(json!({"kernel_module": {"name": "older", "absent": false}}));
    let (refused, _) = Catalog { steps: vec![older], ..rest.clone() }.at_rest();
    let (plan, _) = later.plan(&refused);
    assert_eq!(wanted(&refused, &plan), ["kernel_module older cannot: the image's newest kernel has no module older"]);
    drop(later);

    power_on(&site, &root);
    let placed = PlacedAgent::place(site.lab(), "n1");
    let (mut agent, hello) = meet(&placed);
    let live = live(&hello);
    let (plan, _) = agent.plan(&live);
    let wants = ["sysctl net.ipv4.ip_forward [\"value: 0 -> 1\"] None", "service late [\"state: inactive -> running\"] None"];
    assert_eq!(wanted(&live, &plan), wants);
    let left: Vec<&Omitted> = left.iter().map(|left| &left.what).collect();
    for id in ["net.ipv4.ip_forward", "late"] {
        assert!(left.iter().any(|left| matches!(left, Omitted::Part(part) if part.key == id)), "{id}: {left:?}");
    }
    // A container may not set it; a machine does so at boot.
    let live = Catalog { steps: live.steps.into_iter().filter(|step| step.desired.kind() != Kind::Sysctl).collect(), ..live };
    go(&mut agent, &live, &run_id(2));
    assert_eq!(wanted(&live, &agent.plan(&live).0), Vec::<String>::new());
    let is = "for unit in web masked late cron ssh console-getty; do systemctl is-active $unit || true; done; systemctl is-enabled web masked old cron ssh 2>/dev/null";
    assert_eq!(
        site.sh("n1", &format!("{{ {is}; }} | tr '\\n' ' '")),
        "active active active inactive active inactive enabled enabled enabled disabled enabled"
    );
    assert_eq!(site.sh("n1", "cat /srv/indexed"), "run");
}

#[test]
fn a_run_that_is_killed_at_rest_leaves_no_process_and_the_next_one_goes_on() {
    let site = site(Suite::Bookworm);
    let root = power_off(&site);
    let mut agent = agent_at_rest(&site);
    let hello = agent.hello();
    let gate =
        command("gate", "echo $$ > /srv/reached; until [ -e /srv/gate ]; do sleep 0.05; done; touch /srv/passed", Some("/srv/passed"));
    let steps = vec![file_with("/srv/data/one", "one\n"), gate, file_with("/srv/data/two", "one\n")];
    let live = Catalog { facts: hello.facts.digest(), ..catalog(steps) };
    let (rest, _) = live.at_rest();
    start(&mut agent, &rest, &run_id(1));
    in_lab(&site, &format!("until [ -s {root}/srv/reached ]; do sleep 0.05; done"));
    agent.kill();
    drop(agent);
    in_lab(
        &site,
        &format!("until [ -z \"$({})\" ]; do sleep 0.05; done; ! grep -q {root}/ /proc/mounts; touch {root}/srv/gate", in_tree(&root)),
    );

    let mut next = agent_at_rest(&site);
    let found = next.hello().run.map(|run| (run.run, run.alive));
    assert_eq!(found, Some((run_id(1), false)));
    let events = go(&mut next, &rest, &run_id(2));
    assert!(matches!(&events[0].1, Event::Started { resumed_at: Some(1), .. }), "{events:#?}");
    assert!(matches!(events.last(), Some((_, Event::Ended { ending: Ending::Good { changed: 2, unchanged: 1, .. }, .. }))), "{events:#?}");
    assert!(next.plan(&rest).0.is_empty());
}
