//! Names: a type for each kind, so that none is taken for another.
//!
//! ```compile_fail
//! use ostler_roles::words::{NodeName, RoleName};
//! let node: NodeName = RoleName::parse("base").unwrap(); // a role's name is not a node's
//! ```

use serde::{Deserialize, Serialize};

/// Why a text is not a name of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {} {kind}: {why}", article(kind))]
pub struct NameError {
    /// What was given, cut to a bounded length.
    pub text: String,
    /// The kind of name that was wanted.
    pub kind: &'static str,
    /// The rule that was broken.
    pub why: &'static str,
}

fn article(kind: &str) -> &'static str {
    if kind.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" }
}

fn reject(text: &str, kind: &'static str, why: &'static str) -> NameError {
    NameError { text: text.chars().take(80).collect(), kind, why }
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident, $kind:literal, $max:literal, $first:expr, $rest:expr, $why:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Reads a name of this kind.
            ///
            /// # Errors
            /// The rule that the text breaks.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                let first: fn(char) -> bool = $first;
                let rest: fn(char) -> bool = $rest;
                let mut chars = text.chars();
                let good = text.len() <= $max && chars.next().is_some_and(first) && chars.all(rest);
                if good { Ok(Self(text.to_owned())) } else { Err(reject(text, $kind, $why)) }
            }
            /// The name as text.
            pub fn as_str(&self) -> &str { &self.0 }
        }
        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> { Self::parse(&text) }
        }
        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> { Self::parse(text) }
        }
        impl From<$name> for String {
            fn from(name: $name) -> Self { name.0 }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.pad(&self.0) }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str { &self.0 }
        }
    )*};
}

fn lower(c: char) -> bool {
    c.is_ascii_lowercase()
}
fn alnum(c: char) -> bool {
    c.is_ascii_alphanumeric()
}
fn slug(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
}

names! {
    /// A machine in the inventory.
    NodeName, "node name", 63, alnum, |c| alnum(c) || matches!(c, '-' | '.' | '_'), "letters, digits, `-`, `.` and `_`, first a letter or digit, at most 63";
    /// A role; its file is `roles/NAME.yaml`.
    RoleName, "role name", 63, lower, slug, "lower-case letters, digits and `-`, first a letter, at most 63";
    /// An image; its file is `images/NAME.yaml`, and its name stands in file names and in an OCI archive.
    ImageName, "image name", 63, lower, slug, "lower-case letters, digits and `-`, first a letter, at most 63";
    /// A CI master: a key of `masters`.
    MasterName, "master name", 63, lower, slug, "lower-case letters, digits and `-`, first a letter, at most 63";
    /// A secret of the site; its file is `secrets/NAME.age`.
    SecretName, "secret name", 63, lower, |c| slug(c) || c == '_', "lower-case letters, digits, `-` and `_`, first a letter, at most 63";
    /// A user or group of the node (useradd(8): the portable set, at most 32).
    AccountName, "account name", 32, |c| lower(c) || c == '_', |c| slug(c) || matches!(c, '_' | '.' | '$'), "lower-case letters, digits, `-`, `_`, first a letter or `_`, at most 32";
    /// A label that jobs ask for: one atom of a master's label expression, no operator in it.
    Label, "label", 120, |c| alnum(c) || c == '_', |c| alnum(c) || matches!(c, '_' | '-' | '.' | '+' | '@' | ':'), "letters, digits, `_ - . + @ :`, first a letter, digit or `_`, at most 120";
    /// A Debian package (Debian Policy 5.6.1), optionally `:arch`.
    PackageName, "package name", 120, |c| lower(c) || c.is_ascii_digit(), |c| lower(c) || c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | ':'), "lower-case letters, digits, `+ - .`, at most 120";
    /// A kernel module.
    ModuleName, "kernel module name", 64, |c| alnum(c) || c == '_', |c| alnum(c) || matches!(c, '_' | '-'), "letters, digits, `_` and `-`, at most 64";
    /// A sysctl name with dots (sysctl.d(5)).
    SysctlName, "sysctl name", 200, lower, |c| alnum(c) || matches!(c, '.' | '_' | '-' | '/'), "letters, digits, `. _ - /`, first a lower-case letter";
    /// A systemd unit with its suffix: `nginx.service` (systemd.unit(5)).
    UnitName, "unit name", 255, alnum, |c| alnum(c) || matches!(c, ':' | '-' | '_' | '.' | '\\' | '@'), "letters, digits and `: - _ . \\ @`, at most 255";
    /// A run: a UUIDv7, so that runs sort by time.
    RunId, "run id", 36, |c| c.is_ascii_hexdigit(), |c| c.is_ascii_hexdigit() || c == '-', "a UUID";
}

impl UnitName {
    /// Reads a unit's name, adding `.service` where there is no known suffix.
    ///
    /// # Errors
    /// The rule that the text breaks.
    pub fn parse_service(text: &str) -> Result<Self, NameError> {
        let known = [".service", ".socket", ".timer", ".target", ".mount", ".path"];
        if known.iter().any(|suffix| text.ends_with(suffix)) { Self::parse(text) } else { Self::parse(&format!("{text}.service")) }
    }
}

impl RunId {
    /// The last eight digits: enough for people to tell runs apart. Those are random; the first are a clock's (RFC 9562, 5.7), alike for
    /// all runs of a minute.
    pub fn short(&self) -> &str {
        self.0.get(self.0.len().saturating_sub(8)..).unwrap_or(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_alphabet() {
        assert_eq!(NodeName::parse("build-1").unwrap().as_str(), "build-1");
        assert_eq!(
            AccountName::parse("Jenkins").unwrap_err().why,
            "lower-case letters, digits, `-`, `_`, first a letter or `_`, at most 32"
        );
        assert!(AccountName::parse("Jenkins").unwrap_err().to_string().starts_with("`Jenkins` is not an account name: "));
        assert!(UnitName::parse("/").unwrap_err().to_string().starts_with("`/` is not a unit name: "));
        assert!(Label::parse("a&&b").is_err());
        assert!(Label::parse("").is_err());
        assert!(NodeName::parse("../etc").is_err());
        assert!(UnitName::parse_service("nginx").unwrap().as_str() == "nginx.service");
        assert!(RunId::parse("../../x").is_err());
    }

    #[test]
    fn runs_of_one_millisecond_have_different_short_names() {
        let short = |text: &str| RunId::parse(text).unwrap().short().to_owned();
        assert_eq!(short("019ab000-0000-7000-8000-5d1f0c3a77e2"), "0c3a77e2");
        assert_ne!(short("019ab000-0000-7000-8000-5d1f0c3a77e2"), short("019ab000-0000-7000-8000-5d1f0c3a77e3"));
        assert_eq!(short("019a"), "019a");
    }
}
