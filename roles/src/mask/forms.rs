//! The texts by which a value is found: itself, its lines, and both in base64.

use super::SHORTEST;
use zeroize::Zeroizing;

/// Longer values are masked line by line alone: what a whole one adds is at its line breaks.
const WHOLE: usize = 4 << 10;
/// RFC 4648 section 4.
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Calls `take` with each form of a value. None has line breaks: whoever looks for them passes over those of the text.
pub(super) fn each(value: &[u8], take: &mut dyn FnMut(&[u8])) {
    let whole = value.trim_ascii();
    let lines: Vec<&[u8]> = whole.split(|byte| matches!(byte, b'\n' | b'\r')).map(<[u8]>::trim_ascii).collect();
    if lines.len() == 1 || whole.len() <= WHOLE {
        of(whole, take);
    }
    // The armour of a key is no secret, and stands around public ones too (RFC 7468).
    let own = lines.iter().filter(|line| lines.len() > 1 && !line.starts_with(b"-----"));
    own.for_each(|line| of(line, take));
}

fn of(text: &[u8], take: &mut dyn FnMut(&[u8])) {
    if text.len() < SHORTEST {
        return;
    }
    take(&unbroken(text));
    // With the line end that files and `echo` have.
    let ended = Zeroizing::new([text, b"\n"].concat());
    for before in 0..3 {
        for (text, is_last) in [(text, true), (&*ended, true), (text, false)] {
            let form = base64(text, before, is_last);
            take(&form);
            let safe: Vec<u8> = form
                .iter()
                .map(|byte| {
                    if *byte == b'+' {
                        b'-'
                    } else if *byte == b'/' {
                        b'_'
                    } else {
                        *byte
                    }
                })
                .collect();
            if safe != *form {
                take(&safe);
            }
        }
    }
}

/// Without line breaks and the blanks behind them.
fn unbroken(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut is_fresh = false;
    for byte in text {
        match byte {
            b'\n' | b'\r' => is_fresh = true,
            b' ' | b'\t' if is_fresh => {}
            other => {
                is_fresh = false;
                out.push(*other);
            }
        }
    }
    out
}

/// The letters of base64 that `text` alone decides where `before` bytes, modulo 3, stand before it; where it `is_last` its end too, but for
/// the padding.
fn base64(text: &[u8], before: usize, is_last: bool) -> Zeroizing<Vec<u8>> {
    let bits = 8 * (before + text.len());
    let first = (8 * before).div_ceil(6);
    let end = if is_last { bits.div_ceil(6) } else { bits / 6 };
    // The byte at a place, the unknown ones before and behind it as zeros.
    let byte = |at: usize| at.checked_sub(before).and_then(|at| text.get(at)).map_or(0, |byte| u16::from(*byte));
    let letter = |index: usize| {
        let (at, shift) = (6 * index / 8, 6 * index % 8);
        let pair = byte(at) << 8 | byte(at + 1);
        BASE64[usize::from(pair >> (10 - shift) & 63)]
    };
    Zeroizing::new((first..end).map(letter).collect())
}
