//! The real agent's sessions, plans and runs, with a provider of a fake node. For tests alone.

use ostler_tests::protocol::FakeFacilities;

fn main() -> std::process::ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    ostler_agent::program::start(&FakeFacilities::from_environment(&words), &words)
}
