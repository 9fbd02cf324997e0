//! Ten nodes that are registered with a real Buildbot, beside the same nodes that nobody has registered.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use ostler::lab::{Lab, LabNode, LabSpec, Suite};
use ostler::secret::Identities;
use ostler_tests::buildbot::{library, serve_wheels};
use ostler_tests::lab::up;
use std::net::Ipv4Addr;

use super::contestants::{Contestants, Tools};
use super::scenes::{Rounds, environment};
use super::stopwatch::{Entry, Results, race};
use super::table::section;
use super::{Fault, TEN};

const ALONE: &str = "ostler, registered nowhere";
const REGISTERED: &str = "ostler, registered on one master";
const MASTER: &str = "master";

/// The worker's role of the library without what registers it.
fn alone() -> Result<String, Fault> {
    let role = fs::read_to_string(library("roles/buildbot-worker.yaml"))?;
    let (steps, rest) = role.split_once("executors:\n").ok_or("the role has no executors")?;
    let (_, rest) = rest.split_once("verify:\n").ok_or("the role has no `verify`")?;
    let (verify, _) = rest.split_once("smoke:\n").ok_or("the role has no smoke job")?;
    let steps = steps.replacen("role: buildbot-worker", "role: alone", 1).replacen(", per: executor", "", 1);
    Ok(format!("{steps}verify:\n{verify}"))
}

fn values(lab: &Lab) -> Result<String, Fault> {
    let master = lab.node(MASTER)?.address;
    let wheels = "wheels: \"http://10.78.0.1:8088/wheels/\"";
    let worker = format!("{{master: ci, master_host: {master}, password: \"{{{{ secret.worker }}}}\", labels: [debian], {wheels}}}");
    Ok(format!(
        "masters:\n  ci:\n    buildbot: {{url: \"http://{master}:8010/\", node: {MASTER}, user: ostler, plain_http: true, password: \"{{{{ secret.buildbot }}}}\"}}\n\
         vars:\n  buildbot-master: {{password: \"{{{{ secret.buildbot }}}}\", worker_password: \"{{{{ secret.worker }}}}\", {wheels}}}\n\
         \x20 buildbot-worker: {worker}\n  alone: {worker}\n"
    ))
}

/// A site of the master and the ten, whose workers have this role.
fn site(lab: &Lab, from: &Path, at: &Path, recipient: &str, role: &str) -> Result<(), Fault> {
    fs::create_dir_all(at.join("roles"))?;
    fs::copy(from.join("roles/bench.yaml"), at.join("roles/bench.yaml"))?;
    fs::write(at.join("roles/alone.yaml"), alone()?)?;
    for below in ["files/buildbot", "templates/buildbot"] {
        fs::create_dir_all(at.join(below))?;
        for file in fs::read_dir(library(below))? {
            let file = file?;
            fs::copy(file.path(), at.join(below).join(file.file_name()))?;
        }
    }
    let head = fs::read_to_string(from.join("ostler.yaml"))?;
    fs::write(at.join("ostler.yaml"), format!("{head}id: {role}\nsecrets: {{recipients: [{recipient}]}}\n{}", values(lab)?))?;
    let mut nodes = format!("nodes:\n  {MASTER}: {{host: {}, roles: [buildbot-master]}}\n", lab.node(MASTER)?.address);
    for name in TEN {
        writeln!(nodes, "  {name}: {{host: {}, roles: [bench, {role}]}}", lab.node(name)?.address)?;
    }
    Ok(fs::write(at.join("nodes.yaml"), nodes)?)
}

/// No-op of the ten with their master asked, and without.
pub fn registered(tools: &Tools, rounds: Rounds) -> Result<String, Fault> {
    let node = |(name, last): (&str, u8)| LabNode::new(name, Suite::Bookworm, Ipv4Addr::new(10, 78, 0, last));
    let spec = LabSpec { real_sync: true, ..LabSpec::new([MASTER].into_iter().chain(TEN).zip(11..).map(node)) };
    let lab = up(&tools.scratch.join("lab"), spec)?;
    serve_wheels(&lab);
    let set = Contestants::write(tools, &lab, &TEN)?;
    let identity = tools.scratch.join("identity.txt");
    let recipient = Identities::create(&identity)?.to_string();
    let mut environment = environment(tools);
    environment.push(("OSTLER_IDENTITY", identity.display().to_string()));
    let mut entries = Vec::new();
    let mut first = Vec::new();
    for (name, role) in [(ALONE, "alone"), (REGISTERED, "buildbot-worker")] {
        let at = set.dir().join(role);
        site(&lab, &set.dir().join("root"), &at, &recipient, role)?;
        let (program, at) = (tools.ostler.display().to_string(), at.display().to_string());
        for secret in ["buildbot", "worker"] {
            let value = tools.scratch.join(secret);
            fs::write(&value, format!("a-password-of-the-{secret}"))?;
            let value = value.display().to_string();
            first.push(Entry::new(name, [program.as_str(), "-C", &at, "secret", "set", secret, "--from", &value]));
        }
        first.push(Entry::new(name, [program.as_str(), "-C", &at, "apply", "--yes"]));
        entries.push(Entry::new(name, [program.as_str(), "-C", &at, "apply", "--yes", "-l", &TEN.join(",")]));
    }
    // The master is made, the ten are registered and have proved themselves; then both have nothing left to do.
    for entry in first {
        race(&lab, 1, false, &[entry], &environment)?;
    }
    race(&lab, 1, false, &entries, &environment)?;
    let before = requests(&lab)?;
    let results = race(&lab, rounds.fast, true, &entries, &environment)?;
    unchanged(&results)?;
    // One round more: that of the memory.
    let asked = (requests(&lab)? - before) / (rounds.fast + 1);
    if asked == 0 {
        return Err("the master was not asked".into());
    }
    lab.end()?;
    let words = format!(
        "The 100 resources and a Buildbot worker on each node. Its real master is another node of the lab; it and the workers' connections share the processors. What the master shows is part of the plan of those who are registered there: it answers {asked} requests a run."
    );
    Ok(section("No-op, 10 nodes registered on one master", &words, &[ALONE, REGISTERED], &results))
}

/// How many requests of ours the master has answered so far: those of its workers' connections are no HTTP.
fn requests(lab: &Lab) -> Result<usize, Fault> {
    let output = lab.node_command(MASTER, ["cat", "/var/lib/buildbot/master/http.log"]).output()?;
    if !output.ended.is_success() {
        return Err(output.all().into());
    }
    Ok(output.text().lines().filter(|line| line.contains("/api/v2/")).count())
}

fn unchanged(results: &Results) -> Result<(), Fault> {
    for name in [ALONE, REGISTERED] {
        let taken = results.get(name).ok_or("it did not run")?;
        if !taken.said.contains("Nothing to change.") {
            return Err(format!("{name} changed something: {}", taken.said).into());
        }
    }
    Ok(())
}
