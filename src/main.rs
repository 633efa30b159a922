//! The `ringfence` program: see `ringfence::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ringfence::cli::run(std::env::args_os().collect())
}
