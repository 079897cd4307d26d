//! The binary: parse, run, exit.

use std::process::Termination;

fn main() -> impl Termination {
    scgate::cli::run(std::env::args_os())
}
