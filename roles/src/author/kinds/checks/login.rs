//! `login` as a check: its fields, and what must hold.

use super::super::Place;
use super::super::read::{Built, must};
use super::super::types::{Becomes, CheckSpec, FieldSpec, KindSpec};
use super::super::values::Values;
use super::super::vocabulary::NAME;
use crate::check::{Check, Login};
use crate::words::{AccountName, Span};

/// Its table.
pub(in crate::author) const SPEC: KindSpec = KindSpec {
    word: "login",
    doc: "A user's login shell starts, in its home.",
    places: &[Place::Verify],
    fields: &[FieldSpec::new("user", NAME, "The account.").required().key()],
    rules: &[],
    deadline: Span::seconds(30),
    becomes: Becomes::Check(CheckSpec::new(|values, _, _| login(values))),
};

fn login(values: &Values) -> Built<Check> {
    Ok(Check::Login(Login { user: must(values, "user", AccountName::parse)? }))
}
