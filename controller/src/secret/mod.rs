//! Secrets of a site: one age file each below `secrets/`, encrypted to the recipients in `ostler.yaml`.

mod error;
mod generate;
mod identity;
mod store;

pub use error::SecretError;
pub use generate::{ed25519, password};
pub use identity::Identities;
pub use store::{SetOutcome, names, open, set};
