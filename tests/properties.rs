//! Random small models through the whole chain: each link gives the bytes of the one before.
//!
//! A failure is first made as small as possible, then told with its seed. `tests/support/extent.rs` says
//! how more models are drawn.

#[allow(dead_code)]
#[path = "support/extent.rs"]
mod extent;
#[path = "support/model_builder.rs"]
mod model_builder;
#[path = "support/parallel.rs"]
mod parallel;
#[path = "support/quiet.rs"]
mod quiet;
#[path = "support/random_model.rs"]
mod random_model;

use std::collections::BTreeMap;

use model_builder::ModelSpec;
use random_model::Rng;
use tflc::frontend::{self, schema};
use tflc::ir::{self, Graph};
use tflc::loop_ir::{self, Access, Arg, Builder, Call, Function, Layer, Machine, Program, Region};
use tflc::ops::{DType, Value};
use tflc::report::memory;
use tflc::target::Target;
use tflc::{harness, passes, plan};

/// How many models are drawn, and how many with everything.
const MODELS: (u64, u64) = (1000, 1500);

/// Each operator that the models must hold, under TFLite's name.
const OPERATORS: &[&str] = &[
    "ADD",
    "AVERAGE_POOL_2D",
    "CONCATENATION",
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "DEQUANTIZE",
    "EXPAND_DIMS",
    "FULLY_CONNECTED",
    "HARD_SWISH",
    "LEAKY_RELU",
    "LOGISTIC",
    "MAX_POOL_2D",
    "MEAN",
    "MUL",
    "PACK",
    "PAD",
    "PADV2",
    "PRELU",
    "QUANTIZE",
    "RELU",
    "RELU6",
    "RELU_N1_TO_1",
    "RESHAPE",
    "RESIZE_NEAREST_NEIGHBOR",
    "SHAPE",
    "SOFTMAX",
    "SQUEEZE",
    "STRIDED_SLICE",
    "SUB",
    "TANH",
    "TRANSPOSE",
];

/// The targets that code is made for: one where layers have their own functions, one where they
/// share them.
const TARGETS: [&str; 4] = ["host", "cortex-m0", "cortex-m4", "rv32imc"];

/// How often each operator occurred, or how often each pass changed something.
type Counts = BTreeMap<&'static str, usize>;

/// What happened to a model on its way.
#[derive(Default)]
struct Way {
    /// The operators that are left behind the passes.
    lowered: Vec<&'static str>,
    /// The passes that changed something.
    effective: Vec<&'static str>,
    /// Whether layers were computed a few rows at a time somewhere.
    striped: bool,
}

/// Where the chain broke, and how.
#[derive(Debug)]
struct Failure {
    link: String,
    what: String,
}

#[test]
fn random_models_keep_their_bytes() {
    let seeds = extent::seeds("random models", MODELS.0, MODELS.1);
    let count = seeds.len();

    let targets = TARGETS.map(|name| Target::find(name).expect("is there"));
    let results = parallel::map(&seeds, |&seed| {
        let spec = random_model::spec(seed);
        let kinds = spec.operators.iter().map(|operator| operator.builtin);
        let names = kinds.map(|kind| schema::builtin_name(kind).expect("a known one"));
        let names: Vec<&'static str> = names.collect();
        follow(&spec, &targets).map(|way| (names, way)).map_err(|failure| {
            let (spec, failure) = reduce(spec, failure, &targets);
            explain(seed, &spec, &failure)
        })
    });

    let [mut drawn, mut lowered, mut effective] = [(); 3].map(|()| Counts::new());
    let mut failures = Vec::new();
    let mut striped = 0;
    for result in results {
        match result {
            Ok((names, way)) => {
                names.into_iter().for_each(|name| *drawn.entry(name).or_default() += 1);
                way.lowered.into_iter().for_each(|name| *lowered.entry(name).or_default() += 1);
                way.effective.into_iter().for_each(|name| *effective.entry(name).or_default() += 1);
                striped += usize::from(way.striped);
            }
            Err(failure) => failures.push(failure),
        }
    }
    println!("{count} models\noperators: {drawn:?}\nbehind the passes: {lowered:?}");
    println!("passes that changed something: {effective:?}\nin stripes: {striped}");
    if !failures.is_empty() {
        // Models fail for the same reason rather than for many: a few tell.
        let shown = failures.iter().take(5).cloned().collect::<Vec<_>>().join("\n\n");
        let all: Vec<&str> = failures.iter().filter_map(|failure| failure.lines().next()).collect();
        panic!("{} of {count} models fail:\n{}\n\n{shown}", failures.len(), all.join("\n"));
    }
    if extent::chosen_seeds().is_none() {
        let rare = |counts: &Counts, name: &str| counts.get(name).is_none_or(|&n| n < count / 100);
        let missing: Vec<_> = OPERATORS.iter().filter(|name| rare(&drawn, name)).collect();
        assert!(missing.is_empty(), "too few of {missing:?}");
        // What is left of these is another operator.
        let gone = ["SHAPE", "EXPAND_DIMS", "SQUEEZE", "PADV2"];
        let kept = OPERATORS.iter().filter(|name| !gone.contains(name));
        let missing: Vec<_> = kept.filter(|name| rare(&lowered, name)).collect();
        assert!(missing.is_empty(), "the passes leave too few of {missing:?}");
        let passes = passes::pipeline(false).map(|pass| pass.name);
        let missing: Vec<_> = passes.filter(|name| rare(&effective, name)).collect();
        assert!(missing.is_empty(), "too little to do for {missing:?}");
        assert!(striped > count / 50, "only {striped} models have layers in stripes");
    }
}

