//! The sources of the house as text: what is tracked, what of it is production code, which rooms it names.

#![expect(clippy::expect_used, reason = "test support: ground that gives way must stop the test at once")]

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspace's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ has a parent").to_owned()
}

/// Every file that git tracks or would track, from the workspace's root; outside a git checkout, every file but build output.
pub fn tracked() -> Vec<String> {
    let listed = Command::new("git").args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root()).output();
    let mut names: Vec<String> = match listed {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect()
        }
        _ => walk(&root()),
    };
    names.retain(|name| root().join(name).is_file());
    names.sort();
    names.dedup();
    names
}

fn walk(top: &Path) -> Vec<String> {
    let mut names = Vec::new();
    let mut left = vec![top.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(&directory).expect("a directory of the workspace").flatten() {
            let path = entry.path();
            match entry.file_name().to_str() {
                Some("target" | ".git") => {}
                _ if path.is_dir() => left.push(path),
                _ => names.push(path.strip_prefix(top).expect("below the top").to_string_lossy().into_owned()),
            }
        }
    }
    names
}

/// One Rust source file.
#[derive(Debug)]
pub struct Source {
    /// From the workspace's root.
    pub name: String,
    /// The modules it stands in: `["session", "escalate"]`; empty for the crate's root.
    pub module: Vec<String>,
    /// The text with comments, strings and `#[cfg(test)]` items blanked out; lines are kept.
    pub code: String,
    /// Lines outside `#[cfg(test)]` items.
    pub lines: usize,
}

/// The production code of a crate (`agent`, `controller`, `roles`, `tests`): what lies in its `src`, without test modules.
pub fn production(krate: &str) -> Vec<Source> {
    let prefix = format!("{krate}/src/");
    let names: Vec<String> = tracked().into_iter().filter(|name| name.starts_with(&prefix) && name.ends_with(".rs")).collect();
    let mut tests = BTreeSet::new();
    let mut sources = Vec::new();
    for name in names {
        let text = std::fs::read_to_string(root().join(&name)).unwrap_or_else(|error| panic!("read {name}: {error}"));
        let module = module_of(name.trim_start_matches(&prefix));
        let blank = blanked(&text);
        let spans = test_items(&blank);
        for span in &spans {
            if let Some(module_name) = declared_module(&blank[span.clone()]) {
                let mut path = module.clone();
                path.push(module_name);
                tests.insert(path);
            }
        }
        let mut code = blank.into_bytes();
        let mut test_lines = 0;
        for span in spans {
            test_lines += code[span.clone()].iter().filter(|byte| **byte == b'\n').count() + 1;
            code[span].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
        }
        let code = String::from_utf8(code).expect("blanked by whole characters");
        sources.push(Source { name, module, code, lines: text.lines().count().saturating_sub(test_lines) });
    }
    sources.retain(|source| !(1..=source.module.len()).any(|depth| tests.contains(&source.module[..depth])));
    sources
}

fn module_of(path: &str) -> Vec<String> {
    let mut parts: Vec<String> = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if matches!(parts.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        parts.pop();
    }
    parts
}

/// The text with comments, strings and character literals replaced by spaces.
pub fn blanked(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes.get(at + 1) == Some(&b'/') => text[at..].find('\n').map_or(bytes.len(), |length| at + length),
            b'/' if bytes.get(at + 1) == Some(&b'*') => text[at..].find("*/").map_or(bytes.len(), |length| at + length + 2),
            b'"' => string_end(bytes, at),
            b'r' if !joined(bytes, at) && raw_hashes(bytes, at).is_some() => {
                let hashes = raw_hashes(bytes, at).unwrap_or_default();
                let close = format!("\"{}", "#".repeat(hashes));
                let from = at + hashes + 2;
                text[from..].find(&close).map_or(bytes.len(), |length| from + length + close.len())
            }
            b'\'' => character_end(text, at),
            _ => at + 1,
        };
        if end > at + 1 {
            out[at..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
        }
        at = end;
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn joined(bytes: &[u8], at: usize) -> bool {
    at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_') && bytes[at - 1] != b'b'
}

fn raw_hashes(bytes: &[u8], at: usize) -> Option<usize> {
    let hashes = bytes[at + 1..].iter().take_while(|byte| **byte == b'#').count();
    (bytes.get(at + 1 + hashes) == Some(&b'"')).then_some(hashes)
}

fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while end < bytes.len() && bytes[end] != b'"' {
        end += if bytes[end] == b'\\' { 2 } else { 1 };
    }
    (end + 1).min(bytes.len())
}

/// The end of a character literal, or the next byte when the quote begins a lifetime.
fn character_end(text: &str, at: usize) -> usize {
    let mut rest = text[at + 1..].char_indices();
    match rest.next() {
        Some((_, '\\')) => text[at + 3..].find('\'').map_or(at + 1, |length| at + 3 + length + 1),
        Some((_, _)) => match rest.next() {
            Some((offset, '\'')) => at + 1 + offset + 1,
            _ => at + 1,
        },
        None => at + 1,
    }
}

/// Where `#[cfg(test)]` items stand, attribute included.
fn test_items(code: &str) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    let mut from = 0;
    while let Some(found) = code[from..].find("#[cfg(test)]") {
        let begin = from + found;
        let end = item_end(code, begin + "#[cfg(test)]".len());
        spans.push(begin..end);
        from = end;
    }
    spans
}

