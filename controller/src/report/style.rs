//! Colour and width. Meaning never rests on colour.

/// How output looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Whether colours are used.
    pub colour: bool,
    /// Columns to keep within; none where lines may be as long as they are (no terminal).
    pub width: Option<usize>,
}

/// What a piece of text is, for its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Something that came out well.
    Good,
    /// Something that will change or has changed.
    Change,
    /// Something that failed.
    Bad,
    /// Something in the background.
    Dim,
    /// Something to be seen first.
    Strong,
}

impl Style {
    /// No colours, any width.
    pub const PLAIN: Self = Self { colour: false, width: None };

    /// The text in its colour.
    pub fn paint(self, paint: Paint, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match paint {
            Paint::Good => "32",
            Paint::Change => "33",
            Paint::Bad => "31",
            Paint::Dim => "2",
            Paint::Strong => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    /// The text broken into lines of at most what is left behind `indent` columns, at blanks where there are some.
    pub fn wrap(self, text: &str, indent: usize) -> Vec<String> {
        let room = self.width.map(|width| width.saturating_sub(indent));
        broken(text, room, room)
    }

    /// The text in lines, all but the first indented so: nothing of it is lost on a narrow terminal.
    pub fn paragraph(self, text: &str, indent: usize) -> Vec<String> {
        let lines = broken(text, self.width, self.width.map(|width| width.saturating_sub(indent))).into_iter().enumerate();
        lines.map(|(index, line)| if index == 0 { line } else { format!("{}{line}", " ".repeat(indent)) }).collect()
    }
}

/// Narrower than this nothing can be read: such a line is as long as it is.
const LEAST: usize = 16;

/// The text broken at blanks into a first line and others of at most so many columns; blanks at its beginning stay.
fn broken(text: &str, first: Option<usize>, other: Option<usize>) -> Vec<String> {
    let (Some(first), Some(other)) = (first, other) else { return vec![text.to_owned()] };
    let mut room = first.max(LEAST);
    if text.chars().count() <= room {
        return vec![text.to_owned()];
    }
    let mut lines = Vec::new();
    let words = text.trim_start_matches(' ');
    let mut line = " ".repeat((text.len() - words.len()).min(room / 2));
    let mut begun = false;
    for word in words.split(' ') {
        if begun && line.chars().count() + 1 + word.chars().count() > room {
            lines.push(std::mem::take(&mut line).trim_end().to_owned());
            (begun, room) = (false, other.max(LEAST));
        }
        if begun {
            line.push(' ');
        }
        line.push_str(word);
        begun |= !word.is_empty();
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_broken_only_on_a_terminal() {
        let narrow = Style { colour: false, width: Some(20) };
        assert_eq!(narrow.wrap("one two three four five", 4), vec!["one two three", "four five"]);
        assert_eq!(narrow.wrap("  one two three four", 4), vec!["  one two three", "four"]);
        assert_eq!(narrow.paragraph("one two three four five", 4), vec!["one two three four", "    five"]);
        assert_eq!(Style::PLAIN.paragraph("abcdefghijklmnopqrstuvwxyz and more", 10), vec!["abcdefghijklmnopqrstuvwxyz and more"]);
    }
}
