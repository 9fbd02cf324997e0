//! Turns the tree of a file into what it means, and finds everything that is wrong with it without a node.

mod base;
pub(super) mod fields;
mod image;
mod nodes;
mod params;
mod read;
mod role;
mod site;
mod steps;

pub use image::image;
pub use nodes::nodes_file;
pub use role::role;
pub use site::site_file;
