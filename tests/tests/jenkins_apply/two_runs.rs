//! Two runs on one node at once, from two machines: what one has taken in hand the other lets alone.

use super::*;

#[test]
fn a_quiet_plan_names_an_executor_that_cannot_be_registered() {
    let stage = Stage::up("ssh");
    stage.site.apply().good();
    stage.model.state().nodes.get_mut("n1").unwrap().description = Some("rack 4".to_owned());
    for words in [&["plan"][..], &["plan", "-q"]] {
        let (exit, said) = stage.human_with(words);
        assert_eq!((exit, said.contains("Nothing to change")), (Some(1), false), "{said}");
        assert!(said.contains("! ci: executor n1 [n1]\n") && said.contains("node `n1` on this Jenkins"), "{said}");
    }
    stage.site.replace("ostler.yaml", "http://10.78.0.1:8080/", "http://10.78.0.1:8081/");
    let (exit, said) = stage.human_with(&["plan", "-q"]);
    assert_eq!((exit, said.contains("! ci: not asked")), (Some(4), true), "{said}");
}
