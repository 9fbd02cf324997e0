//! Help: every verb, wide and narrow.

use ostler_tests::program::Desk;

pub const VERBS: &[&[&str]] = &[
    &[],
    &["init"],
    &["lint"],
    &["check"],
    &["plan"],
    &["apply"],
    &["attach"],
    &["cancel"],
    &["nodes"],
    &["explain"],
    &["explain", "var"],
    &["explain", "code"],
    &["secret"],
    &["secret", "set"],
    &["secret", "show-recipients"],
    &["lab"],
    &["lab", "up"],
    &["lab", "down"],
    &["lab", "status"],
    &["lab", "ssh"],
    &["lab", "exec"],
    &["image"],
    &["image", "verify"],
    &["image", "dib"],
    &["demo"],
    &["schema"],
    &["completions"],
];

#[test]
fn every_verb_has_its_help() {
    let desk = Desk::new();
    for verb in VERBS {
        let said = desk.run(&[verb, &["--help"][..]].concat());
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{verb:?}");
        let name = if verb.is_empty() { "help".to_owned() } else { format!("help_{}", verb.join("_").replace('-', "_")) };
        insta::assert_snapshot!(name, said.out);
    }
}

#[test]
fn no_verb_is_left_out_of_this_test() {
    let said = Desk::new().run(&["--help"]);
    let listed = said.out.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    for verb in listed.filter(|line| !line.starts_with("    ")).filter_map(|line| line.split_whitespace().next()) {
        assert!(verb == "help" || VERBS.iter().any(|known| known.first() == Some(&verb)), "`{verb}` has no snapshot");
    }
}

#[test]
fn help_fits_a_narrow_terminal() {
    let desk = Desk::new().variable("COLUMNS", "40");
    for verb in VERBS {
        let said = desk.run(&[verb, &["-h"][..]].concat());
        assert_eq!(said.code, Some(0), "{verb:?}: {said}");
        assert!(said.out.lines().count() > 5, "{verb:?}: {said}");
    }
    insta::assert_snapshot!("help_narrow", desk.run(&["-h"]).out);
}

#[test]
fn exit_codes_stand_in_the_help() {
    let said = Desk::new().run(&["--help"]);
    for (exit, meaning) in ostler::report::Exit::TABLE {
        assert!(said.out.contains(&format!("{:>3}  {meaning}", exit.code())), "{exit:?}");
    }
}
