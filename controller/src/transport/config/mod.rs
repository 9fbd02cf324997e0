//! What the user's ssh configuration and the site say of one host, each option honoured, harmless or refused by name.

mod algorithms;
mod expand;
mod jump;
mod lower;
mod memory;
mod options;
mod query;
mod resolved;
mod settings;
mod sources;
mod stock;

pub use algorithms::{Algorithms, NothingLeft};
pub use jump::{BadJump, parse_chain};
pub use options::{OPTIONS, Treatment};
pub use query::Resolver;
pub use resolved::{AddressFamily, AgentSocket, ConfigError, HostConfig, NewKeys};
pub use settings::{HostSettings, Jump, LocalUser, Target};
