//! Output kept within bounds: the first and the last of it, masked before anything is left out.

use ostler_roles::mask::{CUT, Mask, Stream};

/// Bytes kept of the beginning: enough for what went wrong first.
const HEAD: usize = 4 << 10;
/// Bytes kept of the end: some forty lines.
const END: usize = 12 << 10;
/// Lines handed on in a failure.
const LINES: usize = 40;
/// Characters of a line handed on.
const WIDTH: usize = 400;

/// The first and the last of what a program said.
#[derive(Debug)]
pub struct Tail {
    /// Standard output and standard error, each masked on its own: what is written to one may part what is written to the other.
    streams: [Stream; 2],
    kept: Kept,
}

#[derive(Debug, Default)]
struct Kept {
    head: Vec<u8>,
    end: Vec<u8>,
    left_out: u64,
}

impl Kept {
    fn push(&mut self, bytes: &[u8]) {
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
}

impl Tail {
    /// Of a program whose output must not show what the mask hides.
    pub fn masking(mask: &Mask) -> Self {
        Self { streams: [mask.stream(), mask.stream()], kept: Kept::default() }
    }

    /// Takes the next bytes of standard output.
    pub fn push(&mut self, bytes: &[u8]) {
        self.take(0, |stream, out| stream.push(bytes, out));
    }

    /// Takes the next bytes of standard error.
    pub(super) fn push_error(&mut self, bytes: &[u8]) {
        self.take(1, |stream, out| stream.push(bytes, out));
    }

    /// Nothing more comes; `is_whole`: because the program has said all.
    pub fn end(&mut self, is_whole: bool) {
        for index in 0..self.streams.len() {
            self.take(index, |stream, out| if is_whole { stream.finish(out) } else { stream.cut(out) });
        }
    }

    fn take(&mut self, index: usize, act: impl FnOnce(&mut Stream, &mut Vec<u8>)) {
        let mut out = Vec::new();
        if let Some(stream) = self.streams.get_mut(index) {
            act(stream, &mut out);
        }
        self.kept.push(&out);
    }

    pub(super) fn text(&self) -> String {
        let Kept { head, end, left_out } = &self.kept;
        if *left_out == 0 {
            return String::from_utf8_lossy(&[head.as_slice(), end.as_slice()].concat()).into_owned();
        }
        // Where the output was not masked, half a secret may begin what is left of a line.
        let whole = end.iter().position(|byte| matches!(byte, b'\n' | b'\r')).map_or(&[][..], |at| &end[at + 1..]);
        let left_out = left_out + (end.len() - whole.len()) as u64;
        format!("{}{CUT}\n... {left_out} bytes left out ...\n{}", String::from_utf8_lossy(head), String::from_utf8_lossy(whole))
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
        let lines: Vec<String> = lines.map(bounded).filter(|line| !line.trim().is_empty()).collect();
        let skip = lines.len().saturating_sub(LINES);
        lines.into_iter().skip(skip).collect()
    }

    /// The last line that says anything; empty when there is none.
    pub fn last_line(self) -> String {
        self.into_lines().pop().unwrap_or_default()
    }
}

fn bounded(line: &str) -> String {
    let mut shown = line.chars().filter(|c| !c.is_control() || *c == '\t');
    let mut line: String = shown.by_ref().take(WIDTH).collect();
    line.extend(shown.next().map(|_| CUT));
    line
}
