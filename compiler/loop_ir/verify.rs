//! Proves that a program can't fault: every index within its buffer, every sum and product within
//! 32 bits, every stored value within its element type, every argument within what the runtime's
//! functions ask for.
//!
//! By intervals: each value is known by its lowest and highest value, a loop is looked at once
//! with its counter anywhere in its range. Where that proves too little, at borders, the ranges of
//! loops whose counters decide about bounds are split in halves, down to single rounds: inner
//! loops' first, so that rows and columns are split where they have to be and no more.

use std::collections::BTreeMap;

use super::assembly::machine::{Cost, Prices};
use super::assembly::Routine;
use super::{
    Access, Arg, Binary, Call, Expr, Function, Intrinsic, Place, Program, Region, Rounds, Stmt, Ty,
    Update, Var,
};
use crate::ops::DType;

/// Checks a program. `Ok` promises that the backends' code neither faults nor overflows.
///
/// # Errors
/// The first thing that can't be proved, with the function and the place in it. That is a bug in a
/// kernel, not a fault of the model.
pub fn verify(program: &Program) -> Result<(), String> {
    for border in program.inputs.iter().chain(&program.outputs) {
        check_region(program, border.region)?;
    }
    for call in &program.calls {
        let function = &program.functions[call.function];
        check_call(program, function, &call.args)
            .and_then(|buffers| match function.assembly() {
                // What it does depends on no data, so it is enough to see it once.
                Some(routine) => cost(program, call, routine, &Prices::default()).map(|_| ()),
                None => Checker::new(function, buffers).check(&call.scalars),
            })
            .map_err(|error| format!("{}: {error}", function.name))?;
    }
    check_rounds(program)
}

/// Checks that the rounds are those of the calls.
fn check_rounds(program: &Program) -> Result<(), String> {
    let mut next = 0;
    for rounds in &program.rounds {
        let &Rounds { first, calls, count } = rounds;
        if first < next || calls == 0 || count < 2 || rounds.end() > program.calls.len() {
            return Err(format!("{rounds:?} of {} calls", program.calls.len()));
        }
        next = rounds.end();
        for call in first..next - calls {
            let own = program.distances(call, call + calls);
            let start = first + (call - first) % calls;
            if own.is_none() || own != program.distances(start, start + calls) {
                return Err(format!("call {} isn't that of another round", call + calls));
            }
        }
    }
    Ok(())
}

/// What a call of a routine costs.
///
/// # Errors
/// What the routine does that it must not.
pub fn cost(
    program: &Program,
    call: &Call,
    routine: &Routine,
    prices: &Prices,
) -> Result<Cost, String> {
    let zeros = |m: &super::Memory| vec![0; m.len * m.dtype.size()];
    let mut memories: Vec<Vec<u8>> = program.memories.iter().map(zeros).collect();
    super::eval::execute(program, call, routine, &mut memories, prices)
}

fn check_region(program: &Program, region: Region) -> Result<(), String> {
    let len = program.memories[region.memory].len;
    if region.offset + region.len > len {
        return Err(format!("{region:?} lies outside of memory of {len}"));
    }
    Ok(())
}

/// The range of each argument's elements, and how many there are.
fn check_call(
    program: &Program,
    function: &Function,
    args: &[Arg],
) -> Result<Vec<(Range, usize)>, String> {
    if args.len() != function.params.len() {
        return Err(format!("{} arguments for {} parameters", args.len(), function.params.len()));
    }
    let mut ranges = Vec::new();
    for (i, (param, arg)) in function.params.iter().zip(args).enumerate() {
        let (dtype, len, range) = match *arg {
            Arg::Region(region) => {
                check_region(program, region)?;
                let overlaps = |other: &Arg| matches!(other, Arg::Region(r) if r.overlaps(region));
                if param.access == Access::Constant {
                    return Err(format!("memory for the constant '{}'", param.name));
                }
                let written = |j: usize| function.params[j].access == Access::Write;
                let clash = (0..i).find(|&j| overlaps(&args[j]) && (written(i) || written(j)));
                // Routines do what they do at known places.
                let clash = clash.filter(|_| function.assembly().is_none());
                if let Some(j) = clash {
                    return Err(format!(
                        "'{}' lies over '{}'",
                        param.name, function.params[j].name
                    ));
                }
                let dtype = program.memories[region.memory].dtype;
                (dtype, region.len, elements(dtype))
            }
            Arg::Constant(index) => {
                let constant = &program.constants[index];
                if param.access != Access::Constant {
                    return Err(format!("a constant for '{}'", param.name));
                }
                (constant.dtype, constant.len(), contents(constant.dtype, &constant.bytes))
            }
        };
        if dtype != param.dtype || param.len.is_some_and(|expected| expected != len) {
            return Err(format!("'{}' is bound to {len} {dtype}", param.name));
        }
        ranges.push((range, len));
    }
    Ok(ranges)
}

