//! What may stand after `|`.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::eval::{MAX_VALUE, too_large};
use super::{Filter, Word};
use crate::author::value::{self, Data, ELEMENT, Value, as_text, order};
use crate::words::Span;

/// The filters, by name.
pub const FILTERS: &[Word<Filter>] = &[
    Word {
        name: "basename",
        usage: "path | basename",
        doc: "The last part of a path.",
        arguments: (0, 0),
        run: |x, _| Ok(Value::text(text(x)?.rsplit('/').next().unwrap_or_default())),
    },
    Word { name: "dirname", usage: "path | dirname", doc: "The directory that a path stands in.", arguments: (0, 0), run: dirname },
    Word {
        name: "join",
        usage: "list | join(\", \")",
        doc: "The elements in one text, with the argument between them.",
        arguments: (0, 1),
        run: join,
    },
    Word {
        name: "json",
        usage: "x | json",
        doc: "The value as JSON, in one line.",
        arguments: (0, 0),
        run: |x, _| Ok(Value::text(json(x)?.to_string())),
    },
    Word { name: "length", usage: "x | length", doc: "How many elements, entries or characters.", arguments: (0, 0), run: length },
    Word {
        name: "lower",
        usage: "text | lower",
        doc: "In small letters.",
        arguments: (0, 0),
        run: |x, _| Ok(Value::text(text(x)?.to_lowercase())),
    },
    Word { name: "max", usage: "list | max", doc: "The greatest element.", arguments: (0, 0), run: |x, _| extreme(x, Ordering::Greater) },
    Word { name: "min", usage: "list | min", doc: "The least element.", arguments: (0, 0), run: |x, _| extreme(x, Ordering::Less) },
    Word {
        name: "public_half",
        usage: "secret.NAME | public_half",
        doc: "The public key of an OpenSSH private key; no longer secret.",
        arguments: (0, 0),
        run: public_half,
    },
    Word { name: "replace", usage: "text | replace(\"old\", \"new\")", doc: "Every occurrence replaced.", arguments: (2, 2), run: replace },
    Word {
        name: "round",
        usage: "size | round(\"GiB\")",
        doc: "A size or time as a whole number of that unit (`B KiB MiB GiB TiB`, `s m h d`), rounded to the nearest.",
        arguments: (1, 1),
        run: round,
    },
    Word {
        name: "shell_quote",
        usage: "text | shell_quote",
        doc: "One word of a POSIX shell.",
        arguments: (0, 0),
        run: |x, _| Ok(Value::text(shell_quote(&text(x)?))),
    },
    Word { name: "sort", usage: "list | sort", doc: "The elements in order.", arguments: (0, 0), run: sort },
    Word {
        name: "split",
        usage: "text | split(\",\")",
        doc: "The parts between the argument, or between blanks without one.",
        arguments: (0, 1),
        run: split,
    },
    Word { name: "unique", usage: "list | unique", doc: "Each element once, where it first stands.", arguments: (0, 0), run: unique },
    Word {
        name: "upper",
        usage: "text | upper",
        doc: "In capital letters.",
        arguments: (0, 0),
        run: |x, _| Ok(Value::text(text(x)?.to_uppercase())),
    },
    Word {
        name: "yaml",
        usage: "x | yaml",
        doc: "The value as YAML (in the form of JSON), in one line.",
        arguments: (0, 0),
        run: |x, _| Ok(Value::text(json(x)?.to_string())),
    },
];

fn text(value: &Value) -> Result<String, String> {
    match &value.data {
        Data::Boolean(_) => Err("a boolean is not a text".to_owned()),
        data => as_text(data).ok_or_else(|| format!("{} is not a text", data.noun())),
    }
}

fn list(value: &Value) -> Result<&[Value], String> {
    match &value.data {
        Data::List(items) => Ok(items),
        other => Err(format!("{} is not a list", other.noun())),
    }
}

