//! Programs made by hand, to print what kernels print seldom or never: in Rust and in C, each is built
//! and computes what the loop IR's evaluator computes.

use tflc::backend::{self, Arena, Banner, Placement};
use tflc::harness::{compare, first_difference, CCompiler, HostC, HostRust, Language, Link};
use tflc::loop_ir::{
    call, load, verify, Access, Arg, Border, Builder, Call, Constant, Expr, Function, Intrinsic,
    Layer, Machine, Memory, Program, Region, Rounds, Update,
};
use tflc::ops::{DType, TensorType, Value};
use tflc::target::Target;
use tflc::{compile, Options};

/// A program under construction: memories are filled from the front.
#[derive(Default)]
struct Hand(Program);

impl Hand {
    fn region(&mut self, dtype: DType, len: usize) -> Region {
        let memories = &mut self.0.memories;
        let memory = memories.iter().position(|m| m.dtype == dtype).unwrap_or_else(|| {
            memories.push(Memory { dtype, len: 0 });
            memories.len() - 1
        });
        let offset = memories[memory].len;
        memories[memory].len += len;
        Region { memory, offset, len }
    }

    fn input(&mut self, dtype: DType, shape: &[usize]) -> Region {
        let region = self.region(dtype, shape.iter().product());
        self.0.inputs.push(border(region, shape));
        region
    }

    fn output(&mut self, dtype: DType, shape: &[usize]) -> Region {
        let region = self.region(dtype, shape.iter().product());
        self.0.outputs.push(border(region, shape));
        region
    }

    fn constant(&mut self, dtype: DType, bytes: Vec<u8>) -> Arg {
        let constants = &mut self.0.constants;
        let name = format!("TABLE_{}", constants.len());
        constants.push(Constant { name, doc: "Numbers.".into(), dtype, bytes, packed: false });
        Arg::Constant(constants.len() - 1)
    }

    fn call(&mut self, function: Function, args: Vec<Arg>) {
        let layer =
            Layer { what: "NOTHING".into(), tensor: "a\n//b`c`;d".into(), ..Layer::default() };
        self.0.functions.push(function);
        let function = self.0.functions.len() - 1;
        self.0.calls.push(Call { function, args, scalars: vec![], layer });
    }

    /// Prints, builds and runs the program on random inputs, with memory of its own and with memory
    /// that is handed in; yields what is printed of the first.
    fn check(&self) -> String {
        verify(&self.0).expect("a right program");
        self.check_in(Arena::Shared);
        self.check_in(Arena::Own)
    }

    fn check_in(&self, arena: Arena) -> String {
        let program = &self.0;
        let banner = Banner { model: "a\n*/b".into(), ..Banner::default() };
        let placement = Placement { arena, ..Placement::default() };
        let source = backend::rust::print(program, &banner, &placement);
        let mut state = 1u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let mut value = |border: &Border| {
            let dtype = program.memories[border.region.memory].dtype;
            let ty = TensorType::new(dtype, border.shape.clone());
            match dtype {
                DType::F32 => Value::from_floats(
                    &ty.shape,
                    (0..ty.elements()).map(|_| random() as f32 / 3.0 - 40.0),
                ),
                DType::Bool => {
                    Value::from_ints(ty.clone(), (0..ty.elements()).map(|_| (random() & 1) as i32))
                }
                _ => Value::new(ty.clone(), (0..ty.bytes()).map(|_| random()).collect()),
            }
        };
        let cases: Vec<Vec<Value>> =
            (0..5).map(|_| program.inputs.iter().map(&mut value).collect()).collect();
        let host = HostRust::build(&[(&source, program)], arena, 1)
            .unwrap_or_else(|error| panic!("{error}\n{source}"));
        let found = host.run(0, &cases).unwrap_or_else(|error| panic!("{error}\n{source}"));
        let flags =
            ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-pedantic", "-Werror"];
        let c = HostC::build(&[program], arena, &CCompiler::new(&flags).sanitized());
        let found_c = c.and_then(|c| c.run(0, &cases)).unwrap_or_else(|error| panic!("{error}"));
        for (inputs, found) in cases.iter().zip(&found).chain(cases.iter().zip(&found_c)) {
            for (expected, found) in Machine::new(program).run(inputs).iter().zip(found) {
                assert_eq!(compare(expected, found), None, "{source}");
            }
        }
        source
    }
}

