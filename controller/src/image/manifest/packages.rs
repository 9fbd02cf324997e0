//! The packages of a tree, by dpkg's own list.

use serde_json::{Value, json};

use super::super::error::ImageError;
use super::super::tree::Tree;

/// Where dpkg keeps what is installed (dpkg(1), FILES).
const STATUS: &str = "var/lib/dpkg/status";

/// The installed packages, in order of their names.
pub(super) fn read(tree: &Tree) -> Result<Value, ImageError> {
    let status = tree.read(STATUS)?.unwrap_or_default();
    Ok(json!({ "v": 1, "packages": installed(&String::from_utf8_lossy(&status)) }))
}

/// Paragraphs of `Field: value` (deb-control(5)); of those the ones whose third word of `Status` is `installed`.
fn installed(status: &str) -> Vec<Value> {
    let mut found: Vec<[String; 3]> = Vec::new();
    for paragraph in status.split("\n\n") {
        let field = |name: &str| {
            let line = paragraph.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.map(|value| value.trim().to_owned()).unwrap_or_default()
        };
        if field("Status").ends_with(" installed") {
            found.push([field("Package"), field("Architecture"), field("Version")]);
        }
    }
    found.sort();
    found
        .into_iter()
        .map(|[name, architecture, version]| json!({ "name": name, "version": version, "architecture": architecture }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_removed_or_half_there_is_not_installed() {
        let paragraph = |name: &str, status: &str| {
            format!(
                "Package: {name}\nStatus: {status}\nPriority: optional\nArchitecture: amd64\nVersion: 1:2.0-1\nDescription: d\n Package: no\n\n"
            )
        };
        let status = [
            paragraph("zsh", "install ok installed"),
            paragraph("gone", "deinstall ok config-files"),
            paragraph("half", "install ok half-installed"),
            paragraph("git", "hold ok installed"),
        ];
        let names: Vec<Value> = installed(&status.concat()).into_iter().map(|package| package["name"].clone()).collect();
        assert_eq!(names, ["git", "zsh"]);
        let one = &installed(&status.concat())[0];
        assert_eq!(*one, json!({ "name": "git", "version": "1:2.0-1", "architecture": "amd64" }));
        assert!(installed("").is_empty());
    }
}
