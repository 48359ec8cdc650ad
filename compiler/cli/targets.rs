//! `tflc targets`: what code can be generated for.

use tflc::target::{format_size, Features, Target};

use super::{print, Failure};

/// Prints a table of the targets.
pub fn run() -> Result<(), Failure> {
    let mut rows = vec![["TARGET", "INSTRUCTIONS", "FLASH", "RAM", "WHAT"].map(String::from)];
    let size = |bytes: Option<usize>| bytes.map_or("-".to_string(), format_size);
    for target in Target::all() {
        let memory = &target.memory;
        let instructions = target.isa.clone() + &extensions(&target.features);
        rows.push([
            target.name,
            instructions,
            size(memory.flash),
            size(memory.ram),
            target.description,
        ]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let (a, b, c, d) = (width(0), width(1), width(2), width(3));
    let mut text = String::new();
    for [name, instructions, flash, ram, what] in &rows {
        text += &format!("{name:<a$}  {instructions:<b$}  {flash:>c$}  {ram:>d$}  {what}\n");
    }
    text += "\nFLASH and RAM are what such devices usually have; --flash and --ram say what yours \
             has.\nAnother core is a file like those in the source's folder targets: --target \
             my-core.toml\n";
    print(text.as_bytes())
}

fn extensions(features: &Features) -> String {
    let names = [(features.dsp, "+dsp"), (features.mve, "+mve")];
    names.into_iter().filter(|(has, _)| *has).map(|(_, name)| name).collect()
}
