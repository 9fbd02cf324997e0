//! The run protocol without a real node: a provider on a node that is one JSON file, the agent around them, a controller's end of the line.

#![expect(clippy::expect_used, reason = "test support: ground that gives way must stop the test at once")]

mod catalog;
mod conversation;
mod facilities;
mod provider;

pub use catalog::{blob_of, catalog, command, content, directory, file, file_of, package, secret_file, service, step, user};
pub use conversation::{Bench, Conversation};
pub use facilities::FakeFacilities;
pub use provider::{Act, FakeNode, FakeProvider};
