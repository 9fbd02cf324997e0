//! The agent's program: see `ostler_agent::program`.

fn main() -> std::process::ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    ostler_agent::program::start_here(&words)
}
