//! Data cases: `tests/cases/<kind>.json`, each a desired and an observed state and the changes between them.

use super::*;
use serde::de::DeserializeOwned;
use std::path::Path;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Case<D, O> {
    name: String,
    desired: D,
    observed: O,
    #[serde(default)]
    changes: Vec<Shown>,
    #[serde(default)]
    contradiction: Option<String>,
    #[serde(default)]
    hint: Option<String>,
}

fn run<D>(kind: Kind)
where
    D: Resource + DeserializeOwned,
    D::Observed: DeserializeOwned,
{
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(format!("{}.json", kind.word()));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let cases: Vec<Case<D, D::Observed>> = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(cases.len() >= 8, "{}: a kind has at least 8 cases, not {}", path.display(), cases.len());
    for case in cases {
        match case.desired.diff(&case.observed) {
            Ok(changes) => {
                let shown: Vec<Shown> = changes.iter().map(Describe::shown).collect();
                assert_eq!(case.contradiction, None, "{}: {}", kind.word(), case.name);
                assert_eq!(shown, case.changes, "{}: {}", kind.word(), case.name);
            }
            Err(contradiction) => {
                assert_eq!(Some(contradiction.why), case.contradiction, "{}: {}", kind.word(), case.name);
                if let Some(hint) = case.hint {
                    assert_eq!(contradiction.hint, hint, "{}: {}", kind.word(), case.name);
                }
            }
        }
    }
}

macro_rules! cases {
    ($($(#[$doc:meta])* $variant:ident = $word:ident;)*) => {$(
        #[test]
        fn $word() { run::<super::$word::Desired>(Kind::$variant); }
    )*};
}
crate::each_kind!(cases);
