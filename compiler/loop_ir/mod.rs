//! The language that kernels are written in: loop nests over flat buffers.
//!
//! A [`Program`] is a list of calls of [`Function`]s on regions of static memory and on constants.
//! A function's body is loops, named values, accumulators, views of runs of elements, and stores.
//! There are three types of values: 32-bit integers ([`Ty::Int`]), indices ([`Ty::Index`]) and, at
//! the model's border, reals ([`Ty::Real`]). Elements widen to 32 bits when loaded and are cut to
//! the buffer's type when stored. Loop bounds and view lengths may depend on outer loops' counters
//! but on no data, so the verifier can prove every index and every sum (see [`verify`]).
//!
//! Each construct has one meaning ([`eval`]) and one spelling in each language (`backend`).

pub mod assembly;

mod build;
mod eval;
mod verify;

pub use build::{call, load, Builder};
pub use eval::Machine;
pub use verify::{cost, verify};

use crate::ops::DType;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ty {
    /// A 32-bit integer.
    Int,
    /// A count or position of elements, never negative.
    Index,
    /// A 32-bit real number.
    Real,
    /// A run of elements: see [`Stmt::View`].
    View,
}

/// A named value of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Var {
    /// Its position in [`Function::names`].
    pub id: usize,
    /// What it holds.
    pub ty: Ty,
}

/// What elements are loaded from and stored to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// The function's parameter of that position.
    Param(usize),
    /// A view.
    View(Var),
}

/// A value without side effects.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// A constant integer.
    Int(i32),
    /// A constant index.
    Index(usize),
    /// A constant real.
    Real(f32),
    /// A named value.
    Var(Var),
    /// An element, widened.
    Load(Place, Box<Expr>),
    /// An operation on two values of the same type.
    Binary(Binary, Box<Expr>, Box<Expr>),
    /// A function of the runtime.
    Call(Intrinsic, Vec<Expr>),
    /// An index as an integer.
    ToInt(Box<Expr>),
    /// An integer, never negative, as an index.
    ToIndex(Box<Expr>),
}

/// Operations on two integers or two indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binary {
    /// A sum that never overflows.
    Add,
    /// A difference that never overflows, nor falls below zero for indices.
    Sub,
    /// A product that never overflows.
    Mul,
    /// A sum of integers modulo 2^32.
    WrappingAdd,
    /// A difference of indices, 0 instead of a negative one.
    SaturatingSub,
    /// A quotient of indices rounded down, by a constant.
    Div,
    /// The lower one.
    Min,
    /// The higher one.
    Max,
    /// An integer shifted left by fewer than 32 bits, modulo 2^32.
    ShiftLeft,
}

/// The functions of `tflc-rt` that kernels call, under the same names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Intrinsic {
    /// `doubling_high_mul(a, b)`.
    DoublingHighMul,
    /// `rounding_shift_right(x, shift)`.
    RoundingShiftRight,
    /// `requantize(x, multiplier, shift)`.
    Requantize,
    /// `requantize_down(x, multiplier, right_shift)`.
    RequantizeDown,
    /// `requantize_down_by_halves(x, multiplier, right_shift)`: the same, for other cores.
    RequantizeDownByHalves,
    /// `divide_rounded(sum, count)`.
    DivideRounded,
    /// `leading_zeros(x)`.
    LeadingZeros,
    /// `reciprocal(sum)`.
    Reciprocal,
    /// `quantize(x, scale, zero_point)`.
    Quantize,
    /// `dequantize(code, scale, zero_point)`.
    Dequantize,
}

impl Intrinsic {
    /// The function's name in `tflc-rt`.
    pub fn name(self) -> &'static str {
        match self {
            Intrinsic::DoublingHighMul => "doubling_high_mul",
            Intrinsic::RoundingShiftRight => "rounding_shift_right",
            Intrinsic::Requantize => "requantize",
            Intrinsic::RequantizeDown => "requantize_down",
            Intrinsic::RequantizeDownByHalves => "requantize_down_by_halves",
            Intrinsic::DivideRounded => "divide_rounded",
            Intrinsic::LeadingZeros => "leading_zeros",
            Intrinsic::Reciprocal => "reciprocal",
            Intrinsic::Quantize => "quantize",
            Intrinsic::Dequantize => "dequantize",
        }
    }
}

/// How an accumulator takes a new value in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Update {
    /// Adds it; the sum never overflows.
    Add,
    /// Adds it modulo 2^32.
    WrappingAdd,
    /// Keeps the higher one.
    Max,
}

