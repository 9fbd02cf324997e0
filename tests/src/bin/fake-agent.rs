//! The real agent's sessions, plans and runs, with hands on a fake node. For tests alone.

use ostler_tests::protocol::FakeSurroundings;

fn main() -> std::process::ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    ostler_agent::program::start(&FakeSurroundings::from_environment(&words), &words)
}
