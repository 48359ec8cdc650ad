//! Runs a program: the meaning of the loop IR, and the link in the chain of tests between the
//! graph and printed code. Whatever the verifier promises is asserted here, so tests of the one
//! are tests of the other.

use super::assembly::machine::{self, Contents, Cost, Pointer, Prices, Segment};
use super::assembly::Routine;
use super::{
    Access, Arg, Binary, Call, Expr, Function, Intrinsic, Place, Program, Region, Stmt, Ty, Update,
    Var,
};
use crate::ops::{DType, TensorType, Value};

/// A program with its memory.
pub struct Machine<'a> {
    program: &'a Program,
    memories: Vec<Vec<u8>>,
}

impl<'a> Machine<'a> {
    /// A machine whose memory is filled with a pattern that no kernel may rely on.
    pub fn new(program: &'a Program) -> Self {
        let fill = |m: &super::Memory| vec![0xa5; m.len * m.dtype.size()];
        Machine { program, memories: program.memories.iter().map(fill).collect() }
    }

    /// The outputs for `inputs`, both in the model's order.
    ///
    /// # Panics
    /// When the inputs aren't of the program's sizes, or the program is one that
    /// [`verify`](super::verify) rejects.
    pub fn run(&mut self, inputs: &[Value]) -> Vec<Value> {
        let program = self.program;
        assert_eq!(inputs.len(), program.inputs.len());
        for (border, value) in program.inputs.iter().zip(inputs) {
            self.region(border.region).copy_from_slice(&value.bytes);
        }
        for call in &program.calls {
            self.call(&program.functions[call.function], call);
        }
        let read = |border: &super::Border| {
            let dtype = program.memories[border.region.memory].dtype;
            let bytes = self.region(border.region).to_vec();
            Value::new(TensorType::new(dtype, border.shape.clone()), bytes)
        };
        program.outputs.iter().map(read).collect()
    }

    fn region(&mut self, region: Region) -> &mut [u8] {
        let size = self.program.memories[region.memory].dtype.size();
        &mut self.memories[region.memory][region.offset * size..][..region.len * size]
    }

    fn call(&mut self, function: &Function, call: &Call) {
        if let Some(routine) = function.assembly() {
            return execute(self.program, call, routine, &mut self.memories, &Prices::default())
                .map(|_| ())
                .unwrap_or_else(|error| panic!("{}: {error}", function.name));
        }
        let args = &call.args;
        let mut frame = Frame {
            buffers: Vec::new(),
            ints: vec![0; function.names.len()],
            reals: vec![0.0; function.names.len()],
            views: vec![(0, 0, 0); function.names.len()],
        };
        for (param, arg) in function.params.iter().zip(args) {
            let bytes = match *arg {
                Arg::Region(region) => self.region(region).to_vec(),
                Arg::Constant(index) => self.program.constants[index].bytes.clone(),
            };
            frame.buffers.push((param.dtype, bytes));
        }
        for (var, value) in function.scalars.iter().zip(&call.scalars) {
            frame.assign(*var, value);
        }
        frame.block(&function.body);
        for ((param, arg), (_, bytes)) in function.params.iter().zip(args).zip(&frame.buffers) {
            if let (Access::Write, Arg::Region(region)) = (param.access, arg) {
                self.region(*region).copy_from_slice(bytes);
            }
        }
    }
}

