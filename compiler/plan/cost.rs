//! What a layer takes in cycles, from memory without wait states, and its code in bytes.
//!
//! A routine in assembly is executed, and what that costs holds for every input. Of a loop nest,
//! compilers make what they like, so its figures are estimates: each loop's rounds are counted, as
//! many as there are, and each expression is charged the instructions that a good compiler makes of
//! it. Addresses cost nothing where a load or store can step on or add a constant, and loads that
//! stand together overlap.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::kernels::dsp::prices;
use crate::loop_ir::{
    self, Binary, Call, Expr, Function, Intrinsic, Place, Program, Stmt, Ty, Update,
};
use crate::target::{Cycles, Target};

/// How many rounds of an innermost loop compilers write out behind each other.
const UNROLLED: u64 = 4;
/// A loop of few rounds is written out whole if that makes no more instructions than these.
const WHOLE: u64 = 64;
/// Registers that a function saves, and instructions around its body.
const SAVED: u64 = 9;
/// Registers that a loop nest's values can lie in.
const REGISTERS: u64 = 10;
/// What a float operation in software takes, in simple instructions: the mean of a quotient, a sum,
/// a product, comparisons and conversions.
const FLOAT: u64 = 60;
/// Bytes of an instruction of a loop nest, as the mean of short and long ones.
const INSTRUCTION: u64 = 3;

/// A number, known or guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Figure {
    /// The number.
    pub value: u64,
    /// Whether it is an estimate, in whole or in part.
    pub estimated: bool,
}

impl Figure {
    /// That is certain.
    pub fn exactly(value: u64) -> Figure {
        Figure { value, estimated: false }
    }

    /// That is estimated.
    pub fn about(value: u64) -> Figure {
        Figure { value, estimated: true }
    }
}

impl std::ops::Add for Figure {
    type Output = Figure;
    fn add(self, other: Figure) -> Figure {
        let estimated = self.estimated || other.estimated;
        Figure { value: self.value + other.value, estimated }
    }
}

impl std::iter::Sum for Figure {
    fn sum<I: Iterator<Item = Figure>>(figures: I) -> Figure {
        figures.fold(Figure::exactly(0), |sum, figure| sum + figure)
    }
}

/// What a call takes.
pub struct Run {
    /// Cycles.
    pub cycles: Figure,
    /// Bytes of stack.
    pub stack: Figure,
}

/// What a call takes.
pub fn run(program: &Program, call: &Call, target: &Target) -> Run {
    let function = &program.functions[call.function];
    let Some(routine) = function.assembly() else {
        return Run {
            cycles: Figure::about(cycles_of_loops(function, &call.scalars, target)),
            stack: Figure::about(4 * (SAVED + spilled(&function.body))),
        };
    };
    let cost = loop_ir::cost(program, call, routine, &prices(&target.cycles)).expect("verified");
    let cycles = match u64::from(target.cycles.issue) {
        1 => Figure::exactly(cost.cycles),
        // Which instructions start together is not known.
        issue => Figure::about(cost.cycles.div_ceil(issue)),
    };
    Run { cycles, stack: Figure::exactly(cost.stack as u64) }
}

/// How many values of a loop nest find no register.
fn spilled(body: &[Stmt]) -> u64 {
    fn visible(body: &[Stmt]) -> u64 {
        let (mut own, mut within) = (0, 0);
        for stmt in body {
            match stmt {
                Stmt::For { body, .. } => within = within.max(2 + visible(body)),
                Stmt::Store { .. } | Stmt::Update(..) | Stmt::Assembly(_) => {}
                Stmt::Let(..) | Stmt::Accumulator(..) | Stmt::View { .. } => own += 1,
            }
        }
        own + within
    }
    visible(body).saturating_sub(REGISTERS)
}

/// About the bytes of flash that a program takes: its constants and its code.
pub fn flash(program: &Program, target: &Target) -> usize {
    let code = program.functions.iter().enumerate().map(|(i, function)| {
        let call = program.calls.iter().find(|call| call.function == i).expect("each is called");
        code(function, call, target).value as usize
    });
    program.constant_bytes() + code.sum::<usize>()
}

/// About the cycles that a loop nest takes for those scalars.
pub fn cycles_of_loops(function: &Function, scalars: &[Expr], target: &Target) -> u64 {
    Nest::new(function, scalars, target).cycles()
}

