//! `make bench`: ours beside `ssh host true`, a script, Ansible and pyinfra, by turns, on nodes of the lab. Prints tables; with
//! `--into FILE` they take the place of those between the file's two marks.

mod contestants;
mod git;
mod images;
mod lint;
mod many;
mod registered;
mod scenes;
mod stopwatch;
mod table;
mod workload;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use contestants::Tools;
use scenes::Rounds;

/// What ends the benchmark: shown, never handled.
type Fault = Box<dyn std::error::Error>;

const BEGIN: &str = "<!-- figures: begin -->\n";
const END: &str = "<!-- figures: end -->\n";

/// As many nodes as a controller meets at once in these tables.
const TEN: [&str; 10] = ["n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9", "n10"];

/// What is asked on the command line.
struct Asked {
    rounds: Rounds,
    scenes: Vec<String>,
    into: Option<PathBuf>,
    words: Vec<String>,
    /// How many of an image's four builds.
    builds: usize,
}

fn asked() -> Result<Asked, Fault> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let mut asked =
        Asked { rounds: Rounds { fast: 15, slow: 3, first: 3 }, scenes: Vec::new(), into: None, words: words.clone(), builds: 4 };
    let mut rest = words.into_iter();
    while let Some(word) = rest.next() {
        let mut value = || rest.next().ok_or_else(|| format!("{word} wants a value"));
        match word.as_str() {
            "--fast" => asked.rounds.fast = value()?.parse()?,
            "--slow" => asked.rounds.slow = value()?.parse()?,
            "--first" => asked.rounds.first = value()?.parse()?,
            "--into" => asked.into = Some(value()?.into()),
            "first" | "first-far" | "first-ten" | "one" | "ten" | "registered" | "lint" | "git" | "hybrid" | "packages" | "contents"
            | "four-hundred" | "thousand" | "image-dib" | "image-script" => asked.scenes.push(word),
            "--builds" => asked.builds = value()?.parse()?,
            _ => {
                return Err(format!(
                    "`{word}`: expected --fast N, --slow N, --first N, --into FILE, --builds N, or one of one, ten, registered, first, first-far, first-ten, lint, git, hybrid, packages, contents, four-hundred, thousand, image-dib, image-script"
                )
                .into());
            }
        }
    }
    if asked.scenes.is_empty() {
        asked.scenes = [
            "one",
            "ten",
            "registered",
            "first",
            "first-far",
            "first-ten",
            "git",
            "hybrid",
            "packages",
            "contents",
            "four-hundred",
            "thousand",
        ]
        .map(str::to_owned)
        .to_vec();
    }
    Ok(asked)
}

fn main() -> ExitCode {
    match asked().and_then(|asked| run(&asked)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(asked: &Asked) -> Result<(), Fault> {
    let scratch = tempfile::Builder::new().prefix("bench-").tempdir_in("/var/tmp")?;
    let venv = ostler::environment::Environment::read().cache.join("bench/venv");
    let tools = Tools { ostler: ostler_tests::lab::program(), venv, scratch: scratch.path().to_owned() };
    let mut text = machine(&tools, asked)?;
    for scene in &asked.scenes {
        let _ = writeln!(std::io::stderr(), "bench: {scene}");
        let section = match scene.as_str() {
            "image-dib" => images::scene(&tools, images::Builder::Dib, asked.builds),
            "image-script" => images::scene(&tools, images::Builder::Script, asked.builds),
            "first" => scenes::first(&tools, asked.rounds),
            "first-far" => scenes::first_on(&tools, asked.rounds, &["n1"], Some(Duration::from_millis(20))),
            "first-ten" => scenes::first_on(&tools, asked.rounds, &TEN, None),
            "one" => scenes::noop(&tools, asked.rounds, &["n1"]),
            "ten" => scenes::noop(&tools, asked.rounds, &TEN),
            "lint" => lint::lint(&tools, asked.rounds),
            "registered" => registered::registered(&tools, asked.rounds),
            "hybrid" => scenes::hybrid(&tools, asked.rounds),
            "packages" => scenes::packages(&tools, asked.rounds),
            "contents" => scenes::contents(&tools),
            "four-hundred" => many::four_hundred(&tools, asked.rounds),
            "thousand" => many::thousand(&tools, asked.rounds),
            _ => git::scene(&tools, asked.rounds),
        }?;
        if asked.into.is_some() {
            let _ = writeln!(std::io::stderr(), "{section}");
        }
        text.push_str(&section);
    }
    match &asked.into {
        Some(file) => put(file, &text),
        None => Ok(std::io::stdout().write_all(text.as_bytes())?),
    }
}

/// Replaces what stands between the marks.
fn put(file: &Path, text: &str) -> Result<(), Fault> {
    let page = fs::read_to_string(file)?;
    let (head, rest) = page.split_once(BEGIN).ok_or("the file has no mark for the figures' beginning")?;
    let (_, tail) = rest.split_once(END).ok_or("the file has no mark for the figures' end")?;
    Ok(fs::write(file, format!("{head}{BEGIN}{text}{END}{tail}"))?)
}

/// What was measured, where, when.
fn machine(tools: &Tools, asked: &Asked) -> Result<String, Fault> {
    let said = |program: &str, arguments: &[&str]| -> Result<String, Fault> {
        let output = Command::new(program).args(arguments).output()?;
        let text = [output.stdout, output.stderr].concat();
        Ok(String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned())
    };
    // The scenes of many nodes need neither.
    let tool = |name: &str| {
        said(&tools.venv.join("bin").join(name).display().to_string(), &["--version"]).unwrap_or_else(|_| format!("no {name}"))
    };
    let cpu = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("unknown", |(_, name)| name);
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let load = fs::read_to_string("/proc/loadavg")?;
    let load: Vec<&str> = load.split(' ').take(3).collect();
    Ok(format!(
        "- Command: `make bench{}`, {}\n- Machine: {cores} x {model}, {}; load average at the start {}\n- Against: {}; {}; {}\n\n",
        if asked.words.is_empty() { String::new() } else { format!(" BENCH='{}'", asked.words.join(" ")) },
        said("date", &["--utc", "+%Y-%m-%d %H:%M UTC"])?,
        said("uname", &["-sr"])?,
        load.join(" "),
        said("ssh", &["-V"])?,
        tool("ansible"),
        tool("pyinfra"),
    ))
}
