//! The command line: what can be asked, and how the answers end.

mod arithmetic;
mod budget;
mod compile;
mod files;
mod listing;
mod report;
mod run;
mod targets;
mod verify;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tflc::target::Target;

/// Why the program ends with another exit code than 0.
#[derive(Debug)]
enum Failure {
    /// The answer is no.
    No(String),
    /// The command line or the model can't be used: everything that is wrong.
    Unusable(Vec<String>),
}

impl From<String> for Failure {
    fn from(message: String) -> Failure {
        Failure::Unusable(vec![message])
    }
}

/// Compiles a quantized .tflite model to Rust or C source for a microcontroller.
///
/// The output is one file that needs `core` only, or one of C99 with its header: no interpreter, no
/// heap, memory planned ahead, and the same output bytes as TensorFlow Lite's reference kernels.
#[derive(Debug, Parser)]
#[command(
    name = "tflc",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    arg_required_else_help = true,
    override_usage = "tflc <MODEL> --target <TARGET> -o <OUT.rs|OUT.c> [OPTIONS]\n       tflc <MODEL> --target <TARGET> --arduino <DIR> [OPTIONS]\n       tflc <COMMAND>",
    after_help = "\
Examples:
  tflc kws.tflite --target cortex-m4 -o src/kws.rs           compile to Rust
  tflc kws.tflite --target cortex-m4 -o src/kws.c            compile to C, with src/kws.h
  tflc kws.tflite --target cortex-m4 --arduino kws           an Arduino library in the folder kws
  tflc kws.tflite --target cortex-m4 -o src/kws.rs --check   is the file up to date?
  tflc kws.tflite --target cortex-m4 --ram 64K -o -          print; fail if it needs more RAM
  tflc kws.tflite --target cortex-m4 --emit memory           where every tensor lies, and when
  tflc report kws.tflite --target cortex-m4                  cycles, flash and RAM by layer
  tflc verify kws.tflite                                     is the generated code exact?
  tflc run kws.tflite --input x.bin -o y.bin                 the reference interpreter

Exit codes: 0 done, 1 the answer is no (--check, verify), 2 the command line or the model can't be
used."
)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    shape: Option<compile::Shape>,
    #[command(flatten)]
    budgets: compile::Budgets,
    #[command(flatten)]
    compile: Option<compile::Arguments>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Report(report::Arguments),
    Run(run::Arguments),
    Verify(verify::Arguments),
    /// Lists the targets and what each has
    Targets,
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    let result = match (command_line.command, command_line.shape, command_line.compile) {
        (Some(Command::Report(arguments)), ..) => report::run(arguments),
        (Some(Command::Run(arguments)), ..) => run::run(&arguments),
        (Some(Command::Verify(arguments)), ..) => verify::run(&arguments),
        (Some(Command::Targets), ..) => targets::run(),
        (None, Some(shape), Some(mut arguments)) => {
            arguments.shape = compile::Shape { budgets: command_line.budgets, ..shape };
            compile::run(&arguments)
        }
        (None, ..) => unreachable!("no arguments print the help"),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::No(message)) => {
            tell(&message);
            ExitCode::from(1)
        }
        Err(Failure::Unusable(messages)) => {
            for message in messages {
                tell(&format!("error: {message}"));
            }
            ExitCode::from(2)
        }
    }
}

/// Writes a line to stderr. If even that is closed, there is nobody to tell.
pub fn tell(message: &str) {
    let _ = writeln!(io::stderr(), "{}", harmless(message.trim_end()));
}

/// Text without characters that a terminal obeys: names in a model file can hold any.
fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && !matches!(c, '\n' | '\t') {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Writes to stdout. A reader that has gone away, as in `tflc … | head`, has seen enough.
fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("the output can't be written: {error}").into())
        }
        _ => Ok(()),
    }
}

/// What a panic says: it is never the user's fault.
pub fn bug_report(what: &str) -> String {
    let backtrace = Backtrace::capture();
    let backtrace = match backtrace.status() {
        BacktraceStatus::Captured => format!("\n{backtrace}"),
        _ => String::new(),
    };
    format!(
        "tflc {}: {what}{backtrace}\nthis is a bug in tflc, please report it with this message, \
         the command line and, if you may share it, the model",
        env!("CARGO_PKG_VERSION")
    )
}

/// The value, or one more thing that is wrong.
fn take<T>(result: Result<T, String>, wrong: &mut Vec<String>) -> Option<T> {
    result.map_err(|message| wrong.push(message)).ok()
}

/// The target of that name, or the one that a TOML file describes.
fn find_target(name: &str) -> Result<Target, String> {
    let path = Path::new(name);
    if path.extension().is_none_or(|extension| extension != "toml") {
        return Target::find(name).map_err(|error| {
            format!("{error}\n(or the path of a .toml file that describes another one)")
        });
    }
    let bytes = files::read(path)?;
    let text = String::from_utf8(bytes).map_err(|_| format!("{name} isn't text in UTF-8"))?;
    Target::parse(&text).map_err(|error| format!("{name}: {error}"))
}

/// An argument as a POSIX shell takes it.
fn quoted(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        return argument.to_string();
    }
    format!("'{}'", argument.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        CommandLine::command().debug_assert();
    }

    #[test]
    fn a_panic_asks_for_a_report() {
        let report = bug_report("it broke");
        assert!(
            report.contains("it broke") && report.contains("this is a bug in tflc"),
            "{report}"
        );
    }

    #[test]
    fn names_move_no_cursor() {
        assert_eq!(harmless("a\x1b[2Jb\r\n\tü→"), "a\\u{1b}[2Jb\\r\n\tü→");
    }

    #[test]
    fn arguments_survive_a_shell() {
        let quotes = ["a/b-1.rs", "", "a b", "it's", "a\nb"].map(quoted);
        assert_eq!(quotes, ["a/b-1.rs", "''", "'a b'", r"'it'\''s'", "'a\nb'"]);
    }
}
