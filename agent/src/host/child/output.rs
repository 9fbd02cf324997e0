//! Output kept within bounds: the first and the last of it.

use ostler_roles::words::Secret;

/// Bytes kept of the beginning: enough for what went wrong first.
const HEAD: usize = 4 << 10;
/// Bytes kept of the end: some forty lines.
const END: usize = 12 << 10;
/// Lines handed on in a failure.
const LINES: usize = 40;
/// Characters of a line handed on.
const WIDTH: usize = 400;

/// The first and the last of what a program said.
#[derive(Debug, Default)]
pub struct Tail {
    head: Vec<u8>,
    end: Vec<u8>,
    left_out: u64,
    masked: Vec<Secret<String>>,
}

impl Tail {
    pub(super) fn masking(masked: Vec<Secret<String>>) -> Self {
        Self { masked: masked.into_iter().filter(|value| !value.expose().trim().is_empty()).collect(), ..Self::default() }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        let room = HEAD.saturating_sub(self.head.len()).min(bytes.len());
        let (first, rest) = bytes.split_at(room);
        self.head.extend_from_slice(first);
        self.end.extend_from_slice(rest);
        if self.end.len() > 2 * END {
            let cut = self.end.len() - END;
            self.end.drain(..cut);
            self.left_out += cut as u64;
        }
    }

    fn text(&self) -> String {
        let mut text = if self.left_out == 0 {
            String::from_utf8_lossy(&[self.head.as_slice(), self.end.as_slice()].concat()).into_owned()
        } else {
            let left_out = format!("\n... {} bytes left out ...\n", self.left_out);
            format!("{}{left_out}{}", String::from_utf8_lossy(&self.head), String::from_utf8_lossy(&self.end))
        };
        for value in &self.masked {
            // A value of several lines is masked line by line: a program may print them apart.
            for line in value.expose().lines().map(str::trim).filter(|line| line.len() >= 4) {
                text = text.replace(line, "***");
            }
            text = text.replace(value.expose().as_str(), "***");
        }
        text
    }

    /// Whether it says this.
    pub fn mentions(&self, words: &str) -> bool {
        self.text().contains(words)
    }

    /// The last lines, each bounded, without control characters.
    pub fn into_lines(self) -> Vec<String> {
        let text = self.text();
        // A progress bar rewrites its line: only what it came to counts.
        let lines = text.lines().map(|line| line.trim_end().rsplit('\r').next().unwrap_or(line));
        let clean = |line: &str| -> String { line.chars().filter(|c| !c.is_control() || *c == '\t').take(WIDTH).collect() };
        let lines: Vec<String> = lines.map(clean).filter(|line| !line.trim().is_empty()).collect();
        let skip = lines.len().saturating_sub(LINES);
        lines.into_iter().skip(skip).collect()
    }

    /// The last line that says anything; empty when there is none.
    pub fn last_line(self) -> String {
        self.into_lines().pop().unwrap_or_default()
    }
}
