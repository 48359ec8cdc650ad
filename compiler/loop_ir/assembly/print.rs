//! How instructions are spelled: the unified syntax that GNU's and LLVM's assemblers read.

use super::{
    Address, Alu, Cond, Extend, ExtendAdd, Inst, Label, Multiply, Operand, Parallel, Reg, Shift,
    Width,
};
use std::collections::HashSet;

/// A line of a routine.
pub struct Line {
    /// An instruction or a label, or nothing.
    pub code: String,
    /// A comment, or nothing.
    pub comment: String,
}

impl Line {
    /// As one line of text.
    pub fn words(&self) -> String {
        match &*self.comment {
            "" => self.code.clone(),
            comment => format!("// {comment}"),
        }
    }
}

/// The lines of a routine, labels as local numbers.
pub fn lines(code: &[Inst]) -> Vec<Line> {
    let mut bound = HashSet::new();
    let mut lines = Vec::new();
    for inst in code {
        let (text, comment) = match inst {
            Inst::Comment(comment) => (String::new(), comment.clone()),
            Inst::Label(label) => {
                bound.insert(*label);
                (format!("{}:", number(*label)), String::new())
            }
            inst => (spell(inst, &|label| reference(label, bound.contains(&label))), String::new()),
        };
        lines.push(Line { code: text, comment });
        if let Inst::TableBranch(_, labels) = inst {
            // Offsets in halfwords from the table on.
            let table = Label(TABLES + lines.len());
            lines.push(Line { code: format!("{}:", number(table)), comment: String::new() });
            let entries = labels.iter().map(|&label| {
                format!("({} - {})/2", reference(label, false), reference(table, true))
            });
            let entries: Vec<String> = entries.collect();
            lines.push(Line {
                code: format!(".short {}", entries.join(", ")),
                comment: String::new(),
            });
        }
    }
    lines
}

/// Tables have labels of their own, from here on.
const TABLES: usize = 1000;

/// Local labels of one or two digits 0 and 1 look like binary numbers to some assemblers.
fn number(label: Label) -> usize {
    label.0 + 20
}

fn reference(label: Label, before: bool) -> String {
    format!("{}{}", number(label), if before { 'b' } else { 'f' })
}

/// A register's name.
pub fn register(reg: Reg) -> String {
    match reg.0 {
        13 => "sp".into(),
        14 => "lr".into(),
        n => format!("r{n}"),
    }
}

fn list(regs: &[Reg]) -> String {
    let names: Vec<String> = regs.iter().copied().map(register).collect();
    format!("{{{}}}", names.join(", "))
}

fn operand(operand: Operand) -> String {
    match operand {
        Operand::Imm(value) => format!("#{value}"),
        Operand::Reg(reg) => register(reg),
        Operand::Shifted(reg, shift, by) => {
            let name = match shift {
                Shift::Lsl => "lsl",
                Shift::Lsr => "lsr",
                Shift::Asr => "asr",
            };
            format!("{}, {name} #{by}", register(reg))
        }
    }
}

fn address(address: Address) -> String {
    match address {
        Address::Offset(base, 0) => format!("[{}]", register(base)),
        Address::Offset(base, by) => format!("[{}, #{by}]", register(base)),
        Address::Post(base, by) => format!("[{}], #{by}", register(base)),
        Address::Index(base, index, 0) => format!("[{}, {}]", register(base), register(index)),
        Address::Index(base, index, by) => {
            format!("[{}, {}, lsl #{by}]", register(base), register(index))
        }
    }
}

fn rotated(ror: u32) -> String {
    match ror {
        0 => String::new(),
        by => format!(", ror #{by}"),
    }
}

fn suffix(width: Width) -> &'static str {
    match width {
        Width::Word => "",
        Width::Half => "h",
        Width::SignedHalf => "sh",
        Width::Byte => "b",
        Width::SignedByte => "sb",
    }
}

