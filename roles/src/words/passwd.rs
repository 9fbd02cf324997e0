//! Lines of passwd(5).

/// An account as its line has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswdLine<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its number.
    pub uid: u32,
    /// Its group's number.
    pub gid: u32,
    /// Who it is.
    pub comment: &'a str,
    /// Its home.
    pub home: &'a str,
    /// Its shell; none: `/bin/sh`.
    pub shell: Option<&'a str>,
}

impl<'a> PasswdLine<'a> {
    /// Reads a line; none: it is no account's.
    pub fn read(line: &'a str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let mut fields = fields.skip(1);
        let uid = fields.next()?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        let comment = fields.next()?;
        let home = fields.next()?;
        let shell = fields.next().filter(|shell| !shell.is_empty());
        Some(Self { name, uid, gid, comment, home, shell })
    }
}
