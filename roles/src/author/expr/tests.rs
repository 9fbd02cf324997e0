//! What may stand after `is`.

use std::cmp::Ordering;

use super::{Test, Word};
use crate::author::value::{Data, Value, as_text, order};
use crate::words::{AbsPath, Version};

/// The tests, by name.
pub const TESTS: &[Word<Test>] = &[
    Word {
        name: "above",
        usage: "x is above(y)",
        doc: "Whether it is greater.",
        arguments: (1, 1),
        run: |x, y| Ok(compare(x, one(y)?)?.is_gt()),
    },
    Word {
        name: "at_least",
        usage: "x is at_least(y)",
        doc: "Whether it is as great or greater.",
        arguments: (1, 1),
        run: |x, y| Ok(compare(x, one(y)?)?.is_ge()),
    },
    Word {
        name: "at_most",
        usage: "x is at_most(y)",
        doc: "Whether it is as great or less.",
        arguments: (1, 1),
        run: |x, y| Ok(compare(x, one(y)?)?.is_le()),
    },
    Word {
        name: "below",
        usage: "x is below(y)",
        doc: "Whether it is less; for paths, whether it stands below the directory.",
        arguments: (1, 1),
        run: below,
    },
    Word { name: "empty", usage: "x is empty", doc: "Whether a text, list or map has nothing in it.", arguments: (0, 0), run: empty },
    Word {
        name: "ending_with",
        usage: "x is ending_with(text)",
        doc: "Whether a text ends so.",
        arguments: (1, 1),
        run: |x, y| Ok(text(x)?.ends_with(&text(one(y)?)?)),
    },
    Word { name: "none", usage: "x is none", doc: "Whether nothing was given.", arguments: (0, 0), run: |x, _| Ok(x.is_none()) },
    Word {
        name: "overlapping",
        usage: "x is overlapping(y)",
        doc: "Whether two ranges `{min, max}` have something in common.",
        arguments: (1, 1),
        run: overlapping,
    },
    Word {
        name: "starting_with",
        usage: "x is starting_with(text)",
        doc: "Whether a text begins so.",
        arguments: (1, 1),
        run: |x, y| Ok(text(x)?.starts_with(&text(one(y)?)?)),
    },
];

fn one(arguments: &[Value]) -> Result<&Value, String> {
    arguments.first().ok_or_else(|| "an argument is missing".to_owned())
}

fn text(value: &Value) -> Result<String, String> {
    match &value.data {
        Data::Text(_) | Data::Path(_) | Data::SitePath(..) | Data::Version(_) => Ok(as_text(&value.data).unwrap_or_default()),
        other => Err(format!("{} is not a text", other.noun())),
    }
}

fn compare(x: &Value, y: &Value) -> Result<Ordering, String> {
    order(&x.data, &y.data).ok_or_else(|| match (&x.data, &y.data) {
        (Data::Bytes(_) | Data::Duration(_) | Data::Percent(_), Data::Text(_)) => format!("`{}` is not {}", y.shown(), x.data.noun()),
        (a, b) => format!("{} and {} have no order", a.noun(), b.noun()),
    })
}

fn below(x: &Value, arguments: &[Value]) -> Result<bool, String> {
    let y = one(arguments)?;
    if matches!(x.data, Data::Path(_)) || matches!(y.data, Data::Path(_)) {
        let path = |value: &Value| AbsPath::parse(&text(value)?).map_err(|error| error.to_string());
        let (path, directory) = (path(x)?, path(y)?);
        return Ok(path != directory && path.is_within(&directory));
    }
    Ok(compare(x, y)?.is_lt())
}

fn empty(x: &Value, _: &[Value]) -> Result<bool, String> {
    match &x.data {
        Data::Text(text) => Ok(text.is_empty()),
        Data::List(items) => Ok(items.is_empty()),
        Data::Map(entries) => Ok(entries.is_empty()),
        other => Err(format!("{} is neither empty nor full", other.noun())),
    }
}

/// A range's end; none is without limit (`latest`).
fn bound(range: &Value, key: &str) -> Result<Option<Version>, String> {
    let Data::Map(entries) = &range.data else { return Err(format!("{} is not a range", range.data.noun())) };
    let (_, value) = entries.iter().find(|(name, _)| &**name == key).ok_or_else(|| format!("the range has no `{key}`"))?;
    match &value.data {
        Data::Text(text) if &**text == "latest" => Ok(None),
        data => as_text(data).map(|text| Some(Version(text))).ok_or_else(|| format!("{} is not a version", data.noun())),
    }
}

fn overlapping(x: &Value, arguments: &[Value]) -> Result<bool, String> {
    let y = one(arguments)?;
    let reaches = |low: Option<Version>, high: Option<Version>| match (low, high) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(low), Some(high)) => low <= high,
    };
    Ok(reaches(bound(x, "min")?, bound(y, "max")?) && reaches(bound(y, "min")?, bound(x, "max")?))
}
