//! Sizes, shares and spans of time, as people write them.

use serde::{Deserialize, Serialize};

/// Why a text is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {wanted}")]
pub struct ParseQuantityError {
    /// What was given, cut to a bounded length.
    pub text: String,
    /// What was wanted, with an example.
    pub wanted: &'static str,
}

fn reject(text: &str, wanted: &'static str) -> ParseQuantityError {
    ParseQuantityError { text: text.chars().take(60).collect(), wanted }
}

/// A number of bytes; written `40 GiB`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

impl Bytes {
    const WANTED: &'static str = "a size: a whole number and B, KiB, MiB, GiB or TiB, like `40 GiB`";

    /// Reads `40 GiB`; the unit is a must.
    ///
    /// # Errors
    /// When it is anything else, or too large.
    pub fn parse(text: &str) -> Result<Self, ParseQuantityError> {
        let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(|| reject(text, Self::WANTED))?;
        let (number, unit) = text.split_at(split);
        let factor: u64 = match unit.trim() {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "TiB" => 1 << 40,
            _ => return Err(reject(text, Self::WANTED)),
        };
        let number: u64 = number.parse().map_err(|_| reject(text, Self::WANTED))?;
        number.checked_mul(factor).map(Self).ok_or_else(|| reject(text, Self::WANTED))
    }
    /// The number of bytes.
    pub fn count(self) -> u64 {
        self.0
    }
}

impl std::fmt::Display for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let units = [("TiB", 1u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        for (unit, factor) in units {
            if self.0 >= factor {
                let tenths = (u128::from(self.0) * 10 + u128::from(factor) / 2) / u128::from(factor);
                return if tenths % 10 == 0 {
                    write!(f, "{} {unit}", tenths / 10)
                } else {
                    write!(f, "{}.{} {unit}", tenths / 10, tenths % 10)
                };
            }
        }
        write!(f, "{} B", self.0)
    }
}

/// A span of time in milliseconds; written `90s`, `10m`, `3h`, `30d`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(u64);

impl Span {
    const WANTED: &'static str = "a time: a whole number and s, m, h or d, like `90s`";

    /// Reads `90s`, `10m`, `3h` or `30d`.
    ///
    /// # Errors
    /// When it is anything else, or too large.
    pub fn parse(text: &str) -> Result<Self, ParseQuantityError> {
        let fail = || reject(text, Self::WANTED);
        let factor: u64 = match text.bytes().last() {
            Some(b's') => 1_000,
            Some(b'm') => 60_000,
            Some(b'h') => 3_600_000,
            Some(b'd') => 86_400_000,
            _ => return Err(fail()),
        };
        let number = &text[..text.len() - 1];
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(fail());
        }
        number.parse::<u64>().ok().and_then(|n| n.checked_mul(factor)).map(Self).ok_or_else(fail)
    }
    /// So many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(seconds * 1_000)
    }
    /// So many milliseconds.
    pub const fn millis(millis: u64) -> Self {
        Self(millis)
    }
    /// As the standard library has it.
    pub const fn duration(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            ms if ms % 86_400_000 == 0 && ms > 0 => write!(f, "{}d", ms / 86_400_000),
            ms if ms % 3_600_000 == 0 && ms > 0 => write!(f, "{}h", ms / 3_600_000),
            ms if ms % 60_000 == 0 && ms > 0 => write!(f, "{}m", ms / 60_000),
            ms if ms % 1_000 == 0 => write!(f, "{}s", ms / 1_000),
            ms => write!(f, "{}.{:03}s", ms / 1_000, ms % 1_000),
        }
    }
}

/// A share of a whole: 0 to 100; written `34%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Percent(u8);

impl Percent {
    /// Reads `34%`.
    ///
    /// # Errors
    /// When it is anything else, or above 100.
    pub fn parse(text: &str) -> Result<Self, ParseQuantityError> {
        let number = text.strip_suffix('%').and_then(|n| n.parse::<u8>().ok()).filter(|n| *n <= 100);
        number.map(Self).ok_or_else(|| reject(text, "a share, like `34%`"))
    }
}

impl std::fmt::Display for Percent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}%", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(Bytes::parse("40 GiB").unwrap().count(), 40 << 30);
        assert_eq!(Bytes::parse("512MiB").unwrap().count(), 512 << 20);
        assert!(Bytes::parse("40").is_err());
        assert!(Bytes::parse("40 GB").is_err());
        assert!(Bytes::parse("99999999999 TiB").is_err());
        assert_eq!(Bytes(40 << 30).to_string(), "40 GiB");
        assert_eq!(Bytes(1_610_612_736).to_string(), "1.5 GiB");
        assert_eq!(Bytes(17).to_string(), "17 B");
    }

    #[test]
    fn times_have_units() {
        assert_eq!(Span::parse("90s").unwrap(), Span::seconds(90));
        assert_eq!(Span::parse("3h").unwrap().to_string(), "3h");
        assert!(Span::parse("s").is_err());
        assert!(Span::parse("1.5h").is_err());
        assert!(Span::parse("90").is_err());
    }
}
