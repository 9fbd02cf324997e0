//! The end of a log of Jenkins', however long it is.
//!
//! `progressiveText` gives a log from any byte on, and its whole length in `X-Text-Size` ahead of the text (recorded from 2.532: `job-18`,
//! `job-19`; a start beyond the end gives all of it, `job-20`). Lines end in CR LF there, and a console holds notes, which the length counts.

use super::super::http::Answer;
use super::error::JenkinsError;
use super::session::Session;

/// How many bytes of a log's end are read: some hundred lines.
const END: u64 = 64 << 10;
/// How much of one line is quoted.
const LINE: usize = 300;
/// What opens and closes a note, a link for browsers in the midst of a line (`hudson.console.ConsoleNote`).
const NOTE: (&str, &str) = ("\u{1b}[8mha:", "\u{1b}[0m");

/// The end of a log.
#[derive(Debug)]
pub(super) struct End {
    /// Its text.
    pub(super) text: String,
    /// It begins in the middle, mostly of a line.
    pub(super) is_cut: bool,
}

/// How long the log of what is at `path` is.
pub(super) fn size(session: &Session, action: &str, path: &str) -> Result<u64, JenkinsError> {
    let answer = session.read_beginning(action, &from(path, 0), 0)?;
    size_in(action, &session.expect(action, answer, &[200])?)
}

fn from(path: &str, start: u64) -> String {
    format!("{}/logText/progressiveText?start={start}", path.trim_end_matches('/'))
}

fn size_in(action: &str, answer: &Answer) -> Result<u64, JenkinsError> {
    let size = answer.header("x-text-size").and_then(|size| size.parse::<u64>().ok());
    size.ok_or_else(|| JenkinsError::NotJenkins { action: action.to_owned(), kind: "no X-Text-Size".to_owned() })
}

/// A log of which the beginning has been read.
#[derive(Debug)]
pub(super) struct Log {
    path: String,
    beginning: Answer,
    size: u64,
}

impl Log {
    /// Reads the beginning of the log of what is at `path`.
    pub(super) fn begin(session: &Session, action: &str, path: &str) -> Result<Self, JenkinsError> {
        // Each line may have become longer by a CR.
        let answer = session.read_beginning(action, &from(path, 0), END * 2)?;
        let beginning = session.expect(action, answer, &[200])?;
        let size = size_in(action, &beginning)?;
        Ok(Self { path: path.to_owned(), beginning, size })
    }

    /// Its first lines.
    pub(super) fn lines(&self, session: &Session) -> Vec<String> {
        let text = session.mask().text(&String::from_utf8_lossy(&self.beginning.body));
        let fit = |line: &str| line.chars().filter(|character| !character.is_control()).take(LINE).collect();
        text.lines().map(fit).collect()
    }

    /// Its end, read where it does not end with its beginning.
    pub(super) fn end(self, session: &Session, action: &str) -> Result<End, JenkinsError> {
        let start = self.size.saturating_sub(END);
        let answer = match start {
            0 => self.beginning,
            start => session.expect(action, session.read(action, &from(&self.path, start))?, &[200])?,
        };
        let text = String::from_utf8_lossy(&answer.body);
        // What was cut may begin with the second half of a secret: its first word is left out, unless it is one that is not shown from its
        // beginning.
        let word = text.char_indices().take(LINE).find(|(_, character)| character.is_whitespace());
        let first = if start > 0 { word.map_or(0, |(at, _)| at) } else { 0 };
        Ok(End { text: session.mask().text(&text[first..]), is_cut: start > 0 })
    }
}

impl End {
    /// Its last lines, fit for a terminal. Of a line whose beginning was not read the last characters are shown, of any other the first.
    pub(super) fn lines(&self, count: usize) -> Vec<String> {
        let text = self.without_notes();
        let mut lines: Vec<String> = text.lines().map(|line| line.chars().filter(|character| !character.is_control()).collect()).collect();
        for (at, line) in lines.iter_mut().enumerate() {
            let length = line.chars().count();
            *line = match at == 0 && self.is_cut {
                true => std::iter::once('…').chain(line.chars().skip(length.saturating_sub(LINE))).collect(),
                false => line.chars().take(LINE).collect(),
            };
        }
        lines.split_off(lines.len().saturating_sub(count))
    }

    fn without_notes(&self) -> String {
        let (open, close) = NOTE;
        let (mut rest, mut text) = (self.text.as_str(), String::new());
        // A note that was cut has its end alone.
        if self.is_cut
            && let Some((within, after)) = rest.split_once(close)
            && !within.contains(open)
            && !within.contains('\n')
        {
            rest = after;
        }
        while let Some((before, note)) = rest.split_once(open) {
            text.push_str(before);
            rest = note.split_once(close).map_or("", |(_, after)| after);
        }
        text + rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, is_cut: bool, count: usize) -> Vec<String> {
        End { text: text.to_owned(), is_cut }.lines(count)
    }

    #[test]
    fn notes_are_left_out_also_one_that_was_cut() {
        // The beginning of the recording job-18, the notes made shorter.
        let text = "Started by user \u{1b}[8mha:////4LQLmAGGJBt3RshFf3iRX6+CeI3ZDjpgp=\u{1b}[0madmin\r\nRunning as SYSTEM\r\n\
            Building remotely on \u{1b}[8mha:////4Oltt4nlvSniWhI2iPGi=\u{1b}[0mdevstack_slave2 (devstack_slave)\r\n";
        let whole = ["Started by user admin", "Running as SYSTEM", "Building remotely on devstack_slave2 (devstack_slave)"];
        assert_eq!(lines(text, false, 9), whole);
        assert_eq!(lines(text, false, 1), whole[2..]);
        let cut = &text[text.find("RshFf").unwrap()..];
        assert_eq!(lines(cut, true, 9), ["…admin", whole[1], whole[2]]);
        // No note, but colours of a program.
        assert_eq!(lines("ed\r\n\u{1b}[31mred\u{1b}[0m\r\n", true, 9), ["…ed", "[31mred[0m"]);
        assert_eq!(lines("x \u{1b}[8mha:////never closed", false, 9), ["x "]);
    }

    #[test]
    fn long_lines_are_cut_where_they_say_least() {
        let long = "a".repeat(400) + &"z".repeat(400);
        assert_eq!(lines(&format!("{long}\nFinished: FAILURE\n"), false, 12), [&long[..300], "Finished: FAILURE"]);
        assert_eq!(
            lines(&format!("{long}\nFinished: FAILURE\n"), true, 12),
            [format!("…{}", &long[500..]), "Finished: FAILURE".to_owned()]
        );
        assert_eq!(lines("", false, 12), [""; 0]);
        assert_eq!(lines("", true, 12), [""; 0]);
    }
}
