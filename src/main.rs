//! The binary: reads `.env`, parses the command, runs it.

use std::{io::Write as _, process::ExitCode};

use clap::Parser as _;
use coworking_analytics::cli::Cli;

fn main() -> ExitCode {
    match dotenvy::dotenv() {
        Err(error) if !error.not_found() => {
            let _ = writeln!(std::io::stderr(), "the file .env cannot be read: {}", problem(&error));
            ExitCode::from(2)
        }
        _ => Cli::parse().run(),
    }
}

/// Does not show a malformed line, since it may contain a password, but names the variable before it.
fn problem(error: &dotenvy::Error) -> String {
    if !matches!(error, dotenvy::Error::LineParse(..)) {
        return format!("{error}; let this user read it, or start in another folder");
    }
    let lines = dotenvy::dotenv_iter().into_iter().flatten();
    let place = match lines.map_while(Result::ok).last() {
        Some((name, _)) => format!("what comes after {name}"),
        None => "what comes first".to_owned(),
    };
    format!("{place} is not NAME=value; a value with spaces has to be in quotes")
}
