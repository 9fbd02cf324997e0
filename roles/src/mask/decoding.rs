//! One way to read a stream: its bytes as they are, or what an encoding says they mean. Each reading looks for the texts on its own.

use super::trie::{ROOT, Trie};
use std::collections::VecDeque;
use std::ops::Range;

/// Longer sequences stand for nothing.
const LONGEST: usize = 32;
/// Who breaks a text breaks it and indents: more than so many line breaks and blanks in one place stand in no secret that was broken.
const PASSED: u32 = 4096;

/// How bytes are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As they are.
    Plain,
    /// `%2F` (RFC 3986).
    Percent,
    /// The same, and `+` is a blank (WHATWG URL, application/x-www-form-urlencoded).
    Query,
    /// `\"`, `\n`, `\u00e9` (RFC 8259), `\x41`, `\303` (C, `printf %q`), `\ ` (shells).
    Escapes,
    /// `'\''`, `'"'"'` (shells) and `''` (YAML, SQL) for a quote between quotes.
    Quotes,
    /// `&amp;`, `&#39;` (XML 1.0), also twice.
    Entities,
}

/// Every form.
pub(super) const FORMS: [Form; 6] = [Form::Plain, Form::Percent, Form::Query, Form::Escapes, Form::Quotes, Form::Entities];

/// What the beginning of some bytes means: so many of them, and the byte or bytes they stand for.
enum Meaning {
    /// More must be known.
    Open,
    Bytes(usize, [u8; 4], usize),
}

impl Meaning {
    fn byte(taken: usize, byte: u8) -> Self {
        Self::Bytes(taken, [byte, 0, 0, 0], 1)
    }

    fn character(taken: usize, code: u32) -> Option<Self> {
        let mut bytes = [0; 4];
        let length = char::from_u32(code)?.encode_utf8(&mut bytes).len();
        Some(Self::Bytes(taken, bytes, length))
    }
}

impl Form {
    /// Whether a sequence begins with this byte.
    pub(super) fn opens(self, byte: u8) -> bool {
        match self {
            Self::Plain => false,
            Self::Percent => byte == b'%',
            Self::Query => matches!(byte, b'%' | b'+'),
            Self::Escapes => byte == b'\\',
            Self::Quotes => byte == b'\'',
            Self::Entities => byte == b'&',
        }
    }

    /// What `bytes` begin with. Where they are all that comes, nothing stays open.
    fn meaning(self, bytes: &[u8], is_end: bool) -> Meaning {
        let literal = Meaning::byte(1, bytes[0]);
        if !self.opens(bytes[0]) {
            return literal;
        }
        let found = match self {
            Self::Plain => None,
            Self::Query if bytes[0] == b'+' => Some(Meaning::byte(1, b' ')),
            Self::Percent | Self::Query => number(bytes, 1, 2, 16, |byte| Some(Meaning::byte(3, u8::try_from(byte).ok()?))),
            Self::Escapes => escape(bytes),
            Self::Quotes => quote(bytes),
            Self::Entities => entity(bytes, is_end),
        };
        match found.unwrap_or(literal) {
            Meaning::Open if is_end || bytes.len() >= LONGEST => Meaning::byte(1, bytes[0]),
            meaning => meaning,
        }
    }
}

/// A number of so many digits from a place on.
fn number(bytes: &[u8], from: usize, digits: usize, radix: u32, then: impl Fn(u32) -> Option<Meaning>) -> Option<Meaning> {
    let there = bytes.get(from..bytes.len().min(from + digits)).unwrap_or_default();
    if !there.iter().all(|byte| char::from(*byte).is_digit(radix)) {
        return None;
    }
    if there.len() < digits {
        return Some(Meaning::Open);
    }
    then(u32::from_str_radix(std::str::from_utf8(there).ok()?, radix).ok()?)
}

fn escape(bytes: &[u8]) -> Option<Meaning> {
    let Some(second) = bytes.get(1) else { return Some(Meaning::Open) };
    let byte = |code: u32, taken| Some(Meaning::byte(taken, u8::try_from(code).ok()?));
    match second {
        b'n' => Some(Meaning::byte(2, b'\n')),
        b'r' => Some(Meaning::byte(2, b'\r')),
        b't' => Some(Meaning::byte(2, b'\t')),
        b'u' => number(bytes, 2, 4, 16, |code| Meaning::character(6, code)),
        b'x' => number(bytes, 2, 2, 16, |code| byte(code, 4)),
        b'0'..=b'3' => number(bytes, 1, 3, 8, |code| byte(code, 4)),
        other => Some(Meaning::byte(2, *other)),
    }
}

fn quote(bytes: &[u8]) -> Option<Meaning> {
    let forms: [&[u8]; 3] = [b"''", b"'\\''", b"'\"'\"'"];
    if let Some(form) = forms.iter().find(|form| bytes.starts_with(form)) {
        return Some(Meaning::byte(form.len(), b'\''));
    }
    forms.iter().any(|form| form.starts_with(bytes)).then_some(Meaning::Open)
}

