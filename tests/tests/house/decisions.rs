//! Decisions are numbered one by one, and the index of the documentation names each.

use ostler_tests::house::{root, tracked};

#[test]
fn decisions_are_numbered_one_by_one_and_each_is_in_the_index() {
    let mut pages: Vec<String> = tracked().iter().filter_map(|name| name.strip_prefix("docs/decisions/").map(str::to_owned)).collect();
    pages.sort();
    let numbers: Vec<&str> = pages.iter().filter_map(|page| page.get(..4)).collect();
    let wanted: Vec<String> = (1..=pages.len()).map(|number| format!("{number:04}")).collect();
    assert_eq!(numbers, wanted, "one number a page: {pages:?}");
    let index = std::fs::read_to_string(root().join("docs/README.md")).expect("the index");
    for (page, number) in pages.iter().zip(&wanted) {
        assert!(index.contains(&format!("(decisions/{page})")), "docs/README.md does not name {page}");
        let text = std::fs::read_to_string(root().join("docs/decisions").join(page)).expect("a tracked file");
        assert!(text.starts_with(&format!("# {number}: ")), "{page}: its title has another number");
    }
}
