//! Frames on stdin and stdout.