fn entity(bytes: &[u8], is_end: bool) -> Option<Meaning> {
    let names: [(&[u8], u8); 5] = [(b"&lt;", b'<'), (b"&gt;", b'>'), (b"&quot;", b'"'), (b"&apos;", b'\''), (b"&amp;", b'&')];
    if let Some((name, byte)) = names.iter().find(|(name, _)| bytes.starts_with(name)) {
        if *byte != b'&' {
            return Some(Meaning::byte(name.len(), *byte));
        }
        // Whoever quotes what is encoded already encodes it once more.
        let again: Vec<u8> = std::iter::once(b'&').chain(bytes[name.len()..].iter().copied()).collect();
        return Some(match Form::Entities.meaning(&again, is_end) {
            Meaning::Open => Meaning::Open,
            Meaning::Bytes(taken, bytes, length) => Meaning::Bytes(name.len() + taken - 1, bytes, length),
        });
    }
    if let Some(digits) = bytes.strip_prefix(b"&#") {
        let (digits, radix) = digits.strip_prefix(b"x").map_or((digits, 10), |digits| (digits, 16));
        let Some(end) = digits.iter().position(|byte| *byte == b';') else {
            return digits.iter().all(|byte| char::from(*byte).is_digit(radix)).then_some(Meaning::Open);
        };
        let code = u32::from_str_radix(std::str::from_utf8(&digits[..end]).ok()?, radix).ok()?;
        return Meaning::character(bytes.len() - digits.len() + end + 1, code);
    }
    names.iter().any(|(name, _)| name.starts_with(bytes)).then_some(Meaning::Open)
}

/// One reading of a stream.
#[derive(Debug, Clone)]
pub(super) struct Decoding {
    form: Form,
    /// What was read ends with this beginning of a text.
    state: u32,
    /// Where each byte of that beginning starts in the stream.
    starts: VecDeque<u64>,
    /// A line break was passed over, and what follows it is no more than blanks.
    is_fresh: bool,
    /// So many bytes were passed over since the last that was read.
    passed: u32,
    /// A sequence that is not whole yet, and where it starts.
    open: Vec<u8>,
    at: u64,
}

impl Decoding {
    pub(super) fn new(form: Form) -> Self {
        Self { form, state: ROOT, starts: VecDeque::new(), is_fresh: false, passed: 0, open: Vec::new(), at: 0 }
    }

    /// Takes the byte at a place of the stream in; tells where texts were found.
    pub(super) fn take(&mut self, trie: &Trie, byte: u8, at: u64, found: &mut Vec<Range<u64>>) {
        if self.open.is_empty() {
            self.at = at;
        }
        self.open.push(byte);
        self.resolve(trie, false, found);
    }

    /// Nothing more comes.
    pub(super) fn end(&mut self, trie: &Trie, found: &mut Vec<Range<u64>>) {
        self.resolve(trie, true, found);
    }

    /// Where the earliest byte is that may be part of a text.
    pub(super) fn holds_from(&self) -> Option<u64> {
        self.starts.front().copied().or_else(|| (!self.open.is_empty()).then_some(self.at))
    }

    /// Length of the beginning that was read last.
    pub(super) fn depth(&self) -> usize {
        self.starts.len()
    }

    fn resolve(&mut self, trie: &Trie, is_end: bool, found: &mut Vec<Range<u64>>) {
        while !self.open.is_empty() {
            let Meaning::Bytes(taken, bytes, length) = self.form.meaning(&self.open, is_end) else { return };
            let range = self.at..self.at + taken as u64;
            for byte in &bytes[..length] {
                self.step(trie, *byte, &range, found);
            }
            self.open.drain(..taken);
            self.at = range.end;
        }
    }

    fn step(&mut self, trie: &Trie, byte: u8, range: &Range<u64>, found: &mut Vec<Range<u64>>) {
        match byte {
            b'\n' | b'\r' | b' ' | b'\t' if self.passed < PASSED && (self.is_fresh || matches!(byte, b'\n' | b'\r')) => {
                self.is_fresh = true;
                self.passed += 1;
            }
            _ => {
                // Behind too many, what was read before them is over; they are held back no longer.
                if self.passed >= PASSED {
                    self.state = ROOT;
                    self.starts.clear();
                }
                self.passed = 0;
                self.is_fresh = false;
                self.state = trie.next(self.state, byte);
                self.starts.push_back(range.start);
                let depth = trie.depth(self.state);
                self.starts.drain(..self.starts.len() - depth);
                let longest = trie.longest(self.state);
                if let Some(start) = depth.checked_sub(longest).filter(|_| longest > 0).and_then(|at| self.starts.get(at)) {
                    found.push(*start..range.end);
                }
            }
        }
    }
}
