//! What code is generated for: an MCU core, as data.
//!
//! `targets/NAME.toml` is one [`Target`]. Every file of that folder is embedded at build time, so a
//! core is added by adding a file; one that is only the user's own is given by its text.

use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// The files of `targets/`: their names without the extension, and their texts.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/targets.rs"));

/// An MCU core and the tools that build for it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Its name on the command line.
    pub name: String,
    /// What it is, and devices that have it.
    pub description: String,
    /// The instruction set's name, for people and reports; kernels ask [`Target::features`].
    pub isa: String,
    /// Bits of an address.
    pub pointer_bits: u32,
    /// Bytes that buffers are aligned to: a power of two.
    pub alignment: usize,
    /// What the instruction set has.
    #[serde(default)]
    pub features: Features,
    /// How much loop nests compute at a time.
    #[serde(default)]
    pub loops: Loops,
    /// What is assumed where the user states no budget.
    #[serde(default)]
    pub memory: Memory,
    /// How Rust is built for it.
    #[serde(default)]
    pub rust: Rust,
    /// How C is built for it.
    pub c: C,
    /// What instructions cost.
    pub cycles: Cycles,
}

/// What an instruction set has beyond the least.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Features {
    /// Arm's 32-bit Thumb instructions.
    pub thumb2: bool,
    /// Arm's DSP extension: SMLAD, SXTB16, SSAT, SMMLAR.
    pub dsp: bool,
    /// Arm's vector extension (Helium).
    pub mve: bool,
    /// Division in hardware.
    pub divide: bool,
    /// The 64-bit product of two 32-bit integers in at most two instructions.
    pub long_multiply: bool,
    /// Loads and stores at any address.
    pub unaligned: bool,
}

/// How much loop nests over products compute at a time: what a core has registers for, and what
/// compilers make good code of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Loops {
    /// Results of a convolution that lie side by side.
    pub pixels: usize,
    /// Filters of a convolution at each of them.
    pub filters: usize,
    /// Rows of a matrix.
    pub rows: usize,
    /// Taps that a round of the innermost loop takes.
    pub taps: usize,
    /// Whether weights are kept without a sign: where only such bytes are loaded from a pointer
    /// and a distance in one instruction.
    pub unsigned_weights: bool,
}

impl Default for Loops {
    fn default() -> Loops {
        Loops { pixels: 1, filters: 4, rows: 4, taps: 1, unsigned_weights: false }
    }
}

/// The memory of a usual device, in bytes; `None` is without limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Memory {
    /// Read-only memory for code and constants.
    #[serde(deserialize_with = "size")]
    pub flash: Option<usize>,
    /// Memory for everything that changes.
    #[serde(deserialize_with = "size")]
    pub ram: Option<usize>,
}

/// How rustc is called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rust {
    /// rustc's name for the target; `None` is the machine's own.
    pub triple: Option<String>,
    /// Further flags.
    pub flags: Vec<String>,
}

/// How the C compiler is called.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct C {
    /// The usual compiler's command.
    pub compiler: String,
    /// The flags that select the core.
    pub flags: Vec<String>,
}

/// What instructions cost in cycles, from memory without wait states.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cycles {
    /// A sum, a shift, a comparison, a move.
    pub data: u32,
    /// A load.
    pub load: u32,
    /// A load directly behind another load or store.
    pub load_pipelined: u32,
    /// A store.
    pub store: u32,
    /// What a load or store of several registers costs besides one for each.
    pub multiple: u32,
    /// A 32-bit product.
    pub multiply: u32,
    /// A 32-bit product and a sum.
    pub multiply_add: u32,
    /// The 64-bit product of two 32-bit integers.
    pub multiply_long: u32,
    /// Two 16-bit products and their sum, where there is an instruction for it.
    pub dual_multiply_add: Option<u32>,
    /// A 32-bit division.
    pub divide: u32,
    /// A conditional branch that isn't taken.
    pub branch: u32,
    /// A branch that is taken.
    pub branch_taken: u32,
    /// A call and its return.
    pub call: u32,
    /// How many instructions may start in one cycle.
    pub issue: u32,
}

