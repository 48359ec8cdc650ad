//! What instructions do and what they cost.
//!
//! Every value is followed by where it comes from: nothing that depends on a tensor's elements may
//! decide a branch or an address, so what one execution shows holds for all of them.

use super::{
    Address, Alu, Cond, Extend, ExtendAdd, Inst, Label, Multiply, Operand, Parallel, Reg, Routine,
    Shift, Width,
};

/// What a register's or memory's contents depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    /// Constants and addresses only.
    Known,
    /// Tensors' elements; 0 to 255.
    Byte,
    /// Tensors' elements.
    Data,
}

/// A run of memory that a routine may touch.
pub struct Segment<'a> {
    /// The contents.
    pub bytes: Contents<'a>,
    /// The parts that it may read and, if so said, write: first byte, end, writable.
    pub open: Vec<(usize, usize, bool)>,
}

/// What a segment holds.
pub enum Contents<'a> {
    /// Read-only data.
    Constant(&'a [u8]),
    /// Tensors.
    Memory(&'a mut [u8]),
}

impl Contents<'_> {
    /// In bytes.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        match self {
            Contents::Constant(bytes) => bytes.len(),
            Contents::Memory(bytes) => bytes.len(),
        }
    }
}

/// A pointer into a segment.
#[derive(Clone, Copy, Debug)]
pub struct Pointer {
    /// Which one.
    pub segment: usize,
    /// Bytes behind its start.
    pub offset: usize,
}

/// What instructions cost in cycles, from memory without wait states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prices {
    /// Whatever isn't below, multiplications among it.
    pub data: u64,
    /// A load.
    pub load: u64,
    /// A load directly behind another load or store.
    pub load_pipelined: u64,
    /// A store.
    pub store: u64,
    /// What several registers at once cost besides one for each.
    pub multiple: u64,
    /// A branch that isn't taken.
    pub branch: u64,
    /// A branch that is.
    pub branch_taken: u64,
}

impl Default for Prices {
    /// The Cortex-M4's: Arm 100166, table 3-1.
    fn default() -> Self {
        Prices {
            data: 1,
            load: 2,
            load_pipelined: 1,
            store: 1,
            multiple: 1,
            branch: 1,
            branch_taken: 3,
        }
    }
}

/// What an execution took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Instructions.
    pub instructions: u64,
    /// Cycles, from memory without wait states.
    pub cycles: u64,
    /// Bytes of stack.
    pub stack: usize,
}

/// Bytes of stack that there are.
const STACK: usize = 512;
/// Segments lie so many bytes apart.
const SPACING: u32 = 1 << 24;
/// No routine runs longer.
const LIMIT: u64 = u32::MAX as u64;

/// When the bytes of a segment were last read and first written, in instructions; 0 is never.
#[derive(Clone, Debug, Default)]
pub struct Times {
    /// By byte.
    pub last_read: Vec<u32>,
    /// By byte.
    pub first_write: Vec<u32>,
}

/// Executes a routine.
///
/// # Errors
/// What it does that it must not: a bug in a kernel.
pub fn execute(
    routine: &Routine,
    segments: &mut [Segment],
    args: &[Pointer],
    prices: &Prices,
) -> Result<Cost, String> {
    run(routine, segments, args, prices, None)
}

/// Executes a routine, and notes when it touched what in each segment.
///
/// # Errors
/// What it does that it must not: a bug in a kernel.
pub fn trace(
    routine: &Routine,
    segments: &mut [Segment],
    args: &[Pointer],
    prices: &Prices,
) -> Result<(Cost, Vec<Times>), String> {
    let times = |segment: &Segment| match &segment.bytes {
        Contents::Constant(_) => Times::default(),
        Contents::Memory(bytes) => {
            Times { last_read: vec![0; bytes.len()], first_write: vec![0; bytes.len()] }
        }
    };
    let mut times: Vec<Times> = segments.iter().map(times).collect();
    let cost = run(routine, segments, args, prices, Some(&mut times))?;
    Ok((cost, times))
}

