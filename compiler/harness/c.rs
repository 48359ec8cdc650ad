//! Builds generated C for this machine and runs it.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{ty, Folder};
use crate::backend::c::{print, Names};
use crate::backend::{Arena, Banner, Placement};
use crate::loop_ir::Program;
use crate::ops::{TensorType, Value};

/// A C compiler for this machine, and how it is called.
#[derive(Clone, Debug)]
pub struct CCompiler {
    /// The command.
    pub command: OsString,
    /// Flags for the generated files and for the program around them.
    pub flags: Vec<String>,
}

/// Flags with which a program stops where its behaviour is undefined, or where it leaves its
/// memory.
const SANITIZERS: [&str; 2] = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];

impl CCompiler {
    /// The command in the variable `CC`, else `cc`.
    pub fn new(flags: &[&str]) -> CCompiler {
        CCompiler {
            command: std::env::var_os("CC").unwrap_or_else(|| "cc".into()),
            flags: flags.iter().map(|flag| flag.to_string()).collect(),
        }
    }

    /// The same with sanitizers, if it has them.
    pub fn sanitized(mut self) -> CCompiler {
        let plain = self.clone();
        self.flags.extend(SANITIZERS.map(String::from));
        let works = Folder::new().and_then(|folder| {
            folder.write("main.c", "int main(void) { return 0; }\n")?;
            self.build(&folder, &["main.c"])
        });
        if works.is_ok() {
            self
        } else {
            plain
        }
    }

    fn build(&self, folder: &Folder, files: &[impl AsRef<str>]) -> Result<(), String> {
        let command = Path::new(&self.command).display();
        let output = Command::new(&self.command)
            .current_dir(&folder.0)
            .args(&self.flags)
            .args(files.iter().map(AsRef::as_ref))
            .args(["-o", "main"])
            .output()
            .map_err(|error| format!("can't run {command}: {error}"))?;
        match output.status.success() {
            true => Ok(()),
            false => Err(format!(
                "{command} rejects the generated code:\n{}",
                String::from_utf8_lossy(&output.stderr)
            )),
        }
    }
}

/// Generated models built into one program for this machine.
#[derive(Debug)]
pub struct HostC {
    folder: Folder,
    /// The types of each model's outputs.
    outputs: Vec<Vec<TensorType>>,
}

impl HostC {
    /// Prints programs for an arena of that kind and builds the files.
    ///
    /// # Errors
    /// The compiler is missing or rejects the code.
    pub fn build(
        programs: &[&Program],
        arena: Arena,
        compiler: &CCompiler,
    ) -> Result<HostC, String> {
        let placement = Placement { arena, ..Placement::default() };
        let folder = Folder::new()?;
        let mut files = vec!["main.c".to_string()];
        for (index, program) in programs.iter().enumerate() {
            let name = format!("model{index}");
            let c = print(program, &Banner::default(), &Names::new(&name), &placement);
            folder.write(&format!("{name}.h"), &c.header)?;
            folder.write(&format!("{name}.c"), &c.source)?;
            files.push(format!("{name}.c"));
        }
        folder.write("main.c", &main(programs, arena))?;
        compiler.build(&folder, &files)?;
        let outputs =
            |program: &&Program| (program.outputs.iter()).map(|b| ty(program, b)).collect();
        Ok(HostC { folder, outputs: programs.iter().map(outputs).collect() })
    }

    /// The outputs of the model of that position for each case's inputs.
    ///
    /// # Errors
    /// The program crashes, or a sanitizer stops it.
    pub fn run(&self, model: usize, cases: &[Vec<Value>]) -> Result<Vec<Vec<Value>>, String> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = |what: &str| -> PathBuf { self.folder.0.join(format!("{what}{next}.bin")) };
        let (input, output) = (path("input"), path("output"));
        let failed = |error: std::io::Error| format!("can't run the generated code: {error}");
        let bytes: Vec<u8> =
            cases.iter().flatten().flat_map(|value| &value.bytes).copied().collect();
        std::fs::write(&input, bytes).map_err(failed)?;
        let result = Command::new(self.folder.0.join("main"))
            .args([model.to_string(), cases.len().to_string()])
            .args([&input, &output])
            .output()
            .map_err(failed)?;
        if !result.status.success() {
            let words = String::from_utf8_lossy(&result.stderr);
            return Err(format!("the generated code fails ({}): {words}", result.status));
        }
        let bytes = std::fs::read(&output).map_err(failed)?;
        let mut bytes = &bytes[..];
        let mut take = |ty: &TensorType| {
            let (value, rest) = bytes.split_at_checked(ty.bytes())?;
            bytes = rest;
            Some(Value::new(ty.clone(), value.to_vec()))
        };
        let results: Option<Vec<Vec<Value>>> =
            cases.iter().map(|_| self.outputs[model].iter().map(&mut take).collect()).collect();
        results.ok_or_else(|| "the generated code wrote too little".into())
    }
}

/// A program that takes the number of a model, that of the cases, and the files of inputs and
/// outputs. Memory comes from the heap, where sanitizers see its ends.
fn main(programs: &[&Program], arena: Arena) -> String {
    let mut out = String::from("#include <stdio.h>\n#include <stdlib.h>\n");
    let mut arms = String::new();
    for index in 0..programs.len() {
        writeln!(out, "#include \"model{index}.h\"").expect("a string");
        writeln!(arms, "    case {index}: return run{index}(cases, input, output);")
            .expect("a string");
    }
    for (index, program) in programs.iter().enumerate() {
        let mut body = String::new();
        for (what, function, borders) in
            [("input", "fread", &program.inputs), ("output", "fwrite", &program.outputs)]
        {
            if what == "output" {
                writeln!(body, "        model{index}_run(m);").expect("a string");
            }
            for i in 0..borders.len() {
                let name = if borders.len() == 1 { what.to_string() } else { format!("{what}{i}") };
                let accessor = format!("model{index}_{name}(m)");
                let len = format!("MODEL{index}_{}_LEN", name.to_uppercase());
                writeln!(
                    body,
                    "        if ({function}({accessor}, sizeof *{accessor}, {len}, {what}) != {len}) return 2;"
                )
                .expect("a string");
            }
        }
        let model = match arena {
            Arena::Own => "calloc(1, sizeof *m)".to_string(),
            Arena::Shared => format!(
                "model{index}_init(malloc(MODEL{index}_ARENA_SIZE), MODEL{index}_ARENA_SIZE)"
            ),
        };
        write!(
            out,
            "
static int run{index}(long cases, FILE *input, FILE *output)
{{
    model{index}_t *m = {model};
    if (m == NULL) return 2;
    (void)input;
    (void)output;
    for (long i = 0; i < cases; ++i) {{
{body}    }}
    free(m);
    return 0;
}}\n"
        )
        .expect("a string");
    }
    out + &format!(
        "
static int run(long model, long cases, FILE *input, FILE *output)
{{
    switch (model) {{
{arms}    default: return 2;
    }}
}}

int main(int count, char **arguments)
{{
    if (count != 5) return 2;
    FILE *input = fopen(arguments[3], \"rb\");
    FILE *output = fopen(arguments[4], \"wb\");
    if (input == NULL || output == NULL) return 2;
    const int result = run(atol(arguments[1]), atol(arguments[2]), input, output);
    (void)fclose(input);
    return fclose(output) == 0 ? result : 2;
}}\n"
    )
}