/// The end of the item that begins here: its `;`, or the brace that closes its first one.
fn item_end(code: &str, from: usize) -> usize {
    match code[from..].find(['{', ';']) {
        Some(offset) if code.as_bytes()[from + offset] == b'{' => closing(code, from + offset),
        Some(offset) => from + offset + 1,
        None => code.len(),
    }
}

/// Just behind the brace that closes the one at `open`.
fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, byte) in code.as_bytes()[open..].iter().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return open + offset + 1;
        }
    }
    code.len()
}

/// `NAME` of an item that is `mod NAME;`.
fn declared_module(item: &str) -> Option<String> {
    let (_, rest) = item.rsplit_once("mod ")?;
    rest.trim().strip_suffix(';').map(str::to_owned)
}

/// Every function of the code with the number of its lines, signature included.
pub fn functions(code: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        if joined(code.as_bytes(), at) {
            continue;
        }
        let name: String = code[at + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let Some(open) = body(code, at) else { continue };
        if !name.is_empty() {
            found.push((name, code[at..closing(code, open)].matches('\n').count() + 1));
        }
    }
    found
}

/// The brace that opens the body of the function at `at`; nothing for one without a body.
fn body(code: &str, at: usize) -> Option<usize> {
    let mut depth = 0_i32;
    for (offset, byte) in code.as_bytes()[at..].iter().enumerate() {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b'{' if depth == 0 => return Some(at + offset),
            b';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// Full paths inside the crate that the code names by `crate::` or `super::`, cut at `depth` segments.
pub fn named(source: &Source) -> BTreeSet<Vec<String>> {
    let mut paths = BTreeSet::new();
    let bytes = source.code.as_bytes();
    for word in ["crate::", "super::"] {
        for (at, _) in source.code.match_indices(word) {
            if joined(bytes, at) || source.code[..at].ends_with("super::") {
                continue;
            }
            let mut base = if word == "crate::" { Vec::new() } else { parent(&source.module) };
            let mut rest = &source.code[at + word.len()..];
            while let Some(after) = rest.strip_prefix("super::") {
                base = parent(&base);
                rest = after;
            }
            collect(&base, rest, &mut paths);
        }
    }
    paths
}

/// What a table of contents hands on from the modules below it: name -> module.
pub fn handed_on(source: &Source) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for (at, word) in source.code.match_indices("use ") {
        if joined(source.code.as_bytes(), at) {
            continue;
        }
        let mut paths = BTreeSet::new();
        let item = source.code[at + word.len()..].split(';').next().unwrap_or_default();
        collect(&[], item.strip_prefix("self::").unwrap_or(item), &mut paths);
        for path in paths {
            if let [module, .., name] = &path[..] {
                names.insert(name.clone(), module.clone());
            }
        }
    }
    names
}

fn parent(module: &[String]) -> Vec<String> {
    module[..module.len().saturating_sub(1)].to_vec()
}

/// Follows `a::b::{c, d::e}` and notes each full path.
fn collect(base: &[String], rest: &str, paths: &mut BTreeSet<Vec<String>>) {
    let mut path = base.to_vec();
    let mut rest = rest;
    loop {
        if let Some(group) = rest.strip_prefix('{') {
            for part in members(group) {
                collect(&path, part.trim_start(), paths);
            }
            return;
        }
        let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        if length == 0 {
            break;
        }
        path.push(rest[..length].to_owned());
        match rest[length..].strip_prefix("::") {
            Some(after) => rest = after,
            None => break,
        }
    }
    paths.insert(path);
}

/// The members of a `{...}` group whose opening brace is gone.
fn members(group: &str) -> Vec<&str> {
    let (mut depth, mut begin, mut parts) = (0_usize, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                parts.push(&group[begin..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&group[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(module: &[&str], code: &str) -> Source {
        Source { name: String::new(), module: module.iter().map(|&part| part.to_owned()).collect(), code: blanked(code), lines: 0 }
    }

    fn joined_paths(source: &Source) -> Vec<String> {
        named(source).into_iter().map(|path| path.join("::")).collect()
    }

    #[test]
    fn comments_strings_and_quotes_hide_nothing_else() {
        let code = blanked("let a = \"crate::x\"; // crate::y\nlet b: &'static str = r#\"crate::\"z\"#; let c = '\"'; crate::seen::f()");
        assert_eq!(joined_paths(&source(&["m"], "let a = \"crate::x\";")), Vec::<String>::new());
        assert_eq!(code.matches("crate::").count(), 1, "{code}");
        assert_eq!(code.lines().count(), 2);
    }

    #[test]
    fn groups_and_parents_are_followed() {
        let seen = joined_paths(&source(&["a", "b"], "use crate::{x::{y, z}, w}; use super::c; use super::super::d::e;"));
        assert_eq!(seen, ["a::c", "d::e", "w", "x::y", "x::z"]);
    }

    #[test]
    fn a_function_is_measured_to_its_closing_brace() {
        let code = "trait T { fn none(); }\nfn two(a: [u8; 4]) -> [u8; 4] {\n a }\nfn one() {}\n";
        assert_eq!(functions(code), [("two".to_owned(), 2), ("one".to_owned(), 1)]);
    }

    #[test]
    fn test_modules_are_no_production_code() {
        let code = "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() {}\n}\n#[cfg(test)]\nmod cases;\n";
        let spans = test_items(code);
        assert_eq!(spans.len(), 2);
        assert_eq!(declared_module(&code[spans[1].clone()]), Some("cases".to_owned()));
        assert_eq!(declared_module(&code[spans[0].clone()]), None);
    }
}
