//! Writes routines: a method for each instruction, and what kernels have in common: the frame, the
//! way in and the way out.

use crate::loop_ir::assembly::registers::*;
use crate::loop_ir::assembly::{
    Address, Alu, Cond, Extend, ExtendAdd, Inst, Label, Multiply, Operand, Parallel, Reg, Routine,
    Width,
};

/// A routine under construction.
#[derive(Default)]
pub struct Assembler {
    code: Vec<Inst>,
    labels: usize,
    doc: Vec<String>,
    slots: usize,
    /// Words of the frame for the arguments behind the fourth.
    further: Vec<Slot>,
}

/// A word of the stack frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot(usize);

/// Registers that a routine saves, in the order of memory.
const SAVED: [Reg; 9] = [R4, R5, R6, R7, R8, R9, R10, R11, LR];

/// At the pointer.
pub fn at(base: Reg) -> Address {
    Address::Offset(base, 0)
}

/// So many bytes behind the pointer.
pub fn behind(base: Reg, by: i32) -> Address {
    Address::Offset(base, by)
}

/// At the pointer, which then moves.
pub fn post(base: Reg, by: i32) -> Address {
    Address::Post(base, by)
}

macro_rules! alu {
    ($($name:ident $op:ident)*) => {
        $(#[allow(missing_docs)]
        pub fn $name(&mut self, d: Reg, n: Reg, m: impl Into<Operand>) {
            self.push(Inst::Alu { op: Alu::$op, flags: false, d, n, m: m.into() });
        })*
    };
}

macro_rules! multiply {
    ($($name:ident $op:ident)*) => {
        $(#[allow(missing_docs)]
        pub fn $name(&mut self, d: Reg, n: Reg, m: Reg, a: Reg) {
            self.push(Inst::Multiply { op: Multiply::$op, d, n, m, a });
        })*
    };
}

impl Assembler {
    /// A paragraph of what the routine does.
    pub fn doc(&mut self, text: &str) {
        self.doc.push(text.to_string());
    }

    fn push(&mut self, inst: Inst) {
        self.code.push(inst);
    }

    alu! { add Add sub Sub rsb Rsb and And eor Eor lsl Lsl lsr Lsr asr Asr }
    multiply! { smlad Smlad smlabb Smlabb smlabt Smlabt smlatb Smlatb smlatt Smlatt smmlar Smmlar mla Mla }
    multiply! { smlawb Smlawb smlawt Smlawt }

    /// Words for readers.
    pub fn comment(&mut self, text: &str) {
        self.push(Inst::Comment(text.to_string()));
    }

    /// A place to branch to, not yet fixed.
    pub fn label(&mut self) -> Label {
        self.labels += 1;
        Label(self.labels - 1)
    }

    /// Fixes a place: here.
    pub fn bind(&mut self, label: Label) {
        self.push(Inst::Label(label));
    }

    /// A place to branch back to.
    pub fn here(&mut self) -> Label {
        let label = self.label();
        self.bind(label);
        label
    }

    /// Branches.
    pub fn branch(&mut self, cond: Cond, to: Label) {
        self.push(Inst::Branch(cond, to));
    }

    /// Branches to the label of that number.
    pub fn branch_by(&mut self, index: Reg, labels: Vec<Label>) {
        self.push(Inst::TableBranch(index, labels));
    }

    /// `d = m`.
    pub fn mov(&mut self, d: Reg, m: impl Into<Operand>) {
        self.push(Inst::Mov(d, m.into()));
    }

    /// Compares.
    pub fn cmp(&mut self, n: Reg, m: impl Into<Operand>) {
        self.push(Inst::Cmp(n, m.into()));
    }

    /// `d = n − m`, and compares the two.
    pub fn subs(&mut self, d: Reg, n: Reg, m: impl Into<Operand>) {
        self.push(Inst::Alu { op: Alu::Sub, flags: true, d, n, m: m.into() });
    }

    /// `d = n · m`.
    pub fn mul(&mut self, d: Reg, n: Reg, m: Reg) {
        self.push(Inst::Mul(d, n, m));
    }