fn run(
    routine: &Routine,
    segments: &mut [Segment],
    args: &[Pointer],
    prices: &Prices,
    times: Option<&mut Vec<Times>>,
) -> Result<Cost, String> {
    let (code, places) = prepare(&routine.code, prices);
    let mut machine = Machine { times, ..Machine::new(segments, args) };
    let mut cost = Cost::default();
    let mut at = 0;
    let mut pipelined = false;
    while let Some(&(inst, Price { own, taken, memory })) = code.get(at) {
        cost.instructions += 1;
        machine.now = cost.instructions as u32;
        let next = machine.step(inst).map_err(|error| format!("{error} ({inst:?})"))?;
        cost.cycles += match inst {
            Inst::Load(..) if pipelined => prices.load_pipelined,
            _ => own,
        };
        pipelined = memory;
        at = match next {
            Next::On => at + 1,
            Next::To(label) => {
                cost.cycles += taken;
                places[label.0]
            }
            Next::Return => {
                cost.cycles += taken;
                cost.stack = STACK - machine.deepest;
                return machine.finish().map(|()| cost);
            }
        };
        if cost.instructions > LIMIT {
            return Err("it doesn't end".into());
        }
    }
    Err("it doesn't return".into())
}

/// The instructions with their prices, and where each label stands among them.
fn prepare<'a>(code: &'a [Inst], prices: &Prices) -> (Vec<(&'a Inst, Price)>, Vec<usize>) {
    let (mut priced, mut places) = (Vec::new(), Vec::new());
    for inst in code {
        match inst {
            Inst::Comment(_) => {}
            Inst::Label(Label(label)) => {
                places.resize(places.len().max(label + 1), usize::MAX);
                places[*label] = priced.len();
            }
            inst => priced.push((inst, price(inst, prices))),
        }
    }
    (priced, places)
}

/// What an instruction costs.
#[derive(Clone, Copy)]
struct Price {
    own: u64,
    /// What it costs besides when it branches.
    taken: u64,
    /// Whether it is a single load or store, behind which another load is cheaper.
    memory: bool,
}

fn price(inst: &Inst, p: &Prices) -> Price {
    let branch = p.branch_taken.saturating_sub(p.branch);
    let many = |regs: &[Reg]| p.multiple + regs.len() as u64;
    let (own, taken, memory) = match inst {
        Inst::Load(..) => (p.load, 0, true),
        Inst::Store(..) => (p.store, 0, true),
        Inst::LoadMultiple(_, regs) | Inst::StoreMultiple(_, regs) | Inst::Push(regs) => {
            (many(regs), 0, false)
        }
        Inst::Return(regs) => (many(regs), branch, false),
        Inst::Branch(..) => (p.branch, branch, false),
        Inst::TableBranch(..) => (p.branch + 1, branch, false),
        _ => (p.data, 0, false),
    };
    Price { own, taken, memory }
}

enum Next {
    On,
    To(Label),
    Return,
}

struct Machine<'a, 'b> {
    segments: &'a mut [Segment<'b>],
    /// Of each segment's bytes; empty for constants.
    origins: Vec<Vec<Origin>>,
    stack: Vec<u8>,
    stack_origins: Vec<Origin>,
    /// The lowest place of the stack that was touched.
    deepest: usize,
    regs: [(u32, Origin); 15],
    /// What the last comparison compared: the difference of the two, or a result and zero.
    flags: (u32, u32, Origin),
    /// By byte.
    selected: [bool; 4],
    start: [(u32, Origin); 15],
    times: Option<&'a mut Vec<Times>>,
    /// Instructions so far.
    now: u32,
}

/// Where the stack lies.
const STACK_AT: u32 = 0x8000_0000;

