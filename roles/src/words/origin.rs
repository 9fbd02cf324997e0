//! Where something was written.

use serde::{Deserialize, Serialize};

/// A place in a file of the site or the library; lines and columns count from 1.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// Path relative to the site, or `library/...`.
    pub file: String,
    /// Line, from 1; 0 where there is no place (generated).
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
}

impl Origin {
    /// A place that no person wrote, such as what an executor brings.
    pub fn generated(by: &str) -> Self {
        Self { file: by.to_owned(), line: 0, column: 0 }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.line == 0 { f.write_str(&self.file) } else { write!(f, "{}:{}:{}", self.file, self.line, self.column) }
    }
}
