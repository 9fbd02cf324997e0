//! A disk written from a tree, without loop devices and mounts.
