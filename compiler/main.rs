//! The program `tflc`: the command line, and the only place that reads files, writes them or
//! prints.
//!
//! Exit codes: 0 done; 1 the answer is no (`--check`, `verify`); 2 the command line or the model
//! can't be used; 101 a bug in tflc.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|info| cli::tell(&cli::bug_report(&info.to_string()))));
    cli::main()
}
