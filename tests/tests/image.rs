//! Images: root trees, layers and bases; what a catalog is where nothing runs; disks, and the machines that are booted from them.

#![expect(clippy::expect_used, reason = "a test stops where its ground gives way")]

mod image {
    mod base;
    mod build;
    mod disk;
    mod full;
    mod ground;
    mod killed;
    mod network;
    mod rest;
    mod root;
    mod verify;
}