/// Runs a routine on a program's memories.
pub(super) fn execute(
    program: &Program,
    call: &Call,
    routine: &Routine,
    memories: &mut [Vec<u8>],
    prices: &Prices,
) -> Result<Cost, String> {
    let function = &program.functions[call.function];
    let mut segments: Vec<Segment> = (memories.iter_mut())
        .map(|bytes| Segment { bytes: Contents::Memory(bytes), open: Vec::new() })
        .collect();
    let mut pointers = Vec::new();
    for (param, arg) in function.params.iter().zip(&call.args) {
        pointers.push(match *arg {
            Arg::Region(region) => {
                let size = program.memories[region.memory].dtype.size();
                let (from, to) = (region.offset * size, (region.offset + region.len) * size);
                segments[region.memory].open.push((from, to, param.access == Access::Write));
                Pointer { segment: region.memory, offset: from }
            }
            Arg::Constant(index) => {
                let bytes = &program.constants[index].bytes;
                let open = vec![(0, bytes.len(), false)];
                segments.push(Segment { bytes: Contents::Constant(bytes), open });
                Pointer { segment: segments.len() - 1, offset: 0 }
            }
        });
    }
    machine::execute(routine, &mut segments, &pointers, prices)
}

struct Frame {
    buffers: Vec<(DType, Vec<u8>)>,
    ints: Vec<i64>,
    reals: Vec<f32>,
    /// Buffer, first element, number of elements.
    views: Vec<(usize, usize, usize)>,
}

impl Frame {
    fn block(&mut self, body: &[Stmt]) {
        for stmt in body {
            match stmt {
                Stmt::Let(var, value) | Stmt::Accumulator(var, value) => self.assign(*var, value),
                Stmt::Update(var, update, value) => {
                    let (old, new) = (self.ints[var.id] as i32, self.int(value) as i32);
                    self.ints[var.id] = match update {
                        Update::Add => old.checked_add(new).expect("a sum in 32 bits"),
                        Update::WrappingAdd => old.wrapping_add(new),
                        Update::Max => old.max(new),
                    } as i64;
                }
                Stmt::View { var, of, at, len } => {
                    let (at, len) = (self.int(at) as usize, self.int(len) as usize);
                    let (buffer, first, available) = self.place(*of);
                    assert!(at + len <= available, "view {at}+{len} of {available}");
                    self.views[var.id] = (buffer, first + at, len);
                }
                Stmt::Store { to, at, value } => {
                    let at = self.int(at) as usize;
                    let (buffer, first, len) = self.place(*to);
                    assert!(at < len, "store {at} of {len}");
                    let dtype = self.buffers[buffer].0;
                    let bytes = match value {
                        Expr::Load(place, at) if self.element(*place, at).0 == dtype => {
                            self.element(*place, at).1.to_vec()
                        }
                        value if dtype == DType::F32 => self.real(value).to_le_bytes().to_vec(),
                        value => {
                            let value = self.int(value);
                            let (min, max) =
                                if dtype == DType::I64 { DType::I32 } else { dtype }.range();
                            assert!(
                                (min.into()..=max.into()).contains(&value),
                                "{value} as {dtype}"
                            );
                            value.to_le_bytes()[..dtype.size()].to_vec()
                        }
                    };
                    let at = (first + at) * dtype.size();
                    self.buffers[buffer].1[at..][..bytes.len()].copy_from_slice(&bytes);
                }
                Stmt::Assembly(_) => unreachable!("routines are functions of their own"),
                Stmt::For { var, from, to, body } => {
                    for i in self.int(from)..self.int(to) {
                        self.ints[var.id] = i;
                        self.block(body);
                    }
                }
            }
        }
    }

    fn assign(&mut self, var: Var, value: &Expr) {
        if var.ty == Ty::Real {
            self.reals[var.id] = self.real(value);
        } else {
            self.ints[var.id] = self.int(value);
        }
    }

    fn place(&self, place: Place) -> (usize, usize, usize) {
        match place {
            Place::Param(index) => {
                let (dtype, bytes) = &self.buffers[index];
                (index, 0, bytes.len() / dtype.size())
            }
            Place::View(var) => self.views[var.id],
        }
    }

    fn element(&self, place: Place, at: &Expr) -> (DType, &[u8]) {
        let at = self.int(at) as usize;
        let (buffer, first, len) = self.place(place);
        assert!(at < len, "load {at} of {len}");
        let (dtype, bytes) = &self.buffers[buffer];
        (*dtype, &bytes[(first + at) * dtype.size()..][..dtype.size()])
    }

