//! Arrows between crates and between rooms go down only.

use ostler_tests::house::{named, production};
use std::collections::BTreeMap;

/// A room, and the rooms below it that it may use. Each stands below all that may use it.
type Rooms = &'static [(&'static str, &'static [&'static str])];

/// `report` prints for the commands; below them only the journal uses it, to write an event in the very form that `--output json` has.
const CONTROLLER: Rooms = &[
    (
        "command",
        &[
            "cli",
            "environment",
            "fleet",
            "image",
            "inventory",
            "journal",
            "lab",
            "mask",
            "masters",
            "registration",
            "report",
            "run",
            "secret",
            "session",
            "transport",
        ],
    ),
    ("run", &["fleet", "journal", "registration"]),
    ("registration", &["fleet", "journal", "masters", "report", "session"]),
    ("image", &["environment", "fleet", "lab", "mask", "private", "session", "transport"]),
    ("cli", &["report"]),
    ("journal", &["fleet", "private", "report"]),
    ("report", &["environment", "fleet", "mask", "transport"]),
    ("fleet", &["mask", "session", "transport"]),
    ("masters", &["mask"]),
    ("lab", &["environment", "private"]),
    ("inventory", &["environment", "stamp"]),
    ("secret", &["environment", "private"]),
    ("session", &["mask", "transport"]),
    ("transport", &["environment", "private", "stamp"]),
    ("environment", &[]),
    ("mask", &[]),
    ("private", &[]),
    ("stamp", &[]),
];

/// The engine asks for a provider by a trait (`engine::provider`), which `resource` gives: so the resources stand above it.
const AGENT: Rooms = &[
    ("program", &["engine", "facts", "host", "resource", "session"]),
    ("session", &["engine"]),
    ("resource", &["engine", "facts", "host"]),
    ("engine", &["host"]),
    ("facts", &["host"]),
    ("host", &[]),
];

const ROLES: Rooms = &[
    ("author", &["catalog", "check", "executor", "facts", "mask", "master", "outcome", "plan", "resource", "words"]),
    ("wire", &["catalog", "challenge", "check", "facts", "ledger", "outcome", "plan", "texts", "words"]),
    ("mask", &["texts"]),
    ("texts", &["check", "outcome", "plan", "resource"]),
    ("plan", &["catalog", "check", "outcome", "resource", "words"]),
    ("outcome", &["catalog", "check", "resource", "words"]),
    ("catalog", &["check", "resource", "words"]),
    ("check", &["resource", "words"]),
    ("master", &["executor", "words"]),
    ("ledger", &["executor", "words"]),
    ("challenge", &["words"]),
    ("executor", &["words"]),
    ("facts", &["words"]),
    ("resource", &["words"]),
    ("words", &[]),
];

/// What one crate names of itself: room -> room -> a file that does so.
fn arrows(krate: &str) -> BTreeMap<(String, String), String> {
    let sources = production(krate);
    let rooms: Vec<&str> = sources.iter().filter_map(|source| source.module.first().map(String::as_str)).collect();
    let mut seen = BTreeMap::new();
    for source in &sources {
        let Some(from) = source.module.first() else { continue };
        for path in named(source) {
            let Some(to) = path.first() else { continue };
            if to != from && rooms.contains(&to.as_str()) {
                seen.insert((from.clone(), to.clone()), source.name.clone());
            }
        }
    }
    seen
}

fn hold(krate: &str, rooms: Rooms) {
    for (place, (room, below)) in rooms.iter().enumerate() {
        for lower in *below {
            assert!(rooms[place + 1..].iter().any(|(name, _)| name == lower), "{krate}: `{room}` may use `{lower}`, which stands above it");
        }
    }
    let seen = arrows(krate);
    assert!(!seen.is_empty(), "{krate}: no arrow was read: the reader is broken");
    let wrong: Vec<String> = seen
        .iter()
        .filter(|((from, to), _)| !rooms.iter().any(|(room, below)| room == from && below.contains(&to.as_str())))
        .map(|((from, to), file)| format!("{krate}: `{from}` uses `{to}` ({file})"))
        .collect();
    assert!(wrong.is_empty(), "arrows that no list in {} allows:\n{}", file!(), wrong.join("\n"));
}

#[test]
fn the_rooms_of_the_controller_use_only_rooms_below() {
    hold("controller", CONTROLLER);
}

#[test]
fn the_rooms_of_the_agent_use_only_rooms_below() {
    hold("agent", AGENT);
}

#[test]
fn the_rooms_of_the_roles_use_only_rooms_below() {
    hold("roles", ROLES);
}

#[test]
fn the_main_path_of_the_controller_is_there() {
    let seen = arrows("controller");
    for (from, to) in [("command", "cli"), ("command", "fleet"), ("fleet", "session"), ("session", "transport")] {
        assert!(seen.contains_key(&(from.to_owned(), to.to_owned())), "`{from}` no more uses `{to}`: is the reader of arrows broken?");
    }
}

#[test]
fn the_halves_meet_in_the_roles_and_nothing_sees_the_tests() {
    for (krate, forbidden) in [
        ("agent", &["ostler::", "ostler_tests"][..]),
        ("controller", &["ostler_agent", "ostler_tests"]),
        ("roles", &["ostler::", "ostler_agent", "ostler_tests"]),
    ] {
        for source in production(krate) {
            for name in forbidden {
                assert!(!source.code.contains(name), "{} names `{name}`", source.name);
            }
        }
    }
}

#[test]
fn roles_have_no_io_no_clock_and_no_async() {
    for source in production("roles") {
        for name in [
            "std::fs",
            "TcpStream",
            "UdpSocket",
            "ToSocketAddrs",
            "std::process",
            "Instant",
            "SystemTime",
            "std::thread",
            "std::env",
            "async fn",
            ".await",
            "tokio",
        ] {
            assert!(!source.code.contains(name), "{} names `{name}`", source.name);
        }
    }
}

#[test]
fn async_stays_in_its_rooms() {
    let rooms = ["command", "fleet", "image", "masters", "registration", "report", "run", "session", "transport"];
    for source in production("controller") {
        let allowed = source.module.first().is_some_and(|room| rooms.contains(&room.as_str()));
        assert!(allowed || !awaits(&source.code), "{} awaits outside {rooms:?}", source.name);
    }
    for source in production("agent") {
        assert!(!source.code.contains("async fn") && !awaits(&source.code), "{}: the agent is synchronous", source.name);
    }
}

fn awaits(code: &str) -> bool {
    code.match_indices(".await").any(|(at, word)| !code[at + word.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_'))
}

/// Among the resources: what is known of a node stands below the node, and every kind above both.
#[test]
fn no_kind_stands_in_a_circle_with_the_node_that_it_works_on() {
    let mut wrong = Vec::new();
    let mut looked = 0;
    for source in production("agent") {
        let below: &[&str] = match source.module.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["resource", "known", ..] => &["known"],
            ["resource", "node", ..] => &["known", "fault", "node"],
            _ => continue,
        };
        looked += 1;
        for path in named(&source) {
            if let [room, file, ..] = &path[..]
                && room == "resource"
                && !below.contains(&file.as_str())
            {
                wrong.push(format!("{} names `{}`", source.name, path.join("::")));
            }
        }
    }
    assert!(looked > 5, "{looked} files: the reader is broken");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
