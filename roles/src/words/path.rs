//! Absolute, normal paths on a node.

use serde::{Deserialize, Serialize};
use std::path::Path;

/// Why a text is not a path we accept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an absolute path: {why}")]
pub struct PathError {
    /// What was given, cut to a bounded length.
    pub text: String,
    /// The rule that was broken.
    pub why: &'static str,
}

/// Characters that make a text look like another one (Unicode 15, general category Cf, the common ones): zero width, and those that turn
/// the direction of writing.
pub fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// An absolute UTF-8 path without `.`, `..`, empty components, control characters or a trailing slash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AbsPath(String);

impl AbsPath {
    /// Reads a path; a trailing slash is dropped.
    ///
    /// # Errors
    /// The rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let fail = |why| Err(PathError { text: text.chars().take(200).collect(), why });
        if !text.starts_with('/') {
            return fail("it does not start with `/`");
        }
        if text.len() > 4000 {
            return fail("it is longer than 4000 bytes");
        }
        if text.chars().any(char::is_control) {
            return fail("it holds a control character");
        }
        if text.chars().any(is_unseen) {
            return fail("it holds a character that is not seen, or turns the direction of writing");
        }
        let trimmed = text.trim_end_matches('/');
        if trimmed.is_empty() {
            return Ok(Self("/".to_owned()));
        }
        if trimmed.split('/').skip(1).any(|part| part.is_empty() || part == "." || part == "..") {
            return fail("it holds an empty part, `.` or `..`");
        }
        Ok(Self(trimmed.to_owned()))
    }
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The path for the file system.
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }
    /// The directory it stands in; none for `/`.
    pub fn parent(&self) -> Option<Self> {
        let cut = self.0.rfind('/')?;
        if self.0 == "/" {
            return None;
        }
        Some(Self(if cut == 0 { "/".to_owned() } else { self.0[..cut].to_owned() }))
    }
    /// The last part; empty for `/`.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or("")
    }
    /// Whether this is `other` or stands somewhere below it.
    pub fn is_within(&self, other: &Self) -> bool {
        other.0 == "/" || self.0 == other.0 || self.0.strip_prefix(&other.0).is_some_and(|rest| rest.starts_with('/'))
    }
    /// The path `part` below this one.
    ///
    /// # Errors
    /// When the result breaks a rule.
    pub fn join(&self, part: &str) -> Result<Self, PathError> {
        Self::parse(&format!("{}/{part}", self.0.trim_end_matches('/')))
    }
}

impl TryFrom<String> for AbsPath {
    type Error = PathError;
    fn try_from(text: String) -> Result<Self, PathError> {
        Self::parse(&text)
    }
}
impl std::str::FromStr for AbsPath {
    type Err = PathError;
    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::parse(text)
    }
}
impl From<AbsPath> for String {
    fn from(path: AbsPath) -> Self {
        path.0
    }
}
impl AsRef<Path> for AbsPath {
    fn as_ref(&self) -> &Path {
        self.as_path()
    }
}
impl std::fmt::Display for AbsPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_absolute_and_normal() {
        assert_eq!(AbsPath::parse("/opt/git/").unwrap().as_str(), "/opt/git");
        assert_eq!(AbsPath::parse("/").unwrap().parent(), None);
        assert_eq!(AbsPath::parse("/etc").unwrap().parent().unwrap().as_str(), "/");
        assert_eq!(AbsPath::parse("opt").unwrap_err().why, "it does not start with `/`");
        assert_eq!(AbsPath::parse("/a/../b").unwrap_err().why, "it holds an empty part, `.` or `..`");
        assert!(AbsPath::parse("/a\nb").is_err());
        assert!(AbsPath::parse("/opt/git").unwrap().is_within(&AbsPath::parse("/opt").unwrap()));
        assert!(!AbsPath::parse("/optical").unwrap().is_within(&AbsPath::parse("/opt").unwrap()));
    }
}