/// Follows a model along the chain to where it breaks.
fn follow(spec: &ModelSpec, targets: &[Target]) -> Result<Way, Failure> {
    let link = std::cell::RefCell::new("import".to_string());
    let fail = |what: String| Failure { link: link.borrow().clone(), what };
    quiet::catch(|| {
        let imported =
            frontend::import(&spec.build()).map_err(|problems| fail(problems.to_string()))?;
        ir::validate(&imported).map_err(fail)?;
        let cases = cases(&imported);
        let expected: Vec<Vec<Value>> =
            cases.iter().map(|inputs| ir::eval(&imported, inputs).expect("inputs fit")).collect();

        let mut way = Way::default();
        let mut programs: Vec<Program> = Vec::new();
        for target in targets {
            let mut graph = imported.clone();
            for pass in passes::pipeline(false) {
                *link.borrow_mut() = pass.name.to_string();
                let before = graph.clone();
                (pass.run)(&mut graph, target);
                ir::validate(&graph).map_err(fail)?;
                if graph != before {
                    let eval = |inputs: &[Value]| ir::eval(&graph, inputs).expect("inputs fit");
                    compare(&cases, &expected, eval).map_err(fail)?;
                    way.effective.push(pass.name);
                }
            }
            way.lowered.extend(graph.nodes.iter().map(|node| node.op.kind()));

            // The RAM that it takes, then less.
            let mut target = target.clone();
            let mut all = 0;
            for budget in [None, Some((3, 4)), Some((1, 2))] {
                if let Some((part, of)) = budget {
                    target.memory.ram = Some(all * part / of);
                }
                let what = format!("{} with {:?} bytes of RAM", target.name, target.memory.ram);
                *link.borrow_mut() = format!("plan for {what}");
                let program = plan::program(&graph, &target);
                if budget.is_none() {
                    all = program.ram();
                }
                if programs.contains(&program) {
                    continue;
                }
                *link.borrow_mut() = format!("verifier for {what}");
                loop_ir::verify(&program).map_err(fail)?;
                *link.borrow_mut() = format!("loop IR for {what}");
                let mut machine = Machine::new(&program);
                compare(&cases, &expected, |inputs| machine.run(inputs)).map_err(fail)?;
                *link.borrow_mut() = format!("liveness for {what}");
                let canaries = with_canaries(&program);
                let mut machine = Machine::new(&canaries);
                compare(&cases[3..], &expected[3..], |inputs| machine.run(inputs)).map_err(fail)?;
                way.striped |= program.calls.iter().any(|call| !call.layer.part.is_empty());
                programs.push(program);
            }
        }
        Ok(way)
    })
    .unwrap_or_else(|panic| Err(fail(panic)))
}

/// The program with a step before each call that writes over all that isn't alive.
fn with_canaries(program: &Program) -> Program {
    let lives = memory::lives(program);
    let mut canaries = Program { calls: Vec::new(), ..program.clone() };
    for (i, call) in program.calls.iter().enumerate() {
        for (index, memory) in program.memories.iter().enumerate() {
            let size = memory.dtype.size();
            let mut alive = vec![false; memory.len];
            for life in lives.iter().filter(|life| life.memory == index) {
                if life.written.is_none_or(|from| from < i) && life.read.is_none_or(|to| to >= i) {
                    alive[life.offset / size..(life.offset + life.bytes) / size].fill(true);
                }
            }
            let mut from = 0;
            while from < alive.len() {
                let len = alive[from..].iter().take_while(|other| **other == alive[from]).count();
                if !alive[from] && memory.dtype != DType::F32 {
                    let region = Region { memory: index, offset: from, len };
                    canaries.calls.push(write_over(&mut canaries.functions, memory.dtype, region));
                }
                from += len;
            }
        }
        canaries.calls.push(call.clone());
    }
    canaries
}