fn border(region: Region, shape: &[usize]) -> Border {
    Border {
        name: "in\nput".into(),
        region,
        shape: shape.into(),
        quantization: Some((f32::MIN_POSITIVE, -3)),
    }
}

fn words(words: impl IntoIterator<Item = i32>) -> Vec<u8> {
    words.into_iter().flat_map(i32::to_le_bytes).collect()
}

/// Rows of an input one by one, through a line buffer, to three outputs: to one in the same order, to
/// one in the reverse order, and always over the same row. Then once more, without rounds.
fn rows_in_rounds() -> Hand {
    const ROWS: usize = 5;
    const LEN: usize = 4;
    let mut hand = Hand::default();
    let shape = [ROWS, LEN];
    let same = hand.output(DType::I8, &shape);
    let last = hand.output(DType::I8, &[LEN]);
    let line = hand.region(DType::I8, LEN);
    let input = hand.input(DType::I8, &shape);
    let reverse = hand.output(DType::I8, &shape);
    let mut code = Builder::default();
    let from = code.param("round", DType::I8, LEN, Access::Read);
    let to = code.param("to", DType::I8, LEN, Access::Write);
    code.repeat("i", 0usize, LEN, |code, i| code.store(to, &i, load(from, &i)));
    let function = code.finish("copy".into(), vec![]);
    hand.0.functions.push(function);
    let row =
        |whole: Region, row: usize| Region { offset: whole.offset + row * LEN, len: LEN, ..whole };
    for i in (0..ROWS).chain(0..1) {
        let layer = Layer { part: format!("row {i}"), ..Layer::default() };
        for (from, to) in [
            (row(input, i), line),
            (line, row(same, i)),
            (line, row(reverse, ROWS - 1 - i)),
            (line, last),
        ] {
            let args = vec![Arg::Region(from), Arg::Region(to)];
            hand.0.calls.push(Call { function: 0, args, scalars: vec![], layer: layer.clone() });
        }
    }
    hand.0.rounds = vec![Rounds { first: 0, calls: 4, count: ROWS }];
    hand
}

#[test]
fn rounds() {
    let source = rows_in_rounds().check();
    assert_eq!(source.matches("for round in 0..5 {").count(), 1, "{source}");
    assert_eq!(source.matches("copy(round_, to)").count(), 8, "{source}");
    // Of a round in which nothing moves, the number is not used.
    let mut hand = rows_in_rounds();
    hand.0.rounds.clear();
    let again = hand.0.calls[3].clone();
    hand.0.calls.extend([again.clone(), again]);
    hand.0.rounds = vec![Rounds { first: 23, calls: 1, count: 3 }];
    hand.0.calls[23] = hand.0.calls[24].clone();
    let source = hand.check();
    assert_eq!(source.matches("for _ in 0..3 {").count(), 1, "{source}");
}

#[test]
fn rows_move_to_the_front() {
    let mut hand = Hand::default();
    let input = hand.input(DType::I16, &[40]);
    let output = hand.output(DType::I16, &[40]);
    let mut code = Builder::default();
    let from = code.param("from", DType::I16, 40, Access::Read);
    let rows = code.param("rows", DType::I16, 40, Access::Write);
    code.repeat("i", 0usize, 40usize, |code, i| code.store(rows, &i, load(from, &i)));
    code.repeat("i", 0usize, 31usize, |code, i| code.store(rows, &i, load(rows, &i + 9usize)));
    let function = code.finish("keep".into(), vec![]);
    hand.call(function, vec![Arg::Region(input), Arg::Region(output)]);
    let source = hand.check();
    assert_eq!(source.matches("move_to_front(rows, 9, 31);").count(), 1, "{source}");
}

