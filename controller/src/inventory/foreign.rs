//! YAML of others that a site holds: projects.yaml. Read through `serde_yaml`, first into a `Value`, which catches duplicate
//! keys and alias bombs.

use serde_yaml::Value;

/// The names in a projects.yaml: a list of maps with `project: NAME`. None when it is anything else.
pub(super) fn projects(text: &str) -> Option<Vec<String>> {
    let Value::Sequence(list) = serde_yaml::from_str(text).ok()? else { return None };
    list.iter().map(|item| item.get("project").and_then(Value::as_str).map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_list_of_projects_is_a_projects_yaml() {
        assert_eq!(projects("- project: a/b\n  acl-config: x\n- project: c/d\n"), Some(vec!["a/b".to_owned(), "c/d".to_owned()]));
        assert_eq!(projects("- name: a/b\n"), None);
        assert_eq!(projects("project: a/b\n"), None);
        assert_eq!(projects("- project: a\n  project: b\n"), None);
        assert_eq!(projects("- project: [\n"), None);
    }
}
