//! Assembly as data: routines of Arm's Thumb-2 instructions with the DSP extension.
//!
//! A [`Routine`] is the whole body of a function: it is called by the Arm procedure call standard
//! with pointers as arguments, and saves what it must. Each [`Inst`] has one spelling ([`print`]),
//! one meaning and one cost ([`machine`]). Neither branches nor addresses depend on tensors'
//! elements, but for look-ups in tables of 256 entries; so one execution shows all the places that
//! a routine ever reads and writes, and what it costs.

pub mod machine;
pub mod print;

/// A register: `r0` to `r12`, then `sp` and `lr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reg(pub u8);

#[allow(missing_docs)]
pub mod registers {
    //! The registers' names.
    use super::Reg;
    pub const R0: Reg = Reg(0);
    pub const R1: Reg = Reg(1);
    pub const R2: Reg = Reg(2);
    pub const R3: Reg = Reg(3);
    pub const R4: Reg = Reg(4);
    pub const R5: Reg = Reg(5);
    pub const R6: Reg = Reg(6);
    pub const R7: Reg = Reg(7);
    pub const R8: Reg = Reg(8);
    pub const R9: Reg = Reg(9);
    pub const R10: Reg = Reg(10);
    pub const R11: Reg = Reg(11);
    pub const R12: Reg = Reg(12);
    pub const SP: Reg = Reg(13);
    pub const LR: Reg = Reg(14);
}

/// A place in a routine to branch to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Label(pub usize);

/// How a second operand is shifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shift {
    /// To the left.
    Lsl,
    /// To the right, zeros from above.
    Lsr,
    /// To the right, the sign from above.
    Asr,
}

/// A second operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operand {
    /// A constant that the instruction can hold.
    Imm(i32),
    /// A register.
    Reg(Reg),
    /// A register, shifted by a constant.
    Shifted(Reg, Shift, u32),
}

impl From<Reg> for Operand {
    fn from(reg: Reg) -> Self {
        Operand::Reg(reg)
    }
}
impl From<i32> for Operand {
    fn from(value: i32) -> Self {
        Operand::Imm(value)
    }
}

/// Where an element lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// So many bytes behind the pointer.
    Offset(Reg, i32),
    /// At the pointer, which then moves by so many bytes.
    Post(Reg, i32),
    /// Behind the pointer by another register, times a power of two.
    Index(Reg, Reg, u32),
}

/// Operations on a register and a second operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Alu {
    Add,
    Sub,
    Rsb,
    And,
    Orr,
    Bic,
    Eor,
    Lsl,
    Lsr,
    Asr,
}

/// Multiplications. `B` and `T` are the bottom and the top halfword.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Multiply {
    Mla,
    Smlad,
    Smlabb,
    Smlabt,
    Smlatb,
    Smlatt,
    /// A word times a halfword, without the lowest 16 bits.
    Smlawb,
    Smlawt,
    Smmlar,
}

/// Widening of bytes and halfwords, of a register rotated to the right by bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Extend {
    Sxtb,
    Sxth,
    Uxtb,
    /// The bytes 0 and 2.
    Sxtb16,
    /// The bytes 0 and 2, without a sign.
    Uxtb16,
}

/// The same, added to a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum ExtendAdd {
    Sxtab,
    /// The bytes 0 and 2, halfwords side by side.
    Sxtab16,
}

/// Operations on the parts of two registers side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Parallel {
    Sadd16,
    Ssub16,
    /// Sets a flag for each byte whose difference isn't negative.
    Ssub8,
    /// By those flags, bytes of the first or of the second.
    Sel,
}

/// The size of an element in memory, and how it is widened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Width {
    Word,
    Half,
    SignedHalf,
    Byte,
    SignedByte,
}

impl Width {
    /// In bytes.
    pub fn bytes(self) -> u32 {
        match self {
            Width::Word => 4,
            Width::Half | Width::SignedHalf => 2,
            Width::Byte | Width::SignedByte => 1,
        }
    }
}

/// When a branch is taken, by the last comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cond {
    /// Always.
    Al,
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Less, signed.
    Lt,
    /// Greater or equal, signed.
    Ge,
    /// Greater, signed.
    Gt,
    /// Less or equal, signed.
    Le,
    /// Higher or same, unsigned.
    Hs,
    /// Lower, unsigned.
    Lo,
}

/// One line of a routine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Inst {
    /// No instruction: words for readers.
    Comment(String),
    /// No instruction: a place to branch to.
    Label(Label),
    Mov(Reg, Operand),
    /// The low half of a register, the high one cleared.
    MovW(Reg, u16),
    /// The high half of a register.
    MovT(Reg, u16),
    Alu {
        op: Alu,
        /// Whether it sets the flags.
        flags: bool,
        d: Reg,
        n: Reg,
        m: Operand,
    },
    Cmp(Reg, Operand),
    Mul(Reg, Reg, Reg),
    /// The product of two bottom halfwords.
    Smulbb(Reg, Reg, Reg),
    /// The product of two top halfwords.
    Smultt(Reg, Reg, Reg),
    /// `d = a + n · m`.
    Multiply {
        op: Multiply,
        d: Reg,
        n: Reg,
        m: Reg,
        a: Reg,
    },
    Extend {
        op: Extend,
        d: Reg,
        m: Reg,
        ror: u32,
    },
    /// `d = n +` a part of `m`, rotated to the right and widened.
    ExtendAdd {
        op: ExtendAdd,
        d: Reg,
        n: Reg,
        m: Reg,
        ror: u32,
    },
    /// The bottom of `n`, and the bottom of `m` shifted left as the top.
    Pkhbt(Reg, Reg, Reg, u32),
    /// The top of `n`, and the bottom of `m` shifted right as the bottom.
    Pkhtb(Reg, Reg, Reg, u32),
    /// `m >> asr`, held within so many bits.
    Ssat(Reg, u32, Reg, u32),
    /// `m`, held within so many bits without a sign.
    Usat(Reg, u32, Reg),
    Parallel {
        op: Parallel,
        d: Reg,
        n: Reg,
        m: Reg,
    },
    Load(Width, Reg, Address),
    Store(Width, Reg, Address),
    /// Registers from words behind each other; the pointer moves behind them.
    LoadMultiple(Reg, Vec<Reg>),
    StoreMultiple(Reg, Vec<Reg>),
    Push(Vec<Reg>),
    /// Restores registers; `lr`'s place goes to the program counter, which returns.
    Return(Vec<Reg>),
    Branch(Cond, Label),
    /// To the label of that number.
    TableBranch(Reg, Vec<Label>),
}

/// A function's body in assembly.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Routine {
    /// The instructions.
    pub code: Vec<Inst>,
    /// What it does and what the registers hold, in words: one string a paragraph.
    pub doc: Vec<String>,
}

impl Routine {
    /// Bytes of flash, at most: instructions of 4 bytes, but for those that are known to take 2.
    pub fn size(&self) -> usize {
        self.code.iter().map(print::size).sum()
    }
}
