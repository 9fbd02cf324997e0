//! Images: root trees, layers, bases; what a catalog is where nothing runs; disks, and the machines that are booted from them.

#![expect(clippy::expect_used, reason = "a test stops where its ground gives way")]

mod image {
    mod rest;
    mod root;
}
