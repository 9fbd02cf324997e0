//! Forty repositories from a server on the lab's network: ours beside loops of `git clone`.

use std::fmt::Write as _;
use std::fs;

use ostler::lab::Lab;

use super::Fault;
use super::contestants::{Contestants, OURS, Tools};
use super::scenes::{Rounds, environment, lab};
use super::stopwatch::{Entry, Results, race};
use super::table::section;

/// How many repositories.
const REPOSITORIES: usize = 40;
/// Where they are served, and where they are cached.
const SERVED: &str = "/srv/served";
const SERIAL: &str = "serial loop of `git clone --mirror`";
const EIGHT: &str = "`xargs -P8 git clone --mirror`";
/// Makes one repository of a stream, as its clones will see it.
const SERVE: &str = "set -e; cd /srv/served; for n in $(seq -w 40); do git init -q --bare -b main r$n.git; \
    git -C r$n.git fast-import --quiet < /srv/r$n.stream; git -C r$n.git repack -adq; git -C r$n.git pack-refs --all; done; \
    rm /srv/*.stream; systemd-run --quiet --unit=served git daemon --base-path=/srv/served --export-all --reuseaddr; \
    for try in $(seq 100); do git ls-remote git://127.0.0.1/r01.git >/dev/null 2>&1 && exit 0; sleep 0.1; done; exit 1";

/// The cache of forty repositories, filled from nothing; ours beside the same by hand on the same node.
pub fn scene(tools: &Tools, rounds: Rounds) -> Result<String, Fault> {
    let lab = lab(&tools.scratch.join("lab"), &["server", "n1"])?;
    serve(tools, &lab)?;
    let set = Contestants::write(tools, &lab, &["n1"])?;
    let server = lab.node("server")?.address;
    let names: Vec<String> = (1..=REPOSITORIES).map(|n| format!("r{n:02}")).collect();
    let site = set.dir().join("root");
    let role = format!(
        "role: bench\nsummary: A cache of forty repositories.\nsteps:\n  - git_cache:\n      root: /srv/cache\n      upstreams: [\"git://{server}\"]\n      repositories: [{}]\n",
        names.iter().map(|name| format!("{name}.git")).collect::<Vec<_>>().join(", ")
    );
    fs::write(site.join("roles/bench.yaml"), role)?;
    let clone = "cd /srv/by-hand && for n in $(seq -w 40); do git clone -q --mirror git://SERVER/r$n.git r$n.git; done";
    let eight = "cd /srv/by-hand && seq -w 40 | xargs -P8 -I{} git clone -q --mirror git://SERVER/r{}.git r{}.git";
    let by_hand = |name: &str, script: &str| {
        let script = script.replace("SERVER", &server.to_string());
        Entry::new(name, set.shell_there(&script))
    };
    let entries = [by_hand(SERIAL, clone), by_hand(EIGHT, eight), set.ours(OURS, "root")];
    let mut all = Results::new();
    // The first round warms the server's page cache, places our agent, and does not count.
    for round in 0..=rounds.first {
        for entry in &entries {
            clear(&lab)?;
            let results = race(&lab, 1, false, std::slice::from_ref(entry), &environment(tools))?;
            if round > 0 {
                results.into_iter().for_each(|(name, taken)| all.entry(name).or_default().add(taken));
            }
        }
    }
    let again = race(&lab, rounds.fast, true, &entries[2..], &environment(tools))?;
    lab.end()?;
    let words =
        "Forty repositories of 200 to 2000 commits each from `git daemon` on another node, into an empty directory on a disk that syncs.";
    let mut text = section("Git cache of 40 repositories, first fill", words, &[SERIAL, EIGHT, OURS], &all);
    text.push_str(&section("Git cache of 40 repositories, nothing new", "Asked again: every remote is listed.", &[OURS], &again));
    Ok(text)
}

fn clear(lab: &Lab) -> Result<(), Fault> {
    there(lab, "n1", "rm -rf /srv/cache /srv/by-hand && mkdir -p /srv/by-hand && sync", Vec::new())
}

fn there(lab: &Lab, node: &str, script: &str, input: Vec<u8>) -> Result<(), Fault> {
    let output = lab.node_command(node, ["bash", "-c", script]).input(input).output()?;
    if output.ended.is_success() { Ok(()) } else { Err(output.all().into()) }
}

/// Streams for `git fast-import`, put into the server node and served there.
fn serve(tools: &Tools, lab: &Lab) -> Result<(), Fault> {
    let streams = tools.scratch.join("streams");
    fs::create_dir_all(&streams)?;
    there(lab, "server", &format!("mkdir -p {SERVED}"), Vec::new())?;
    for n in 1..=REPOSITORIES {
        there(lab, "server", &format!("cat > /srv/r{n:02}.stream"), stream(n).into_bytes())?;
    }
    there(lab, "server", SERVE, Vec::new())
}

/// One repository: 200 to 2000 commits over fifty files, two tags.
fn stream(number: usize) -> String {
    let commits = 200 + (number - 1) * 1800 / (REPOSITORIES - 1);
    let mut text = String::new();
    for commit in 1..=commits {
        let seed = number * 100_000 + commit;
        let mut body = String::new();
        for line in 0..30 {
            // Words that do not repeat, so that packs have a size.
            let word = (seed * 31 + line * 7).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (seed << 20);
            let _ = writeln!(body, "line {line} of change {commit}: {word:016x}");
        }
        let message = format!("Change {commit}\n");
        let _ = write!(
            text,
            "commit refs/heads/main\ncommitter A <a@example.org> {} +0000\ndata {}\n{message}M 644 inline src/file{:02}.txt\ndata {}\n{body}\n",
            1_600_000_000 + commit * 60,
            message.len(),
            commit % 50,
            body.len()
        );
    }
    let _ = write!(text, "reset refs/tags/v1\nfrom refs/heads/main\n\nreset refs/tags/v2\nfrom refs/heads/main\n\n");
    text
}
