//! XML as Jenkins' serialiser writes it: a small tree, a strict reader, a writer that gives the same bytes.
//!
//! Written apart from the product's own reader on purpose: the model must not share the client's mistakes.

/// One element: its attributes in order, and either text or children.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element {
    /// Tag name.
    pub name: String,
    /// Attributes, in document order.
    pub attributes: Vec<(String, String)>,
    /// Child elements.
    pub children: Vec<Element>,
    /// Text. `Some("")` is written `<x></x>`, `None` without children `<x/>`.
    pub text: Option<String>,
}

/// Why a document was refused; Jenkins answers 500 to all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed;

impl Element {
    /// An empty element.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// An element with text.
    pub fn text(name: &str, text: impl Into<String>) -> Self {
        Self { name: name.to_owned(), text: Some(text.into()), ..Self::default() }
    }

    /// The same with an attribute more.
    pub fn with(mut self, attribute: &str, value: &str) -> Self {
        self.attributes.push((attribute.to_owned(), value.to_owned()));
        self
    }

    /// The same with a child more.
    pub fn child(mut self, child: Element) -> Self {
        self.children.push(child);
        self
    }

    /// The first child of that name.
    pub fn get(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first child of that name.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.get(name).map(|child| child.text.as_deref().unwrap_or(""))
    }

    /// The value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The `class` attribute, empty if there is none.
    pub fn class(&self) -> &str {
        self.attribute("class").unwrap_or("")
    }

    /// Written as XStream writes it: two blanks a level, all five entities unless `raw_quotes`.
    pub fn pretty(&self, raw_quotes: bool) -> String {
        let mut out = String::new();
        self.write(&mut out, 0, raw_quotes);
        out
    }

    fn write(&self, out: &mut String, depth: usize, raw_quotes: bool) {
        let indent = "  ".repeat(depth);
        out.push_str(&indent);
        out.push('<');
        out.push_str(&self.name);
        for (key, value) in &self.attributes {
            out.push_str(&format!(" {key}=\"{}\"", escape(value, false)));
        }
        if self.children.is_empty() {
            match &self.text {
                None => out.push_str("/>"),
                Some(text) => out.push_str(&format!(">{}</{}>", escape(text, raw_quotes), self.name)),
            }
            return;
        }
        out.push('>');
        for child in &self.children {
            out.push('\n');
            child.write(out, depth + 1, raw_quotes);
        }
        out.push_str(&format!("\n{indent}</{}>", self.name));
    }
}

fn escape(text: &str, raw_quotes: bool) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    if raw_quotes { text } else { text.replace('"', "&quot;").replace('\'', "&apos;") }
}

/// Reads one document. The prolog may be missing, or say 1.0 or 1.1.
pub fn parse(document: &str) -> Result<Element, Malformed> {
    let mut reader = Reader { rest: document.trim_start_matches('\u{feff}').trim() };
    if reader.rest.starts_with("<?xml") {
        reader.until("?>")?;
    }
    reader.rest = reader.rest.trim_start();
    let root = reader.element()?;
    if reader.rest.trim().is_empty() { Ok(root) } else { Err(Malformed) }
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn until(&mut self, end: &str) -> Result<&'a str, Malformed> {
        let at = self.rest.find(end).ok_or(Malformed)?;
        let part = &self.rest[..at];
        self.rest = &self.rest[at + end.len()..];
        Ok(part)
    }

    fn element(&mut self) -> Result<Element, Malformed> {
        self.rest = self.rest.strip_prefix('<').ok_or(Malformed)?;
        let tag = self.tag()?;
        let (tag, empty) = match tag.strip_suffix('/') {
            Some(tag) => (tag, true),
            None => (tag, false),
        };
        let (name, attributes) = split_tag(tag)?;
        let mut element = Element { name, attributes, ..Element::default() };
        if empty {
            return Ok(element);
        }
        let mut text = String::new();
        loop {
            let at = self.rest.find('<').ok_or(Malformed)?;
            text.push_str(&unescape(&self.rest[..at])?);
            self.rest = &self.rest[at..];
            if let Some(rest) = self.rest.strip_prefix("<!--") {
                self.rest = rest;
                self.until("-->")?;
            } else if let Some(rest) = self.rest.strip_prefix("</") {
                self.rest = rest;
                if self.until(">")?.trim() != element.name {
                    return Err(Malformed);
                }
                break;
            } else {
                element.children.push(self.element()?);
            }
        }
        if element.children.is_empty() {
            element.text = Some(text);
        }
        Ok(element)
    }

    /// Up to the `>` that ends the tag; quoted values may hold one.
    fn tag(&mut self) -> Result<&'a str, Malformed> {
        let mut quote = None;
        for (at, character) in self.rest.char_indices() {
            match (quote, character) {
                (None, '"' | '\'') => quote = Some(character),
                (Some(open), _) if open == character => quote = None,
                (None, '<') => return Err(Malformed),
                (None, '>') => {
                    let tag = &self.rest[..at];
                    self.rest = &self.rest[at + 1..];
                    return Ok(tag);
                }
                _ => {}
            }
        }
        Err(Malformed)
    }
}

type Tag = (String, Vec<(String, String)>);

fn split_tag(tag: &str) -> Result<Tag, Malformed> {
    let tag = tag.trim();
    let end = tag.find(char::is_whitespace).unwrap_or(tag.len());
    let name = &tag[..end];
    if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || "._-:$".contains(c)) {
        return Err(Malformed);
    }
    let mut attributes = Vec::new();
    let mut rest = tag[end..].trim_start();
    while !rest.is_empty() {
        let (key, tail) = rest.split_once('=').ok_or(Malformed)?;
        let quote = tail.chars().next().filter(|c| matches!(c, '"' | '\'')).ok_or(Malformed)?;
        let (value, tail) = tail[1..].split_once(quote).ok_or(Malformed)?;
        attributes.push((key.trim().to_owned(), unescape(value)?));
        rest = tail.trim_start();
    }
    Ok((name.to_owned(), attributes))
}

fn unescape(text: &str) -> Result<String, Malformed> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let (entity, tail) = rest[at + 1..].split_once(';').ok_or(Malformed)?;
        match entity {
            "amp" => out.push('&'),
            "lt" => out.push('<'),
            "gt" => out.push('>'),
            "quot" => out.push('"'),
            "apos" => out.push('\''),
            _ => {
                let digits = entity.strip_prefix('#').ok_or(Malformed)?;
                let code = match digits.strip_prefix('x') {
                    Some(hex) => u32::from_str_radix(hex, 16),
                    None => digits.parse(),
                };
                out.push(code.ok().and_then(char::from_u32).ok_or(Malformed)?);
            }
        }
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}