impl<'a, 'b> Machine<'a, 'b> {
    fn new(segments: &'a mut [Segment<'b>], args: &[Pointer]) -> Self {
        let origins = segments.iter().map(|segment| match &segment.bytes {
            Contents::Constant(_) => Vec::new(),
            Contents::Memory(bytes) => vec![Origin::Data; bytes.len()],
        });
        let origins = origins.collect();
        // What a caller leaves in registers is nothing to rely on.
        let mut regs = [(0xdead_0000, Origin::Data); 15];
        for (i, reg) in regs.iter_mut().enumerate() {
            reg.0 += i as u32;
        }
        let mut stack = vec![0xee; STACK];
        let mut stack_origins = vec![Origin::Data; STACK];
        let address = |p: &Pointer| (p.segment as u32 + 1) * SPACING + p.offset as u32;
        let on_stack = args.len().saturating_sub(4);
        let top = STACK - on_stack.next_multiple_of(2) * 4;
        for (i, arg) in args.iter().enumerate() {
            if i < 4 {
                regs[i] = (address(arg), Origin::Known);
            } else {
                let at = top + (i - 4) * 4;
                stack[at..at + 4].copy_from_slice(&address(arg).to_le_bytes());
                stack_origins[at..at + 4].fill(Origin::Known);
            }
        }
        regs[13] = (STACK_AT + top as u32, Origin::Known);
        Machine {
            segments,
            origins,
            stack,
            stack_origins,
            deepest: top,
            regs,
            flags: (0, 0, Origin::Data),
            selected: [false; 4],
            start: regs,
            times: None,
            now: 0,
        }
    }

    /// Checks what a caller relies on.
    fn finish(&self) -> Result<(), String> {
        for reg in (4..12).chain([13]) {
            if self.regs[reg] != self.start[reg] {
                return Err(format!(
                    "it doesn't restore {}",
                    super::print::register(Reg(reg as u8))
                ));
            }
        }
        Ok(())
    }

    fn get(&self, reg: Reg) -> u32 {
        self.regs[reg.0 as usize].0
    }

    fn origin(&self, reg: Reg) -> Origin {
        self.regs[reg.0 as usize].1
    }

    fn set(&mut self, reg: Reg, value: u32, origin: Origin) {
        self.regs[reg.0 as usize] = (value, origin);
    }

    /// A result of registers: if one of them depends on data, so does it.
    fn compute(&mut self, d: Reg, value: u32, of: &[Reg]) {
        let origin = of.iter().map(|&reg| wide(self.origin(reg))).max().unwrap_or(Origin::Known);
        self.set(d, value, origin);
    }

    fn operand(&self, operand: Operand) -> (u32, Origin) {
        match operand {
            Operand::Imm(value) => (value as u32, Origin::Known),
            Operand::Reg(reg) => (self.get(reg), self.origin(reg)),
            Operand::Shifted(reg, shift, by) => {
                let x = self.get(reg);
                let value = match shift {
                    Shift::Lsl => x << by,
                    Shift::Lsr => x >> by,
                    Shift::Asr => (x as i32 >> by) as u32,
                };
                (value, wide(self.origin(reg)))
            }
        }
    }

    /// The address, and how many bytes from there on an index out of data may reach.
    fn address(&mut self, at: Address, bytes: u32) -> Result<(u32, u32), String> {
        let known = |this: &Self, reg: Reg| match this.origin(reg) {
            Origin::Known => Ok(this.get(reg)),
            _ => Err("an address depends on data".to_string()),
        };
        match at {
            Address::Offset(base, by) => Ok((known(self, base)?.wrapping_add_signed(by), bytes)),
            Address::Post(base, by) => {
                let address = known(self, base)?;
                self.set(base, address.wrapping_add_signed(by), Origin::Known);
                Ok((address, bytes))
            }
            Address::Index(base, index, by) => {
                let base = known(self, base)?;
                match self.origin(index) {
                    Origin::Byte => {
                        self.check(base, (255 << by) + bytes, false)?;
                        Ok((base + (self.get(index) << by), bytes))
                    }
                    _ => Ok((base.wrapping_add(known(self, index)? << by), bytes)),
                }
            }
        }
    }

    /// The segment and the offset of bytes that may be read, or written; `None` is the stack.
    fn check(&self, address: u32, len: u32, write: bool) -> Result<(Option<usize>, usize), String> {
        if address >= STACK_AT {
            let at = (address - STACK_AT) as usize;
            let top = (self.get(Reg(13)) - STACK_AT) as usize;
            return match at >= top && at + len as usize <= STACK {
                true => Ok((None, at)),
                false => Err(format!("byte {at} of the stack is not its own")),
            };
        }
        let (segment, offset) = ((address / SPACING) as usize, (address % SPACING) as usize);
        let end = offset + len as usize;
        let open = segment.checked_sub(1).and_then(|i| self.segments.get(i));
        let fits = |&(from, to, writable): &(usize, usize, bool)| {
            from <= offset && end <= to && (writable || !write)
        };
        if !open.is_some_and(|segment| segment.open.iter().any(fits)) {
            let what = if write { "writes" } else { "reads" };
            return Err(format!("it {what} bytes {offset}..{end} of segment {segment}"));
        }
        Ok((Some(segment - 1), offset))
    }

    fn load(&mut self, address: u32, len: u32) -> Result<(u32, Origin), String> {
        let (segment, at) = self.check(address, len, false)?;
        let range = at..at + len as usize;
        if let (Some(times), Some(i)) = (&mut self.times, segment) {
            if let Some(bytes) = times[i].last_read.get_mut(range.clone()) {
                bytes.fill(self.now);
            }
        }
        let (bytes, origins) = match segment {
            None => (&self.stack[range.clone()], &self.stack_origins[range]),
            Some(i) => match &self.segments[i].bytes {
                Contents::Constant(bytes) => (&bytes[range], &[][..]),
                Contents::Memory(bytes) => (&bytes[range.clone()], &self.origins[i][range]),
            },
        };
        let value = bytes.iter().rev().fold(0, |value, &byte| value << 8 | u32::from(byte));
        Ok((value, origins.iter().copied().max().unwrap_or(Origin::Known)))
    }

    fn store(&mut self, address: u32, len: u32, value: u32, origin: Origin) -> Result<(), String> {
        let (segment, at) = self.check(address, len, true)?;
        let range = at..at + len as usize;
        let bytes = &value.to_le_bytes()[..len as usize];
        match segment {
            None => {
                self.stack[range.clone()].copy_from_slice(bytes);
                self.stack_origins[range].fill(wide(origin));
            }
            Some(i) => {
                if let Some(times) = &mut self.times {
                    let bytes = times[i].first_write[range.clone()].iter_mut();
                    bytes.filter(|time| **time == 0).for_each(|time| *time = self.now);
                }
                if let Contents::Memory(memory) = &mut self.segments[i].bytes {
                    memory[range.clone()].copy_from_slice(bytes);
                }
                self.origins[i][range].fill(wide(origin));
            }
        }
        Ok(())
    }

    fn holds(&self, cond: Cond) -> Result<bool, String> {
        let (a, b, origin) = self.flags;
        if cond != Cond::Al && origin != Origin::Known {
            return Err("a branch depends on data".into());
        }
        let (signed, unsigned) = ((a as i32).cmp(&(b as i32)), a.cmp(&b));
        Ok(match cond {
            Cond::Al => true,
            Cond::Eq => unsigned.is_eq(),
            Cond::Ne => unsigned.is_ne(),
            Cond::Lt => signed.is_lt(),
            Cond::Ge => signed.is_ge(),
            Cond::Gt => signed.is_gt(),
            Cond::Le => signed.is_le(),
            Cond::Hs => unsigned.is_ge(),
            Cond::Lo => unsigned.is_lt(),
        })
    }

    #[inline]
    fn step(&mut self, inst: &Inst) -> Result<Next, String> {
        match inst {
            Inst::Comment(_) | Inst::Label(_) => {}
            Inst::Mov(d, m) => {
                let (value, origin) = self.operand(*m);
                self.set(*d, value, origin);
            }
            Inst::MovW(d, value) => self.set(*d, u32::from(*value), Origin::Known),
            Inst::MovT(d, value) => {
                let low = self.get(*d) & 0xffff;
                self.set(*d, u32::from(*value) << 16 | low, self.origin(*d));
            }
            Inst::Alu { op, flags, d, n, m } => {
                let (a, (b, origin)) = (self.get(*n), self.operand(*m));
                let origin = wide(origin).max(wide(self.origin(*n)));
                let by = b & 0xff;
                let value = match op {
                    Alu::Add => a.wrapping_add(b),
                    Alu::Sub => a.wrapping_sub(b),
                    Alu::Rsb => b.wrapping_sub(a),
                    Alu::And => a & b,
                    Alu::Orr => a | b,
                    Alu::Bic => a & !b,
                    Alu::Eor => a ^ b,
                    Alu::Lsl => a.checked_shl(by).unwrap_or(0),
                    Alu::Lsr => a.checked_shr(by).unwrap_or(0),
                    Alu::Asr => ((a as i32) >> by.min(31)) as u32,
                };
                self.set(*d, value, origin);
                if *flags {
                    // As a comparison: only differences are asked for more than being zero.
                    self.flags = match op {
                        Alu::Sub => (a, b, origin),
                        _ => (value, 0, origin),
                    };
                }
            }
            Inst::Cmp(n, m) => {
                let (b, origin) = self.operand(*m);
                self.flags = (self.get(*n), b, origin.max(self.origin(*n)));
            }
            Inst::Mul(d, n, m) => {
                self.compute(*d, self.get(*n).wrapping_mul(self.get(*m)), &[*n, *m]);
            }
            Inst::Smulbb(d, n, m) => {
                let product = i32::from(self.get(*n) as i16) * i32::from(self.get(*m) as i16);
                self.compute(*d, product as u32, &[*n, *m]);
            }
            Inst::Smultt(d, n, m) => {
                let product = (self.get(*n) as i32 >> 16) * (self.get(*m) as i32 >> 16);
                self.compute(*d, product as u32, &[*n, *m]);
            }
            Inst::Multiply { op, d, n, m, a } => {
                let (x, y, sum) = (self.get(*n) as i32, self.get(*m) as i32, self.get(*a) as i32);
                let (bottom, top) = (|v: i32| i32::from(v as i16), |v: i32| v >> 16);
                let high = |x: i32, y: i32| ((i64::from(x) * i64::from(y)) >> 16) as i32;
                let value = match op {
                    Multiply::Mla => sum.wrapping_add(x.wrapping_mul(y)),
                    Multiply::Smlad => {
                        let low = sum.wrapping_add(bottom(x) * bottom(y));
                        low.wrapping_add(top(x) * top(y))
                    }
                    Multiply::Smlabb => sum.wrapping_add(bottom(x) * bottom(y)),
                    Multiply::Smlabt => sum.wrapping_add(bottom(x) * top(y)),
                    Multiply::Smlatb => sum.wrapping_add(top(x) * bottom(y)),
                    Multiply::Smlatt => sum.wrapping_add(top(x) * top(y)),
                    Multiply::Smlawb => sum.wrapping_add(high(x, bottom(y))),
                    Multiply::Smlawt => sum.wrapping_add(high(x, top(y))),
                    Multiply::Smmlar => {
                        let product = i64::from(x) * i64::from(y);
                        let wide = (i64::from(sum) << 32).wrapping_add(product);
                        (wide.wrapping_add(1 << 31) >> 32) as i32
                    }
                };
                self.compute(*d, value as u32, &[*n, *m, *a]);
            }
            Inst::Extend { op, d, m, ror } => {
                let x = self.get(*m).rotate_right(*ror);
                let half = |byte: u32| u32::from(i16::from(byte as u8 as i8) as u16);
                let value = match op {
                    Extend::Sxtb => x as i8 as u32,
                    Extend::Sxth => x as i16 as u32,
                    Extend::Uxtb => x & 0xff,
                    Extend::Sxtb16 => half(x) | half(x >> 16) << 16,
                    Extend::Uxtb16 => x & 0xff_00ff,
                };
                let origin = match (self.origin(*m), op) {
                    (Origin::Known, _) => Origin::Known,
                    (_, Extend::Uxtb) => Origin::Byte,
                    _ => Origin::Data,
                };
                self.set(*d, value, origin);
            }
            Inst::ExtendAdd { op, d, n, m, ror } => {
                let (sum, x) = (self.get(*n), self.get(*m).rotate_right(*ror));
                let value = match op {
                    ExtendAdd::Sxtab => sum.wrapping_add(x as i8 as u32),
                    ExtendAdd::Sxtab16 => {
                        let low = sum.wrapping_add(x as i8 as u32) & 0xffff;
                        let high = (sum >> 16).wrapping_add((x >> 16) as i8 as u32) << 16;
                        low | high
                    }
                };
                self.compute(*d, value, &[*n, *m]);
            }
            Inst::Pkhbt(d, n, m, by) => {
                let value = self.get(*n) & 0xffff | (self.get(*m) << by) & 0xffff_0000;
                self.compute(*d, value, &[*n, *m]);
            }
            Inst::Pkhtb(d, n, m, by) => {
                let low = ((self.get(*m) as i32) >> by) as u32 & 0xffff;
                self.compute(*d, self.get(*n) & 0xffff_0000 | low, &[*n, *m]);
            }
            Inst::Ssat(d, bits, m, by) => {
                let max = (1 << (bits - 1)) - 1;
                let value = (self.get(*m) as i32 >> by).clamp(-max - 1, max);
                self.compute(*d, value as u32, &[*m]);
            }
            Inst::Usat(d, bits, m) => {
                let value = (self.get(*m) as i32).clamp(0, (1 << bits) - 1);
                let origin = match self.origin(*m) {
                    Origin::Data if *bits <= 8 => Origin::Byte,
                    origin => origin,
                };
                self.set(*d, value as u32, origin);
            }
            Inst::Parallel { op, d, n, m } => {
                let (a, b) = (self.get(*n).to_le_bytes(), self.get(*m).to_le_bytes());
                let half = |x: [u8; 4], i: usize| i16::from_le_bytes([x[2 * i], x[2 * i + 1]]);
                let halves = |f: fn(i16, i16) -> i16| {
                    let of = |i| u32::from(f(half(a, i), half(b, i)) as u16);
                    of(0) | of(1) << 16
                };
                let value = match op {
                    Parallel::Sadd16 => halves(i16::wrapping_add),
                    Parallel::Ssub16 => halves(i16::wrapping_sub),
                    Parallel::Ssub8 => {
                        self.selected = std::array::from_fn(|i| (a[i] as i8) >= (b[i] as i8));
                        u32::from_le_bytes(std::array::from_fn(|i| a[i].wrapping_sub(b[i])))
                    }
                    Parallel::Sel => u32::from_le_bytes(std::array::from_fn(|i| {
                        if self.selected[i] {
                            a[i]
                        } else {
                            b[i]
                        }
                    })),
                };
                self.compute(*d, value, &[*n, *m]);
                if *op == Parallel::Sel {
                    // The flags, too, come from data.
                    self.regs[d.0 as usize].1 = Origin::Data;
                }
            }
            Inst::Load(width, t, at) => {
                let (address, len) = self.address(*at, width.bytes())?;
                let (value, origin) = self.load(address, len)?;
                let value = match width {
                    Width::SignedByte => value as i8 as u32,
                    Width::SignedHalf => value as i16 as u32,
                    _ => value,
                };
                let origin = match (origin, width) {
                    (Origin::Data, Width::Byte) => Origin::Byte,
                    (origin, _) => origin,
                };
                // A table's entry tells of its index.
                let by_data = match at {
                    Address::Index(_, index, _) => self.origin(*index),
                    _ => Origin::Known,
                };
                self.set(*t, value, if by_data == Origin::Known { origin } else { Origin::Data });
            }
            Inst::Store(width, t, at) => {
                let (value, origin) = self.regs[t.0 as usize];
                let (address, len) = self.address(*at, width.bytes())?;
                self.store(address, len, value, origin)?;
            }
            Inst::LoadMultiple(n, regs) => {
                let mut address = self.known(*n)?;
                for &reg in ordered(regs)? {
                    let (value, origin) = self.load(aligned(address)?, 4)?;
                    self.set(reg, value, origin);
                    address += 4;
                }
                self.set(*n, address, Origin::Known);
            }
            Inst::StoreMultiple(n, regs) => {
                let mut address = self.known(*n)?;
                for &reg in ordered(regs)? {
                    let (value, origin) = self.regs[reg.0 as usize];
                    self.store(aligned(address)?, 4, value, origin)?;
                    address += 4;
                }
                self.set(*n, address, Origin::Known);
            }
            Inst::Push(regs) => {
                let mut address = self.get(Reg(13)) - 4 * regs.len() as u32;
                self.set(Reg(13), address, Origin::Known);
                for &reg in ordered(regs)? {
                    let (value, origin) = self.regs[reg.0 as usize];
                    self.store(address, 4, value, origin)?;
                    address += 4;
                }
            }
            Inst::Return(regs) => {
                for &reg in ordered(regs)? {
                    let address = self.get(Reg(13));
                    let (value, _) = self.load(address, 4)?;
                    self.set(Reg(13), address + 4, Origin::Known);
                    // What was saved is what comes back.
                    self.set(reg, value, Origin::Data);
                }
                return match self.get(Reg(14)) == self.start[14].0 {
                    true => Ok(Next::Return),
                    false => Err("it returns to somewhere else".into()),
                };
            }
            Inst::Branch(cond, label) => {
                if self.holds(*cond)? {
                    return Ok(Next::To(*label));
                }
            }
            Inst::TableBranch(index, labels) => {
                let index = self.known(*index)? as usize;
                let label = labels.get(index).ok_or("a branch beyond its table")?;
                return Ok(Next::To(*label));
            }
        }
        if self.regs[13].1 != Origin::Known || self.regs[13].0 < STACK_AT {
            return Err("the stack is too small".into());
        }
        self.deepest = self.deepest.min((self.regs[13].0 - STACK_AT) as usize);
        Ok(Next::On)
    }

    fn known(&self, reg: Reg) -> Result<u32, String> {
        match self.origin(reg) {
            Origin::Known => Ok(self.get(reg)),
            _ => Err("an address depends on data".into()),
        }
    }
}

/// What arithmetic makes of an origin: a byte may become anything.
fn wide(origin: Origin) -> Origin {
    match origin {
        Origin::Known => Origin::Known,
        _ => Origin::Data,
    }
}

/// Registers of a list, which go to memory in their order.
fn ordered(regs: &[Reg]) -> Result<&[Reg], String> {
    match regs.windows(2).all(|pair| pair[0] < pair[1]) {
        true => Ok(regs),
        false => Err("registers out of order".into()),
    }
}

/// Several words at once must lie at a word's address.
fn aligned(address: u32) -> Result<u32, String> {
    match address % 4 {
        0 => Ok(address),
        _ => Err("several words at an address that isn't a word's".into()),
    }
}
