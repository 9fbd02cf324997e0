//! Node output is untrusted: made harmless before it meets a terminal.

use ostler_roles::words::is_unseen;
use std::fmt::Write as _;

/// The most parameter and intermediate bytes of a control sequence that is taken for one.
const PARAMETERS: usize = 32;

/// The text with control characters (escape sequences among them) and direction overrides replaced by `\u{fffd}`-free marks: a tab
/// becomes a blank, anything else that could steer a terminal becomes `·`. Line feeds stay only where `lines` is set.
pub fn sanitize(text: &str, lines: bool) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\n' if lines => clean.push('\n'),
            '\t' | '\n' => clean.push(' '),
            '\r' => {}
            '\u{1b}' => skip_sequence(&mut rest, &mut clean),
            c if steers(c) => clean.push('·'),
            c => clean.push(c),
        }
    }
    clean
}

/// A whole CSI sequence (ECMA-48 5.4) goes without a trace: colours are the common, innocent case.
fn skip_sequence(rest: &mut std::iter::Peekable<std::str::Chars<'_>>, clean: &mut String) {
    if rest.peek() != Some(&'[') {
        clean.push('·');
        return;
    }
    rest.next();
    for _ in 0..PARAMETERS {
        if rest.next_if(|c| ('\u{20}'..='\u{3f}').contains(c)).is_none() {
            break;
        }
    }
    // One without its final byte is no sequence: what follows is text, and is seen.
    if rest.next_if(|c| ('\u{40}'..='\u{7e}').contains(c)).is_none() {
        clean.push('·');
    }
}

/// Characters that steer a terminal, and those that reorder, hide or part what stands around them (Unicode TR 36).
fn steers(c: char) -> bool {
    c.is_control() || is_unseen(c) || matches!(c, '\u{2028}' | '\u{2029}')
}

/// A JSON text whose reader may be a terminal: the same value, with everything that could steer one as `\u` escapes. `serde_json` escapes below
/// U+0020 alone.
pub fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if steers(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                // Writing to a text does not fail.
                let _ = write!(text, "\\u{unit:04x}");
            }
        } else {
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(sanitize("a\u{1b}[31mred\u{1b}[0m\u{1b}]0;title\u{7}b", false), "ared·]0;title·b");
        assert_eq!(sanitize("one\r\ntwo\tthree", true), "one\ntwo three");
        assert_eq!(sanitize("one\ntwo", false), "one two");
        assert_eq!(sanitize("abc\u{202e}txt.exe", false), "abc·txt.exe");
        assert_eq!(sanitize("a\u{61c}b\u{180e}c\u{ad}d\u{2028}e\u{9b}f", true), "a·b·c·d·e·f");
    }

    #[test]
    fn a_sequence_that_has_no_end_hides_nothing() {
        assert_eq!(sanitize("a\u{1b}[ 1234 was removed", false), "aas removed");
        assert_eq!(sanitize("a\u{1b}[é was removed", false), "a·é was removed");
        assert_eq!(sanitize(&format!("\u{1b}[{}m!", "1".repeat(40)), false), format!("·{}m!", "1".repeat(8)));
        assert_eq!(sanitize("a\u{1b}[", false), "a·");
    }

    #[test]
    fn json_on_a_terminal_is_text_and_the_same_value() {
        let value = serde_json::json!({ "text": "\u{9b}31m \u{202e}exe \u{1b}[2J \u{2028} \u{e0001} ö" });
        let text = escaped(&value.to_string());
        assert!(!text.chars().any(steers), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