fn write_over(functions: &mut Vec<Function>, dtype: DType, region: Region) -> Call {
    let mut code = Builder::default();
    let dead = code.param("dead", dtype, region.len, Access::Write);
    code.repeat("i", 0usize, region.len, |code, i| {
        code.store(dead, i, if dtype == DType::Bool { 1 } else { 85 })
    });
    functions.push(code.finish("canaries".into(), Vec::new()));
    Call {
        function: functions.len() - 1,
        args: vec![Arg::Region(region)],
        scalars: Vec::new(),
        layer: Layer::default(),
    }
}

fn compare(
    cases: &[Vec<Value>],
    expected: &[Vec<Value>],
    mut run: impl FnMut(&[Value]) -> Vec<Value>,
) -> Result<(), String> {
    for (i, (inputs, expected)) in cases.iter().zip(expected).enumerate() {
        let outputs = run(inputs);
        for (o, (output, expected)) in outputs.iter().zip(expected).enumerate() {
            if output.ty != expected.ty {
                let (ours, theirs) = (&output.ty, &expected.ty);
                return Err(format!("case {i}, output {o} is {ours} instead of {theirs}"));
            }
            if let Some((at, expected, found)) = harness::compare(expected, output) {
                return Err(format!(
                    "case {i}, output {o}: element {at} is {found} instead of {expected}"
                ));
            }
        }
    }
    Ok(())
}

/// Inputs: all at the lowest code, all at the highest, all at the zero point, then random ones. The
/// machine runs them one after the other on the same memory.
fn cases(graph: &Graph) -> Vec<Vec<Value>> {
    (0..6).map(|case| graph.inputs.iter().map(|&id| input(graph, id, case)).collect()).collect()
}

fn input(graph: &Graph, id: ir::TensorId, case: u64) -> Value {
    let tensor = &graph.tensors[id];
    let ty = &tensor.ty;
    let count = ty.elements();
    let mut rng = Rng::new(case << 32 | id.index() as u64);
    let zero_point = tensor.quantization.map_or(0, |q| q.zero_point);
    match ty.dtype {
        DType::F32 => {
            let special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 1e-40, 0.5, 1.5, -2.5];
            let real = |_| match case {
                0 => f32::MIN,
                1 => f32::MAX,
                2 => 0.0,
                _ if rng.chance(10) => rng.pick(&special),
                _ => rng.real(-20.0, 20.0) as f32,
            };
            Value::from_floats(&ty.shape, (0..count).map(real).collect::<Vec<_>>())
        }
        DType::I64 => Value::new(ty.clone(), (0..ty.bytes()).map(|_| rng.next() as u8).collect()),
        dtype => {
            let (low, high) = dtype.range();
            let code = |_| match case {
                0 => low,
                1 => high,
                2 => zero_point,
                // Near the zero point, then anywhere.
                3 => (zero_point + rng.range(-9, 9) as i32).clamp(low, high),
                _ => rng.range(low.into(), high.into()) as i32,
            };
            Value::from_ints(ty.clone(), (0..count).map(code).collect::<Vec<_>>())
        }
    }
}

/// The smallest model found that breaks the chain at the same link.
fn reduce(mut spec: ModelSpec, mut failure: Failure, targets: &[Target]) -> (ModelSpec, Failure) {
    let smaller = |spec: &ModelSpec, link: &str| {
        random_model::reductions(spec).into_iter().find_map(|less| match follow(&less, targets) {
            Err(failure) if failure.link == link => Some((less, failure)),
            _ => None,
        })
    };
    while let Some(less) = smaller(&spec, &failure.link) {
        (spec, failure) = less;
    }
    (spec, failure)
}

fn explain(seed: u64, spec: &ModelSpec, failure: &Failure) -> String {
    let graph = frontend::import(&spec.build()).map(|graph| graph.to_string());
    let graph = graph.unwrap_or_else(|_| format!("{spec:?}\n"));
    let Failure { link, what } = failure;
    format!(
        "seed {seed} breaks at {link}: {what}\nsmallest model that does:\n{graph}\
         try again: TFLC_SEEDS={seed}..{} cargo test --test properties",
        seed + 1
    )
}
