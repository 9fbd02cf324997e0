//! The generated reference page is the one in `docs/`.
#![cfg(feature = "author")]
#![expect(clippy::disallowed_methods, reason = "`BLESS=1` is how expected texts are written")]

use std::fs;
use std::path::Path;

use ostler_roles::author::reference;

#[test]
fn the_page_of_kinds_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/kinds.md");
    let page = reference::markdown();
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &page).unwrap();
    }
    assert_eq!(
        fs::read_to_string(&path).unwrap_or_default(),
        page,
        "write it anew: BLESS=1 cargo test -p ostler-roles --features author --test reference"
    );
}
