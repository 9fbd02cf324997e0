//! A real Buildbot on loopback: master and workers from pinned wheels, each in its own directory and on its own address.

#![expect(clippy::expect_used, reason = "a test that cannot be set up has failed")]

mod front;
mod machine;
mod master;
mod venv;

pub use front::{Fate, Front};
pub use machine::{Folder, Tampering};
pub use master::{Master, WorkerProcess};
pub use venv::{Side, installed, library, serve_wheels, venv, wheels};

pub(crate) use master::{address, start};