/// About the bytes of a loop nest's code for those scalars.
pub fn code_of_loops(function: &Function, scalars: &[Expr], target: &Target) -> u64 {
    Nest::new(function, scalars, target).code(&function.body)
}

/// The bytes of code of a function that is called so.
pub fn code(function: &Function, call: &Call, target: &Target) -> Figure {
    match function.assembly() {
        Some(routine) => Figure::exactly(routine.size() as u64),
        None => Figure::about(code_of_loops(function, &call.scalars, target)),
    }
}

/// A loop nest that is walked through.
struct Nest<'a> {
    function: &'a Function,
    cycles: &'a Cycles,
    /// Whether an instruction holds a number within a range.
    saturates: bool,
    /// What a load takes besides: cores that have no long product have few registers as well, so
    /// that pointers wait on the stack.
    spill: u64,
    /// The indices, none of which depends on data, and the loops' counters that each depends on.
    indices: BTreeMap<usize, (u64, BTreeSet<usize>)>,
    /// The counters that decide about other loops' rounds.
    deciding: BTreeSet<usize>,
}

/// What code takes: its loads, for they overlap, and the cycles of all else.
#[derive(Clone, Copy, Default)]
struct Work {
    loads: u64,
    cycles: u64,
}

impl std::ops::AddAssign for Work {
    fn add_assign(&mut self, other: Work) {
        self.loads += other.loads;
        self.cycles += other.cycles;
    }
}

impl<'a> Nest<'a> {
    fn new(function: &'a Function, scalars: &[Expr], target: &'a Target) -> Self {
        let mut nest = Nest {
            function,
            cycles: &target.cycles,
            saturates: target.features.thumb2,
            spill: if target.features.long_multiply {
                0
            } else {
                2 * u64::from(target.cycles.data)
            },
            indices: BTreeMap::new(),
            deciding: BTreeSet::new(),
        };
        for (var, value) in function.scalars.iter().zip(scalars) {
            nest.name(var.id, value);
        }
        nest
    }

    fn cycles(&mut self) -> u64 {
        let Cycles { call, multiple, .. } = *self.cycles;
        let around = u64::from(call) + 2 * (u64::from(multiple) + SAVED);
        (around + self.block(&self.function.body)).div_ceil(self.cycles.issue.into())
    }

    /// Loads that stand together, `groups` times.
    fn loads(&self, loads: u64, groups: u64) -> u64 {
        let Cycles { load, load_pipelined, .. } = *self.cycles;
        loads * (u64::from(load_pipelined) + self.spill)
            + loads.min(groups) * u64::from(load.saturating_sub(load_pipelined))
    }

    fn block(&mut self, body: &[Stmt]) -> u64 {
        let mut loops = 0;
        let mut work = Work::default();
        for stmt in body {
            match (self.line(std::slice::from_ref(stmt)), stmt) {
                (Some(line), _) => work += line,
                (None, Stmt::For { var, from, to, body }) => {
                    loops += self.rounds(var.id, from, to, body);
                }
                (None, stmt) => unreachable!("{stmt:?} doesn't repeat"),
            }
        }
        loops + work.cycles + self.loads(work.loads, 1)
    }

    /// What a body takes if compilers make one line of it, in which nothing repeats.
    fn line(&mut self, body: &[Stmt]) -> Option<Work> {
        let overlap = u64::from(self.cycles.load.saturating_sub(self.cycles.load_pipelined));
        let mut work = Work::default();
        let mut loaded = false;
        for stmt in body {
            let Stmt::For { from, to, body, .. } = stmt else {
                let mut own = self.stmt(stmt);
                if loaded && is_product(stmt) {
                    // Its load stands behind the one before it.
                    own.cycles = own.cycles.saturating_sub(overlap);
                }
                loaded = own.loads > 0 || is_product(stmt) && loads_aside(stmt);
                work += own;
                continue;
            };
            let count = (to.as_index()?).saturating_sub(from.as_index()?) as u64;
            let round = self.line(body)?;
            if count > UNROLLED || count * (round.loads + round.cycles) > WHOLE {
                return None;
            }
            work += Work { loads: count * round.loads, cycles: count * round.cycles };
        }
        Some(work)
    }