    /// `d = n · m` of the bottom halfwords.
    pub fn smulbb(&mut self, d: Reg, n: Reg, m: Reg) {
        self.push(Inst::Smulbb(d, n, m));
    }

    /// `d = n · m` of the top halfwords.
    pub fn smultt(&mut self, d: Reg, n: Reg, m: Reg) {
        self.push(Inst::Smultt(d, n, m));
    }

    /// The bottom halfword, widened.
    pub fn sxth(&mut self, d: Reg, m: Reg) {
        self.push(Inst::Extend { op: Extend::Sxth, d, m, ror: 0 });
    }

    /// A byte of `m`, counted from the lowest one, added to `n`.
    pub fn sxtab(&mut self, d: Reg, n: Reg, m: Reg, byte: u32) {
        self.push(Inst::ExtendAdd { op: ExtendAdd::Sxtab, d, n, m, ror: 8 * byte });
    }

    /// The bytes 0 and 2 of `m` added to the halfwords of `n`; of `m` rotated by so many bits.
    pub fn sxtab16(&mut self, d: Reg, n: Reg, m: Reg, ror: u32) {
        self.push(Inst::ExtendAdd { op: ExtendAdd::Sxtab16, d, n, m, ror });
    }

    /// The bytes 0 and 2 as halfwords.
    pub fn sxtb16(&mut self, d: Reg, m: Reg) {
        self.push(Inst::Extend { op: Extend::Sxtb16, d, m, ror: 0 });
    }

    /// The bytes 1 and 3 as halfwords.
    pub fn sxtb16_ror8(&mut self, d: Reg, m: Reg) {
        self.push(Inst::Extend { op: Extend::Sxtb16, d, m, ror: 8 });
    }

    /// The bytes 0 and 2 as halfwords, without a sign.
    pub fn uxtb16(&mut self, d: Reg, m: Reg) {
        self.push(Inst::Extend { op: Extend::Uxtb16, d, m, ror: 0 });
    }

    /// The bytes 1 and 3 as halfwords, without a sign.
    pub fn uxtb16_ror8(&mut self, d: Reg, m: Reg) {
        self.push(Inst::Extend { op: Extend::Uxtb16, d, m, ror: 8 });
    }

    /// Two halfwords in one register, the second on top.
    pub fn pack(&mut self, d: Reg, bottom: Reg, top: Reg) {
        self.push(Inst::Pkhbt(d, bottom, top, 16));
    }

    /// Two halfwords in one register: the bottom of `bottom`, the top of `top`.
    pub fn pack_tops(&mut self, d: Reg, top: Reg, bottom: Reg) {
        self.push(Inst::Pkhtb(d, top, bottom, 0));
    }

    /// The tops of two registers in one, the second on top.
    pub fn pack_highs(&mut self, d: Reg, bottom: Reg, top: Reg) {
        self.push(Inst::Pkhtb(d, top, bottom, 16));
    }

    /// Subtracts int8 side by side; those that don't get negative are what [`Self::sel`] takes of
    /// the first register.
    pub fn compare8(&mut self, d: Reg, n: Reg, m: Reg) {
        self.push(Inst::Parallel { op: Parallel::Ssub8, d, n, m });
    }

    /// Bytes of the first or of the second register, by the last comparison.
    pub fn sel(&mut self, d: Reg, n: Reg, m: Reg) {
        self.push(Inst::Parallel { op: Parallel::Sel, d, n, m });
    }

    /// Halfwords added side by side.
    pub fn sadd16(&mut self, d: Reg, n: Reg, m: Reg) {
        self.push(Inst::Parallel { op: Parallel::Sadd16, d, n, m });
    }

    /// Halfwords subtracted side by side.
    pub fn ssub16(&mut self, d: Reg, n: Reg, m: Reg) {
        self.push(Inst::Parallel { op: Parallel::Ssub16, d, n, m });
    }

