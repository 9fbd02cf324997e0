//! What an agent says, for tests.

use ostler_roles::facts::LiveFacts;
use ostler_roles::wire::message::{Hello, SCHEMA};
use ostler_roles::words::Digest;

/// The hello of a root agent that has no run.
pub fn hello() -> Hello {
    Hello {
        schema: SCHEMA,
        agent: Digest::of(b"agent"),
        user: "root".to_owned(),
        root: true,
        boot_id: String::new(),
        run: None,
        generation: 0,
        ledger: ostler_roles::ledger::Ledger::default(),
        facts: ostler_roles::author::compile::recorded().into_values().next().unwrap(),
        live: LiveFacts::default(),
    }
}
