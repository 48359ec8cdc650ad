//! Where generated code's data lies, as far as that is the user's to say: in which sections, and
//! whether a model has its memory to itself.

use std::fmt;

use crate::loop_ir::Program;

/// What is said of where data lies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// The section for constants; otherwise the compiler's own, `.rodata`.
    pub weights_section: Option<Section>,
    /// The section for the model's memory, offered to who declares the variable.
    pub arena_section: Option<Section>,
    /// Whose the memory is.
    pub arena: Arena,
}

/// Whose the memory is that a model computes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arena {
    /// The model's own.
    #[default]
    Own,
    /// Handed in from outside, so that several models can use it one after the other.
    Shared,
}

/// The longest name of a section.
const LONGEST: usize = 64;

/// Names of sections that begin as zero or as nothing, alone or before another dot.
const WITHOUT_VALUES: [&str; 4] = [".bss", ".sbss", ".tbss", ".noinit"];

/// A section's name, which is harmless in any language's string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section(String);

impl Section {
    /// The section of that name.
    ///
    /// # Errors
    /// It is none: the message says why.
    pub fn parse(name: &str) -> Result<Section, String> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.is_empty() || !name.chars().all(fits) {
            return Err("a section's name consists of letters, digits, '.', '_' and '-'".into());
        }
        if name.len() > LONGEST {
            return Err(format!("a section's name has at most {LONGEST} characters"));
        }
        Ok(Section(name.into()))
    }

    /// Whether compilers reserve room for it but store no values.
    fn is_without_values(&self) -> bool {
        let rest = WITHOUT_VALUES.iter().find_map(|start| self.0.strip_prefix(start));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Placement {
    /// Whether linkers can do that.
    ///
    /// # Errors
    /// They can't: the message says why.
    pub fn check(&self) -> Result<(), String> {
        let Some(weights) = &self.weights_section else { return Ok(()) };
        if weights.is_without_values() {
            return Err(format!(
                "weights can't lie in {weights}: sections of that name hold no values"
            ));
        }
        if self.arena_section.as_ref() == Some(weights) {
            return Err(format!(
                "weights and arena can't both lie in {weights}: weights are read-only, the arena isn't"
            ));
        }
        Ok(())
    }
}

/// The arguments that say so on the command line, each behind a space.
impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        if let Some(section) = &self.weights_section {
            write!(f, " --weights-section {section}")?;
        }
        if let Some(section) = &self.arena_section {
            write!(f, " --arena-section {section}")?;
        }
        match self.arena {
            Arena::Own => Ok(()),
            Arena::Shared => f.write_str(" --arena shared"),
        }
    }
}

/// The bytes of a word of a shared arena: what its address is a multiple of.
pub fn arena_align(program: &Program) -> usize {
    program.memories.iter().map(|memory| memory.dtype.size()).max().unwrap_or(0).max(4)
}

/// The bytes of a program's memories one behind the other, each where a word begins.
#[cfg(feature = "c")]
pub fn arena_size(program: &Program) -> usize {
    let place = |end: usize, memory: &crate::loop_ir::Memory| {
        let size = memory.dtype.size();
        (end.next_multiple_of(size) + memory.len * size).next_multiple_of(4)
    };
    program.memories.iter().fold(0, place).next_multiple_of(arena_align(program))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hold_nothing_else() {
        for name in [".ccmram", ".bss.dtcm", "ext_flash", ".a-b.1", &"x".repeat(LONGEST)] {
            assert_eq!(Section::parse(name).expect("is one").to_string(), name);
        }
        for name in ["", "a b", "a\"b", "a\\", "a,\"aw\"", "a\n", "ä", &"x".repeat(LONGEST + 1)] {
            assert!(Section::parse(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn weights_need_a_section_with_values() {
        let placement = |weights, arena: Option<&str>| Placement {
            weights_section: Some(Section::parse(weights).expect("is one")),
            arena_section: arena.map(|name| Section::parse(name).expect("is one")),
            arena: Arena::Own,
        };
        for name in [".bss", ".bss.weights", ".noinit"] {
            assert!(placement(name, None).check().expect_err("no values").contains(name));
        }
        assert!(placement(".w", Some(".w")).check().is_err());
        let fine = placement(".bss_w", Some(".bss.w"));
        assert_eq!(fine.check(), Ok(()));
        assert_eq!(fine.to_string(), " --weights-section .bss_w --arena-section .bss.w");
    }
}