    /// `m` held within an int8.
    pub fn ssat8(&mut self, d: Reg, m: Reg) {
        self.push(Inst::Ssat(d, 8, m, 0));
    }

    /// `m`, shifted to the right, held within an int8.
    pub fn ssat8_asr(&mut self, d: Reg, m: Reg, by: u32) {
        self.push(Inst::Ssat(d, 8, m, by));
    }

    /// `m` held within so many bits without a sign.
    pub fn usat(&mut self, d: Reg, bits: u32, m: Reg) {
        self.push(Inst::Usat(d, bits, m));
    }

    /// `m` held within a uint8.
    pub fn usat8(&mut self, d: Reg, m: Reg) {
        self.push(Inst::Usat(d, 8, m));
    }

    /// The higher one of two int8, byte by byte, signs among them; `temp` is lost.
    pub fn max8(&mut self, d: Reg, bound: Reg, temp: Reg) {
        self.compare8(temp, d, bound);
        self.sel(d, d, bound);
    }

    /// The lower one of two int8, byte by byte, signs among them; `temp` is lost.
    pub fn min8(&mut self, d: Reg, bound: Reg, temp: Reg) {
        self.compare8(temp, bound, d);
        self.sel(d, d, bound);
    }

    /// Loads a word.
    pub fn ldr(&mut self, t: Reg, at: Address) {
        self.push(Inst::Load(Width::Word, t, at));
    }

    /// Loads an int8.
    pub fn ldrsb(&mut self, t: Reg, at: Address) {
        self.push(Inst::Load(Width::SignedByte, t, at));
    }

    /// Loads a uint8.
    pub fn ldrb(&mut self, t: Reg, at: Address) {
        self.push(Inst::Load(Width::Byte, t, at));
    }

    /// Loads an element.
    pub fn load(&mut self, width: Width, t: Reg, at: Address) {
        self.push(Inst::Load(width, t, at));
    }

    /// Stores an element.
    pub fn store(&mut self, width: Width, t: Reg, at: Address) {
        self.push(Inst::Store(width, t, at));
    }

    /// Stores a word.
    pub fn str(&mut self, t: Reg, at: Address) {
        self.push(Inst::Store(Width::Word, t, at));
    }

    /// Stores a halfword.
    pub fn strh(&mut self, t: Reg, at: Address) {
        self.push(Inst::Store(Width::Half, t, at));
    }

    /// Stores a byte.
    pub fn strb(&mut self, t: Reg, at: Address) {
        self.push(Inst::Store(Width::Byte, t, at));
    }

    /// Loads words behind each other; the pointer moves behind them.
    pub fn ldm(&mut self, n: Reg, regs: &[Reg]) {
        self.push(Inst::LoadMultiple(n, regs.to_vec()));
    }

    /// Stores words behind each other; the pointer moves behind them.
    pub fn stm(&mut self, n: Reg, regs: &[Reg]) {
        self.push(Inst::StoreMultiple(n, regs.to_vec()));
    }

    /// A new word of the frame.
    pub fn slot(&mut self) -> Slot {
        self.slots += 1;
        Slot(self.slots - 1)
    }

    /// Reads a word of the frame.
    pub fn get(&mut self, t: Reg, slot: Slot) {
        self.ldr(t, behind(SP, 4 * slot.0 as i32));
    }

    /// Writes a word of the frame.
    pub fn put(&mut self, t: Reg, slot: Slot) {
        self.str(t, behind(SP, 4 * slot.0 as i32));
    }

    /// Where the next argument behind the fourth is kept: the caller leaves it on the stack.
    pub fn further_argument(&mut self) -> Slot {
        let slot = self.slot();
        self.further.push(slot);
        slot
    }