/// One step of a function's body.
#[derive(Clone, Debug, PartialEq)]
pub enum Stmt {
    /// Names a value.
    Let(Var, Expr),
    /// Starts an accumulator, an integer that only [`Stmt::Update`] changes. A loop that updates
    /// an accumulator from outside doesn't read it.
    Accumulator(Var, Expr),
    /// Takes a value into an accumulator.
    Update(Var, Update, Expr),
    /// Names the run of `len` elements of `of` from `at` on, to be read.
    View {
        /// The name.
        var: Var,
        /// What it is a part of.
        of: Place,
        /// The first element.
        at: Expr,
        /// The number of elements.
        len: Expr,
    },
    /// Writes an element.
    Store {
        /// Where to.
        to: Place,
        /// Which element.
        at: Expr,
        /// Its value, within the range of the element type. An element loaded from a place of
        /// the same type is copied as it is, whatever the type.
        value: Expr,
    },
    /// The function is this and nothing else: its parameters are the routine's arguments.
    Assembly(assembly::Routine),
    /// Runs the body with `var` from `from` up to but not including `to`.
    For {
        /// The counter, an index.
        var: Var,
        /// Its first value.
        from: Expr,
        /// The end.
        to: Expr,
        /// What is repeated.
        body: Vec<Stmt>,
    },
}

/// What a function may do with a parameter's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Read them; they are memory.
    Read,
    /// Write them, and read them back.
    Write,
    /// Read them; they are a constant.
    Constant,
}

/// A buffer that a function works on.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// The elements' type.
    pub dtype: DType,
    /// The number of elements; `None` where it isn't the same for all callers.
    pub len: Option<usize>,
    /// What is done with it.
    pub access: Access,
}

/// A kernel's code for one or more layers.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    /// Its name, unique in the program.
    pub name: String,
    /// What it computes, in words: one string a line.
    pub doc: Vec<String>,
    /// The buffers.
    pub params: Vec<Param>,
    /// Numbers that aren't the same for all callers, as named values.
    pub scalars: Vec<Var>,
    /// The names of its values, by [`Var::id`]; a loop's names are free again behind it.
    pub names: Vec<String>,
    /// The steps.
    pub body: Vec<Stmt>,
}

impl Function {
    /// The routine that it consists of, if it is one in assembly.
    pub fn assembly(&self) -> Option<&assembly::Routine> {
        match &self.body[..] {
            [Stmt::Assembly(routine)] => Some(routine),
            _ => None,
        }
    }
}

/// Constant elements, in read-only memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Constant {
    /// Its name, unique in the program.
    pub name: String,
    /// What it holds, in words.
    pub doc: String,
    /// The elements' type.
    pub dtype: DType,
    /// The elements, little-endian.
    pub bytes: Vec<u8>,
    /// Whether it is for routines in assembly only, which make what they like of its words.
    pub packed: bool,
}

impl Constant {
    /// The number of elements.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.dtype.size()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// Static memory for elements of one type; in it, regions are planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// The elements' type.
    pub dtype: DType,
    /// The number of elements.
    pub len: usize,
}

/// A run of elements of a [`Memory`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Region {
    /// The memory's position in [`Program::memories`].
    pub memory: usize,
    /// The first element.
    pub offset: usize,
    /// The number of elements.
    pub len: usize,
}

/// What a parameter is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arg {
    /// A run of memory.
    Region(Region),
    /// The constant of that position in [`Program::constants`].
    Constant(usize),
}

/// A function applied to its arguments: one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The function's position in [`Program::functions`].
    pub function: usize,
    /// One for each parameter.
    pub args: Vec<Arg>,
    /// A constant for each of the function's scalars.
    pub scalars: Vec<Expr>,
    /// The layer, for people to read.
    pub layer: Layer,
}

/// What a call computes, in words: a layer, or a part of one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layer {
    /// Operators of the model file that it stands for: "3" or "3, 4".
    pub operators: String,
    /// The operator's kind and attributes.
    pub what: String,
    /// Operands and result with their types.
    pub shapes: String,
    /// The model's name of the result.
    pub tensor: String,
    /// Multiplications of this call.
    pub macs: u64,
    /// Which part of the layer it is: "rows 4 to 7", or nothing if it is all of it.
    pub part: String,
}

impl Layer {
    /// Whether the two are parts of the same layer.
    pub fn is_same(&self, other: &Layer) -> bool {
        (&self.operators, &self.tensor) == (&other.operators, &other.tensor)
    }
}

/// Calls that follow each other several times: the same ones each time, on regions that lie as many
/// elements further on as the time before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rounds {
    /// The first call of the first round.
    pub first: usize,
    /// The calls of a round.
    pub calls: usize,
    /// The number of rounds.
    pub count: usize,
}

impl Rounds {
    /// The first call behind all rounds.
    pub fn end(&self) -> usize {
        self.first + self.calls * self.count
    }

