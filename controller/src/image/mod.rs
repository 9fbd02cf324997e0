//! Images: a role baked into a root tree by the same agent that makes a live node, sealed, put on a disk, and proved by booting it.

pub mod bake;
pub mod base;
pub mod boot;
pub mod build;
pub mod dib;
pub mod difference;
pub mod disk;
mod error;
pub mod finish;
pub mod inside;
pub mod layers;
pub mod manifest;
pub mod output;
mod remains;
pub mod room;
pub mod root;
pub mod scratch;
pub mod seal;
pub mod stack;
mod tools;
pub mod tree;
pub mod tree_facts;
pub mod verify;

pub use error::ImageError;
