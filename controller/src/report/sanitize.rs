//! Node output is untrusted: made harmless before it meets a terminal.

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
            c if c.is_control() || steers(c) => clean.push('·'),
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
    for c in rest.by_ref() {
        if ('\u{40}'..='\u{7e}').contains(&c) {
            return;
        }
    }
}

/// Characters that reorder or hide what stands around them (Unicode TR 36).
fn steers(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
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
    }
}
