//! Two texts that differ, as people see that they do: what the eye does not see, or takes for something else, is written out.

/// A line with a character that is seen for each that is not: `→` a tab, `␍` a carriage return, `·` a blank at its end, `␛` and its like the other
/// controls, `\u{a0}` what is only as wide as a blank, or as nothing.
pub(super) fn visible(line: &str) -> String {
    let text = line.trim_end_matches([' ', '\t', '\r']);
    let (mut shown, end) = (String::with_capacity(line.len()), &line[text.len()..]);
    text.chars().for_each(|c| push(&mut shown, c));
    end.chars().for_each(|c| push(&mut shown, if c == ' ' { '·' } else { c }));
    shown
}

fn push(shown: &mut String, c: char) {
    match c {
        '\t' => shown.push('→'),
        // The pictures of controls stand in their order (Unicode, block "Control Pictures").
        '\0'..='\u{1f}' => shown.extend(char::from_u32(0x2400 + u32::from(c))),
        '\u{7f}' => shown.push('␡'),
        c if is_hidden(c) => shown.extend(c.escape_unicode()),
        c => shown.push(c),
    }
}

/// The same without a doubt: what is not plain ASCII by its number. Two lines that are equal so are equal.
pub(super) fn exact(line: &str) -> String {
    let text = line.trim_end_matches(' ');
    let mut shown = String::with_capacity(line.len());
    for c in text.chars() {
        match c {
            '\\' => shown.push_str("\\\\"),
            ' '..='~' => shown.push(c),
            c => shown.extend(c.escape_unicode()),
        }
    }
    line[text.len()..].chars().for_each(|c| shown.extend(c.escape_unicode()));
    shown
}

/// What was and what shall be, so that they look different where they are.
pub(super) fn apart(from: &str, to: &str) -> (String, String) {
    let shown = (visible(from), visible(to));
    if from == to || looks(&shown.0) != looks(&shown.1) { shown } else { (exact(from), exact(to)) }
}

/// What a line is taken for at a glance: characters of other scripts as their likes of ASCII.
pub(super) fn looks(shown: &str) -> String {
    shown.chars().map(like).collect()
}

/// Blanks that are none of ASCII's, characters of no width, those that steer the others' direction, marks upon the letter before them, and
/// what has no picture at all: private, unassigned for good, tags (Unicode: White_Space, Default_Ignorable_Code_Point, Bidi_Control).
fn is_hidden(c: char) -> bool {
    let is_wide = c != ' ' && c.is_whitespace();
    is_wide
        || c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{300}'..='\u{36f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{20d0}'..='\u{20ff}' | '\u{2800}' | '\u{3164}' | '\u{e000}'..='\u{f8ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{ffff}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{10ffff}')
}

/// Characters that common fonts draw like one of ASCII (after Unicode TR 39, confusables; those of keyboards and word processors).
const LIKES: [(&str, char); 44] = [
    ("аɑα", 'a'),
    ("ϲс", 'c'),
    ("ԁ", 'd'),
    ("еҽ", 'e'),
    ("ɡ", 'g'),
    ("һ", 'h'),
    ("іıι", 'i'),
    ("јϳ", 'j'),
    ("ⅼӏ", 'l'),
    ("ոո", 'n'),
    ("оοօ", 'o'),
    ("рρ", 'p'),
    ("ѕ", 's'),
    ("ս", 'u'),
    ("ν", 'v'),
    ("ԝ", 'w'),
    ("хχ", 'x'),
    ("уγ", 'y'),
    ("АΑ", 'A'),
    ("ВΒ", 'B'),
    ("СϹ", 'C'),
    ("ЕΕ", 'E'),
    ("НΗ", 'H'),
    ("ІΙ", 'I'),
    ("Ј", 'J'),
    ("КΚ", 'K'),
    ("МΜ", 'M'),
    ("Ν", 'N'),
    ("ОΟ", 'O'),
    ("РΡ", 'P'),
    ("Ѕ", 'S'),
    ("ТΤ", 'T'),
    ("ХΧ", 'X'),
    ("УΥ", 'Y'),
    ("Ζ", 'Z'),
    ("‐‑‒–—―−﹣", '-'),
    ("‘’‚‛′´ʼ", '\''),
    ("“”„‟″", '"'),
    ("∕⁄", '/'),
    ("∶ː꞉", ':'),
    (";", ';'),
    ("‚", ','),
    ("․", '.'),
    ("∗", '*'),
];

fn like(c: char) -> char {
    match c {
        _ if c.is_ascii() => c,
        // The wide forms of ASCII stand in its order (Unicode, block "Halfwidth and Fullwidth Forms").
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        _ => LIKES.iter().find(|(likes, _)| likes.contains(c)).map_or(c, |(_, ascii)| *ascii),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_differ_look_different() {
        let rows = [
            ("one", "two", "one", "two"),
            ("same", "same", "same", "same"),
            ("4096\t1", "4096 1", "4096→1", "4096 1"),
            ("a", "\u{1b}[1ma", "a", "␛[1ma"),
            ("a\u{1}", "a\u{2}", "a␁", "a␂"),
            ("ten\u{a0}m", "ten m", "ten\\u{a0}m", "ten m"),
            ("-x", "–x", "-x", "\\u{2013}x"),
            ("a\u{1b}", "a␛", "a\\u{1b}", "a\\u{241b}"),
        ];
        for (from, to, shown_from, shown_to) in rows {
            assert_eq!(apart(from, to), (shown_from.to_owned(), shown_to.to_owned()), "{from:?} to {to:?}");
        }
    }
}