fn dirname(x: &Value, _: &[Value]) -> Result<Value, String> {
    let path = text(x)?;
    let parent = match path.rfind('/') {
        None => ".",
        Some(0) => "/",
        Some(at) => &path[..at],
    };
    Ok(match (&x.data, crate::words::AbsPath::parse(parent)) {
        (Data::Path(_), Ok(path)) => Data::Path(path).into(),
        _ => Value::text(parent),
    })
}

fn join(x: &Value, arguments: &[Value]) -> Result<Value, String> {
    let between = arguments.first().map_or(Ok(String::new()), text)?;
    let items = list(x)?;
    room(x.size().saturating_add(between.len().saturating_mul(items.len())))?;
    let parts = items.iter().map(|item| as_text(&item.data).ok_or_else(|| format!("{} has no text", item.data.noun())));
    Ok(Value::text(parts.collect::<Result<Vec<_>, _>>()?.join(&between)))
}

/// Refuses a result of more bytes than a value may have, before it is made.
fn room(bytes: usize) -> Result<(), String> {
    if bytes > MAX_VALUE { Err(too_large()) } else { Ok(()) }
}

fn length(x: &Value, _: &[Value]) -> Result<Value, String> {
    let count = match &x.data {
        Data::List(items) => items.len(),
        Data::Map(entries) => entries.len(),
        Data::Text(text) => text.chars().count(),
        other => return Err(format!("{} has no length", other.noun())),
    };
    Ok(Value::integer(i64::try_from(count).unwrap_or(i64::MAX)))
}

fn ordered(a: &Value, b: &Value) -> Result<Ordering, String> {
    order(&a.data, &b.data).ok_or_else(|| format!("{} and {} have no order", a.data.noun(), b.data.noun()))
}

fn extreme(x: &Value, wanted: Ordering) -> Result<Value, String> {
    let mut items = list(x)?.iter();
    let mut best = items.next().ok_or("the list is empty")?;
    for item in items {
        if ordered(item, best)? == wanted {
            best = item;
        }
    }
    Ok(best.clone())
}

fn sort(x: &Value, _: &[Value]) -> Result<Value, String> {
    let mut items = list(x)?.to_vec();
    // One kind of value: a text is read as a version beside versions, and as itself beside texts, and that is no order.
    let kind = |item: &Value| if matches!(item.data, Data::Path(_) | Data::SitePath(..)) { "a text" } else { item.data.noun() };
    for pair in items.windows(2) {
        if let [a, b] = pair {
            ordered(a, b)?;
            if kind(a) != kind(b) {
                return Err(format!("{} and {} in one list have no order", a.data.noun(), b.data.noun()));
            }
        }
    }
    items.sort_by(|a, b| order(&a.data, &b.data).unwrap_or(Ordering::Equal));
    Ok(Value::list(items))
}

/// The most elements that are compared each with each other: lists, maps and values of several types.
const MAX_COMPARED: usize = 2_000;

fn unique(x: &Value, _: &[Value]) -> Result<Value, String> {
    let items = list(x)?;
    let mut kept: Vec<Value> = Vec::new();
    if items.iter().all(|item| matches!(item.data, Data::Text(_) | Data::Path(_) | Data::SitePath(..))) {
        let mut seen = BTreeSet::new();
        kept.extend(items.iter().filter(|item| seen.insert(as_text(&item.data))).cloned());
        return Ok(Value::list(kept));
    }
    if items.len() > MAX_COMPARED {
        return Err(format!("more than {MAX_COMPARED} elements that are not all texts"));
    }
    for item in items {
        if !kept.contains(item) {
            kept.push(item.clone());
        }
    }
    Ok(Value::list(kept))
}

fn replace(x: &Value, arguments: &[Value]) -> Result<Value, String> {
    let [from, to] = arguments else { return Err("two texts are wanted".to_owned()) };
    let from = text(from)?;
    if from.is_empty() {
        return Err("an empty text occurs everywhere".to_owned());
    }
    let (whole, to) = (text(x)?, text(to)?);
    room(whole.len().saturating_add(whole.matches(&from).count().saturating_mul(to.len())))?;
    Ok(Value::text(whole.replace(&from, &to)))
}

