//! What is not the same in two builds, and why.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::stack;

/// The manifests of one build; none where it has none of that name.
#[derive(Debug, Clone, Default)]
pub struct Manifests {
    /// Where it comes from.
    pub provenance: Option<Value>,
    /// Its packages.
    pub packages: Option<Value>,
    /// Its files.
    pub files: Option<Value>,
    /// Its repositories.
    pub repositories: Option<Value>,
}

/// One thing that is not the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What.
    pub what: String,
    /// What it was; none: it was not there.
    pub from: Option<String>,
    /// What it is; none: it is not there.
    pub to: Option<String>,
}

/// A layer that is not the same, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LayerChange {
    /// Its name.
    pub layer: String,
    /// Why.
    pub why: Vec<String>,
}

/// A file that is not the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileChange {
    /// Its path.
    pub path: String,
    /// Whether it is only in the one, only in the other, or in both.
    pub how: How,
    /// Of one that is in both: in what it differs.
    pub differs: Vec<Change>,
}

/// In which of two builds something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// In the second alone.
    Added,
    /// In the first alone.
    Removed,
    /// In both.
    Changed,
}

/// What is not the same; a list is none where one of the builds lacks the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Where they come from.
    pub provenance: Option<Vec<Change>>,
    /// Their layers, lowest first.
    pub layers: Option<Vec<LayerChange>>,
    /// Packages, by `name:architecture`.
    pub packages: Option<Vec<Change>>,
    /// Files.
    pub files: Option<Vec<FileChange>>,
    /// Heads of repositories, by `path reference`.
    pub repositories: Option<Vec<Change>>,
}

impl Difference {
    /// Holds one build against another.
    pub fn between(from: &Manifests, to: &Manifests) -> Self {
        fn both<T>(from: Option<&Value>, to: Option<&Value>, compare: impl Fn(&Value, &Value) -> T) -> Option<T> {
            Some(compare(from?, to?))
        }
        Self {
            provenance: both(from.provenance.as_ref(), to.provenance.as_ref(), |from, to| changes(&origins(from), &origins(to))),
            layers: both(from.provenance.as_ref(), to.provenance.as_ref(), layers),
            packages: both(from.packages.as_ref(), to.packages.as_ref(), |from, to| changes(&packages(from), &packages(to))),
            files: both(from.files.as_ref(), to.files.as_ref(), files),
            repositories: both(from.repositories.as_ref(), to.repositories.as_ref(), |from, to| changes(&heads(from), &heads(to))),
        }
    }

    /// Whether all that was compared is the same in what the images hold: where they come from may differ.
    pub fn is_same(&self) -> bool {
        fn none<T>(list: Option<&Vec<T>>) -> bool {
            list.is_some_and(Vec::is_empty)
        }
        none(self.packages.as_ref()) && none(self.files.as_ref()) && none(self.repositories.as_ref())
    }
}

/// A value as text.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn list<'v>(manifest: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    manifest[name].as_array().into_iter().flatten()
}

/// What is not the same in two maps, in order.
fn changes(from: &BTreeMap<String, String>, to: &BTreeMap<String, String>) -> Vec<Change> {
    let names: std::collections::BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    names
        .into_iter()
        .filter(|name| from.get(*name) != to.get(*name))
        .map(|name| Change { what: name.clone(), from: from.get(name).cloned(), to: to.get(name).cloned() })
        .collect()
}

/// Where a build comes from, without what differs in any two of them.
fn origins(provenance: &Value) -> BTreeMap<String, String> {
    let told = ["site", "catalog", "system", "kernel", "by"].into_iter().filter(|name| !provenance[name].is_null());
    let left =
        list(provenance, "left_out").map(|one| (format!("left out: {} ({})", text(&one["what"]), text(&one["role"])), text(&one["why"])));
    told.map(|name| (name.to_owned(), text(&provenance[name]))).chain(left).collect()
}

fn packages(manifest: &Value) -> BTreeMap<String, String> {
    let one = |package: &Value| (format!("{}:{}", text(&package["name"]), text(&package["architecture"])), text(&package["version"]));
    list(manifest, "packages").map(one).collect()
}

fn heads(manifest: &Value) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for repository in list(manifest, "repositories") {
        let path = text(&repository["path"]);
        for (name, id) in repository["heads"].as_object().into_iter().flatten() {
            found.insert(format!("{path} {name}"), text(id));
        }
        found.insert(format!("{path} HEAD"), text(&repository["head"]));
    }
    found
}

fn layers(from: &Value, to: &Value) -> Vec<LayerChange> {
    let inputs = |layer: &Value| -> BTreeMap<String, String> {
        layer["inputs"].as_object().into_iter().flatten().map(|(name, value)| (name.clone(), text(value))).collect()
    };
    // Of one name there may be several.
    let mut left: Vec<&Value> = list(from, "layers").collect();
    let mut found = Vec::new();
    for layer in list(to, "layers") {
        let Some(place) = left.iter().position(|one| one["name"] == layer["name"]) else {
            found.push(LayerChange { layer: text(&layer["name"]), why: vec!["it is new".to_owned()] });
            continue;
        };
        let before = left.remove(place);
        if before["key"] == layer["key"] {
            continue;
        }
        let why = match stack::changed(&inputs(layer), &inputs(before)) {
            _ if before["inputs"].is_null() || layer["inputs"].is_null() => vec!["what went in is not known".to_owned()],
            why if why.is_empty() && inputs(layer) != inputs(before) => vec!["its steps come in another order".to_owned()],
            why if why.is_empty() => vec!["what is below it changed".to_owned()],
            why => why,
        };
        found.push(LayerChange { layer: text(&layer["name"]), why });
    }
    found.extend(left.iter().map(|layer| LayerChange { layer: text(&layer["name"]), why: vec!["it is gone".to_owned()] }));
    found
}