    /// All rounds of a loop.
    fn rounds(&mut self, counter: usize, from: &Expr, to: &Expr, body: &[Stmt]) -> u64 {
        let (from, mut on) = self.index(from);
        let (to, others) = self.index(to);
        on.extend(others);
        self.deciding.extend(on);
        let count = to.saturating_sub(from);
        let turn = u64::from(self.cycles.data + self.cycles.branch_taken);
        self.indices.insert(counter, (from, BTreeSet::from([counter])));
        if copies(counter, body) {
            let Cycles { load, store, data, .. } = *self.cycles;
            return count.div_ceil(4) * u64::from(load + store) + 2 * u64::from(data);
        }
        if let Some(round) = self.line(body) {
            // A rest would take code of its own.
            let turns = if count % UNROLLED == 0 { count / UNROLLED } else { count };
            let (loads, cycles) = (count * round.loads, count * round.cycles);
            return cycles + self.loads(loads, turns) + turns * turn;
        }
        self.deciding.remove(&counter);
        let mut total = count * turn;
        let mut round = 0;
        for i in from..to {
            self.indices.insert(counter, (i, BTreeSet::from([counter])));
            // Rounds take the same unless loops within depend on which one it is.
            if i == from || self.deciding.contains(&counter) {
                round = self.block(body);
            }
            total += round;
        }
        total
    }

    fn stmt(&mut self, stmt: &Stmt) -> Work {
        let data = u64::from(self.cycles.data);
        let mut work = Work::default();
        match stmt {
            Stmt::Let(var, value) => {
                if var.ty == Ty::Index {
                    self.name(var.id, value);
                }
                self.expr(value, &mut work);
            }
            // The first value that comes starts it.
            Stmt::Accumulator(_, start) => self.expr(start, &mut work),
            Stmt::Update(_, Update::Max, value) => {
                self.expr(value, &mut work);
                work.cycles += 2 * data;
            }
            Stmt::Update(_, _, value) => match value {
                Expr::Binary(Binary::Mul, a, b) => {
                    let mut factors = Work::default();
                    self.expr(a, &mut factors);
                    self.expr(b, &mut factors);
                    // Too much is on the way to load ahead.
                    work.cycles += factors.cycles + factors.loads * self.loads(1, 1);
                    work.cycles += u64::from(self.cycles.multiply_add);
                }
                value => {
                    self.expr(value, &mut work);
                    work.cycles += data;
                }
            },
            Stmt::View { at, .. } => {
                self.address(at, &mut work);
                work.cycles += data;
            }
            Stmt::Store { at, value, .. } => {
                self.address(at, &mut work);
                self.expr(value, &mut work);
                work.cycles += u64::from(self.cycles.store);
            }
            Stmt::Assembly(_) | Stmt::For { .. } => unreachable!("looked at elsewhere"),
        }
        work
    }

    /// What a value takes.
    fn expr(&self, expr: &Expr, work: &mut Work) {
        let data = u64::from(self.cycles.data);
        match expr {
            Expr::Int(_) | Expr::Index(_) | Expr::Real(_) | Expr::Var(_) => {}
            Expr::Load(_, at) => {
                self.address(at, work);
                work.loads += 1;
            }
            Expr::Binary(op, a, b) => {
                self.expr(a, work);
                self.expr(b, work);
                let clamps = |e: &Expr| matches!(e, Expr::Binary(Binary::Max, _, limit) if matches!(**limit, Expr::Int(_)));
                work.cycles += match op {
                    Binary::Mul => self.cycles.multiply.into(),
                    Binary::Div => self.cycles.divide.into(),
                    // Both limits at once.
                    Binary::Min if clamps(a) && self.saturates => 0,
                    Binary::Max if self.saturates => data,
                    Binary::Min | Binary::Max | Binary::SaturatingSub => 2 * data,
                    _ => data,
                };
            }
            Expr::Call(intrinsic, args) => {
                args.iter().for_each(|arg| self.expr(arg, work));
                let shift = args.last().and_then(|arg| match arg {
                    Expr::Int(shift) => Some(*shift),
                    _ => None,
                });
                work.cycles += self.intrinsic(*intrinsic, shift);
            }
            Expr::ToInt(value) | Expr::ToIndex(value) => self.expr(value, work),
        }
    }

    /// What an address takes: nothing but the value that it depends on, if that is data.
    fn address(&self, at: &Expr, work: &mut Work) {
        match at {
            Expr::ToIndex(value) => self.expr(value, work),
            Expr::Binary(_, a, b) => {
                self.address(a, work);
                self.address(b, work);
            }
            _ => {}
        }
    }