impl Region {
    /// Whether the two share an element.
    pub fn overlaps(self, other: Region) -> bool {
        self.memory == other.memory
            && self.offset < other.offset + other.len
            && other.offset < self.offset + self.len
    }
}

fn elements(dtype: DType) -> Range {
    match dtype {
        DType::I64 | DType::F32 => INT,
        dtype => Range::new(dtype.range().0, dtype.range().1),
    }
}

fn contents(dtype: DType, bytes: &[u8]) -> Range {
    let ints: Vec<i64> = match dtype {
        DType::I8 => bytes.iter().map(|&b| b as i8 as i64).collect(),
        DType::U8 => bytes.iter().map(|&b| b as i64).collect(),
        DType::I32 => (bytes.chunks_exact(4))
            .map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]]) as i64)
            .collect(),
        dtype => return elements(dtype),
    };
    let (lo, hi) = (ints.iter().min(), ints.iter().max());
    Range { lo: lo.copied().unwrap_or(0), hi: hi.copied().unwrap_or(0) }
}

/// The values from `lo` to `hi`, both included.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Range {
    lo: i64,
    hi: i64,
}

const INT: Range = Range { lo: i32::MIN as i64, hi: i32::MAX as i64 };
/// Indices are 32 bits wide on the targets; half of that keeps their sums from wrapping.
const INDEX: Range = Range { lo: 0, hi: i32::MAX as i64 };

impl Range {
    fn new(lo: impl Into<i64>, hi: impl Into<i64>) -> Range {
        Range { lo: lo.into(), hi: hi.into() }
    }

    fn exactly(value: i64) -> Range {
        Range { lo: value, hi: value }
    }

    fn plus(self, other: Range) -> Range {
        Range { lo: self.lo + other.lo, hi: self.hi + other.hi }
    }

    fn hull(self, other: Range) -> Range {
        Range { lo: self.lo.min(other.lo), hi: self.hi.max(other.hi) }
    }

    fn within(self, other: Range) -> bool {
        other.lo <= self.lo && self.hi <= other.hi
    }

    /// The hull of a function's values at the corners of its arguments' ranges: its range, if it
    /// is monotone in each argument.
    fn corners<const N: usize>(args: [Range; N], f: impl Fn([i64; N]) -> i64) -> Range {
        let corner = |mask: usize| {
            f(std::array::from_fn(|i| if mask >> i & 1 == 0 { args[i].lo } else { args[i].hi }))
        };
        (1..1 << N).fold(Range::exactly(corner(0)), |r, mask| r.hull(Range::exactly(corner(mask))))
    }
}

/// What a piece of code adds to an accumulator from outside.
#[derive(Clone, Copy)]
struct Delta {
    /// In all.
    total: Range,
    /// At any moment on the way.
    extent: Range,
    /// The highest value that it may be raised to by [`Update::Max`].
    max: Option<Range>,
    /// Whether some of it wraps.
    wraps: bool,
}

const NOTHING: Delta = Delta {
    total: Range { lo: 0, hi: 0 },
    extent: Range { lo: 0, hi: 0 },
    max: None,
    wraps: false,
};

