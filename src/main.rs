//! The binary: parses the command, and runs it.

use std::process::ExitCode;

use clap::Parser as _;
use coworking_analytics::cli::Cli;

fn main() -> ExitCode {
    Cli::parse().run()
}
