//! A base from packages, by mmdebstrap. What the archives offer is part of its key: one conditional request each tells whether it is the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use ostler_roles::words::Digest;
use rustix::fs::FlockOperation;

use super::super::error::ImageError;
use super::super::layers::{HalfLayer, Layer, LayerAbout, Store, fault};
use super::super::tools;
use crate::environment::Environment;
use crate::lab::LabError;
use crate::lab::child;
use crate::lab::sources::Sources;

/// What it has beside the essential packages and apt; the rest is the roles' business.
const PACKAGES: &[&str] = &["ca-certificates", "dbus", "systemd-sysv", "udev"];

/// How it is made. The lists stay: they are of the state that the key names, and no step has to fetch them again. What was fetched before lies
/// among apt's archives already, and what is fetched now stays there for the last hook.
const OPTIONS: &[&str] = &[
    "--mode=root",
    "--variant=minbase",
    "--dpkgopt=force-unsafe-io",
    "--aptopt=Apt::Install-Recommends \"false\"",
    "--aptopt=APT::Sandbox::User \"root\"",
    "--skip=check/empty,download/empty,essential/unlink,cleanup/apt/lists,cleanup/apt/cache",
];

/// Brings packages that were fetched before; then keeps new ones, and takes away what is of this machine or of the making: its resolver and name,
/// apt's settings for mmdebstrap.
const BRING: &str = include_str!("bring.sh");
const FINISH: &str = include_str!("finish.sh");

/// How long the archives may take to say what they offer.
const HEAD_LIMIT: Duration = Duration::from_secs(120);

/// The lines of sources.list that a base is made from.
pub(super) fn lines(suite: &str, mirrors: &[String], components: &[String], environment: &Environment) -> Result<Vec<String>, ImageError> {
    let word =
        |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-._+/".contains(c)) && !word.starts_with('-');
    if let Some(wrong) = std::iter::once(suite).chain(components.iter().map(String::as_str)).find(|part| !word(part)) {
        return Err(ImageError::refused(
            format!("{wrong:?} is no name of a suite or component"),
            "write it as sources.list does, such as `bookworm`",
        ));
    }
    let own = if mirrors.is_empty() { vec![Sources::of_this_machine(environment)?.mirror] } else { mirrors.to_vec() };
    let components = if components.is_empty() { "main".to_owned() } else { components.join(" ") };
    let line = |mirror: &String| match mirror.split_once(char::is_whitespace) {
        _ if mirror.contains(char::is_control) => None,
        Some((kind, _)) => (kind == "deb").then(|| mirror.clone()),
        None => mirror.contains(":/").then(|| format!("deb {} {suite} {components}", mirror.trim_end_matches('/'))),
    };
    own.iter()
        .map(|mirror| {
            line(mirror).ok_or_else(|| {
                ImageError::refused(
                    format!("{mirror:?} is no mirror"),
                    "give an address (`http://…`) or a line of sources.list (`deb http://… suite main`)",
                )
            })
        })
        .collect()
}

