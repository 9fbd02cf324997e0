//! Files that are to be text: the line and the bytes that are not UTF-8.

use super::diagnostic::Fault;
use super::source::{Source, Tree};

/// A file's bytes as text.
///
/// # Errors
/// The line and the bytes that are not UTF-8.
pub fn text(tree: Tree, name: &str, bytes: Vec<u8>) -> Result<String, Box<Fault>> {
    let error = match String::from_utf8(bytes) {
        Ok(text) => return Ok(text),
        Err(error) => error,
    };
    let (at, bytes) = (error.utf8_error().valid_up_to(), error.as_bytes());
    let length = error.utf8_error().error_len().unwrap_or(bytes.len() - at);
    let wrong: Vec<String> = bytes[at..at + length].iter().map(|byte| format!("{byte:02X}")).collect();
    // Of the file only that line is kept, with a character for what cannot be read.
    let start = bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let end = bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| at + end);
    let mut shown = "\n".repeat(bytes[..start].iter().filter(|byte| **byte == b'\n').count());
    let place = shown.len() + at - start;
    shown.push_str(&String::from_utf8_lossy(&bytes[start..end]));
    let source = Source::new(tree, name, shown);
    let span = source.span(place..place + char::REPLACEMENT_CHARACTER.len_utf8());
    let fault = Fault::new(&span, format!("not UTF-8: {}", wrong.join(" ")));
    Err(Box::new(fault.expected("UTF-8").hint(format!("if it is Latin-1: iconv -f ISO-8859-1 -t UTF-8 {name}"))))
}
