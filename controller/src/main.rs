//! `ostler`: turns a bare Linux host into a proven, labelled CI node.

use clap::Parser;
use ostler::{cli::Cli, command};
use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(command::run(Cli::parse()).code())
}
