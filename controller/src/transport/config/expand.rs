//! `~` and `%` tokens in the paths that `ssh -G` leaves as they were written. Pure.

use std::path::PathBuf;

use super::resolved::ConfigError;
use super::settings::LocalUser;

/// What tokens stand for (ssh_config(5), TOKENS).
#[derive(Debug, Clone)]
pub(super) struct Tokens<'a> {
    pub local_user: &'a LocalUser,
    pub original: &'a str,
    pub hostname: &'a str,
    pub port: u16,
    pub user: &'a str,
    pub alias: Option<&'a str>,
}

impl Tokens<'_> {
    /// Expands a path; none for `none`. Variables of the environment and the homes of others are not looked up.
    ///
    /// # Errors
    /// A token that we do not have.
    pub fn path(&self, name: &str, value: &str) -> Result<Option<PathBuf>, ConfigError> {
        if value == "none" {
            return Ok(None);
        }
        let home = self.local_user.home.to_string_lossy().into_owned();
        let (mut out, rest) = match value.strip_prefix("~/") {
            Some(rest) => (format!("{home}/"), rest),
            None => (String::new(), value),
        };
        let unknown = |token: &str| ConfigError::Token { name: name.to_owned(), value: value.to_owned(), token: token.to_owned() };
        if out.is_empty() && value.starts_with('~') {
            return Err(unknown(value.split('/').next().unwrap_or(value)));
        }
        if let Some(at) = rest.find("${") {
            return Err(unknown(rest[at..].split_inclusive('}').next().unwrap_or(rest)));
        }
        let mut chars = rest.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            match chars.next() {
                Some('%') => out.push('%'),
                Some('d') => out.push_str(&home),
                Some('h') => out.push_str(self.hostname),
                Some('n') => out.push_str(self.original),
                Some('p') => out.push_str(&self.port.to_string()),
                Some('r') => out.push_str(self.user),
                Some('u') => out.push_str(&self.local_user.user),
                Some('k') => out.push_str(self.alias.unwrap_or(self.original)),
                Some('i') => out.push_str(&rustix::process::getuid().as_raw().to_string()),
                other => return Err(unknown(&format!("%{}", other.map(String::from).unwrap_or_default()))),
            }
        }
        Ok(Some(PathBuf::from(out)))
    }
}
