//! Permission bits.

use serde::{Deserialize, Serialize};

/// Why a text is not a mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a mode: three or four octal digits in quotes are wanted, like \"0644\"")]
pub struct ParseModeError(pub String);

/// Permission bits with set-id and sticky bits: 0 to 07777 (chmod(2)).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mode(u32);

impl Mode {
    /// Plain files.
    pub const FILE: Self = Self(0o644);
    /// Directories and programs.
    pub const DIRECTORY: Self = Self(0o755);
    /// What only its owner may read.
    pub const PRIVATE: Self = Self(0o600);

    /// The permission bits of a raw `st_mode`.
    pub fn from_bits(bits: u32) -> Self {
        Self(bits & 0o7777)
    }
    /// Reads three or four octal digits.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn parse(text: &str) -> Result<Self, ParseModeError> {
        let good = (3..=4).contains(&text.len()) && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
        let bits = if good { u32::from_str_radix(text, 8).ok() } else { None };
        bits.map(Self).ok_or_else(|| ParseModeError(text.chars().take(40).collect()))
    }
    /// The bits.
    pub fn bits(self) -> u32 {
        self.0
    }
    /// Whether every account may read what has it.
    pub fn is_readable_by_all(self) -> bool {
        self.0 & 0o004 != 0
    }
    /// Whether this allows nothing that `other` does not.
    pub fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }
}

impl TryFrom<String> for Mode {
    type Error = ParseModeError;
    fn try_from(text: String) -> Result<Self, ParseModeError> {
        Self::parse(&text)
    }
}
impl From<Mode> for String {
    fn from(mode: Mode) -> Self {
        mode.to_string()
    }
}
impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}
impl std::fmt::Debug for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mode({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_octal_text() {
        assert_eq!(Mode::parse("0644").unwrap().bits(), 0o644);
        assert_eq!(Mode::parse("1777").unwrap().to_string(), "1777");
        assert!(Mode::parse("rw-r--r--").is_err());
        assert!(Mode::parse("0899").is_err());
        assert!(Mode::PRIVATE.is_within(Mode::FILE));
    }
}