    /// The routine: saves registers, makes room for the frame, runs the code and returns.
    pub fn finish(self) -> Routine {
        let frame = self.slots as i32 * 4;
        let move_sp = |op| Inst::Alu { op, flags: false, d: SP, n: SP, m: frame.into() };
        let mut code = vec![Inst::Push(SAVED.to_vec()), move_sp(Alu::Sub)];
        for (index, slot) in self.further.into_iter().enumerate() {
            let from = frame + 4 * (SAVED.len() + index) as i32;
            code.push(Inst::Load(Width::Word, R12, behind(SP, from)));
            code.push(Inst::Store(Width::Word, R12, behind(SP, 4 * slot.0 as i32)));
        }
        code.extend(self.code);
        code.push(move_sp(Alu::Add));
        code.push(Inst::Return(SAVED.to_vec()));
        Routine { code, doc: self.doc }
    }
}

/// A routine that runs another one so many times; `steps` says by how many bytes each argument moves
/// on from one time to the next.
pub fn repeated(routine: Routine, times: usize, steps: &[usize]) -> Routine {
    let labels = |inst: &Inst| match inst {
        Inst::Label(label) => label.0 + 1,
        _ => 0,
    };
    let labels = routine.code.iter().map(labels).max().unwrap_or(0);
    let mut a = Assembler { labels, doc: routine.doc, ..Assembler::default() };
    a.doc("All that for each image.");
    let registers = [R0, R1, R2, R3].into_iter().zip(steps);
    // The other one looks for those behind the fourth directly above its frame.
    let further: Vec<Slot> = steps.iter().skip(4).map(|_| a.further_argument()).collect();
    let slots: Vec<Slot> = registers.clone().map(|_| a.slot()).chain(further).collect();
    let left = a.slot();
    let constant = |a: &mut Assembler, value: usize| {
        a.push(Inst::MovW(R12, value as u16));
        a.push(Inst::MovT(R12, (value >> 16) as u16));
    };
    for ((reg, _), &slot) in registers.clone().zip(&slots) {
        a.put(reg, slot);
    }
    constant(&mut a, times);
    a.put(R12, left);
    a.comment("an image");
    let image = a.here();
    for ((reg, _), &slot) in registers.zip(&slots) {
        a.get(reg, slot);
    }
    let saved = 4 * SAVED.len() as i32;
    for inst in routine.code {
        match inst {
            // They are saved already.
            Inst::Push(_) => a.sub(SP, SP, saved),
            Inst::Return(_) => a.add(SP, SP, saved),
            inst => a.push(inst),
        }
    }
    for (&slot, &step) in slots.iter().zip(steps).filter(|(_, &step)| step > 0) {
        constant(&mut a, step);
        a.get(R0, slot);
        a.add(R0, R0, R12);
        a.put(R0, slot);
    }
    a.get(R0, left);
    a.subs(R0, R0, 1);
    a.put(R0, left);
    a.branch(Cond::Ne, image);
    a.finish()
}

/// The words at the head of a routine's constant that say what a layer is like, and where the
/// routine keeps them: in the frame, in the same order.
#[derive(Default)]
pub struct Header {
    words: Vec<i32>,
}

impl Header {
    /// Adds a word; yields its place in the frame, if slots are handed out in the same order.
    pub fn word(&mut self, code: &mut Assembler, value: i64) -> Slot {
        assert_eq!(self.words.len(), code.slots, "the header comes first in the frame");
        self.words.push(i32::try_from(value).expect("a small layer"));
        code.slot()
    }

    /// Copies the words from where `from` points into the frame; `from` moves behind them. `r4` to
    /// `r9` are lost.
    ///
    /// What fills them up to four falls on slots that get their values later.
    pub fn copy(&self, code: &mut Assembler, from: Reg) {
        code.comment("what the layer is like goes to the stack");
        code.mov(R8, SP);
        code.mov(R9, self.words.len().div_ceil(4) as i32);
        let block = code.here();
        code.ldm(from, &[R4, R5, R6, R7]);
        code.stm(R8, &[R4, R5, R6, R7]);
        code.subs(R9, R9, 1);
        code.branch(Cond::Ne, block);
    }

    /// The words, filled up to a multiple of four.
    pub fn words(mut self) -> Vec<i32> {
        self.words.resize(self.words.len().next_multiple_of(4), 0);
        self.words
    }
}
