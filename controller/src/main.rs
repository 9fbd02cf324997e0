//! `ostler`: turns a bare Linux host into a proven, labelled CI node.

use ostler::{cli, command};
use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(command::run(cli::parse()).code())
}
