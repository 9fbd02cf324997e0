//! Marshalling (D-Bus specification, "Marshaling (Wire Format)"), little endian: pure code over byte slices.

/// An argument of a call.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// `s`
    Text(&'a str),
    /// `as`
    Texts(&'a [&'a str]),
    /// `b`
    Flag(bool),
    /// `a(sv)`: properties by their names.
    Properties(&'a [(&'a str, Property<'a>)]),
    /// `a(sa(sv))`: no further units beside the one that is started (org.freedesktop.systemd1(5), `StartTransientUnit`).
    NoUnits,
}

/// A property of a transient unit.
#[derive(Debug, Clone, Copy)]
pub enum Property<'a> {
    /// `s`
    Text(&'a str),
    /// `a(sasb)`: one command, whose failure counts.
    Command(&'a [&'a str]),
}

impl Property<'_> {
    fn put(&self, writer: &mut Writer) {
        match self {
            Self::Text(text) => {
                writer.signature("s");
                writer.text(text);
            }
            Self::Command(words) => {
                writer.signature("a(sasb)");
                writer.array(8, |writer| {
                    writer.align(8);
                    writer.text(words.first().copied().unwrap_or_default());
                    Value::Texts(words).put(writer);
                    writer.number(0);
                });
            }
        }
    }
}

impl Value<'_> {
    pub(super) fn signature(&self) -> &'static str {
        match self {
            Self::Text(_) => "s",
            Self::Texts(_) => "as",
            Self::Flag(_) => "b",
            Self::Properties(_) => "a(sv)",
            Self::NoUnits => "a(sa(sv))",
        }
    }
    pub(super) fn put(&self, writer: &mut Writer) {
        match self {
            Self::Text(text) => writer.text(text),
            Self::Flag(flag) => writer.number(u32::from(*flag)),
            Self::Texts(texts) => writer.array(4, |writer| texts.iter().for_each(|text| writer.text(text))),
            Self::Properties(properties) => writer.array(8, |writer| {
                for (name, property) in *properties {
                    writer.align(8);
                    writer.text(name);
                    property.put(writer);
                }
            }),
            Self::NoUnits => writer.array(8, |_| {}),
        }
    }
}

/// Bytes with alignment counted from their beginning.
#[derive(Debug, Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn align(&mut self, to: usize) {
        while !self.0.len().is_multiple_of(to) {
            self.0.push(0);
        }
    }
    pub(super) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }
    pub(super) fn number(&mut self, number: u32) {
        self.align(4);
        self.0.extend_from_slice(&number.to_le_bytes());
    }
    pub(super) fn text(&mut self, text: &str) {
        self.number(u32::try_from(text.len()).unwrap_or(u32::MAX));
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
    }
    pub(super) fn signature(&mut self, signature: &str) {
        self.0.push(u8::try_from(signature.len()).unwrap_or(u8::MAX));
        self.0.extend_from_slice(signature.as_bytes());
        self.0.push(0);
    }
    pub(super) fn array(&mut self, alignment: usize, fill: impl FnOnce(&mut Self)) {
        self.number(0);
        let place = self.0.len();
        self.align(alignment);
        let start = self.0.len();
        fill(self);
        let length = u32::try_from(self.0.len() - start).unwrap_or(u32::MAX);
        self.0[place - 4..place].copy_from_slice(&length.to_le_bytes());
    }
}

/// Reads values out of a message's body, or of its header. None: the bytes are not what was expected.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads from the beginning; alignment counts from there.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }
    /// Goes on at the next multiple of `to`.
    pub fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }
    /// `y`
    pub fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }
    /// `u`, and `b` as 0 or 1
    pub fn number(&mut self) -> Option<u32> {
        self.align(4);
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }
    /// `t`
    pub fn wide(&mut self) -> Option<u64> {
        self.align(8);
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }
    /// `s`, `o`
    pub fn text(&mut self) -> Option<&'a str> {
        let length = self.number()? as usize;
        let text = self.take(length)?;
        self.take(1)?;
        std::str::from_utf8(text).ok()
    }
    /// `g`
    pub fn signature(&mut self) -> Option<&'a str> {
        let length = usize::from(self.byte()?);
        let text = self.take(length)?;
        self.take(1)?;
        std::str::from_utf8(text).ok()
    }
    /// The end of an array that begins here, whose elements have this alignment.
    pub fn array(&mut self, alignment: usize) -> Option<usize> {
        let length = self.number()? as usize;
        self.align(alignment);
        self.at.checked_add(length).filter(|end| *end <= self.bytes.len())
    }
    /// Where it stands.
    pub fn position(&self) -> usize {
        self.at
    }
    /// Passes over one value of a basic type.
    pub fn skip(&mut self, kind: u8) -> Option<()> {
        match kind {
            b'y' => self.byte().map(drop),
            b'u' | b'i' | b'b' | b'h' => self.number().map(drop),
            b's' | b'o' => self.text().map(drop),
            b'g' => self.signature().map(drop),
            b't' | b'x' | b'd' => {
                self.align(8);
                self.take(8).map(drop)
            }
            b'n' | b'q' => {
                self.align(2);
                self.take(2).map(drop)
            }
            _ => None,
        }
    }
}