impl Delta {
    fn then(self, next: Delta) -> Delta {
        Delta {
            total: self.total.plus(next.total),
            extent: self.extent.hull(self.total.plus(next.extent)),
            max: match (self.max, next.max) {
                (Some(a), Some(b)) => Some(a.hull(b)),
                (a, b) => a.or(b),
            },
            wraps: self.wraps || next.wraps,
        }
    }

    fn times(self, count: Range) -> Delta {
        let before_last = Range::new(0, count.hi - 1);
        let partial = Range::corners([self.total, before_last], |[x, n]| x * n);
        Delta {
            total: Range::corners([self.total, count], |[x, n]| x * n),
            extent: partial.plus(self.extent.hull(Range::exactly(0))),
            ..self
        }
    }

    fn apply(self, value: Range) -> Result<Range, String> {
        if let Some(max) = self.max {
            return Ok(Range { lo: value.lo, hi: value.hi.max(max.hi) });
        }
        if self.wraps {
            return Ok(INT);
        }
        if !value.plus(self.extent).within(INT) {
            return Err("an accumulator may leave 32 bits".into());
        }
        Ok(value.plus(self.total))
    }
}

type Deltas = BTreeMap<usize, Delta>;

struct Checker<'a> {
    function: &'a Function,
    /// Of each parameter's elements, and how many there are.
    buffers: Vec<(Range, usize)>,
    /// Of each named value.
    values: Vec<Range>,
    /// Of each view: the parameter, and the number of elements.
    views: Vec<(usize, Range)>,
    /// The accumulators that loops around this place update: nobody reads them here.
    busy: Vec<usize>,
    /// The loops that it helps to split, by their counters.
    decisive: Vec<bool>,
}

impl<'a> Checker<'a> {
    fn new(function: &'a Function, buffers: Vec<(Range, usize)>) -> Self {
        let count = function.names.len();
        Checker {
            function,
            buffers,
            values: vec![Range::exactly(0); count],
            views: vec![(0, Range::exactly(0)); count],
            busy: Vec::new(),
            decisive: Decisive::counters(function),
        }
    }

    fn check(mut self, scalars: &[Expr]) -> Result<(), String> {
        if scalars.len() != self.function.scalars.len() {
            return Err(format!("{} scalars for {}", scalars.len(), self.function.scalars.len()));
        }
        for (var, value) in self.function.scalars.iter().zip(scalars) {
            self.values[var.id] = self.range(value)?;
        }
        self.block(&self.function.body).map(|_| ())
    }