fn split(x: &Value, arguments: &[Value]) -> Result<Value, String> {
    let whole = text(x)?;
    let part = |part: &str| Value::text(part).marked(&x.marks);
    let between = arguments.first().map(text).transpose()?;
    let count = match &between {
        None => whole.split_whitespace().count(),
        Some(between) if between.is_empty() => return Err("an empty text parts nothing".to_owned()),
        Some(between) => whole.matches(between).count(),
    };
    room(whole.len().saturating_add(count.saturating_mul(ELEMENT)))?;
    let parts = match &between {
        None => whole.split_whitespace().map(part).collect(),
        Some(between) => whole.split(between).map(part).collect(),
    };
    Ok(Value::list(parts))
}

fn round(x: &Value, arguments: &[Value]) -> Result<Value, String> {
    let unit = arguments.first().map_or(Ok(String::new()), text)?;
    let (count, factor) = match (&x.data, unit.as_str()) {
        (Data::Bytes(size), "B") => (size.count(), 1),
        (Data::Bytes(size), "KiB") => (size.count(), 1 << 10),
        (Data::Bytes(size), "MiB") => (size.count(), 1 << 20),
        (Data::Bytes(size), "GiB") => (size.count(), 1 << 30),
        (Data::Bytes(size), "TiB") => (size.count(), 1 << 40),
        (Data::Duration(span), "s") => (millis(*span), 1_000),
        (Data::Duration(span), "m") => (millis(*span), 60_000),
        (Data::Duration(span), "h") => (millis(*span), 3_600_000),
        (Data::Duration(span), "d") => (millis(*span), 86_400_000),
        (Data::Bytes(_), _) => return Err(format!("`{unit}` is not a unit of sizes")),
        (Data::Duration(_), _) => return Err(format!("`{unit}` is not a unit of times")),
        (other, _) => return Err(format!("{} is neither a size nor a time", other.noun())),
    };
    let rounded = count / factor + u64::from(count % factor >= factor.div_ceil(2) && factor > 1);
    i64::try_from(rounded).map(Value::integer).map_err(|_| "the result is too large".to_owned())
}

fn millis(span: Span) -> u64 {
    u64::try_from(span.duration().as_millis()).unwrap_or(u64::MAX)
}

/// One word of a POSIX shell, in quotes where it needs them.
#[must_use]
pub fn shell_quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./-_".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

fn json(value: &Value) -> Result<serde_json::Value, String> {
    Ok(match &value.data {
        Data::None => serde_json::Value::Null,
        Data::Boolean(flag) => (*flag).into(),
        Data::Integer(number) => (*number).into(),
        Data::List(items) => serde_json::Value::Array(items.iter().map(json).collect::<Result<_, _>>()?),
        Data::Map(entries) => {
            let read = entries.iter().map(|(key, value)| Ok((key.to_string(), json(value)?)));
            serde_json::Value::Object(read.collect::<Result<_, String>>()?)
        }
        Data::Node(_) => return Err("a node has no text: ask for its `.host` or `.name`".to_owned()),
        data => as_text(data).unwrap_or_default().into(),
    })
}

fn public_half(x: &Value, _: &[Value]) -> Result<Value, String> {
    if x.marks.chosen || x.marks.secrets.len() > 1 {
        return Err("a secret decides which key this is: its public half would tell".to_owned());
    }
    let Data::Text(private) = &x.data else { return Err(format!("{} is not a private key", x.data.noun())) };
    let public: Arc<str> = if **private == *value::SEALED {
        value::SEALED_PUBLIC.into()
    } else {
        value::public_half(private).map_err(|error| error.to_string())?.into()
    };
    let mut marks = x.marks.clone();
    marks.secrets.clear();
    Ok(Value { data: Data::Text(public), marks })
}
