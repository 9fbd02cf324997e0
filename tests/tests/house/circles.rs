//! No two files of a room need each other, neither directly nor by way of others.

use ostler_tests::house::{Source, handed_on, named, production};
use std::collections::{BTreeMap, BTreeSet};

/// File -> files of the same room that it names.
type Names = BTreeMap<String, BTreeSet<String>>;

/// Rooms in which files still stand in a circle, with those files: none joins them.
const LEFT: &[(&str, &[&str])] = &[
    ("controller::masters", &["driver", "wait", "witness"]),
    ("roles::author", &["kinds", "literal", "lower", "role", "value"]),
    (
        "tests::jenkins",
        &["jobs", "mark", "nodes", "pages", "routes", "routes_computer", "routes_credentials", "routes_job", "state", "users", "views"],
    ),
];

/// What the files of each room name of each other; a file's own modules count as the file. A room is told as `crate::room`.
fn rooms(krate: &str) -> BTreeMap<String, Names> {
    let sources = production(krate);
    let mut rooms: BTreeMap<String, Names> = BTreeMap::new();
    let tables: BTreeMap<&str, BTreeMap<String, String>> =
        sources.iter().filter_map(|source| Some((one(&source.module)?, handed_on(source)))).collect();
    for source in &sources {
        let [room, file, ..] = &source.module[..] else { continue };
        let seen = rooms.entry(format!("{krate}::{room}")).or_default().entry(file.clone()).or_default();
        seen.extend(named(source).iter().filter_map(|path| file_of(path, room, &tables)).filter(|other| other != file));
    }
    for names in rooms.values_mut() {
        let files: BTreeSet<String> = names.keys().cloned().collect();
        names.values_mut().for_each(|seen| seen.retain(|other| files.contains(other)));
    }
    rooms
}

fn one(module: &[String]) -> Option<&str> {
    if let [room] = module { Some(room) } else { None }
}

/// The file of the room that a path leads to, also where the room's table hands its name on.
fn file_of(path: &[String], room: &str, tables: &BTreeMap<&str, BTreeMap<String, String>>) -> Option<String> {
    let [first, name, ..] = path else { return None };
    (first == room).then(|| tables.get(room).and_then(|table| table.get(name)).unwrap_or(name).clone())
}

/// All that a file needs, by whatever way.
fn needed(names: &Names, file: &str) -> BTreeSet<String> {
    let (mut found, mut left) = (BTreeSet::new(), vec![file.to_owned()]);
    while let Some(next) = left.pop() {
        for other in names.get(&next).into_iter().flatten() {
            if found.insert(other.clone()) {
                left.push(other.clone());
            }
        }
    }
    found
}

/// The files of a room that need themselves.
fn circle(names: &Names) -> Vec<&str> {
    names.keys().filter(|file| needed(names, file).contains(*file)).map(String::as_str).collect()
}

#[test]
fn no_files_of_a_room_stand_in_a_circle() {
    let mut wrong = Vec::new();
    let mut looked = 0;
    for krate in ["agent", "controller", "roles", "tests"] {
        for (room, names) in rooms(krate) {
            looked += 1;
            let left = LEFT.iter().find(|(known, _)| *known == room).map_or(&[][..], |(_, files)| files);
            let found = circle(&names);
            if found.iter().any(|file| !left.contains(file)) {
                let arrows = found.iter().map(|file| format!("  {file} -> {:?}", names[*file]));
                wrong.push(format!("{room}: {found:?}, known {left:?}\n{}", arrows.collect::<Vec<_>>().join("\n")));
            }
            let out: Vec<&&str> = left.iter().filter(|file| !found.iter().any(|other| other == *file)).collect();
            if !out.is_empty() {
                wrong.push(format!("{room}: {out:?} are in no circle any more: take them off the list"));
            }
        }
    }
    assert!(looked > 20, "{looked} rooms: the reader is broken");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_circle_is_found_by_whatever_way() {
    let source = |module: &[&str], code: &str| Source {
        name: String::new(),
        module: module.iter().map(|&part| part.to_owned()).collect(),
        code: code.to_owned(),
        lines: 1,
    };
    let table = handed_on(&source(&["room"], "mod a; pub use a::{A, inner::B}; pub(crate) use c::C;"));
    let table: Vec<_> = table.iter().map(|(name, module)| format!("{name} of {module}")).collect();
    assert_eq!(table, ["A of a", "B of a", "C of c"]);
    let names = |of: &[(&str, &[&str])]| -> Names {
        of.iter().map(|(file, seen)| ((*file).to_owned(), seen.iter().map(|&other| other.to_owned()).collect())).collect()
    };
    assert_eq!(circle(&names(&[("a", &["b"]), ("b", &["c"]), ("c", &["a"]), ("d", &["a"])])), ["a", "b", "c"]);
    assert!(circle(&names(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])])).is_empty());
}