    fn name(&self, var: Var) -> &'a str {
        &self.function.names[var.id]
    }

    /// Checks statements; yields what they do to accumulators from outside.
    fn block(&mut self, body: &'a [Stmt]) -> Result<Deltas, String> {
        let mut deltas = Deltas::new();
        let mut own = Vec::new();
        for stmt in body {
            match stmt {
                Stmt::Let(var, value) if var.ty == Ty::Real => self.reals(value)?,
                Stmt::Let(var, value) => self.values[var.id] = self.range(value)?,
                Stmt::Accumulator(var, value) => {
                    self.values[var.id] = self.range(value)?;
                    own.push(var.id);
                }
                Stmt::Update(var, update, value) => {
                    let value = self.range(value)?;
                    let delta = match update {
                        Update::Max => Delta { max: Some(value), ..NOTHING },
                        _ => Delta {
                            total: value,
                            extent: value.hull(Range::exactly(0)),
                            max: None,
                            wraps: *update == Update::WrappingAdd,
                        },
                    };
                    self.accumulate(&own, &mut deltas, var.id, delta)?;
                }
                Stmt::View { var, of, at, len } => {
                    let (at, len) = (self.range(at)?, self.range(len)?);
                    let (param, available) = self.place(*of);
                    if at.hi + len.hi > available.lo {
                        let name = self.name(*var);
                        return Err(format!("view '{name}' may end at {}", at.hi + len.hi));
                    }
                    self.views[var.id] = (param, len);
                }
                Stmt::Store { to, at, value } => {
                    let param = self.index(*to, at)?;
                    let dtype = self.function.params[param].dtype;
                    if self.function.params[param].access != Access::Write {
                        return Err(format!("'{}' is written", self.function.params[param].name));
                    }
                    match value {
                        Expr::Load(from, at)
                            if self.function.params[self.place(*from).0].dtype == dtype =>
                        {
                            self.index(*from, at)?;
                        }
                        value if dtype == DType::F32 => self.reals(value)?,
                        value => {
                            let range = self.range(value)?;
                            if !range.within(elements(dtype)) {
                                return Err(format!(
                                    "{} to {} is stored as {dtype}",
                                    range.lo, range.hi
                                ));
                            }
                        }
                    }
                }
                Stmt::Assembly(_) => return Err("a routine within a function".into()),
                Stmt::For { var, from, to, body } => {
                    let (from, to) = (self.range(from)?, self.range(to)?);
                    for (id, delta) in self.repeat(*var, from, to, body)? {
                        self.accumulate(&own, &mut deltas, id, delta)?;
                    }
                }
            }
        }
        Ok(deltas)
    }

    fn accumulate(
        &mut self,
        own: &[usize],
        deltas: &mut Deltas,
        id: usize,
        delta: Delta,
    ) -> Result<(), String> {
        if own.contains(&id) {
            let value = delta.apply(self.values[id]);
            self.values[id] = value.map_err(|e| format!("'{}': {e}", self.function.names[id]))?;
        } else {
            let sum = deltas.entry(id).or_insert(NOTHING);
            *sum = sum.then(delta);
        }
        Ok(())
    }

    fn repeat(
        &mut self,
        var: Var,
        from: Range,
        to: Range,
        body: &'a [Stmt],
    ) -> Result<Deltas, String> {
        if to.hi <= from.lo {
            return Ok(Deltas::new());
        }
        self.values[var.id] = Range { lo: from.lo, hi: to.hi - 1 };
        let count = Range { lo: (to.lo - from.hi).max(0), hi: to.hi - from.lo };
        let outside = self.busy.len();
        updated(body, &mut self.busy);
        let whole = self.block(body);
        self.busy.truncate(outside);
        let error = match whole {
            Ok(deltas) => {
                return Ok(deltas.into_iter().map(|(id, d)| (id, d.times(count))).collect())
            }
            Err(error) => error,
        };
        if !self.decisive[var.id] || count.lo != count.hi || count.hi == 1 {
            let name = self.name(var);
            return Err(format!("{error}; for {name} in {}..{}", from.lo, to.hi));
        }
        let middle = Range::exactly(from.lo + count.hi / 2);
        let mut deltas = self.repeat(var, from, middle, body)?;
        for (id, delta) in self.repeat(var, middle, to, body)? {
            let sum = deltas.entry(id).or_insert(NOTHING);
            *sum = sum.then(delta);
        }
        Ok(deltas)
    }

    /// The parameter behind a place, and how many elements it has.
    fn place(&self, place: Place) -> (usize, Range) {
        match place {
            Place::Param(index) => (index, Range::exactly(self.buffers[index].1 as i64)),
            Place::View(var) => self.views[var.id],
        }
    }

    /// Checks an index; yields the parameter that it goes into.
    fn index(&self, place: Place, at: &Expr) -> Result<usize, String> {
        let at = self.range(at)?;
        let (param, len) = self.place(place);
        if at.lo < 0 || at.hi >= len.lo {
            let name = match place {
                Place::Param(index) => &self.function.params[index].name,
                Place::View(var) => &self.function.names[var.id],
            };
            return Err(format!("{name}[{}..={}] of {}", at.lo, at.hi, len.lo));
        }
        Ok(param)
    }

    /// Checks an expression that yields a real number.
    fn reals(&self, expr: &Expr) -> Result<(), String> {
        match expr {
            Expr::Real(_) => Ok(()),
            Expr::Var(var) if var.ty == Ty::Real => Ok(()),
            Expr::Load(place, at) => self.index(*place, at).map(|_| ()),
            Expr::Call(Intrinsic::Dequantize, args) => {
                self.range(&args[0])?;
                self.reals(&args[1])?;
                self.range(&args[2]).map(|_| ())
            }
            other => Err(format!("{other:?} is no real number")),
        }
    }

    /// The range of an integer or an index.
    fn range(&self, expr: &Expr) -> Result<Range, String> {
        let range = match expr {
            Expr::Int(value) => Range::exactly(*value as i64),
            Expr::Index(value) => Range::exactly(*value as i64),
            Expr::Real(_) => return Err("a real number among integers".into()),
            Expr::Var(var) if self.busy.contains(&var.id) => {
                return Err(format!("'{}' is read where it is updated", self.name(*var)));
            }
            Expr::Var(var) => self.values[var.id],
            Expr::Load(place, at) => self.buffers[self.index(*place, at)?].0,
            Expr::Binary(op, a, b) => {
                if a.ty() != b.ty() && *op != Binary::ShiftLeft {
                    return Err(format!("{a:?} and {b:?} are of different types"));
                }
                let (a, b) = (self.range(a)?, self.range(b)?);
                let allowed = match op {
                    Binary::Div => Range { lo: 1, hi: i64::MAX },
                    Binary::ShiftLeft => Range::new(0, 31),
                    _ => b,
                };
                if !b.within(allowed) {
                    return Err(format!("{op:?} by {} to {}", b.lo, b.hi));
                }
                self.binary(*op, a, b)
            }
            Expr::Call(Intrinsic::Quantize, args) => {
                self.reals(&args[0])?;
                self.reals(&args[1])?;
                self.range(&args[2])?;
                INT
            }
            Expr::Call(intrinsic, args) => {
                let args = args.iter().map(|arg| self.range(arg)).collect::<Result<Vec<_>, _>>()?;
                call(*intrinsic, &args)?
            }
            Expr::ToInt(index) => self.range(index)?,
            Expr::ToIndex(int) => self.range(int)?,
        };
        let bounds = if expr.ty() == Ty::Index { INDEX } else { INT };
        if !range.within(bounds) {
            return Err(format!("{} to {} is out of range", range.lo, range.hi));
        }
        Ok(range)
    }

    fn binary(&self, op: Binary, a: Range, b: Range) -> Range {
        let wrapping = |range: Range| if range.within(INT) { range } else { INT };
        match op {
            Binary::Add => a.plus(b),
            Binary::Sub => Range { lo: a.lo - b.hi, hi: a.hi - b.lo },
            Binary::Mul => Range::corners([a, b], |[a, b]| a * b),
            Binary::WrappingAdd => wrapping(a.plus(b)),
            Binary::SaturatingSub => Range { lo: (a.lo - b.hi).max(0), hi: (a.hi - b.lo).max(0) },
            Binary::Div => Range { lo: a.lo / b.hi, hi: a.hi / b.lo },
            Binary::Min => Range { lo: a.lo.min(b.lo), hi: a.hi.min(b.hi) },
            Binary::Max => Range { lo: a.lo.max(b.lo), hi: a.hi.max(b.hi) },
            Binary::ShiftLeft => wrapping(Range::corners([a, b], |[a, b]| a << b)),
        }
    }
}