#[test]
fn wrong_rounds_are_rejected() {
    let wrong = |change: fn(&mut Program)| {
        let Hand(mut program) = rows_in_rounds();
        assert_eq!(verify(&program), Ok(()));
        change(&mut program);
        let rounds = std::mem::take(&mut program.rounds);
        assert_eq!(verify(&program), Ok(()), "right without rounds");
        program.rounds = rounds;
        assert!(verify(&program).is_err());
    };
    // Not the same calls, too few or too many rounds, or some of the calls twice.
    wrong(|program| program.rounds[0].count = 6);
    wrong(|program| program.rounds[0].count = 7);
    wrong(|program| program.rounds[0].count = 1);
    wrong(|program| program.rounds[0].calls = 0);
    wrong(|program| program.rounds[0].calls = 3);
    wrong(|program| program.rounds.push(Rounds { first: 16, calls: 4, count: 2 }));
    // In some round something else.
    let region = |program: &mut Program, call: usize, arg: usize, change: fn(&mut Region)| {
        let Arg::Region(region) = &mut program.calls[call].args[arg] else { unreachable!() };
        change(region);
    };
    for call in [0, 4, 8, 16] {
        let Hand(mut program) = rows_in_rounds();
        region(&mut program, call, 0, |region| region.offset += 1);
        assert!(verify(&program).is_err(), "call {call}");
    }
    wrong(|program| program.calls[9].layer.operators = "7".into());
    wrong(|program| {
        let other = Function { name: "other".into(), ..program.functions[0].clone() };
        program.functions.push(other);
        program.calls[9].function = 1;
    });
    // What is written passes what is read.
    wrong(|program| {
        let region = |offset: usize| Arg::Region(Region { memory: 0, offset, len: 4 });
        let call = program.calls[0].clone();
        let calls = [(0, 4), (8, 4)]
            .map(|(to, from)| Call { args: vec![region(from), region(to)], ..call.clone() });
        program.calls.splice(0..0, calls);
        program.rounds = vec![Rounds { first: 0, calls: 1, count: 2 }];
    });
}

#[test]
fn names_may_be_keywords_and_functions() {
    let mut hand = Hand::default();
    let (x, y) = (hand.input(DType::I8, &[2, 3]), hand.output(DType::I8, &[6]));
    let mut code = Builder::default();
    let (from, to) = (
        code.param("get", DType::I8, 6, Access::Read),
        code.param("match", DType::I8, 6, Access::Write),
    );
    code.repeat("loop", 0usize, 6usize, |code, i| {
        let value = code.name("quantize", load(from, Expr::from(5usize) - i.clone()) + 1);
        code.store(to, i, value.min(127));
    });
    hand.call(
        code.finish("window_0".into(), vec!["Text */ with\nlines.".into()]),
        vec![Arg::Region(x), Arg::Region(y)],
    );
    hand.check();
}

#[test]
fn every_type_of_elements_is_copied_and_widened() {
    let mut hand = Hand::default();
    for dtype in [DType::I8, DType::U8, DType::I16, DType::I32, DType::F32, DType::Bool, DType::I64]
    {
        let (x, y) = (hand.input(dtype, &[7]), hand.output(dtype, &[7]));
        let bytes = match dtype {
            DType::Bool => vec![1, 0, 1, 0, 0, 1, 1],
            DType::F32 => [0.1, -1e30, 3.0, 1e-40, -0.0, 7.5, 123456.79f32]
                .iter()
                .flat_map(|x| x.to_le_bytes())
                .collect(),
            _ => (0..7 * dtype.size()).map(|i| (i * 37 + 200) as u8).collect(),
        };
        let table = hand.constant(dtype, bytes);
        let constant = hand.output(dtype, &[7]);
        let mut code = Builder::default();
        let from = code.param("from", dtype, 7, Access::Read);
        let table_ = code.param("table", dtype, 7, Access::Constant);
        let to = code.param("to", dtype, 7, Access::Write);
        let to_2 = code.param("to_2", dtype, 7, Access::Write);
        code.repeat("i", 0usize, 7usize, |code, i| {
            code.store(to, i.clone(), load(from, i.clone()));
            code.store(to_2, i.clone(), load(table_, i));
        });
        let regions = [x, y, constant].map(Arg::Region);
        let args = vec![regions[0], table, regions[1], regions[2]];
        hand.call(code.finish(format!("copy_{dtype}"), vec![]), args);

        if !matches!(dtype, DType::F32 | DType::I64) {
            let wide = hand.output(DType::I32, &[7]);
            let mut code = Builder::default();
            let from = code.param("from", dtype, 7, Access::Read);
            let table_ = code.param("table", dtype, 7, Access::Constant);
            let to = code.param("to", DType::I32, 7, Access::Write);
            code.repeat("i", 0usize, 7usize, |code, i| {
                let sum = load(from, i.clone()).wrapping_add(load(table_, i.clone()).shift_left(3));
                code.store(to, i, sum);
            });
            hand.call(
                code.finish(format!("widen_{dtype}"), vec![]),
                vec![regions[0], table, Arg::Region(wide)],
            );
        }
    }
    hand.check();
}

