//! What versions differ in: each a parameter of the model, and a row of the table for people.

use ostler::masters::jenkins::Agent;
use ostler_roles::master::jenkins::{Name, Version as JenkinsVersion};
use ostler_roles::words::{AbsPath, AccountName, MasterName, Secret};
use ostler_tests::jenkins::Version;
use ostler_tests::jenkins::nodes::Node;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// A row of the table, and what of the model it is made of.
type Row = (&'static str, &'static str, fn(Version) -> String);

const ROWS: [Row; 16] = [
    ("oldest Java of an agent", "least_java", |version| version.least_java().to_string()),
    ("`agent.jar` knows `-url`, `-name`, `-webSocket`", "agent_knows_url", |version| yes(version.agent_knows_url())),
    ("version of `agent.jar`", "remoting", |version| version.remoting().to_owned()),
    ("bytes of `agent.jar`", "agent_size", |version| version.agent_size().to_string()),
    ("`Last-Modified` of `agent.jar`, as recorded", "agent_written", |version| version.agent_written().to_owned()),
    ("plugin for launches over SSH", "ssh_plugin", |version| version.ssh_plugin().to_owned()),
    ("plugin for SSH keys", "key_plugin", |version| version.key_plugin().to_owned()),
    ("`Location` of a 302", "redirects_absolutely", |version| word(version.redirects_absolutely(), "absolute", "relative")),
    ("`offlineCauseReason`", "escapes_reasons", |version| word(version.escapes_reasons(), "escaped for HTML", "plain")),
    ("`<message>` in a stored offline mark", "keeps_messages", |version| yes(version.keeps_messages())),
    ("session cookie", "cookie_end", |version| {
        let end = version.cookie_end().trim_start_matches("; ");
        if end.is_empty() { String::new() } else { format!("`{end}`") }
    }),
    ("content security policy to be reported on, on all answers", "reports_policy", |version| yes(version.reports_policy())),
    ("challenge of a 401", "challenge", |version| word(version.challenge().contains("charset"), "realm, charset", "realm")),
    ("who is not logged in is told which permission is missing", "explains_refusals", |version| yes(version.explains_refusals())),
    ("a build has one action more, which is empty", "has_further_action", |version| yes(version.has_further_action())),
    ("title of a page in the browser", "title", |version| format!("`{}`", version.title("X"))),
];
/// What no client meets: how a page is framed, how the container calls itself; the number, which is the table's head; whose a recording is.
const NO_ROWS: [&str; 4] = ["number", "panel", "jetty", "of_recording"];

fn yes(holds: bool) -> String {
    word(holds, "yes", "no")
}

fn word(holds: bool, one: &str, other: &str) -> String {
    if holds { one } else { other }.to_owned()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn every_difference_is_a_parameter_of_the_model_and_a_row_of_the_table() {
    let page = std::fs::read_to_string(root().join("docs/jenkins.md")).unwrap();
    let heads = Version::ALL.map(|version| version.number().rsplitn(if version == Version::V2_532 { 1 } else { 2 }, '.').last().unwrap());
    let mut table = vec![format!("| | {} |", heads.join(" | ")), "|---|---|---|---|---|---|".to_owned()];
    table.extend(ROWS.map(|(text, _, value)| {
        format!("| {text} | {} |", Version::ALL.map(value).join(" | ")).replace("|  |", "| |").replace("|  |", "| |")
    }));
    let table = table.join("\n");
    assert!(page.contains(&table), "docs/jenkins.md should hold\n{table}");

    let source = std::fs::read_to_string(root().join("tests/src/jenkins/version.rs")).unwrap();
    let functions = source.lines().filter_map(|line| line.trim().strip_prefix("pub fn ")?.split_once('(').map(|(name, _)| name));
    let named: BTreeSet<&str> = ROWS.iter().map(|(_, name, _)| *name).chain(NO_ROWS).collect();
    assert_eq!(functions.collect::<BTreeSet<_>>(), named);
    // Nothing else of the model knows a version by its name, or one from another.
    for entry in
        std::fs::read_dir(root().join("tests/src/jenkins")).unwrap().map(Result::unwrap).filter(|entry| entry.file_name() != "version.rs")
    {
        let text = std::fs::read_to_string(entry.path()).unwrap();
        for compared in [" < Version::", " <= Version::", " > Version::", " >= Version::", " == Version::", " != Version::", "Version::V"] {
            assert!(!text.contains(compared), "{}: {compared}", entry.path().display());
        }
    }
}

/// The command line of the unit that our agents have where Jenkins says that it is of this version.
fn command_line(version: Version) -> String {
    let agent = Agent {
        master: MasterName::parse("ci").unwrap(),
        url: "https://ci.example/".to_owned(),
        trust: None,
        name: Name::parse("n1").unwrap(),
        user: AccountName::parse("jenkins").unwrap(),
        remote_fs: AbsPath::parse("/srv/jobs").unwrap(),
    };
    let told = JenkinsVersion::parse(version.number()).unwrap();
    let steps = agent.steps(b"PK", Some(told), &Secret::new("s".repeat(64)), b"key").unwrap();
    let unit =
        steps.contents.values().map(|bytes| String::from_utf8(bytes.clone()).unwrap()).find(|text| text.starts_with("[Unit]")).unwrap();
    unit.lines().find_map(|line| line.strip_prefix("ExecStart=java ")).unwrap().to_owned()
}

#[test]
fn an_agent_is_called_as_the_program_of_its_version_knows_it_and_calls_in_no_other_way() {
    let launcher = serde_json::json!({"stapler-class": "hudson.slaves.JNLPLauncher"});
    let node = Node::from_form("n1", &serde_json::json!({"numExecutors": "1", "launcher": launcher})).unwrap();
    let calls_in = |version: Version, line: &str| node.clone().called(version, line, &node.secret);
    for version in Version::ALL {
        let line = command_line(version);
        assert!(calls_in(version, &line), "{version:?}: {line}");
        assert!(!node.clone().called(version, &line, "another"), "{version:?}");
        assert!(!calls_in(version, &line.replace("n1", "n2")), "{version:?}: as another node");
        assert!(!calls_in(version, &format!("{line} -unheardOf")), "{version:?}");
    }
    let new = command_line(Version::NEWEST);
    assert!(!calls_in(Version::OLDEST, &new), "it prints its usage: {new}");
    // The old way is still known to the newest.
    assert!(calls_in(Version::NEWEST, &command_line(Version::OLDEST)));
}