/// Finds the loops whose counters go into bounds, or into anything else than sums and products:
/// for the others intervals are as good for the whole range as for a part of it.
struct Decisive {
    /// By name: the counters that its value depends on.
    sources: Vec<Vec<usize>>,
    decisive: Vec<bool>,
}

impl Decisive {
    fn counters(function: &Function) -> Vec<bool> {
        let count = function.names.len();
        let mut walk = Decisive { sources: vec![Vec::new(); count], decisive: vec![false; count] };
        walk.block(&function.body);
        walk.decisive
    }

    fn block(&mut self, body: &[Stmt]) {
        for stmt in body {
            match stmt {
                Stmt::Let(var, value) | Stmt::Accumulator(var, value) => {
                    self.sources[var.id] = self.sources(value);
                }
                Stmt::Update(_, _, value) => drop(self.sources(value)),
                Stmt::View { at, len, .. } => drop((self.sources(at), self.sources(len))),
                Stmt::Assembly(_) => {}
                Stmt::Store { at, value, .. } => drop((self.sources(at), self.sources(value))),
                Stmt::For { var, from, to, body } => {
                    for bound in [from, to] {
                        let sources = self.sources(bound);
                        self.mark(&sources);
                    }
                    self.sources[var.id] = vec![var.id];
                    self.block(body);
                }
            }
        }
    }

