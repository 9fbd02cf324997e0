//! Names that were given up stay so: each thing has one plain name, and none comes back by its old one.

use ostler_tests::house::{blanked, root, tracked};

/// Types, traits, aliases and imports: the old name, and what it is called.
const TYPES: &[(&str, &str)] = &[
    ("Errand", "NodeJob"),
    ("Expedition", "RunContext"),
    ("Hands", "Provider"),
    ("Lane", "worker"),
    ("Lanes", "workers"),
    ("Line", "Connection"),
    ("Load", "Patch"),
    ("Owed", "PendingActions"),
    ("Pen", "JournalWriter"),
    ("Places", "StatePaths"),
    ("Scribe", "JournalWriter"),
    ("Settle", "outcome"),
    ("Sign", "character"),
    ("Surroundings", "Facilities"),
    ("Tell", "EventSender"),
    ("Thing", "Effect"),
    ("Told", "FleetMessage"),
];
/// Where one of them says what it is: a line of a file, and what loads a template.
const MEANT: &[(&str, &str)] = &[("Line", "controller/src/transport/known_hosts/entry.rs"), ("Load", "roles/src/author/template/mod.rs")];
/// Modules, each below this room, and what they are called.
const MODULES: &[(&str, &str, &str)] = &[
    ("", "errand", "node_job"),
    ("", "expedition", "run_context"),
    ("", "hands", "provider"),
    ("", "lanes", "workers"),
    ("", "owed", "pending_actions"),
    ("", "pen", "journal_writer"),
    ("", "places", "state_paths"),
    ("", "scribe", "journal_writer"),
    ("", "settle", "outcome"),
    ("", "surroundings", "facilities"),
    ("", "tell", "event"),
    ("", "thing", "effect"),
    ("", "told", "event_text"),
    ("agent/src/engine/", "turn", "run_step"),
    ("agent/src/resource/", "card", "diagnose"),
    ("controller/src/fleet/", "line", "connection"),
];

#[test]
fn no_name_that_was_given_up_comes_back() {
    let mut found = Vec::new();
    for name in tracked().into_iter().filter(|name| name.ends_with(".rs")) {
        let text = std::fs::read_to_string(root().join(&name)).expect("a tracked file");
        found.extend(given_up(&name, &blanked(&text)).iter().map(|(old, now)| format!("{name}: {old}, now {now}")));
    }
    assert!(found.is_empty(), "old names:\n{}", found.join("\n"));
}

/// What a file is called, or declares, by an old name, and what that is called.
fn given_up<'a>(file: &'a str, code: &'a str) -> Vec<(&'a str, &'static str)> {
    let words: Vec<&str> = code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).collect();
    let module = |name: &str| MODULES.iter().find(|(room, old, _)| file.starts_with(room) && *old == name).map(|(_, _, now)| *now);
    let declared = |pair: &[&'a str]| match pair[0] {
        "struct" | "enum" | "trait" | "type" | "union" | "as" if !MEANT.contains(&(pair[1], file)) => {
            TYPES.iter().find(|(old, _)| *old == pair[1]).map(|(_, now)| (pair[1], *now))
        }
        "mod" => module(pair[1]).map(|now| (pair[1], now)),
        "const" | "static" if matches!(pair[1], "LANE" | "LANES") => Some((pair[1], "WORKERS")),
        _ => None,
    };
    let stem = file.rsplit('/').next().and_then(|last| last.strip_suffix(".rs")).unwrap_or_default();
    let called = module(stem).map(|now| (stem, now));
    called.into_iter().chain(words.windows(2).filter_map(declared)).collect()
}

#[test]
fn an_old_name_is_found_where_it_is_declared_and_nowhere_else() {
    let code =
        "mod scribe; pub struct Line<'a>(&'a str); use a::Version as Told; const LANES: usize = 8; mod turn; fn turn() { Kept::Owed }";
    let found: Vec<_> = given_up("agent/src/engine/hands.rs", code).iter().map(|(old, _)| *old).collect();
    assert_eq!(found, ["hands", "scribe", "Line", "Told", "LANES", "turn"]);
    assert_eq!(given_up(MEANT[0].1, "pub enum Line { Thing } mod turn; fn told(line: Settle) {}"), []);
}
