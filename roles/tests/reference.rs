//! The generated reference page is the one in `docs/`.
#![cfg(feature = "author")]
#![expect(clippy::disallowed_methods, reason = "`BLESS=1` is how expected texts are written")]

use std::fs;
use std::path::Path;

use ostler_roles::author::reference;

#[test]
fn the_pages_of_kinds_sites_roles_and_images_are_fresh() {
    let pages = [
        ("kinds", reference::kinds()),
        ("site", reference::site()),
        ("role", reference::role()),
        ("library", reference::library()),
        ("images", reference::images()),
    ];
    for (name, page) in pages {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../docs/reference/{name}.md"));
        if std::env::var_os("BLESS").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &page).unwrap();
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(kept, page, "write it anew: BLESS=1 cargo test -p ostler-roles --features author --test reference");
    }
}
