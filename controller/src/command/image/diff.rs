//! `ostler image diff`.

use super::builds::{Images, Picked};
use crate::cli::ImageDiffArgs;
use crate::command::{CommandError, Context};
use crate::image::difference::{Change, Difference, FileChange, How, Manifests};
use crate::image::manifest::{FILES, PACKAGES, PROVENANCE, REPOSITORIES};
use crate::report::{Exit, Paint, sanitize};
use ostler_roles::words::Bytes;
use serde_json::json;

/// How much of each kind is shown without `-v`.
const SHOWN: usize = 20;

/// Shows what is not the same in two builds.
pub fn run(context: &Context, args: &ImageDiffArgs) -> Result<Exit, CommandError> {
    let images = Images::open(context, &args.builds)?;
    let (from, to) = (images.pick(&args.from)?, images.pick(&args.to)?);
    let found = Difference::between(&manifests(&from)?, &manifests(&to)?);
    let mut json = json!({ "v": 1, "type": "image_diff", "from": from.word(), "to": to.word(), "same": found.is_same() });
    if let (Some(members), Ok(serde_json::Value::Object(lists))) = (json.as_object_mut(), serde_json::to_value(&found)) {
        members.extend(lists);
    }
    context.printer.json(&json);
    Show { context, from: &from, to: &to }.all(&found);
    Ok(Exit::Good)
}

fn manifests(picked: &Picked) -> Result<Manifests, CommandError> {
    Ok(Manifests {
        provenance: picked.manifest(PROVENANCE)?,
        packages: picked.manifest(PACKAGES)?,
        files: picked.manifest(FILES)?,
        repositories: picked.manifest(REPOSITORIES)?,
    })
}

struct Show<'a> {
    context: &'a Context,
    from: &'a Picked,
    to: &'a Picked,
}

impl Show<'_> {
    fn all(&self, found: &Difference) {
        let printer = &self.context.printer;
        let (from, to) = (self.from.word(), self.to.word());
        printer.line(&format!("{from} -> {to}"));
        let layers = found
            .layers
            .as_ref()
            .map(|layers| layers.iter().map(|one| format!("    layer {}: {}", one.layer, one.why.join(", "))).collect::<Vec<_>>());
        let origins = found.provenance.as_ref().map(|list| list.iter().map(change).chain(layers.unwrap_or_default()).collect());
        self.section("where they come from", origins);
        self.section("packages", found.packages.as_ref().map(|list| list.iter().map(change).collect()));
        self.section("files", found.files.as_ref().map(|list| list.iter().map(file).collect()));
        self.section("repositories", found.repositories.as_ref().map(|list| list.iter().map(change).collect()));
        if found.is_same() {
            printer.say(Paint::Good, &format!("{from} and {to} hold the same packages, files and repositories."));
        } else {
            printer.say(Paint::Strong, &format!("{from} and {to} are not the same."));
        }
    }

    /// A kind of difference, unless there is none.
    fn section(&self, title: &str, lines: Option<Vec<String>>) {
        let printer = &self.context.printer;
        let Some(lines) = lines else {
            printer.line(&format!("  {title}: not known, one of them has no such manifest"));
            return;
        };
        if lines.is_empty() {
            return;
        }
        printer.line(&format!("  {title}: {}", lines.len()));
        let shown = if printer.verbose > 0 { lines.len() } else { SHOWN };
        for line in lines.iter().take(shown) {
            printer.lines(&printer.style.paragraph(&sanitize(line, false), 8));
        }
        if lines.len() > shown {
            printer.line(&format!("    and {} more: -v shows all", lines.len() - shown));
        }
    }
}

fn change(one: &Change) -> String {
    let short = |text: &String| {
        let is_digest = matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        text.get(..12).filter(|_| is_digest).map_or_else(|| text.clone(), str::to_owned)
    };
    match (&one.from, &one.to) {
        (None, Some(to)) => format!("    + {} {}", one.what, short(to)),
        (Some(from), None) => format!("    - {} {}", one.what, short(from)),
        (from, to) => {
            let word = |side: &Option<String>| side.as_ref().map(short).unwrap_or_default();
            format!("    ~ {} {} -> {}", one.what, word(from), word(to))
        }
    }
}

fn file(one: &FileChange) -> String {
    match one.how {
        How::Added => format!("    + {}", one.path),
        How::Removed => format!("    - {}", one.path),
        How::Changed => {
            let told: Vec<String> = one.differs.iter().filter_map(|differs| of_file(one, differs)).collect();
            format!("    ~ {}: {}", one.path, told.join(", "))
        }
    }
}

/// In what a file differs; its size is told with its content.
fn of_file(file: &FileChange, differs: &Change) -> Option<String> {
    let word = |side: &Option<String>| side.clone().unwrap_or_else(|| "none".to_owned());
    if differs.what == "size" {
        return None;
    }
    if differs.what != "sha256" {
        return Some(format!("{} {} -> {}", differs.what, word(&differs.from), word(&differs.to)));
    }
    let bytes = |side: &Option<String>| {
        side.as_ref().and_then(|text| text.parse().ok()).map_or_else(|| "none".to_owned(), |bytes| Bytes(bytes).to_string())
    };
    let size = file.differs.iter().find(|one| one.what == "size");
    Some(size.map_or_else(|| "content".to_owned(), |size| format!("content ({} -> {})", bytes(&size.from), bytes(&size.to))))
}
