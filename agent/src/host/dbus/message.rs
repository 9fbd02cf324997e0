//! Messages: a call out of its parts, an answer out of bytes ("need more" is no error).

use super::Call;
use super::wire::{Reader, Writer};
use std::io;

/// The specification allows 128 MB; what we ask for has some hundred bytes.
const LARGEST: usize = 16 << 20;

const METHOD_CALL: u8 = 1;
const METHOD_RETURN: u8 = 2;
const ERROR: u8 = 3;

/// The body of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    body: Vec<u8>,
}

impl Reply {
    /// Its values, from the first.
    pub fn reader(&self) -> Reader<'_> {
        Reader::new(&self.body)
    }
}

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Incoming {
    /// An answer.
    Reply { to: u32, reply: Reply },
    /// A refusal.
    Error { to: u32, name: String, text: String },
    /// A signal, or a call to us.
    Other,
}

impl Incoming {
    pub(super) fn answers(&self, serial: u32) -> bool {
        match self {
            Self::Reply { to, .. } | Self::Error { to, .. } => *to == serial,
            Self::Other => false,
        }
    }
}

pub(super) fn encode(serial: u32, destination: &str, call: &Call<'_>) -> Vec<u8> {
    let mut body = Writer::default();
    let mut signature = String::new();
    for argument in call.arguments {
        signature.push_str(argument.signature());
        argument.put(&mut body);
    }
    let mut message = Writer::default();
    // Little endian, a call, no flags, protocol 1.
    [b'l', METHOD_CALL, 0, 1].into_iter().for_each(|byte| message.byte(byte));
    message.number(u32::try_from(body.0.len()).unwrap_or(u32::MAX));
    message.number(serial);
    message.array(8, |header| {
        let mut field = |code: u8, kind: &str, text: &str| {
            header.align(8);
            header.byte(code);
            header.signature(kind);
            if kind == "g" { header.signature(text) } else { header.text(text) }
        };
        field(1, "o", call.path);
        field(2, "s", call.interface);
        field(3, "s", call.member);
        field(6, "s", destination);
        if !signature.is_empty() {
            field(8, "g", &signature);
        }
    });
    message.align(8);
    message.0.extend_from_slice(&body.0);
    message.0
}

/// The first message of `bytes` and its length; none: more bytes are needed.
pub(super) fn decode(bytes: &[u8]) -> io::Result<Option<(Incoming, usize)>> {
    let Some(fixed) = bytes.get(..16) else { return Ok(None) };
    let bad = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
    if fixed[0] != b'l' || fixed[3] != 1 {
        return Err(bad("an answer that is not little endian D-Bus 1"));
    }
    let length_at = |at: usize| fixed.get(at..at + 4).and_then(|length| length.try_into().ok()).map_or(0, u32::from_le_bytes) as usize;
    let (body_length, fields_length) = (length_at(4), length_at(12));
    if body_length > LARGEST || fields_length > LARGEST {
        return Err(bad("an answer that is too long"));
    }
    let start = (16 + fields_length).next_multiple_of(8);
    let end = start + body_length;
    let (Some(header), Some(body)) = (bytes.get(..16 + fields_length), bytes.get(start..end)) else { return Ok(None) };
    let incoming = parse(fixed[1], header, body).ok_or_else(|| bad("an answer with a broken header"))?;
    Ok(Some((incoming, end)))
}

fn parse(kind: u8, header: &[u8], body: &[u8]) -> Option<Incoming> {
    let mut reader = Reader::new(header);
    for _ in 0..3 {
        reader.number()?;
    }
    let end = reader.array(8)?;
    let mut to = None;
    let mut name = String::new();
    while reader.position() < end {
        reader.align(8);
        let code = reader.byte()?;
        let signature = reader.signature()?;
        match (code, signature) {
            (4, "s") => name = reader.text()?.to_owned(),
            (5, "u") => to = Some(reader.number()?),
            (_, one) if one.len() == 1 => reader.skip(one.as_bytes()[0])?,
            _ => return None,
        }
    }
    Some(match (kind, to) {
        (METHOD_RETURN, Some(to)) => Incoming::Reply { to, reply: Reply { body: body.to_vec() } },
        (ERROR, Some(to)) => Incoming::Error { to, name, text: Reader::new(body).text().unwrap_or("").to_owned() },
        _ => Incoming::Other,
    })
}