#[test]
fn views_of_what_is_written_stay_readable() {
    let mut hand = Hand::default();
    let (x, data) = (hand.input(DType::I8, &[32]), hand.output(DType::I8, &[32]));
    let mut code = Builder::default();
    let (from, to) = (
        code.param("from", DType::I8, 32, Access::Read),
        code.param("data", DType::I8, 32, Access::Write),
    );
    code.repeat("i", 0usize, 32usize, |code, i| code.store(to, i.clone(), load(from, i)));
    let fixed = code.view("fixed", to, 3usize, 20usize);
    let nested = code.view("nested", fixed, 2usize, 4usize);
    let all = code.view("all", to, 0usize, 32usize);
    code.repeat("i", 0usize, 4usize, |code, i| {
        let run = code.view("run", to, i.clone() * 2usize, 3usize);
        let sum = load(run, 2usize) + load(nested, i.clone()) + load(all, i.clone());
        code.store(to, i.clone() * 7usize + 1usize, sum.max(-128).min(127));
        let at = load(run, 1usize).max(0).min(31).to_index();
        code.store(to, at, load(all, i).min(5));
    });
    hand.call(code.finish("blur".into(), vec![]), vec![Arg::Region(x), Arg::Region(data)]);
    hand.check();
}

#[test]
fn layers_may_work_in_place() {
    let mut hand = Hand::default();
    let data = hand.input(DType::I8, &[16]);
    hand.0.outputs.push(border(data, &[16]));
    let mut code = Builder::default();
    let place = code.param("data", DType::I8, 16, Access::Write);
    code.repeat("i", 0usize, 16usize, |code, i| {
        code.store(place, i.clone(), load(place, i).max(3))
    });
    code.repeat("row", 0usize, 4usize, |code, row| {
        code.repeat("column", 0usize, 4usize, |code, column| {
            let at = row.clone() * 4usize + column;
            code.store(place, at.clone(), load(place, at).min(99));
        });
    });
    hand.call(code.finish("relu".into(), vec![]), vec![Arg::Region(data)]);
    hand.check();
}

