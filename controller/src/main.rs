//! The `ostler` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next() {
        // The lab's holder is this very program run again.
        Some(verb) if verb == ostler::lab::HOLDER_VERB => ostler::lab::holder_main(arguments),
        _ => ExitCode::from(2),
    }
}
