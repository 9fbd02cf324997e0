//! The types that one value may have, of a parameter or a field.

/// A type of one value, of a parameter or a field.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ScalarType {
    /// Any text.
    Text,
    /// A word: letters, digits, `.`, `_`, `-`, `+`, `@`, `:`; begins with a letter, digit or `_`.
    Name,
    /// A label of a CI master: one word of letters, digits and `_-.+@:`.
    Label,
    /// A host's name or address.
    Host,
    /// An absolute URL with a scheme.
    Url,
    /// An absolute path on the node, without `..`.
    Path,
    /// A path of the site or library, relative, without `..`.
    SitePath,
    /// 1 to 65535.
    Port,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// `34%`.
    Percent,
    /// `40 GiB`.
    Bytes,
    /// `90s`, `10m`, `3h`, `30d`.
    Duration,
    /// A version; quoted where it looks like a number.
    Version,
    /// A file's mode in quotes: `"0644"`.
    Mode,
    /// A sha256 in hex.
    Digest,
    /// One line of an OpenSSH public key.
    PublicKey,
    /// Text that is never shown.
    Secret,
    /// A distribution, perhaps with its version: `debian`, `debian-12`.
    System,
    /// A node of the inventory.
    Node,
    /// A master of `ostler.yaml`.
    Master,
}

impl ScalarType {
    /// All types.
    pub const ALL: [Self; 21] = [
        Self::Text,
        Self::Name,
        Self::Label,
        Self::Host,
        Self::Url,
        Self::Path,
        Self::SitePath,
        Self::Port,
        Self::Integer,
        Self::Boolean,
        Self::Percent,
        Self::Bytes,
        Self::Duration,
        Self::Version,
        Self::Mode,
        Self::Digest,
        Self::PublicKey,
        Self::Secret,
        Self::System,
        Self::Node,
        Self::Master,
    ];

    /// The word people write.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Name => "name",
            Self::Label => "label",
            Self::Host => "host",
            Self::Url => "url",
            Self::Path => "path",
            Self::SitePath => "site_path",
            Self::Port => "port",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::Percent => "percent",
            Self::Bytes => "bytes",
            Self::Duration => "duration",
            Self::Version => "version",
            Self::Mode => "mode",
            Self::Digest => "digest",
            Self::PublicKey => "public_key",
            Self::Secret => "secret",
            Self::System => "system",
            Self::Node => "node",
            Self::Master => "master",
        }
    }

    /// What may be written, for "expected".
    #[must_use]
    pub const fn expected(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Name => "a name: letters, digits and `._+@:-`, beginning with a letter, a digit or `_`",
            Self::Label => "a label: one word of letters, digits and `_-.+@:`",
            Self::Host => "a host's name or address",
            Self::Url => "a URL, `https://host/path`",
            Self::Path => "an absolute path without `..`",
            Self::SitePath => "a path below `files/` or `templates/`, relative, without `..`",
            Self::Port => "a port, 1 to 65535",
            Self::Integer => "a whole number",
            Self::Boolean => "`true` or `false`",
            Self::Percent => "a share, `34%`",
            Self::Bytes => "a size, `40 GiB`",
            Self::Duration => "a time, `90s`, `10m`, `3h` or `30d`",
            Self::Version => "a version in quotes, `\"1.10\"`",
            Self::Mode => "a mode in quotes, `\"0644\"`",
            Self::Digest => "a sha256: 64 hexadecimal digits",
            Self::PublicKey => "an OpenSSH public key, `ssh-ed25519 AAAA…`",
            Self::Secret => "a secret, `\"{{ secret.NAME }}\"`",
            Self::System => "a system, `debian` or `debian-12`",
            Self::Node => "a node of the inventory",
            Self::Master => "a master of `ostler.yaml`",
        }
    }
}