#[test]
fn operators_keep_their_grouping() {
    let mut hand = Hand::default();
    let (x, y) = (hand.input(DType::I8, &[4]), hand.output(DType::I32, &[25]));
    let table = hand.constant(DType::I32, words([5, 1_518_500_249, i32::MAX, i32::MIN]));
    let mut code = Builder::default();
    let x_ = code.param("x", DType::I8, 4, Access::Read);
    let table_ = code.param("table", DType::I32, 4, Access::Constant);
    let to = code.param("to", DType::I32, 25, Access::Write);
    let v = |i: usize| load(x_, i);
    let values = [
        v(0) - (v(1) - v(2)),
        v(0) - (v(1) + v(2)) - -128,
        v(0) + -5,
        (v(0) + v(1)) * (v(2) - v(3)),
        v(0) * (v(1) * v(2)),
        v(0).shift_left(4) + v(1),
        (v(0) + v(1)).shift_left(24),
        v(0).shift_left(2).shift_left(3),
        Expr::from(-7).max(v(1)),
        Expr::from(7).min(Expr::from(9)),
        Expr::from(i32::MIN).wrapping_add(v(2) - 128),
        v(0).max(-3).min(4) - v(1).min(9).max(2),
        v(0).max(5).min(-5),
        v(0).max(v(1)).min(v(2)),
        call(Intrinsic::DoublingHighMul, [v(0).shift_left(20), load(table_, 1usize)]),
        call(Intrinsic::RoundingShiftRight, [v(0) * -77, (v(1).max(0) + 1).min(31)]),
        call(Intrinsic::Requantize, [v(0) * 1000, load(table_, 1usize), (-3).into()]),
        call(
            Intrinsic::RequantizeDown,
            [v(0) * 1000, load(table_, 1usize).max(0), load(table_, 0usize).max(1).min(31)],
        ),
        call(
            Intrinsic::RequantizeDownByHalves,
            [v(0) * 1000, load(table_, 1usize).max(0), load(table_, 0usize).max(1).min(31)],
        ),
        call(Intrinsic::DivideRounded, [v(0) * 1000, v(1).max(1)]),
        call(Intrinsic::LeadingZeros, [v(0).max(0)]),
        (Expr::from(3usize) - load(x_, 3usize).max(0).min(3).to_index()).to_int(),
        load(x_, (v(0).max(0).min(6).to_index() + 1usize).saturating_sub(4usize)),
        load(x_, v(1).max(0).to_index().min(3usize)),
        call(Intrinsic::Reciprocal, [v(3).max(0) + 1]),
    ];
    for (i, value) in values.into_iter().enumerate() {
        code.store(to, i, value);
    }
    hand.call(code.finish("mix".into(), vec![]), vec![Arg::Region(x), table, Arg::Region(y)]);
    hand.check();
}

#[test]
fn loops_of_unknown_length_and_unused_names() {
    let mut hand = Hand::default();
    let (x, y) = (hand.input(DType::U8, &[10]), hand.output(DType::U8, &[10]));
    let flag = hand.output(DType::Bool, &[10]);
    let mut code = Builder::default();
    let from = code.param("from", DType::U8, 10, Access::Read);
    let _unused = code.param("unused", DType::U8, 10, Access::Read);
    let to = code.param("to", DType::U8, 10, Access::Write);
    let flags = code.param("flags", DType::Bool, 10, Access::Write);
    code.repeat("i", 0usize, 10usize, |code, i| {
        let first = code.name("first", i.clone().saturating_sub(2usize));
        let end = code.name("end", (i.clone() + 3usize).min(10usize));
        let count = code.name("count", end.clone() - first.clone());
        let run = code.view("run", from, first, count.clone());
        let _unused = code.name("unused_sum", load(from, i.clone()) + 1);
        let sum = code.accumulator("sum", 0);
        let highest = code.accumulator("highest", 0);
        let repeats = code.accumulator("repeats", 0);
        code.repeat("k", 0usize, count, |code, k| {
            code.update(sum, Update::Add, load(run, k.clone()));
            code.update(highest, Update::Max, load(run, k));
        });
        code.repeat("k", 0usize, 3usize, |code, _| code.update(repeats, Update::WrappingAdd, 1));
        let sum = code.name("total", Expr::from(sum).wrapping_add(Expr::from(repeats)));
        code.store(to, i.clone(), call(Intrinsic::DivideRounded, [sum, 6.into()]).max(0).min(255));
        code.store(flags, i, Expr::from(highest).min(1));
    });
    let args = [x, x, y, flag].map(Arg::Region).to_vec();
    hand.call(code.finish("average".into(), vec![]), args);
    let source = hand.check();
    assert!(!source.contains("unused_sum"), "{source}");
}

