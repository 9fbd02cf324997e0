//! Newtypes for every kind of name and quantity: parsed once, then trusted.

mod content;
mod count;
mod date;
mod digest;
mod mode;
mod name;
mod origin;
mod passwd;
mod path;
mod quantity;
mod secret;
mod unit;
mod version;

pub use content::Content;
pub use count::count;
pub use date::date;
pub use digest::{Blob, Digest, ParseDigestError, write_named};
pub use mode::{Mode, ParseModeError};
pub use name::{
    AccountName, ImageName, Label, MasterName, ModuleName, NameError, NodeName, PackageName, RoleName, RunId, SecretName, SysctlName,
    UnitName,
};
pub use origin::Origin;
pub use passwd::PasswdLine;
pub use path::{AbsPath, PathError, is_unseen};
pub use quantity::{Bytes, ParseQuantityError, Percent, Span};
pub use secret::{Secret, SecretRef, Sensitive};
pub use unit::UNIT_DIRECTORIES;
pub use version::Version;
