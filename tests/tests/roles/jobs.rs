//! A real Buildbot and the real program: jobs that run on a node while it is to be changed.

use crate::*;
use std::time::{Duration, Instant};

const ROLES: &str = "role: stamp
summary: Something to change.
params:
  stamp: {type: text, default: first}
  broken: {type: boolean, default: false}
steps:
  - file: {path: /etc/ci-stamp, content: \"{{ stamp }}\\n\"}
  - when: broken
    command: {name: broken, run: [\"false\"], unless: [\"false\"]}
";

/// A job that takes as long as somebody wants, and is green when nothing was changed under it.
const JOB: &str =
    "set -e; stamp=$(cat /etc/ci-stamp); until test -e /srv/open; do sleep 0.1; done; test $stamp = $(cat /etc/ci-stamp); echo undisturbed";

/// Asks the master, on its own machine: starts a job and prints its request's number, or prints how a request stands and who is held.
const ASK: &str = r#"
import http.cookiejar, json, sys, urllib.request, base64
base = "http://10.78.0.11:8010/"
opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
def get(path):
    return json.load(opener.open(base + "api/v2/" + path))
if sys.argv[1] == "force":
    login = urllib.request.Request(base + "auth/login")
    login.add_header("Authorization", "Basic " + base64.b64encode(b"ostler:a-password-of-the-web-interface").decode())
    opener.open(login)
    call = {"jsonrpc": "2.0", "id": 1, "method": "force", "params": {"builderNames": ["unit"]}}
    headers = {"Content-Type": "application/json"}
    asked = urllib.request.Request(base + "api/v2/forceschedulers/force", json.dumps(call).encode(), headers)
    print(list(json.load(opener.open(asked))["result"][1].values())[0])
else:
    builds = get("builds?buildrequestid=" + sys.argv[2])["builds"]
    worker = [one for one in get("workers")["workers"] if one["name"] == "n1"][0]
    print(builds[-1]["results"] if builds and builds[-1]["complete"] else "runs" if builds else "waits", worker["paused"])
"#;

/// A master and a worker that has its label.
fn stage() -> Site {
    let nodes =
        "nodes:\n  master: {host: 10.78.0.11, roles: [buildbot-master]}\n  n1: {host: 10.78.0.12, roles: [stamp, buildbot-worker]}\n";
    let yaml = BUILDBOT.replace("[[uname, -s]]", &format!("[[sh, -c, \"{JOB}\"]]"));
    assert!(yaml.contains(JOB));
    let site = Site::up(&format!("{SSH}{yaml}"), nodes, [node("master", 11), node("n1", 12)]);
    site.write("roles/stamp.yaml", ROLES);
    site.secret("buildbot", "a-password-of-the-web-interface");
    site.secret("worker", "a-password-of-the-workers");
    site.serve_wheels();
    site.apply().good();
    site
}

/// A job that runs now.
fn occupy(site: &Site) -> String {
    site.sh("n1", "rm -f /srv/open");
    let request = site.on("master", &["python3", "-c", ASK, "force"]);
    until("the job runs", || seen(site, &request) == "runs False");
    request
}

/// How the job stands, and whether the worker is paused.
fn seen(site: &Site, request: &str) -> String {
    site.on("master", &["python3", "-c", ASK, "seen", request])
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < end, "not within 60 s: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn nothing_is_taken_from_under_a_running_job_and_a_node_that_stays_busy_is_left_as_it_was() {
    let site = stage();
    let stamp = |text: &str| site.run(&["apply", "--yes", "--jobs-within", "30s", "-e", &format!("stamp.stamp={text}")]);
    let on_node = || site.sh("n1", "cat /etc/ci-stamp");

    // It takes no new job, the one that runs comes to its end, and only then is anything changed.
    let job = occupy(&site);
    let (ran, meanwhile) = std::thread::scope(|scope| {
        let apply = scope.spawn(|| stamp("second"));
        until("the worker takes no new jobs", || seen(&site, &job) == "runs True");
        site.is_told("waits until what runs there has ended (1 job): since ");
        let meanwhile = (seen(&site, &job), on_node());
        site.sh("n1", "touch /srv/open");
        (apply.join().unwrap(), meanwhile)
    });
    assert_eq!(meanwhile, ("runs True".to_owned(), "first".to_owned()), "{}", ran.told());
    ran.good();
    assert_eq!(ran.changed("n1"), ["file /etc/ci-stamp"], "{}", ran.told());
    assert_eq!(seen(&site, &job), "0 False", "the job ended well: {}", ran.told());
    assert_eq!(ran.recap("n1")["labels"], serde_json::json!(["debian"]), "{}", ran.told());

    // It does not end in time: nothing is begun, and the worker takes jobs as before.
    let job = occupy(&site);
    let busy = site.run(&["apply", "--yes", "--jobs-within", "2s", "-e", "stamp.stamp=third"]).good_with(1);
    assert_eq!(busy.recap("n1")["trouble"], "not begun: jobs still run on n1 (ci) after 2s", "{}", busy.told());
    assert_eq!((busy.changed("n1"), on_node()), (Vec::new(), "second".to_owned()), "{}", busy.told());
    assert_eq!(seen(&site, &job), "runs False", "{}", busy.told());
    site.sh("n1", "touch /srv/open");
    until("the job ended well", || seen(&site, &job) == "0 False");
    site.run(&["apply", "--yes", "-e", "stamp.stamp=second"]).nothing_to_do();

    // Nor is it taken from under a job by a node that fails.
    let job = occupy(&site);
    let failed = std::thread::scope(|scope| {
        let apply = scope.spawn(|| site.run(&["apply", "--yes", "-e", "stamp.stamp=third", "-e", "stamp.broken=true"]));
        until("the worker takes no new jobs", || seen(&site, &job) == "runs True");
        site.sh("n1", "touch /srv/open");
        apply.join().unwrap().good_with(1)
    });
    assert_eq!((failed.changed("n1"), on_node()), (vec!["file /etc/ci-stamp".to_owned()], "third".to_owned()), "{}", failed.told());
    assert_eq!(seen(&site, &job), "0 True", "the job ended well, and the worker is out of service: {}", failed.told());
    assert_eq!(failed.recap("n1")["labels"], serde_json::json!([]), "{}", failed.told());
    stamp("third").good();
    assert_eq!(seen(&site, &job), "0 False");
}
