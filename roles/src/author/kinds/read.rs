//! From values to words: how the fields of kinds are read.

use super::values::Values;
use crate::author::diagnostic::Fault;
use crate::resource::Ownership;
use crate::words::{AbsPath, AccountName, Mode};

/// What was built, or what is wrong and where.
pub(in crate::author) type Built<T> = Result<T, Box<Fault>>;

/// The fault that a field is missing.
pub(in crate::author) fn missing(values: &Values, field: &str) -> Box<Fault> {
    Box::new(Fault::new(&values.span, format!("`{field}` is missing")))
}

/// A text read into a word; none where it is not written.
pub(in crate::author) fn word<T, E: std::fmt::Display>(
    values: &Values,
    name: &str,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Built<Option<T>> {
    let text = values.text(name);
    text.map(|text| parse(&text).map_err(|error| Box::new(Fault::new(values.span(name), error.to_string())))).transpose()
}

/// Texts of a type, one by one read into a word; the fault stands at the field.
pub(in crate::author) fn words<T, E: std::fmt::Display>(
    values: &Values,
    name: &str,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Built<Vec<T>> {
    let texts = values.texts(name).unwrap_or_default();
    texts.iter().map(|text| parse(text).map_err(|error| Box::new(Fault::new(values.span(name), error.to_string())))).collect()
}

/// A word that the table says must be there.
pub(in crate::author) fn must<T, E: std::fmt::Display>(values: &Values, name: &str, parse: impl Fn(&str) -> Result<T, E>) -> Built<T> {
    word(values, name, parse)?.ok_or_else(|| missing(values, name))
}

/// A path that the table says must be there.
pub(in crate::author) fn path(values: &Values, field: &str) -> Built<AbsPath> {
    values.path(field).ok_or_else(|| missing(values, field))
}

/// An account's name in a field, `root` where it is not written.
pub(in crate::author) fn owner(values: &Values, field: &str) -> Built<AccountName> {
    match word(values, field, AccountName::parse)? {
        Some(name) => Ok(name),
        None => Ok(Ownership::root(Mode::FILE).owner),
    }
}

/// Owner, group and mode; the mode is `default` where none is written.
pub(in crate::author) fn ownership(values: &Values, default: Mode) -> Built<Ownership> {
    Ok(Ownership {
        owner: owner(values, "owner")?,
        group: word(values, "group", AccountName::parse)?,
        mode: values.mode("mode").unwrap_or(default),
    })
}

/// What may not be written beside `absent: true`. Beside an expression it may: it is what holds where that is false.
pub(in crate::author) fn nothing_beside_absent(values: &Values, allowed: &[&str]) -> Built<()> {
    if is_decided(values, "absent") {
        return Ok(());
    }
    let other = values.fields.iter().find(|(name, _)| **name != "absent" && !allowed.contains(name));
    match other {
        Some((name, placed)) => {
            let fault = Fault::new(&placed.span, format!("`{name}` has no meaning for what must be absent"));
            Err(Box::new(fault.also(values.span("absent"), "absent")))
        }
        None => Ok(()),
    }
}

/// Whether an expression decides a field: then either may hold, and what is wanted of one counts for nothing where the other does.
pub(in crate::author) fn is_decided(values: &Values, field: &str) -> bool {
    values.fields.get(field).is_some_and(|placed| placed.span.text().contains("{{"))
}

/// The fault that a field is written where it means nothing; `beside`: whose value takes its meaning away, if it is written.
pub(in crate::author) fn meaningless(values: &Values, field: &str, because: &str, beside: Option<&str>) -> Box<Fault> {
    let fault = Fault::new(values.span(field), format!("`{field}` means nothing {because}")).hint(format!("leave `{field}` out"));
    Box::new(match beside.and_then(|beside| Some((beside, values.fields.get(beside)?))) {
        Some((beside, placed)) => fault.also(&placed.span, beside),
        None => fault,
    })
}

/// A number of the account database.
pub(in crate::author) fn number(values: &Values, field: &str) -> Built<Option<u32>> {
    let read = values.integer(field).map(|number| u32::try_from(number).ok().filter(|number| *number != u32::MAX));
    match read {
        None => Ok(None),
        Some(Some(number)) => Ok(Some(number)),
        Some(None) => Err(Box::new(Fault::new(values.span(field), format!("this is not a `{field}`")).expected("0 to 4294967294"))),
    }
}

/// Program and arguments: at least the program.
pub(in crate::author) fn argv(values: &Values, field: &str) -> Built<Option<Vec<String>>> {
    let Some(words) = values.texts(field) else { return Ok(None) };
    match words.first() {
        Some(program) if !program.is_empty() => Ok(Some(words)),
        Some(_) | None => Err(Box::new(Fault::new(values.span(field), format!("`{field}` names no program")))),
    }
}

/// A path as a resource's name: `/etc/motd/` and `/etc/motd` are one.
pub(super) fn normal_path(key: &str) -> String {
    AbsPath::parse(key).map_or_else(|_| key.to_owned(), |path| path.to_string())
}