/// Returns the layer, making it where it is missing.
pub(super) fn ensure(
    store: &Store,
    suite: &str,
    lines: &[String],
    locked: Option<Digest>,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Layer, ImageError> {
    let (key, about) = wanted(store, suite, lines, locked, progress)?;
    store.ensure(&key, &about, |half| build(store, suite, lines, half, progress))
}

/// By which digest the layer is found, and what it is made of. Where that is fixed and the layer is there, nobody is asked.
pub(super) fn wanted(
    store: &Store,
    suite: &str,
    lines: &[String],
    locked: Option<Digest>,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<(Digest, LayerAbout), ImageError> {
    let of = |head: Digest| {
        let inputs = ingredients(suite, lines, head);
        (Digest::of_value(&inputs), LayerAbout { name: format!("base {suite}"), parent: None, inputs })
    };
    if let Some(fixed) = locked.map(of).filter(|(key, _)| store.get(key).is_some()) {
        return Ok(fixed);
    }
    progress(&format!("asking what {} offers", archives(lines).join(", ")));
    let head = head(store, lines)?;
    if let Some(locked) = locked.filter(|locked| *locked != head) {
        let what = format!("the archives of {suite} are not as they were locked: {} now, {} then", head.short(), locked.short());
        return Err(ImageError::refused(what, "name a snapshot of the archive as its mirror, or lock anew: ostler lock"));
    }
    Ok(of(head))
}

/// Everything that goes into it, by name.
fn ingredients(suite: &str, lines: &[String], head: Digest) -> BTreeMap<String, String> {
    let recipe = Digest::of([OPTIONS.join("\n").as_str(), BRING, FINISH].join("\n").as_bytes());
    let named = [
        ("kind", "debootstrap".to_owned()),
        ("suite", suite.to_owned()),
        ("sources", lines.join("\n")),
        ("architecture", std::env::consts::ARCH.to_owned()),
        ("packages", PACKAGES.join(",")),
        ("recipe", recipe.to_string()),
        ("head", head.to_string()),
    ];
    named.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The archives' addresses, for people: without what a password may be in.
fn archives(lines: &[String]) -> Vec<String> {
    let address = |line: &String| line.split_whitespace().find(|word| word.contains(":/")).map(str::to_owned);
    lines.iter().filter_map(address).map(|address| crate::lab::sources::authority(&address).unwrap_or(address)).collect()
}

/// Waits for whoever asks the same archives; given back when the file is closed.
fn turn(path: &Path) -> Result<fs::File, ImageError> {
    let open = fs::OpenOptions::new().write(true).create(true).truncate(false).open(path);
    let file = open.map_err(|error| fault("create", path, error))?;
    let end = Instant::now() + HEAD_LIMIT;
    while let Err(error) = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        if error != rustix::io::Errno::WOULDBLOCK {
            return Err(ImageError::file("lock", path)(error.into()));
        }
        if Instant::now() >= end {
            return Err(ImageError::Deadline { what: "another build's question to the archives".to_owned(), after: HEAD_LIMIT });
        }
        std::thread::sleep(LOOK);
    }
    Ok(file)
}

/// How often it is looked whether another build has asked.
const LOOK: Duration = Duration::from_millis(50);

/// Asks the archives, by this machine's apt as it is configured, what they offer: the digest of their signed indices. apt keeps them, and asks
/// whether they have changed.
fn head(store: &Store, lines: &[String]) -> Result<Digest, ImageError> {
    let dir = store.dir().join("heads").join(Digest::of(lines.join("\n").as_bytes()).short());
    let (lists, list) = (dir.join("lists"), dir.join("sources.list"));
    let partial = lists.join("partial");
    fs::create_dir_all(&partial).map_err(|error| fault("create directory", &partial, error))?;
    // One asks; who waited asks again, which costs a word.
    let _turn = turn(&dir.join("lock"))?;
    crate::private::write(&list, (lines.join("\n") + "\n").as_bytes(), crate::private::Durable::No)
        .map_err(|error| fault("write", &list, error))?;
    // It ends with us, however that is: whoever asks next would find its lock held.
    let mut command = tools::program("apt-get", "apt")?;
    for (key, value) in [
        ("Dir::Etc::SourceList", list.display().to_string()),
        ("Dir::Etc::SourceParts", "/dev/null".to_owned()),
        ("Dir::State::Lists", lists.display().to_string()),
        ("Dir::Cache", dir.join("cache").display().to_string()),
        ("APT::Sandbox::User", "root".to_owned()),
        // Nothing but the signed index: what it says is the digests of all else.
        ("Acquire::IndexTargets::deb::Packages::DefaultEnabled", "false".to_owned()),
        ("Acquire::Languages", "none".to_owned()),
        ("Acquire::Retries", "2".to_owned()),
        ("APT::Update::Error-Mode", "any".to_owned()),
    ] {
        command.arg("-o").arg(format!("{key}={value}"));
    }
    command.arg("update");
    child::run_within(&mut command, HEAD_LIMIT).map_err(|error| unreachable(error, lines))?;
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(&lists).map_err(ImageError::file("read directory", &lists))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with("InRelease") || name.ends_with("Release") {
            let bytes = fs::read(entry.path()).map_err(ImageError::file("read", &entry.path()))?;
            found.insert(name, Digest::of(&bytes).to_string());
        }
    }
    if found.is_empty() {
        return Err(ImageError::refused(
            format!("{} offers nothing for this suite", archives(lines).join(", ")),
            "look at the suite's name and the mirror",
        ));
    }
    Ok(Digest::of_value(&found))
}

/// The words of whoever fetched, and what to do.
fn unreachable(error: LabError, lines: &[String]) -> ImageError {
    match error {
        LabError::Command { output, .. } => ImageError::refused(
            format!("the archives of the base cannot be read: {output}"),
            format!("try `curl -I` on {}; `mirrors` in the image's base names another one", archives(lines).join(", ")),
        ),
        error => error.into(),
    }
}

/// Puts it together in a half layer.
fn build(store: &Store, suite: &str, lines: &[String], half: &HalfLayer, progress: &(dyn Fn(&str) + Sync)) -> Result<(), ImageError> {
    let packages = store.packages();
    let mut command = Command::new("mmdebstrap");
    // Whoever calls us may have no `sbin` in its own.
    command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command.args(OPTIONS).arg(format!("--include={}", PACKAGES.join(","))).env("LC_ALL", "C.UTF-8");
    for (hook, script) in [("setup", BRING), ("customize", FINISH)] {
        // On one line: a file of it would have to be removed, and mmdebstrap looks whether it is one.
        command.arg(format!("--{hook}-hook=PACKAGES={}; {}", quoted(&packages), script.trim().replace('\n', "; ")));
    }
    command.arg(suite).arg(half.upper());
    command.args(lines);
    child::follow(&command, progress).map_err(|error| match error {
        LabError::Start { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            ImageError::MissingProgram { program: "setpriv", package: "util-linux" }
        }
        LabError::Command { output, .. }
            if output.contains("mmdebstrap: No such file") || output.contains("mmdebstrap failed: No such file") =>
        {
            ImageError::MissingProgram { program: "mmdebstrap", package: "mmdebstrap" }
        }
        LabError::Command { status, output, .. } => {
            ImageError::Lab(LabError::Command { command: format!("mmdebstrap {suite}"), status, output })
        }
        error => error.into(),
    })
}

/// A path as a shell reads it back.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_whole_lines_are_mirrors_and_nothing_else_is() {
        let lines = |mirrors: &[&str], components: &[&str]| {
            let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
            lines("bookworm", &owned(mirrors), &owned(components), &Environment::default())
        };
        let whole = "deb [signed-by=/k] http://b.example/debian bookworm-updates main";
        assert_eq!(lines(&["http://a.example/debian/", whole], &[]).unwrap(), ["deb http://a.example/debian bookworm main", whole]);
        assert_eq!(lines(&["http://a.example/d"], &["main", "contrib"]).unwrap(), ["deb http://a.example/d bookworm main contrib"]);
        for (mirror, component) in
            [("a.example", "main"), ("rm -rf /", "main"), ("http://a.example/d\n", "main"), ("http://a.example/d", "-x")]
        {
            assert!(matches!(lines(&[mirror], &[component]), Err(ImageError::Refused { .. })), "{mirror} {component}");
        }
    }

    #[test]
    fn every_ingredient_changes_the_key_and_no_password_is_shown() {
        let lines = vec!["deb http://me:pw@a.example/debian bookworm main".to_owned()];
        let plain = ingredients("bookworm", &lines, Digest::of(b"1"));
        assert_ne!(plain, ingredients("trixie", &lines, Digest::of(b"1")));
        assert_ne!(plain, ingredients("bookworm", &[], Digest::of(b"1")));
        assert_ne!(plain, ingredients("bookworm", &lines, Digest::of(b"2")));
        assert_eq!(archives(&lines), ["a.example"]);
    }
}
