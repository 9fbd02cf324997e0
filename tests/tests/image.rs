//! Images: what a catalog is in a tree on which nothing runs, and on the machine that is booted from it.

#[path = "image/rest.rs"]
mod rest;
