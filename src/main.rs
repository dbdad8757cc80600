//! The binary: reads `.env`, parses the command, runs it.

use std::{io::Write as _, process::ExitCode};

use clap::Parser as _;
use coworking_analytics::cli::Cli;

fn main() -> ExitCode {
    match dotenvy::dotenv() {
        Err(error) if !error.not_found() => {
            let _ = writeln!(std::io::stderr(), "the file .env cannot be read: {error}");
            ExitCode::from(2)
        }
        _ => Cli::parse().run(),
    }
}
