//! XML by value: a tree that keeps what it does not understand. Jenkins writes XML 1.1, which is read like 1.0 here.

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};
use quick_xml::reader::Reader;

/// The deepest nesting that is read; a node's configuration has about 8 levels.
const DEPTH: usize = 64;
/// The longest that is read: a node's configuration has a few KiB, and an element of four bytes takes a hundred here.
const LENGTH: usize = 1024 * 1024;

/// Why a document could not be read.
#[derive(Debug, thiserror::Error)]
pub enum XmlError {
    /// It is not well-formed.
    #[error("not well-formed XML at byte {position}")]
    Malformed {
        /// Where.
        position: u64,
        /// What the parser said.
        #[source]
        source: Box<quick_xml::Error>,
    },
    /// It is well-formed, but not what belongs here.
    #[error("{0}")]
    Unexpected(&'static str),
}

/// One element: attributes, and either text or children. Comments and blanks between elements are not kept: Jenkins drops them too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) children: Vec<Element>,
    /// `Some("")` is `<x></x>`, an empty string to Jenkins; `None` is `<x/>`.
    pub(super) text: Option<String>,
}

impl Element {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), attributes: Vec::new(), children: Vec::new(), text: None }
    }

    pub(super) fn text(name: &str, text: &str) -> Self {
        Self { text: Some(text.to_owned()), ..Self::new(name) }
    }

    pub(super) fn with(mut self, attribute: &str, value: &str) -> Self {
        self.attributes.push((attribute.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn child(mut self, child: Element) -> Self {
        self.children.push(child);
        self
    }

    pub(super) fn get(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of a child; none when the child is missing.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.get(name).map(|child| child.text.as_deref().unwrap_or_default())
    }

    pub(super) fn class(&self) -> &str {
        self.attributes.iter().find(|(name, _)| name == "class").map_or("", |(_, value)| value)
    }

    /// Puts a child in the place of the one of its name, or at the end.
    pub(super) fn put(&mut self, child: Element) {
        match self.children.iter_mut().find(|known| known.name == child.name) {
            Some(known) => *known = child,
            None => self.children.push(child),
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.children.retain(|child| child.name != name);
    }

    /// As a document, with the header that Jenkins itself writes.
    pub(super) fn document(&self) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new());
        // Writing to memory cannot fail.
        let _ = writer.write_event(Event::Decl(BytesDecl::new("1.1", Some("UTF-8"), None)));
        let _ = self.write(&mut writer);
        writer.into_inner()
    }

    fn write(&self, writer: &mut Writer<Vec<u8>>) -> std::io::Result<()> {
        let mut start = BytesStart::new(self.name.as_str());
        for (name, value) in &self.attributes {
            start.push_attribute((name.as_str(), value.as_str()));
        }
        if self.children.is_empty() && self.text.is_none() {
            return writer.write_event(Event::Empty(start));
        }
        writer.write_event(Event::Start(start))?;
        if let Some(text) = &self.text {
            writer.write_event(Event::Text(BytesText::from_escaped(escape(text))))?;
        }
        for child in &self.children {
            child.write(writer)?;
        }
        writer.write_event(Event::End(BytesEnd::new(self.name.as_str())))
    }
}

/// Escapes text for XML 1.1. Control characters go as references: as they are, a parser would refuse or change them.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\n' | '\t' => out.push(character),
            control if control.is_control() => out.push_str(&format!("&#{};", u32::from(control))),
            other => out.push(other),
        }
    }
    out
}

