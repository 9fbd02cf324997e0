//! `~` and `%` tokens in the paths that `ssh -G` leaves as they were written. Pure.

use std::path::PathBuf;

use sha1::{Digest as _, Sha1};

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
    /// `ProxyJump` as it is written; empty where there is none.
    pub jump: &'a str,
}

impl Tokens<'_> {
    /// Expands a path; none for `none`: `~`, `${VARIABLE}` and the `%` tokens. The homes of others are not looked up.
    ///
    /// # Errors
    /// A token that we do not have; a variable that is not set.
    pub fn path(&self, name: &str, value: &str) -> Result<Option<PathBuf>, ConfigError> {
        if value == "none" {
            return Ok(None);
        }
        let home = self.local_user.home.to_string_lossy().into_owned();
        let (mut out, rest) = match value.strip_prefix("~/") {
            Some(rest) => (format!("{home}/"), rest),
            None => (String::new(), value),
        };
        let rest = &self.variables(name, rest)?;
        let unknown = |token: &str| ConfigError::Token { name: name.to_owned(), value: value.to_owned(), token: token.to_owned() };
        if out.is_empty() && value.starts_with('~') {
            return Err(unknown(value.split('/').next().unwrap_or(value)));
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
                Some('L') => out.push_str(self.local_user.machine.split('.').next().unwrap_or_default()),
                Some('l') => out.push_str(&self.local_user.machine),
                Some('j') => out.push_str(self.jump),
                Some('C') => out.push_str(&self.connection_hash()),
                Some('i') => out.push_str(&rustix::process::getuid().as_raw().to_string()),
                other => return Err(unknown(&format!("%{}", other.map(String::from).unwrap_or_default()))),
            }
        }
        Ok(Some(PathBuf::from(out)))
    }

    /// `%C`: SHA-1 of `%l%h%p%r%j`, in hexadecimal digits (ssh_config(5), TOKENS).
    fn connection_hash(&self) -> String {
        let whole = format!("{}{}{}{}{}", self.local_user.machine, self.hostname, self.port, self.user, self.jump);
        Sha1::digest(whole.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Puts in the variables of the environment.
    fn variables(&self, name: &str, value: &str) -> Result<String, ConfigError> {
        let (mut out, mut rest) = (String::new(), value);
        while let Some((before, behind)) = rest.split_once("${") {
            let bad = || ConfigError::BadValue { name: name.to_owned(), value: value.to_owned() };
            let (variable, after) = behind.split_once('}').filter(|(variable, _)| !variable.is_empty()).ok_or_else(bad)?;
            let unset = || ConfigError::Variable { name: name.to_owned(), value: value.to_owned(), variable: variable.to_owned() };
            out.push_str(before);
            out.push_str(self.local_user.variables.get(variable).ok_or_else(unset)?);
            rest = after;
        }
        Ok(out + rest)
    }
}
