use super::*;
use proptest::prelude::*;

fn mask(values: &[&str]) -> Mask {
    Mask::of(values.iter().map(|value| value.as_bytes()))
}

#[test]
fn a_value_is_masked_however_it_is_written() {
    let hidden = mask(&["p&ss wörd/\"it's\"\\<7>"]);
    // Each as the tool named wrote it.
    for (tool, text) in [
        ("cat", "pw=p&ss wörd/\"it's\"\\<7>;"),
        ("base64", "pw=cCZzcyB3w7ZyZC8iaXQncyJcPDc+;"),
        ("base64 behind a line end", "pw=cCZzcyB3w7ZyZC8iaXQncyJcPDc+Cg==;"),
        ("basenc --base64url", "pw=cCZzcyB3w7ZyZC8iaXQncyJcPDc-;"),
        ("python urllib.parse.quote", "pw=p%26ss%20w%C3%B6rd/%22it%27s%22%5C%3C7%3E;"),
        ("python urllib.parse.quote_plus", "pw=p%26ss+w%C3%B6rd%2F%22it%27s%22%5C%3C7%3E;"),
        ("curl --data-urlencode, small letters", "pw=p%26ss%20w%c3%b6rd%2f%22it%27s%22%5c%3c7%3e;"),
        ("jq", "pw=p&ss wörd/\\\"it's\\\"\\\\<7>;"),
        ("jq --ascii-output", "pw=p&ss w\\u00f6rd/\\\"it's\\\"\\\\<7>;"),
        ("go json.Marshal", "pw=p\\u0026ss wörd/\\\"it's\\\"\\\\\\u003c7\\u003e;"),
        ("php json_encode", "pw=p&ss w\\u00f6rd\\/\\\"it's\\\"\\\\<7>;"),
        ("bash printf %q", "pw=p\\&ss\\ wörd/\\\"it\\'s\\\"\\\\\\<7\\>;"),
        ("bash printf %q, LC_ALL=C", "pw=$'p&ss w\\303\\266rd/\"it\\'s\"\\\\<7>';"),
        ("bash ${x@Q}, set -x", "pw='p&ss wörd/\"it'\\''s\"\\<7>';"),
        ("python shlex.quote", "pw='p&ss wörd/\"it'\"'\"'s\"\\<7>';"),
        ("a YAML emitter", "pw='p&ss wörd/\"it''s\"\\<7>';"),
        ("python html.escape", "pw=p&amp;ss wörd/&quot;it&#x27;s&quot;\\&lt;7&gt;;"),
        ("html.escape twice", "pw=p&amp;amp;ss wörd/&amp;quot;it&amp;#x27;s&amp;quot;\\&amp;lt;7&amp;gt;;"),
        ("a field of base64 in a query", "pw=cCZzcyB3w7ZyZC8iaXQncyJcPDc%2B;"),
        ("fold -w 9", "pw=p&ss wö\nrd/\"it's\"\\\n<7>;"),
        ("indented", "pw=p&ss wörd/\n    \"it's\"\\<7>;"),
        ("base64 -w 8", "pw=cCZzcyB3\nw7ZyZC8i\naXQncyJc\nPDc+;"),
    ] {
        let told = hidden.text(text);
        let bare: String = told.chars().filter(|c| !"$'=\n".contains(*c)).collect();
        assert!(matches!(&*bare, "pw***;" | "pw***Cg;"), "{tool}: {told}");
    }
}

#[test]
fn base64_of_more_than_the_value_shows_none_of_it() {
    // `printf '%s:correct-horse;' USER | base64`, for users of one, two and three letters.
    let hidden = mask(&["correct-horse"]);
    // Letters that it shares with its neighbours stay.
    for (text, told) in
        [("YTpjb3JyZWN0LWhvcnNlOw==", "YTp***Ow=="), ("YWI6Y29ycmVjdC1ob3JzZTs=", "YWI6***Ts="), ("YWJjOmNvcnJlY3QtaG9yc2U7", "YWJjOm***7")]
    {
        assert_eq!(hidden.text(text), told);
    }
}

#[test]
fn a_keys_lines_are_masked_one_by_one_and_its_armour_is_not() {
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5v\nZmUAAAAEbm9uZQ==\n-----END OPENSSH PRIVATE KEY-----\n";
    let hidden = mask(&[key]);
    assert_eq!(hidden.text("line ZmUAAAAEbm9uZQ== of it"), "line *** of it");
    assert_eq!(hidden.text("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA"), "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA");
    assert_eq!(hidden.text(&format!("key: {key}.")), "key: ***\n.");
    let mut lines: Vec<String> = key.lines().map(str::to_owned).collect();
    hidden.hide(Text::Lines(&mut lines));
    assert_eq!(lines, ["***"]);
}