/// Reads a document.
pub(super) fn parse(bytes: &[u8]) -> Result<Element, XmlError> {
    if bytes.len() > LENGTH {
        return Err(XmlError::Unexpected("more XML than a configuration has (1 MiB)"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| XmlError::Unexpected("XML that is not UTF-8"))?;
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    loop {
        let event = match reader.read_event() {
            Ok(event) => event,
            Err(source) => return Err(XmlError::Malformed { position: reader.error_position(), source: Box::new(source) }),
        };
        let malformed = |source: quick_xml::Error| XmlError::Malformed { position: reader.buffer_position(), source: Box::new(source) };
        let closed = match event {
            Event::Start(start) if open.len() < DEPTH => {
                open.push(element(&start).map_err(malformed)?);
                None
            }
            Event::Start(_) => return Err(XmlError::Unexpected("XML nested too deeply")),
            Event::Empty(start) => Some(element(&start).map_err(malformed)?),
            Event::End(_) => open.pop().map(|mut done| {
                // Blanks between children mean nothing; without children they are the text.
                done.text = done.children.is_empty().then(|| done.text.unwrap_or_default());
                done
            }),
            Event::Text(text) => {
                append(&mut open, &text.xml11_content());
                None
            }
            Event::CData(text) => {
                append(&mut open, &text.xml11_content());
                None
            }
            Event::GeneralRef(reference) => {
                let character = match reference.resolve_char_ref().map_err(malformed)? {
                    Some(character) => character.to_string(),
                    None => quick_xml::escape::resolve_predefined_entity(&reference.xml11_content())
                        .ok_or(XmlError::Unexpected("an XML entity that is not one of the five"))?
                        .to_owned(),
                };
                append(&mut open, &character);
                None
            }
            Event::DocType(_) => return Err(XmlError::Unexpected("a document type where a configuration belongs")),
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) => None,
            Event::Eof => return Err(XmlError::Unexpected("XML that ends too early")),
        };
        match (closed, open.last_mut()) {
            (Some(child), Some(parent)) => parent.children.push(child),
            (Some(root), None) => return Ok(root),
            (None, _) => {}
        }
    }
}

fn append(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.get_or_insert_default().push_str(text);
    }
}

fn element(start: &BytesStart<'_>) -> Result<Element, quick_xml::Error> {
    let mut element = Element::new(start.name().as_ref());
    for attribute in start.attributes() {
        let attribute = attribute?;
        let value = attribute.normalized_value(quick_xml::XmlVersion::Explicit1_1)?;
        element.attributes.push((attribute.key.as_ref().to_owned(), value.into_owned()));
    }
    Ok(element)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLAVE: &str = "<?xml version=\"1.1\" encoding=\"UTF-8\"?>\n<slave>\n  <name>n</name>\n  <description>é &lt;b&gt;&amp;&quot;&apos;\nline2&#1;</description>\n  <label></label>\n  <nodeProperties/>\n  <launcher class=\"a.B$C\" plugin=\"ssh-slaves@3\">\n    <host>h</host>\n  </launcher>\n</slave>";

    #[test]
    fn xml_1_1_is_read_by_value() {
        let slave = parse(SLAVE.as_bytes()).unwrap();
        assert_eq!(slave.value("description"), Some("é <b>&\"'\nline2\u{1}"));
        assert_eq!(slave.value("label"), Some(""));
        assert_eq!(slave.get("nodeProperties").unwrap().text, None);
        assert_eq!(slave.get("launcher").unwrap().class(), "a.B$C");
        assert_eq!(slave.get("launcher").unwrap().text, None, "blanks between children are no text");
    }

    #[test]
    fn a_document_that_would_fill_the_memory_is_not_read() {
        let of = |elements: usize| format!("<slave>{}</slave>", "<a/>".repeat(elements));
        assert_eq!(parse(of(1000).as_bytes()).unwrap().children.len(), 1000);
        assert!(matches!(parse(of(LENGTH / 4).as_bytes()), Err(XmlError::Unexpected(why)) if why.contains("1 MiB")));
    }

    #[test]
    fn what_was_read_is_written_with_the_same_values() {
        let slave = parse(SLAVE.as_bytes()).unwrap();
        assert_eq!(parse(&slave.document()).unwrap(), slave);
        assert!(slave.document().starts_with(b"<?xml version=\"1.1\" encoding=\"UTF-8\"?><slave>"));
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        for bad in ["", "<slave>", "<slave></node>", "<a>&unknown;</a>", "<!DOCTYPE html><html></html>", "no xml"] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
        let deep = "<a>".repeat(100);
        assert!(matches!(parse(deep.as_bytes()), Err(XmlError::Unexpected("XML nested too deeply"))));
    }
}
