//! `ostler image ls` and `show`.

use super::builds::{Images, Picked};
use crate::cli::{ImageLsArgs, ImageShowArgs};
use crate::command::{CommandError, Context};
use crate::image::manifest::{FILES, PACKAGES, PROVENANCE, REPOSITORIES};
use crate::report::{Exit, Paint, sanitize};
use ostler_roles::words::{Bytes, count, date};
use serde_json::Value;

/// Lists builds, the newest first.
pub fn ls(context: &Context, args: &ImageLsArgs) -> Result<Exit, CommandError> {
    let (images, printer) = (Images::open(context, &args.builds)?, &context.printer);
    let names: Vec<String> = match &args.name {
        Some(name) => {
            images.known(name)?;
            vec![name.clone()]
        }
        None => images.names().into_iter().collect(),
    };
    if names.is_empty() {
        printer.aside("The site has no image: ostler explain image");
    }
    for name in names {
        let summary = images.summary(&name).unwrap_or("not in the site any more");
        printer.lines(&printer.style.paragraph(&format!("{name}  {}", sanitize(summary, false)), 6));
        let builds = images.builds(&name)?;
        let rows: Vec<[String; 5]> = builds.iter().rev().map(row).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        for [word, made, size, formats, state] in &rows {
            let line = format!("  {word:<0$}  {made:<1$}  {size:>2$}  {formats:<3$}  {state}", width(0), width(1), width(2), width(3));
            printer.lines(&printer.style.paragraph(line.trim_end(), 6));
        }
        builds.iter().rev().for_each(|build| printer.json(&build.json()));
        if rows.is_empty() {
            printer.line(&format!("  no build: ostler image build {name}"));
        }
    }
    Ok(Exit::Good)
}

/// A build in columns.
fn row(picked: &Picked) -> [String; 5] {
    let bytes = picked.files().iter().map(|(_, bytes)| bytes).sum();
    let state: Vec<&str> =
        [(picked.is_current, "current"), (picked.build.held, "held")].iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect();
    [
        picked.word(),
        picked.made().map_or_else(|| "-".to_owned(), date),
        Bytes(bytes).to_string(),
        picked.build.formats.join(","),
        state.join(", "),
    ]
}

/// Shows a build.
pub fn show(context: &Context, args: &ImageShowArgs) -> Result<Exit, CommandError> {
    let picked = Images::open(context, &args.builds)?.pick(&args.build)?;
    let about = picked.manifest(PROVENANCE)?.unwrap_or_default();
    let count_of = |which: &str| -> Result<Option<usize>, CommandError> {
        Ok(picked.manifest(which)?.and_then(|manifest| Some(manifest[which].as_array()?.len())))
    };
    let counts = [(PACKAGES, count_of(PACKAGES)?), (FILES, count_of(FILES)?), (REPOSITORIES, count_of(REPOSITORIES)?)];
    let mut json = picked.json();
    for (name, number) in counts {
        json[format!("{name}_count")] = number.into();
    }
    json["provenance"] = about.clone();
    context.printer.json(&json);
    human(context, &picked, &about, &counts);
    Ok(Exit::Good)
}

fn human(context: &Context, picked: &Picked, about: &Value, counts: &[(&str, Option<usize>)]) {
    let printer = &context.printer;
    let line = |indent: usize, text: &str| {
        printer.lines(&printer.style.paragraph(&sanitize(&format!("{}{text}", " ".repeat(indent)), false), indent + 4))
    };
    let state = match (picked.is_current, picked.build.held) {
        (true, true) => " (current, held)",
        (true, false) => " (current)",
        (false, true) => " (held)",
        (false, false) => "",
    };
    printer.line(&printer.style.paint(Paint::Strong, &format!("{}{state}", picked.word())));
    let text = |name: &str| about[name].as_str().map(str::to_owned);
    let told = [
        ("made", picked.made().map(|made| format!("{} by {}", date(made), text("by").unwrap_or_default()))),
        ("site", text("site").or_else(|| about.is_object().then(|| "in no repository".to_owned()))),
        (
            "system",
            text("system").map(|system| {
                format!("{system}, kernel {}", text("kernel").filter(|kernel| !kernel.is_empty()).unwrap_or_else(|| "none".to_owned()))
            }),
        ),
        ("catalog", text("catalog")),
        ("content", text("content")),
    ];
    for (name, value) in told.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
        line(2, &format!("{name:<8} {value}"));
    }
    let list = |name: &str| about[name].as_array().cloned().unwrap_or_default();
    let layers = list("layers");
    if !layers.is_empty() {
        line(2, "layers, lowest first:");
    }
    for layer in layers {
        let key = layer["key"].as_str().and_then(|key| key.get(..12)).unwrap_or_default();
        let size = Bytes(layer["bytes"].as_u64().unwrap_or_default()).to_string();
        line(4, &format!("{key}  {size:>9}  {}", layer["name"].as_str().unwrap_or_default()));
    }
    let left = list("left_out");
    if !left.is_empty() {
        line(2, "left to the machines that are made of it:");
    }
    for one in left {
        let word = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
        line(4, &format!("{} ({}): {}", word("what"), word("role"), word("why")));
    }
    let word = |name: &str, number: usize| match name {
        PACKAGES => count(number, "package"),
        FILES => count(number, "file"),
        _ if number == 1 => "1 repository".to_owned(),
        _ => format!("{number} repositories"),
    };
    let known: Vec<String> = counts.iter().filter_map(|(name, number)| Some(word(name, (*number)?))).collect();
    if !known.is_empty() {
        line(
            2,
            &format!(
                "in it: {}, listed in {}",
                known.join(", "),
                picked.dir.join(format!("{}-{}.d", picked.image, picked.build.number)).display()
            ),
        );
    }
    line(2, "files:");
    for (path, bytes) in picked.files() {
        line(4, &format!("{} ({})", path.display(), Bytes(bytes)));
    }
}