    /// In the last round, the call that is this one in the first.
    pub fn last(&self, call: usize) -> usize {
        call + self.calls * (self.count - 1)
    }
}

/// An input or output of the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Border {
    /// The model's name of it.
    pub name: String,
    /// Where it lies.
    pub region: Region,
    /// The dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Scale and zero point, where the tensor is quantized.
    pub quantization: Option<(f32, i32)>,
}

/// A whole model as code.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Program {
    /// Read-only data.
    pub constants: Vec<Constant>,
    /// Code; each function is called at least once.
    pub functions: Vec<Function>,
    /// Static memory.
    pub memories: Vec<Memory>,
    /// The layers in execution order.
    pub calls: Vec<Call>,
    /// Which of the calls can be written as loops, in their order.
    pub rounds: Vec<Rounds>,
    /// The model's inputs, in its order.
    pub inputs: Vec<Border>,
    /// The model's outputs, in its order.
    pub outputs: Vec<Border>,
}

impl Program {
    /// Bytes of static memory.
    pub fn ram(&self) -> usize {
        self.memories.iter().map(|m| m.len * m.dtype.size()).sum()
    }

    /// The calls of each layer, by their positions; layers in the order of their first calls.
    pub fn layers(&self) -> Vec<Vec<usize>> {
        let mut layers: Vec<Vec<usize>> = Vec::new();
        for (i, call) in self.calls.iter().enumerate() {
            let same = |layer: &&mut Vec<usize>| self.calls[layer[0]].layer.is_same(&call.layer);
            match layers.iter_mut().find(same) {
                Some(layer) => layer.push(i),
                None => layers.push(vec![i]),
            }
        }
        layers
    }

    /// All calls in rounds: those that don't repeat are single rounds of one.
    pub fn all_rounds(&self) -> Vec<Rounds> {
        let mut all = Vec::new();
        let mut next = 0;
        for &rounds in &self.rounds {
            all.extend((next..rounds.first).map(|first| Rounds { first, calls: 1, count: 1 }));
            all.push(rounds);
            next = rounds.end();
        }
        all.extend((next..self.calls.len()).map(|first| Rounds { first, calls: 1, count: 1 }));
        all
    }

    /// By how many elements each argument of a call moves on from round to round.
    pub fn steps(&self, rounds: &Rounds, call: usize) -> Vec<isize> {
        match rounds.count {
            0 | 1 => vec![0; self.calls[call].args.len()],
            _ => self.distances(call, call + rounds.calls).expect("verified"),
        }
    }

    /// By how many elements each argument of a call lies behind that of another one, if that is all
    /// that they differ in: both are parts of the same layer, and unless they are routines in
    /// assembly, their regions lie in the same order.
    pub fn distances(&self, from: usize, to: usize) -> Option<Vec<isize>> {
        let (from, to) = (&self.calls[from], &self.calls[to]);
        let part = || from.layer.part.clone();
        if from.function != to.function
            || from.scalars != to.scalars
            || from.layer != (Layer { part: part(), ..to.layer.clone() })
        {
            return None;
        }
        let mut distances = Vec::new();
        let mut moved: Vec<(Region, Region)> = Vec::new();
        for pair in from.args.iter().zip(&to.args) {
            match pair {
                (Arg::Constant(a), Arg::Constant(b)) if a == b => distances.push(0),
                (&Arg::Region(a), &Arg::Region(b)) if (a.memory, a.len) == (b.memory, b.len) => {
                    distances.push(b.offset as isize - a.offset as isize);
                    moved.push((a, b));
                }
                _ => return None,
            }
        }
        let in_order = |(a, b): &(Region, Region)| {
            let same = |(c, d): &(Region, Region)| {
                a.memory != c.memory || a.offset.cmp(&c.offset) == b.offset.cmp(&d.offset)
            };
            moved.iter().all(same)
        };
        let free = self.functions[from.function].assembly().is_some();
        (free || moved.iter().all(in_order)).then_some(distances)
    }

    /// Bytes of read-only data.
    pub fn constant_bytes(&self) -> usize {
        self.constants.iter().map(|c| c.bytes.len()).sum()
    }
}

impl Expr {
    /// What the expression yields.
    pub fn ty(&self) -> Ty {
        match self {
            Expr::Int(_) | Expr::ToInt(_) => Ty::Int,
            Expr::Index(_) | Expr::ToIndex(_) => Ty::Index,
            Expr::Real(_) => Ty::Real,
            Expr::Var(var) => var.ty,
            Expr::Load(..) => Ty::Int,
            Expr::Binary(_, a, _) => a.ty(),
            Expr::Call(Intrinsic::Dequantize, _) => Ty::Real,
            Expr::Call(..) => Ty::Int,
        }
    }