#[test]
fn reals_at_the_border() {
    let mut hand = Hand::default();
    let x = hand.input(DType::F32, &[9]);
    let codes = hand.region(DType::I8, 9);
    let y = hand.output(DType::F32, &[9]);
    let mut code = Builder::default();
    let (from, to) = (
        code.param("from", DType::F32, 9, Access::Read),
        code.param("to", DType::I8, 9, Access::Write),
    );
    code.repeat("i", 0usize, 9usize, |code, i| {
        let value = call(Intrinsic::Quantize, [load(from, i.clone()), 0.3f32.into(), (-5).into()]);
        code.store(to, i, value.max(-128).min(127));
    });
    hand.call(code.finish("quantize".into(), vec![]), vec![Arg::Region(x), Arg::Region(codes)]);
    let mut code = Builder::default();
    let (from, to) = (
        code.param("from", DType::I8, 9, Access::Read),
        code.param("to", DType::F32, 9, Access::Write),
    );
    code.repeat("i", 0usize, 9usize, |code, i| {
        let args = [load(from, i.clone()), 0.3f32.into(), (-5).into()];
        code.store(to, i, call(Intrinsic::Dequantize, args));
    });
    hand.call(code.finish("dequantize_1".into(), vec![]), vec![Arg::Region(codes), Arg::Region(y)]);
    hand.check();
}

#[test]
fn regions_lie_in_any_order() {
    // Four regions of one memory, written and read in every order.
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]] {
        let mut hand = Hand::default();
        let regions: [Region; 4] = std::array::from_fn(|i| hand.region(DType::I16, 5 + i));
        let mut code = Builder::default();
        let place = |code: &mut Builder, name, i: usize, access| {
            code.param(name, DType::I16, regions[order[i]].len, access)
        };
        let a = place(&mut code, "a", 0, Access::Read);
        let b = place(&mut code, "b", 1, Access::Write);
        let c = place(&mut code, "c", 2, Access::Read);
        let d = place(&mut code, "d", 3, Access::Write);
        code.repeat("i", 0usize, 5usize, |code, i| {
            code.store(b, i.clone(), load(a, i.clone()).max(load(c, i.clone())));
            code.store(d, i.clone(), load(a, i.clone()).min(load(c, i)));
        });
        let args = order.map(|i| Arg::Region(regions[i])).to_vec();
        hand.call(code.finish("pair".into(), vec![]), args);
        let part = |i: usize, len| border(Region { len, ..regions[order[i]] }, &[len]);
        hand.0.inputs = vec![part(0, regions[order[0]].len), part(2, regions[order[2]].len)];
        hand.0.outputs = vec![part(1, 5), part(3, 5)];
        hand.check();
    }
}

#[test]
fn a_program_may_do_nothing() {
    let mut hand = Hand::default();
    let region = hand.input(DType::I8, &[2, 3]);
    hand.0.outputs.push(border(region, &[6]));
    hand.check();
}

#[test]
fn a_wrong_layer_is_found() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/digits_conv.tflite");
    let options = Options {
        target: Target::find("host").expect("is there"),
        model: "digits_conv.tflite".into(),
        relax_requant: false,
        prefer: tflc::plan::Prefer::Speed,
        placement: tflc::backend::Placement::default(),
        arguments: String::new(),
    };
    let mut compiled =
        compile(&std::fs::read(path).expect("is there"), &options).expect("is supported");
    let ty = &compiled.imported.tensors[compiled.imported.inputs[0]].ty;
    let input = Value::from_ints(ty.clone(), (0..ty.elements() as i32).map(|i| i * 3 % 256 - 128));
    assert_eq!(
        first_difference(&compiled, &options, Language::Rust, std::slice::from_ref(&input)),
        Ok(None)
    );

    let call = &compiled.program.calls[2];
    let constant = call.args.iter().find_map(|arg| match arg {
        Arg::Constant(constant) => Some(*constant),
        Arg::Region(_) => None,
    });
    let layer = call.layer.clone();
    for byte in &mut compiled.program.constants[constant.expect("weights")].bytes {
        *byte ^= 0x40;
    }
    let difference = first_difference(&compiled, &options, Language::Rust, &[input])
        .expect("rustc works")
        .expect("a difference");
    assert_eq!((difference.link, difference.tensor), (Link::Kernel, layer.tensor));
}