    /// The counters that a value depends on, those in it marked that decide.
    fn sources(&mut self, expr: &Expr) -> Vec<usize> {
        match expr {
            Expr::Int(_) | Expr::Index(_) | Expr::Real(_) => Vec::new(),
            Expr::Var(var) => self.sources[var.id].clone(),
            // Of an element no more is known in one place than in another.
            Expr::Load(_, at) => {
                self.sources(at);
                Vec::new()
            }
            Expr::Binary(op, a, b) => {
                let mut sources = self.sources(a);
                sources.extend(self.sources(b));
                if !matches!(op, Binary::Add | Binary::Sub | Binary::Mul) {
                    self.mark(&sources);
                }
                sources
            }
            Expr::Call(_, args) => args.iter().flat_map(|arg| self.sources(arg)).collect(),
            Expr::ToInt(inner) | Expr::ToIndex(inner) => self.sources(inner),
        }
    }

    fn mark(&mut self, counters: &[usize]) {
        for &counter in counters {
            self.decisive[counter] = true;
        }
    }
}

/// Adds the accumulators to `list` that a loop with this body updates, but for its own.
fn updated(body: &[Stmt], list: &mut Vec<usize>) {
    let before = list.len();
    for stmt in body {
        match stmt {
            Stmt::Update(var, ..) => list.push(var.id),
            Stmt::For { body, .. } => updated(body, list),
            _ => {}
        }
    }
    let own = |id: usize| {
        body.iter().any(|stmt| matches!(stmt, Stmt::Accumulator(var, _) if var.id == id))
    };
    let mut i = 0;
    list.retain(|&id| {
        i += 1;
        i <= before || !own(id)
    });
}

/// The range of a runtime function's result, its arguments checked.
fn call(intrinsic: Intrinsic, args: &[Range]) -> Result<Range, String> {
    let asks = |holds: bool, what: &str| match holds {
        true => Ok(()),
        false => Err(format!("{} wants {what}: {args:?}", intrinsic.name())),
    };
    let apply = |values: &[i64]| {
        intrinsic.apply(&values.iter().map(|&x| x as i32).collect::<Vec<_>>()) as i64
    };
    Ok(match intrinsic {
        Intrinsic::DoublingHighMul => Range::corners([args[0], args[1]], |x| apply(&x)),
        Intrinsic::RoundingShiftRight => {
            asks(args[1].within(Range::new(0, 63)), "a shift of 0 to 63")?;
            Range::corners([args[0], args[1]], |x| apply(&x))
        }
        Intrinsic::Requantize => {
            asks(args[2].within(Range::new(-31, 30)), "a shift of −31 to 30")?;
            let left = args[2].hi.max(0);
            if !Range::corners([args[0]], |[x]| x << left).within(INT) {
                return Ok(INT);
            }
            Range::corners([args[0], args[1], args[2]], |x| apply(&x))
        }
        Intrinsic::RequantizeDown | Intrinsic::RequantizeDownByHalves => {
            asks(args[1].lo > i32::MIN as i64, "a multiplier above −2^31")?;
            asks(args[2].within(Range::new(1, 31)), "a shift of 1 to 31")?;
            Range::corners([args[0], args[1], args[2]], |x| apply(&x))
        }
        Intrinsic::DivideRounded => {
            asks(args[1].lo > 0, "a positive count")?;
            Range::corners([args[0], args[1]], |x| apply(&x))
        }
        Intrinsic::LeadingZeros if args[0].lo < 0 => Range::new(0, 32),
        Intrinsic::LeadingZeros => Range::corners([args[0]], |x| apply(&x)),
        Intrinsic::Reciprocal => Range::new(0, i32::MAX),
        Intrinsic::Quantize | Intrinsic::Dequantize => unreachable!("takes reals"),
    })
}