    fn real(&self, expr: &Expr) -> f32 {
        match expr {
            Expr::Real(value) => *value,
            Expr::Var(var) => self.reals[var.id],
            Expr::Load(place, at) => {
                f32::from_le_bytes(self.element(*place, at).1.try_into().expect("four bytes"))
            }
            Expr::Call(Intrinsic::Dequantize, args) => tflc_rt::dequantize(
                self.int(&args[0]) as i32,
                self.real(&args[1]),
                self.int(&args[2]) as i32,
            ),
            other => unreachable!("{other:?} is no real number"),
        }
    }

    fn int(&self, expr: &Expr) -> i64 {
        match expr {
            Expr::Int(value) => *value as i64,
            Expr::Index(value) => *value as i64,
            Expr::Var(var) => self.ints[var.id],
            Expr::Load(place, at) => match self.element(*place, at) {
                (DType::I8, b) => b[0] as i8 as i64,
                (DType::U8 | DType::Bool, b) => b[0] as i64,
                (DType::I16, b) => i16::from_le_bytes([b[0], b[1]]) as i64,
                (DType::I32, b) => i32::from_le_bytes([b[0], b[1], b[2], b[3]]) as i64,
                (dtype, _) => unreachable!("{dtype} is no integer of 32 bits"),
            },
            Expr::Binary(op, a, b) => {
                let is_index = a.ty() == Ty::Index;
                let (a, b) = (self.int(a), self.int(b));
                let result = match op {
                    Binary::Add => a + b,
                    Binary::Sub => a - b,
                    Binary::Mul => a * b,
                    Binary::WrappingAdd => (a as i32).wrapping_add(b as i32) as i64,
                    Binary::SaturatingSub => (a - b).max(0),
                    Binary::Div => a / b,
                    Binary::Min => a.min(b),
                    Binary::Max => a.max(b),
                    Binary::ShiftLeft => (a as i32).wrapping_shl(b as u32) as i64,
                };
                let min = if is_index { 0 } else { i32::MIN };
                assert!((min.into()..=i32::MAX.into()).contains(&result), "{a} {op:?} {b}");
                result
            }
            Expr::Call(Intrinsic::Quantize, args) => tflc_rt::quantize(
                self.real(&args[0]),
                self.real(&args[1]),
                self.int(&args[2]) as i32,
            ) as i64,
            Expr::Call(intrinsic, args) => {
                let args: Vec<i32> = args.iter().map(|arg| self.int(arg) as i32).collect();
                intrinsic.apply(&args) as i64
            }
            Expr::ToInt(index) => self.int(index),
            Expr::ToIndex(int) => {
                let index = self.int(int);
                assert!(index >= 0, "index {index}");
                index
            }
            Expr::Real(_) => unreachable!("a real number is no integer"),
        }
    }
}

impl Intrinsic {
    /// The result for integer arguments.
    pub(super) fn apply(self, args: &[i32]) -> i32 {
        match self {
            Intrinsic::DoublingHighMul => tflc_rt::doubling_high_mul(args[0], args[1]),
            Intrinsic::RoundingShiftRight => tflc_rt::rounding_shift_right(args[0], args[1] as u32),
            Intrinsic::Requantize => tflc_rt::requantize(args[0], args[1], args[2]),
            Intrinsic::RequantizeDown => tflc_rt::requantize_down(args[0], args[1], args[2] as u32),
            Intrinsic::RequantizeDownByHalves => {
                tflc_rt::requantize_down_by_halves(args[0], args[1], args[2] as u32)
            }
            Intrinsic::DivideRounded => tflc_rt::divide_rounded(args[0], args[1]),
            Intrinsic::LeadingZeros => tflc_rt::leading_zeros(args[0]) as i32,
            Intrinsic::Reciprocal => tflc_rt::reciprocal(args[0]),
            Intrinsic::Quantize | Intrinsic::Dequantize => unreachable!("takes reals"),
        }
    }
}