fn spell(inst: &Inst, label: &dyn Fn(Label) -> String) -> String {
    let r = register;
    match inst {
        Inst::Comment(_) | Inst::Label(_) => unreachable!("no instructions"),
        Inst::Mov(d, m) => format!("mov {}, {}", r(*d), operand(*m)),
        Inst::MovW(d, value) => format!("movw {}, #{value}", r(*d)),
        Inst::MovT(d, value) => format!("movt {}, #{value}", r(*d)),
        Inst::Alu { op, flags, d, n, m } => {
            let name = match op {
                Alu::Add => "add",
                Alu::Sub => "sub",
                Alu::Rsb => "rsb",
                Alu::And => "and",
                Alu::Orr => "orr",
                Alu::Bic => "bic",
                Alu::Eor => "eor",
                Alu::Lsl => "lsl",
                Alu::Lsr => "lsr",
                Alu::Asr => "asr",
            };
            let s = if *flags { "s" } else { "" };
            format!("{name}{s} {}, {}, {}", r(*d), r(*n), operand(*m))
        }
        Inst::Cmp(n, m) => format!("cmp {}, {}", r(*n), operand(*m)),
        Inst::Mul(d, n, m) => format!("mul {}, {}, {}", r(*d), r(*n), r(*m)),
        Inst::Smulbb(d, n, m) => format!("smulbb {}, {}, {}", r(*d), r(*n), r(*m)),
        Inst::Smultt(d, n, m) => format!("smultt {}, {}, {}", r(*d), r(*n), r(*m)),
        Inst::Multiply { op, d, n, m, a } => {
            let name = match op {
                Multiply::Mla => "mla",
                Multiply::Smlad => "smlad",
                Multiply::Smlabb => "smlabb",
                Multiply::Smlabt => "smlabt",
                Multiply::Smlatb => "smlatb",
                Multiply::Smlatt => "smlatt",
                Multiply::Smlawb => "smlawb",
                Multiply::Smlawt => "smlawt",
                Multiply::Smmlar => "smmlar",
            };
            format!("{name} {}, {}, {}, {}", r(*d), r(*n), r(*m), r(*a))
        }
        Inst::Extend { op, d, m, ror } => {
            let name = match op {
                Extend::Sxtb => "sxtb",
                Extend::Sxth => "sxth",
                Extend::Uxtb => "uxtb",
                Extend::Sxtb16 => "sxtb16",
                Extend::Uxtb16 => "uxtb16",
            };
            format!("{name} {}, {}{}", r(*d), r(*m), rotated(*ror))
        }
        Inst::ExtendAdd { op, d, n, m, ror } => {
            let name = match op {
                ExtendAdd::Sxtab => "sxtab",
                ExtendAdd::Sxtab16 => "sxtab16",
            };
            format!("{name} {}, {}, {}{}", r(*d), r(*n), r(*m), rotated(*ror))
        }
        Inst::Pkhbt(d, n, m, 0) => format!("pkhbt {}, {}, {}", r(*d), r(*n), r(*m)),
        Inst::Pkhbt(d, n, m, by) => format!("pkhbt {}, {}, {}, lsl #{by}", r(*d), r(*n), r(*m)),
        Inst::Pkhtb(d, n, m, 0) => format!("pkhtb {}, {}, {}", r(*d), r(*n), r(*m)),
        Inst::Pkhtb(d, n, m, by) => format!("pkhtb {}, {}, {}, asr #{by}", r(*d), r(*n), r(*m)),
        Inst::Ssat(d, bits, m, 0) => format!("ssat {}, #{bits}, {}", r(*d), r(*m)),
        Inst::Ssat(d, bits, m, by) => format!("ssat {}, #{bits}, {}, asr #{by}", r(*d), r(*m)),
        Inst::Usat(d, bits, m) => format!("usat {}, #{bits}, {}", r(*d), r(*m)),
        Inst::Parallel { op, d, n, m } => {
            let name = match op {
                Parallel::Sadd16 => "sadd16",
                Parallel::Ssub16 => "ssub16",
                Parallel::Ssub8 => "ssub8",
                Parallel::Sel => "sel",
            };
            format!("{name} {}, {}, {}", r(*d), r(*n), r(*m))
        }
        Inst::Load(width, t, at) => format!("ldr{} {}, {}", suffix(*width), r(*t), address(*at)),
        Inst::Store(width, t, at) => format!("str{} {}, {}", suffix(*width), r(*t), address(*at)),
        Inst::LoadMultiple(n, regs) => format!("ldmia {}!, {}", r(*n), list(regs)),
        Inst::StoreMultiple(n, regs) => format!("stmia {}!, {}", r(*n), list(regs)),
        Inst::Push(regs) => format!("push {}", list(regs)),
        Inst::Return(regs) => format!("pop {}", list(regs).replace("lr", "pc")),
        Inst::Branch(cond, to) => {
            let name = match cond {
                Cond::Al => "b",
                Cond::Eq => "beq",
                Cond::Ne => "bne",
                Cond::Lt => "blt",
                Cond::Ge => "bge",
                Cond::Gt => "bgt",
                Cond::Le => "ble",
                Cond::Hs => "bhs",
                Cond::Lo => "blo",
            };
            format!("{name} {}", label(*to))
        }
        Inst::TableBranch(index, _) => format!("tbh [pc, {}, lsl #1]", r(*index)),
    }
}

/// Bytes that an instruction takes, at most.
pub fn size(inst: &Inst) -> usize {
    match inst {
        Inst::Comment(_) | Inst::Label(_) => 0,
        Inst::TableBranch(_, labels) => 4 + 2 * labels.len(),
        Inst::Mov(_, Operand::Reg(_)) => 2,
        _ => 4,
    }
}