impl Target {
    /// The target with as much memory as is stated.
    pub fn with_memory(mut self, flash: Option<usize>, ram: Option<usize>) -> Target {
        self.memory.flash = flash.or(self.memory.flash);
        self.memory.ram = ram.or(self.memory.ram);
        self
    }

    /// The target of that name.
    ///
    /// # Errors
    /// There is none: the message suggests the nearest and lists them all.
    pub fn find(name: &str) -> Result<Target, String> {
        if let Some((_, text)) = FILES.iter().find(|(file, _)| *file == name) {
            return Ok(Target::parse(text).expect("a test parses every file"));
        }
        let all = Target::all();
        let near = match &nearest(name, &all)[..] {
            [] => String::new(),
            near => format!("; did you mean {}?", near.join(" or ")),
        };
        let names: Vec<&str> = all.iter().map(|target| &*target.name).collect();
        Err(format!("there is no target '{name}'{near}\nthe targets are {}", names.join(", ")))
    }

    /// All targets, by name.
    pub fn all() -> Vec<Target> {
        let parse = |(_, text): &(_, &str)| Target::parse(text).expect("a test parses every file");
        FILES.iter().map(parse).collect()
    }

    /// A target from its description in TOML: see `targets/` for what there is to copy from.
    ///
    /// # Errors
    /// What is wrong with the text, and in which line.
    pub fn parse(text: &str) -> Result<Target, String> {
        let target: Target = toml::from_str(text).map_err(|error| error.to_string())?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
        if target.name.is_empty() || !target.name.chars().all(plain) {
            return Err(format!("name = {:?}: letters, digits and -_.+ only", target.name));
        }
        if !target.alignment.is_power_of_two() || target.alignment > 4096 {
            return Err(format!("alignment = {}: a power of two, up to 4096", target.alignment));
        }
        if ![16, 32, 64].contains(&target.pointer_bits) {
            return Err(format!("pointer_bits = {}: 16, 32 or 64", target.pointer_bits));
        }
        let Loops { pixels, filters, rows, taps, .. } = target.loops;
        if [pixels, filters, rows, taps].iter().any(|n| !(1..=16).contains(n)) {
            return Err("loops: pixels, filters, rows and taps are 1 to 16".into());
        }
        if target.cycles.issue == 0 {
            return Err("cycles.issue = 0: at least 1".into());
        }
        Ok(target)
    }
}

impl Default for Target {
    /// This machine.
    fn default() -> Target {
        Target::find("host").expect("a test finds it")
    }
}

/// The names that `wrong` may stand for: those that hold it, those whose Rust target it is, or the
/// one that is the fewest edits away.
fn nearest(wrong: &str, targets: &[Target]) -> Vec<String> {
    let wrong = wrong.to_lowercase();
    let names = |meant: &dyn Fn(&Target) -> bool| -> Vec<String> {
        targets.iter().filter(|target| meant(target)).map(|target| target.name.clone()).collect()
    };
    let distance = |target: &Target| edits(&wrong, &target.name);
    let least = targets.iter().map(distance).min().unwrap_or(0);
    let by_triple = names(&|target| target.rust.triple.as_deref() == Some(&wrong));
    let by_edits = names(&|target| distance(target) == least);
    let by_part = names(&|target| wrong.len() > 1 && target.name.contains(&wrong));
    if !by_triple.is_empty() {
        by_triple
    } else if least <= 1 {
        by_edits
    } else if !by_part.is_empty() {
        by_part
    } else if least <= 3 && wrong.len() > least {
        by_edits
    } else {
        Vec::new()
    }
}