fn files(from: &Value, to: &Value) -> Vec<FileChange> {
    let by_path = |manifest| list(manifest, "files").map(|file| (text(&file["path"]), file)).collect::<BTreeMap<String, &Value>>();
    let (from, to) = (by_path(from), by_path(to));
    let paths: std::collections::BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    let mut found = Vec::new();
    for path in paths {
        let change = |how, differs| FileChange { path: path.clone(), how, differs };
        match (from.get(path), to.get(path)) {
            (Some(from), Some(to)) if from != to => found.push(change(How::Changed, of_file(from, to))),
            (None, Some(_)) => found.push(change(How::Added, Vec::new())),
            (Some(_), None) => found.push(change(How::Removed, Vec::new())),
            _ => {}
        }
    }
    found
}

fn of_file(from: &Value, to: &Value) -> Vec<Change> {
    let value = |file: &Value, name: &str| Some(&file[name]).filter(|value| !value.is_null()).map(text);
    let fields = ["kind", "mode", "owner", "size", "sha256", "target", "device"];
    let other = fields.into_iter().filter(|name| from[name] != to[name]);
    other.map(|name| Change { what: name.to_owned(), from: value(from, name), to: value(to, name) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn change(what: &str, from: Option<&str>, to: Option<&str>) -> Change {
        Change { what: what.to_owned(), from: from.map(str::to_owned), to: to.map(str::to_owned) }
    }

    #[test]
    fn each_thing_that_is_not_the_same_is_told_once() {
        let package = |name: &str, version: &str| json!({ "name": name, "version": version, "architecture": "amd64" });
        let file = |path: &str, mode: &str, sum: &str| json!({ "path": path, "kind": "file", "mode": mode, "owner": "0:0", "size": 1, "sha256": sum });
        let heads =
            |id: &str| json!({ "repositories": [{ "path": "/opt/git/x", "head": "refs/heads/main", "heads": { "refs/heads/main": id } }] });
        let from = Manifests {
            packages: Some(json!({ "packages": [package("git", "1"), package("nano", "7")] })),
            files: Some(json!({ "files": [file("/a", "0644", "x"), file("/b", "0644", "x"), file("/same", "0644", "x")] })),
            repositories: Some(heads("1111")),
            provenance: None,
        };
        let to = Manifests {
            packages: Some(json!({ "packages": [package("git", "2"), package("htop", "3")] })),
            files: Some(json!({ "files": [file("/a", "0600", "y"), file("/c", "0644", "x"), file("/same", "0644", "x")] })),
            repositories: Some(heads("2222")),
            provenance: None,
        };
        let found = Difference::between(&from, &to);
        let packages =
            vec![change("git:amd64", Some("1"), Some("2")), change("htop:amd64", None, Some("3")), change("nano:amd64", Some("7"), None)];
        let differs = vec![change("mode", Some("0644"), Some("0600")), change("sha256", Some("x"), Some("y"))];
        let one = |path: &str, how, differs: &[Change]| FileChange { path: path.to_owned(), how, differs: differs.to_vec() };
        let files = vec![one("/a", How::Changed, &differs), one("/b", How::Removed, &[]), one("/c", How::Added, &[])];
        let repositories = vec![change("/opt/git/x refs/heads/main", Some("1111"), Some("2222"))];
        let wanted =
            Difference { provenance: None, layers: None, packages: Some(packages), files: Some(files), repositories: Some(repositories) };
        assert_eq!(found, wanted);
        assert!(!found.is_same() && Difference::between(&to, &to).is_same());
    }

    #[test]
    fn a_layer_is_another_for_what_went_in_or_for_what_is_below() {
        let layer = |name: &str, key: &str, motd: &str| json!({ "name": name, "key": key, "inputs": { "0001 file /etc/motd": motd, "the agent": "a" } });
        let of = |layers: Value| Manifests { provenance: Some(json!({ "site": "1", "layers": layers })), ..Manifests::default() };
        let from = of(json!([layer("base", "k1", "x"), layer("ci", "k2", "x"), layer("old", "k3", "x"), layer("seal", "k4", "x")]));
        let to = of(json!([layer("base", "k1", "x"), layer("ci", "k5", "y"), layer("new", "k6", "x"), layer("seal", "k7", "x")]));
        let found = Difference::between(&from, &to);
        let told: Vec<(String, String)> = found.layers.unwrap().into_iter().map(|one| (one.layer, one.why.join("; "))).collect();
        let wanted = [("ci", "file /etc/motd changed"), ("new", "it is new"), ("seal", "what is below it changed"), ("old", "it is gone")];
        assert_eq!(told, wanted.map(|(layer, why)| (layer.to_owned(), why.to_owned())));
        assert_eq!(found.provenance, Some(Vec::new()));
    }
}