    /// The value of a constant index.
    pub fn as_index(&self) -> Option<usize> {
        match self {
            Expr::Index(value) => Some(*value),
            _ => None,
        }
    }

    fn binary(op: Binary, a: Expr, b: Expr) -> Expr {
        use {
            self::Binary::*,
            Expr::{Index, Int},
        };
        match (op, &a, &b) {
            (Add | Sub | WrappingAdd, _, Index(0) | Int(0)) | (SaturatingSub, _, Index(0)) => a,
            (Add | WrappingAdd, Index(0) | Int(0), _) => b,
            (Mul | Div, _, Index(1)) | (Mul, _, Int(1)) => a,
            (Mul, Index(1) | Int(1), _) => b,
            (Mul, Index(0), _) | (Mul, _, Index(0)) => Index(0),
            (Add, Index(x), Index(y)) => Index(x + y),
            (Sub, Index(x), Index(y)) if x >= y => Index(x - y),
            (SaturatingSub, Index(x), Index(y)) => Index(x.saturating_sub(*y)),
            (Mul, Index(x), Index(y)) => Index(x * y),
            (Div, Index(x), Index(y)) if *y > 0 => Index(x / y),
            (Min, Index(x), Index(y)) => Index(*x.min(y)),
            (Max, Index(x), Index(y)) => Index(*x.max(y)),
            (Add, Expr::Binary(Add, c, d), Index(y)) => match **d {
                Index(x) => Expr::binary(Add, (**c).clone(), Index(x + y)),
                _ => Expr::Binary(op, Box::new(a), Box::new(b)),
            },
            _ => Expr::Binary(op, Box::new(a), Box::new(b)),
        }
    }

    /// The lower one of two.
    pub fn min(self, other: impl Into<Expr>) -> Expr {
        Expr::binary(Binary::Min, self, other.into())
    }

    /// The higher one of two.
    pub fn max(self, other: impl Into<Expr>) -> Expr {
        Expr::binary(Binary::Max, self, other.into())
    }

    /// The difference of two indices, 0 instead of a negative one.
    pub fn saturating_sub(self, other: impl Into<Expr>) -> Expr {
        Expr::binary(Binary::SaturatingSub, self, other.into())
    }

    /// The quotient of two indices, rounded up.
    pub fn div_ceil(self, by: usize) -> Expr {
        if by == 1 {
            return self;
        }
        Expr::binary(Binary::Div, self + (by - 1), by.into())
    }

    /// The sum of two integers modulo 2^32.
    pub fn wrapping_add(self, other: impl Into<Expr>) -> Expr {
        Expr::binary(Binary::WrappingAdd, self, other.into())
    }

    /// An integer shifted left, modulo 2^32.
    pub fn shift_left(self, by: impl Into<Expr>) -> Expr {
        Expr::binary(Binary::ShiftLeft, self, by.into())
    }

    /// An integer as an index.
    pub fn to_index(self) -> Expr {
        Expr::ToIndex(Box::new(self))
    }

    /// An index as an integer.
    pub fn to_int(self) -> Expr {
        match self {
            Expr::Index(value) => Expr::Int(i32::try_from(value).expect("a small index")),
            other => Expr::ToInt(Box::new(other)),
        }
    }
}

impl From<usize> for Expr {
    fn from(value: usize) -> Expr {
        Expr::Index(value)
    }
}
impl From<i32> for Expr {
    fn from(value: i32) -> Expr {
        Expr::Int(value)
    }
}
impl From<f32> for Expr {
    fn from(value: f32) -> Expr {
        Expr::Real(value)
    }
}
impl From<Var> for Expr {
    fn from(var: Var) -> Expr {
        Expr::Var(var)
    }
}
impl From<&Expr> for Expr {
    fn from(expr: &Expr) -> Expr {
        expr.clone()
    }
}

macro_rules! operator {
    ($trait:ident, $method:ident) => {
        impl<E: Into<Expr>> std::ops::$trait<E> for Expr {
            type Output = Expr;
            fn $method(self, other: E) -> Expr {
                Expr::binary(Binary::$trait, self, other.into())
            }
        }
        impl<E: Into<Expr>> std::ops::$trait<E> for Var {
            type Output = Expr;
            fn $method(self, other: E) -> Expr {
                Expr::binary(Binary::$trait, self.into(), other.into())
            }
        }
        impl<E: Into<Expr>> std::ops::$trait<E> for &Expr {
            type Output = Expr;
            fn $method(self, other: E) -> Expr {
                Expr::binary(Binary::$trait, self.clone(), other.into())
            }
        }
    };
}
operator!(Add, add);
operator!(Sub, sub);
operator!(Mul, mul);