    /// A function of the runtime, whose last argument may be a constant: counted in `tflc-rt`.
    fn intrinsic(&self, intrinsic: Intrinsic, last: Option<i32>) -> u64 {
        let Cycles { data, multiply_long, divide, call, .. } = *self.cycles;
        let [data, long, divide, call] = [data, multiply_long, divide, call].map(u64::from);
        let doubling = long + 6 * data;
        let fixed = last.is_some();
        let shift = if fixed { 5 * data } else { 9 * data };
        match intrinsic {
            Intrinsic::DoublingHighMul => doubling,
            Intrinsic::RoundingShiftRight => shift,
            Intrinsic::Requantize if last > Some(0) => doubling + 3 * data,
            Intrinsic::Requantize => doubling + shift + 2 * data,
            Intrinsic::RequantizeDown => long + if fixed { 10 * data } else { 11 * data },
            Intrinsic::RequantizeDownByHalves => call + 27 * data,
            Intrinsic::DivideRounded if fixed => long + 8 * data,
            Intrinsic::DivideRounded => divide + 10 * data,
            Intrinsic::LeadingZeros => data,
            Intrinsic::Reciprocal => 8 * doubling + 250 * data,
            Intrinsic::Quantize => 9 * FLOAT * data,
            Intrinsic::Dequantize => 2 * FLOAT * data,
        }
    }

    /// Remembers an index.
    fn name(&mut self, id: usize, value: &Expr) {
        let index = self.index(value);
        self.indices.insert(id, index);
    }

    /// The value of an index now, and the counters that it depends on.
    fn index(&self, expr: &Expr) -> (u64, BTreeSet<usize>) {
        match expr {
            Expr::Index(value) => (*value as u64, BTreeSet::new()),
            Expr::Var(var) => self.indices.get(&var.id).cloned().unwrap_or_default(),
            Expr::Binary(op, a, b) => {
                let ((a, mut on), (b, others)) = (self.index(a), self.index(b));
                on.extend(others);
                let value = match op {
                    Binary::Add | Binary::WrappingAdd => a + b,
                    Binary::Sub | Binary::SaturatingSub => a.saturating_sub(b),
                    Binary::Mul => a * b,
                    Binary::Div => a / b.max(1),
                    Binary::Min => a.min(b),
                    Binary::Max => a.max(b),
                    Binary::ShiftLeft => a << b.min(31),
                };
                (value, on)
            }
            // A place in a table, on which no loop depends.
            _ => (0, BTreeSet::new()),
        }
    }

    /// The bytes of a body: an instruction costs about a cycle.
    fn code(&mut self, body: &[Stmt]) -> u64 {
        let mut bytes = 0;
        for stmt in body {
            bytes += match stmt {
                Stmt::For { body, .. } => {
                    let innermost = !body.iter().any(|stmt| matches!(stmt, Stmt::For { .. }));
                    let copies = if innermost { UNROLLED } else { 1 };
                    copies * self.code(body) + 4 * INSTRUCTION
                }
                stmt => {
                    let Work { loads, cycles } = self.stmt(stmt);
                    // Floats are a library's code.
                    let inline = cycles.min(FLOAT * u64::from(self.cycles.data));
                    (loads + inline) * INSTRUCTION
                }
            };
        }
        bytes
    }
}

/// Whether a statement adds a product.
fn is_product(stmt: &Stmt) -> bool {
    matches!(stmt, Stmt::Update(_, _, Expr::Binary(Binary::Mul, ..)))
}

/// Whether a statement loads an element that lies a constant distance behind a pointer, so that the
/// next one's load can stand beside its own.
fn loads_aside(stmt: &Stmt) -> bool {
    fn aside(expr: &Expr) -> bool {
        match expr {
            Expr::Load(Place::View(_), at) => matches!(**at, Expr::Index(_)),
            Expr::Binary(_, a, b) => aside(a) || aside(b),
            _ => false,
        }
    }
    matches!(stmt, Stmt::Update(_, _, value) if aside(value))
}

/// Whether a loop copies elements that lie side by side: compilers copy words.
fn copies(counter: usize, body: &[Stmt]) -> bool {
    let is_counter = |e: &Expr| matches!(e, Expr::Var(var) if var.id == counter);
    let steps = |at: &Expr| match at {
        Expr::Binary(Binary::Add, _, last) => is_counter(last),
        at => is_counter(at),
    };
    match body {
        [Stmt::Store { at, value: Expr::Load(_, from), .. }] => steps(at) && steps(from),
        _ => false,
    }
}