/// How many characters must be inserted, removed or replaced to make `a` into `b`.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, &b) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// Bytes from a size such as `65536`, `64K` or `1M` (K is 1024).
///
/// # Errors
/// The text is none.
pub fn parse_size(text: &str) -> Result<usize, String> {
    let lower = text.trim().to_ascii_lowercase();
    let number = lower.strip_suffix("ib").or(lower.strip_suffix('b')).unwrap_or(&lower);
    let (digits, factor) = match number.strip_suffix(['k', 'm']) {
        Some(digits) if number.ends_with('k') => (digits, 1 << 10),
        Some(digits) => (digits, 1 << 20),
        None => (number, 1),
    };
    let plain = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    let bytes = digits.parse::<usize>().ok().filter(|_| plain).and_then(|n| n.checked_mul(factor));
    bytes.ok_or_else(|| format!("'{text}' is no size: write bytes, or 64K, or 1M"))
}

/// A number of bytes as [`parse_size`] reads it, in the largest unit that divides it.
pub fn format_size(bytes: usize) -> String {
    match bytes {
        bytes if bytes > 0 && bytes % (1 << 20) == 0 => format!("{}M", bytes >> 20),
        bytes if bytes > 0 && bytes % (1 << 10) == 0 => format!("{}K", bytes >> 10),
        bytes => bytes.to_string(),
    }
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_size(&text).map(Some).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_the_target_of_its_name() {
        assert!(FILES.len() >= 10);
        assert_eq!(Target::default().name, "host");
        for (file, text) in FILES {
            let target = Target::parse(text).unwrap_or_else(|error| panic!("{file}.toml: {error}"));
            assert_eq!(target.name, *file);
            assert_eq!(Target::find(file), Ok(target));
        }
    }

    #[test]
    fn unknown_names_are_answered_with_near_ones() {
        let near = |name| nearest(name, &Target::all());
        assert_eq!(near("cortex-m4f"), ["cortex-m4"]);
        assert_eq!(near("Cortex_M33"), ["cortex-m33"]);
        assert_eq!(near("m4"), ["cortex-m4"]);
        assert_eq!(near("cortexm4"), ["cortex-m4"]);
        assert_eq!(near("thumbv7em-none-eabi"), ["cortex-m4", "cortex-m7"]);
        assert_eq!(near("rv32"), ["rv32imac", "rv32imc"]);
        assert_eq!(near("avr"), [""; 0]);
        assert_eq!(near(""), [""; 0]);
        let error = Target::find("m4").unwrap_err();
        assert!(error.contains("did you mean cortex-m4?"), "{error}");
        assert!(error.contains("rv32imac, rv32imc"), "{error}");
    }

    #[test]
    fn sizes() {
        for (text, bytes) in
            [("0", 0), ("65536", 65536), ("64K", 65536), ("64kb", 65536), ("1MiB", 1 << 20)]
        {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in
            ["", "K", "-1", "+1", "1.5M", "64 K", "1G", "99999999999999999999", "17592186044416M"]
        {
            assert!(parse_size(text).is_err(), "{text}");
        }
        for text in ["0", "1000", "64K", "3M", "1025K"] {
            assert_eq!(format_size(parse_size(text).unwrap()), text);
        }
    }

    #[test]
    fn faults_of_a_description_are_named() {
        let (_, text) = FILES.iter().find(|(name, _)| *name == "cortex-m4").unwrap();
        for (old, new, message) in [
            ("alignment = 4", "alignment = 3", "alignment = 3"),
            ("alignment = 4", "allignment = 4", "allignment"),
            ("pointer_bits = 32", "pointer_bits = 31", "pointer_bits = 31"),
            ("name = \"cortex-m4\"", "name = \"a b\"", "letters, digits"),
            ("flash = \"1M\"", "flash = \"one\"", "'one' is no size"),
            ("issue = 1", "issue = 0", "at least 1"),
        ] {
            let error = Target::parse(&text.replacen(old, new, 1)).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }
}