#[test]
fn what_is_in_one_another_or_overlaps_is_masked_whole() {
    let hidden = mask(&["hunter2hunter", "hunter2", "erabcdef", "terhun"]);
    assert_eq!(hidden.text("<hunter2hunterabcdef> hunter2 <terhunter2>"), "<***> *** <***>");
    assert_eq!(hidden.text("hunterx"), "hunterx");
    let joined = mask(&["hunter2", "terhun"]).joined(&mask(&["hunter2hunter", "erabcdef"]));
    assert_eq!(joined.text("<hunter2hunterabcdef> hunter2 <terhunter2>"), "<***> *** <***>", "as one mask does");
}

#[test]
fn half_a_secret_does_not_show_where_a_text_was_cut() {
    let hidden = mask(&["correct-horse"]);
    assert_eq!(hidden.text("password: correct-h…\nand corr… but not co…"), "password: ***…\nand ***… but not co…");
    assert_eq!(hidden.text("password: correct-h"), "password: correct-h", "what was not cut is whole");
}

#[test]
fn what_is_too_short_is_no_secret() {
    assert!(mask(&["", "  five5 \n", "a\nb\nc"]).is_empty());
    assert!(!is_long_enough(b" five5\n") && is_long_enough(b"sixsix") && !is_long_enough("ööööö".as_bytes()));
    assert_eq!(format!("{:?} {:?}", mask(&["sixsix"]), mask(&["sixsix"]).stream()), "Mask Stream { base: 0, .. }");
}

/// Where any of the values stands, by looking at every place.
fn covered(text: &[u8], values: &[String]) -> Vec<bool> {
    let mut covered = vec![false; text.len()];
    for value in values {
        for at in (0..text.len()).filter(|at| text[*at..].starts_with(value.as_bytes())) {
            covered[at..at + value.len()].fill(true);
        }
    }
    covered
}

#[test]
fn what_breaks_no_secret_is_not_held_back_without_end() {
    let hidden = mask(&["correct-horse"]);
    for (begun, break_) in [("c", "\n"), ("corre", "\r"), ("c\n", " "), ("c", "\\n")] {
        let (mut stream, mut out) = (hidden.stream(), Vec::new());
        stream.push(begun.as_bytes(), &mut out);
        stream.push(break_.repeat(100_000).as_bytes(), &mut out);
        let held = begun.len() + break_.len() * 100_000 - out.len();
        assert!(held < 20_000, "{begun:?}, {break_:?}: {held}");
        stream.push(b"correct\n    -horse.", &mut out);
        stream.finish(&mut out);
        assert!(out.ends_with(b"***."), "{begun:?}, {break_:?}");
    }
    assert_eq!(hidden.text(&format!("correct{}-horse", "\n    ".repeat(200))), "***");
}

proptest! {
    /// Few letters, so that beginnings of values abound. None of them stands in base64 of these.
    #[test]
    fn every_occurrence_goes_and_nothing_else_however_it_is_split(
        values in prop::collection::vec("[ab]{6,9}", 1..4), text in "[ab.]{0,80}", cuts in prop::collection::vec(0usize..80, 0..6),
    ) {
        let hidden = Mask::of(values.iter().map(|value| value.as_bytes()));
        let covered = covered(text.as_bytes(), &values);
        let mut wanted = String::new();
        for (at, letter) in text.char_indices() {
            match (covered[at], at > 0 && covered[at - 1]) {
                (true, false) => wanted.push_str(MASK),
                (true, true) => {}
                (false, _) => wanted.push(letter),
            }
        }
        prop_assert_eq!(hidden.text(&text), wanted.clone());
        let mut ends: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).chain([text.len()]).collect();
        ends.sort_unstable();
        let (mut stream, mut out, mut from) = (hidden.stream(), Vec::new(), 0);
        for end in ends {
            stream.push(&text.as_bytes()[from..end], &mut out);
            from = end;
        }
        stream.finish(&mut out);
        prop_assert_eq!(String::from_utf8(out).unwrap(), wanted);
    }

    #[test]
    fn no_bytes_are_lost_or_made(text in prop::collection::vec(any::<u8>(), 0..200)) {
        let hidden = mask(&["no byte of these is that"]);
        let (mut stream, mut out) = (hidden.stream(), Vec::new());
        text.chunks(7).for_each(|part| stream.push(part, &mut out));
        stream.finish(&mut out);
        prop_assert_eq!(out, text);
    }
}
