//! Damaged model files: whatever the bytes are, the answer is code or a list of problems, soon and
//! without much memory.
//!
//! Of the damaged files, nearly half have damaged bytes; the others are made of descriptions with damaged
//! fields, so that the damage gets past the reader. `tests/support/extent.rs` says how many there are and how
//! more are tried.

#[allow(dead_code)]
#[path = "support/extent.rs"]
mod extent;
#[allow(dead_code, reason = "only the files are of use here")]
#[path = "support/golden.rs"]
mod golden;
#[path = "support/model_builder.rs"]
mod model_builder;
#[path = "support/parallel.rs"]
mod parallel;
#[path = "support/quiet.rs"]
mod quiet;
#[path = "support/random_model.rs"]
mod random_model;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::Command;
use std::sync::Mutex;
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};
use std::{env, fs};

use model_builder::*;
use random_model::Rng;
use tflc::frontend::schema::{builtin, tensor_type};
use tflc::loop_ir::Machine;
use tflc::ops::{DType, Value};
use tflc::target::Target;
use tflc::{ir, Compiled, Options as CompileOptions};

/// How many damaged files are tried, and how many with everything.
const FILES: (u64, u64) = (8000, 24_000);
/// How long a processor may be busy with one, in seconds.
const MAX_SECONDS: f64 = 2.0;
/// How much memory one may take, in bytes.
const MAX_MEMORY: usize = 400 << 20;
/// Up to so many steps a model that still compiles is run.
const MAX_WORK: u64 = 30_000;

/// How a model file was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// With problems.
    Refused,
    /// It was compiled, and is too large to be run here.
    Compiled,
    /// It was compiled and run.
    Run,
}

/// One model's outcome and what it took.
struct Trial {
    outcome: Outcome,
    seconds: f64,
    memory: usize,
}

#[test]
fn damaged_files_are_compiled_or_refused() {
    let seeds = extent::seeds("damaged files", FILES.0, FILES.1);
    let count = seeds.len();

    let sound = Sound::new();
    let options = options();
    let trials = parallel::map(&seeds, |&seed| {
        let (how, bytes) = sound.damaged(seed);
        (how, try_out(&bytes, &options, &format!("seed {seed} ({how})")))
    });

    let mut outcomes: BTreeMap<(&str, Outcome), usize> = BTreeMap::new();
    let (mut slowest, mut largest) = ((0.0, 0), (0, 0));
    let mut failures = Vec::new();
    for (&seed, (how, trial)) in seeds.iter().zip(trials) {
        match trial {
            Ok(Trial { outcome, seconds, memory }) => {
                *outcomes.entry((how, outcome)).or_default() += 1;
                slowest = if seconds > slowest.0 { (seconds, seed) } else { slowest };
                largest = largest.max((memory, seed));
            }
            Err(what) => failures.push(what),
        }
    }
    println!("{count} damaged files: {outcomes:?}");
    println!(
        "slowest: {:.3} s (seed {}); largest: {} KB (seed {})",
        slowest.0,
        slowest.1,
        largest.0 >> 10,
        largest.1
    );
    if !failures.is_empty() {
        failures.dedup();
        let shown = failures.iter().take(30).cloned().collect::<Vec<_>>().join("\n");
        panic!("{} of {count} damaged files:\n{shown}", failures.len());
    }
    if extent::chosen_seeds().is_none() {
        for (how, _) in FIELDS {
            let any = outcomes.keys().any(|(kind, _)| kind == how);
            assert!(any, "no damage of the kind '{how}'");
        }
        for outcome in [Outcome::Refused, Outcome::Run] {
            let total: usize =
                outcomes.iter().filter(|((_, o), _)| *o == outcome).map(|(_, n)| n).sum();
            assert!(
                total > count / 24,
                "{outcome:?}: {total}; the damage is too great or too small"
            );
        }
    }
}

#[test]
fn absurd_models_are_refused() {
    let options = options();
    for (name, spec) in absurd() {
        let trial = try_out(&spec.build(), &options, name).unwrap_or_else(|what| panic!("{what}"));
        assert_eq!(trial.outcome, Outcome::Refused, "{name}");
    }
}

#[test]
fn large_models_are_compiled_or_refused() {
    let options = options();
    let named = large();
    let trials = parallel::map(&named, |(name, spec)| try_out(&spec.build(), &options, name));
    for ((name, _), trial) in named.iter().zip(trials) {
        let trial = trial.unwrap_or_else(|what| panic!("{what}"));
        println!("{name}: {:?}, {:.3} s, {} KB", trial.outcome, trial.seconds, trial.memory >> 10);
    }
}

#[test]
#[cfg(feature = "cli")]
fn the_program_exits_with_2_and_leaves_no_file() {
    let folder = env::temp_dir().join(format!("tflc-hostile-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("can be made");
    let (model, output) = (folder.join("model.tflite"), folder.join("model.rs"));
    let sound = Sound::new();
    let options = options();
    let refused = (0..).map(|seed| sound.damaged(seed).1);
    let refused = refused.filter(|bytes| tflc::compile(bytes, &options).is_err()).take(8);
    let absurd = absurd().into_iter().map(|(_, spec)| spec.build());
    for bytes in refused.chain(absurd).chain([Vec::new(), b"TFL3".to_vec()]) {
        fs::write(&model, bytes).expect("can be written");
        let result = Command::new(env!("CARGO_BIN_EXE_tflc"))
            .arg(&model)
            .args(["--target", "cortex-m4", "-o"])
            .arg(&output)
            .output()
            .expect("runs");
        let message = String::from_utf8_lossy(&result.stderr);
        assert_eq!(result.status.code(), Some(2), "{message}");
        assert!(!message.trim().is_empty() && !message.contains("panicked"), "{message}");
        assert!(!output.exists(), "{message}");
    }
    fs::remove_dir_all(folder).expect("can be removed");
}

fn options() -> CompileOptions {
    CompileOptions {
        target: Target::find("host").expect("is there"),
        model: "damaged.tflite".into(),
        relax_requant: false,
        prefer: tflc::plan::Prefer::Speed,
        placement: tflc::backend::Placement::default(),
        arguments: String::new(),
    }
}

/// Compiles a model and runs it if that is quick; what went wrong, if something did.
fn try_out(bytes: &[u8], options: &CompileOptions, name: &str) -> Result<Trial, String> {
    let (result, seconds, memory) =
        watched(name, || measured(|| quiet::catch(|| compile_and_run(bytes, options))));
    let outcome = result.and_then(|result| result).map_err(|what| format!("{name}: {what}"))?;
    if seconds > MAX_SECONDS {
        return Err(format!("{name}: takes {seconds:.1} s"));
    }
    if memory > MAX_MEMORY {
        return Err(format!("{name}: takes {} MB", memory >> 20));
    }
    Ok(Trial { outcome, seconds, memory })
}

fn compile_and_run(bytes: &[u8], options: &CompileOptions) -> Result<Outcome, String> {
    let compiled = match tflc::compile(bytes, options) {
        Ok(compiled) => compiled,
        Err(problems) => {
            let text = problems.to_string();
            return match problems.0.is_empty() || text.lines().any(|line| line.trim().is_empty()) {
                true => Err(format!("refused without a reason: {text:?}")),
                false => Ok(Outcome::Refused),
            };
        }
    };
    if work(&compiled) > MAX_WORK {
        return Ok(Outcome::Compiled);
    }
    let graph = &compiled.imported;
    let input = |id: &ir::TensorId| {
        let ty = graph.tensors[*id].ty.clone();
        let mut rng = Rng::new(bytes.len() as u64 + id.index() as u64);
        match ty.dtype {
            DType::F32 => {
                let reals = (0..ty.elements()).map(|_| rng.real(-9.0, 9.0) as f32);
                Value::from_floats(&ty.shape, reals.collect::<Vec<_>>())
            }
            DType::Bool => {
                Value::new(ty.clone(), (0..ty.bytes()).map(|_| rng.below(2) as u8).collect())
            }
            _ => Value::new(ty.clone(), (0..ty.bytes()).map(|_| rng.next() as u8).collect()),
        }
    };
    let inputs: Vec<Value> = graph.inputs.iter().map(input).collect();
    let expected = ir::eval(graph, &inputs)?;
    let outputs = Machine::new(&compiled.program).run(&inputs);
    match outputs.iter().map(|value| &value.bytes).eq(expected.iter().map(|value| &value.bytes)) {
        true => Ok(Outcome::Run),
        false => Err(format!("its code computes something else than its graph:\n{graph}")),
    }
}

/// About how many steps running a model takes.
fn work(compiled: &Compiled) -> u64 {
    let graph = &compiled.imported;
    let elements: u64 = graph.tensors.iter().map(|(_, tensor)| tensor.ty.elements() as u64).sum();
    let windows = graph.nodes.iter().map(|node| {
        let taps = match &node.op {
            tflc::ops::Op::AveragePool2d(op) => op.window.size,
            tflc::ops::Op::MaxPool2d(op) => op.window.size,
            _ => return 0,
        };
        let elements = graph.tensors[node.outputs[0]].ty.elements() as u64;
        elements.saturating_mul(taps[0] as u64).saturating_mul(taps[1] as u64)
    });
    windows.fold(elements + graph.macs(), u64::saturating_add)
}

// Time and memory.

/// Counts the memory that each thread holds.
struct Counting;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// Sound: it only counts what it passes on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.get() + layout.size();
        HELD.set(held);
        PEAK.set(PEAK.get().max(held));
        System.alloc(layout)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // What another thread took may be given back here.
        HELD.set(HELD.get().saturating_sub(layout.size()));
        System.dealloc(pointer, layout);
    }
}

/// The result of `work`, with the seconds and the bytes that it took.
fn measured<R>(work: impl FnOnce() -> R) -> (R, f64, usize) {
    let (start, began, held) = (Instant::now(), busy_seconds(), HELD.get());
    PEAK.set(held);
    let result = work();
    let memory = PEAK.get() - held;
    let seconds = match (began, busy_seconds()) {
        (Some(began), Some(ended)) => ended - began,
        _ => start.elapsed().as_secs_f64(),
    };
    (result, seconds, memory)
}

/// How long a processor was busy with this thread, where Linux tells: a busy machine doesn't count.
fn busy_seconds() -> Option<f64> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: u64 = text.split(' ').next()?.parse().ok()?;
    Some(nanoseconds as f64 / 1e9)
}

/// Does `work`, and ends the program with `name` if that doesn't end.
fn watched<R>(name: &str, work: impl FnOnce() -> R) -> R {
    static RUNNING: Mutex<BTreeMap<String, (String, Instant)>> = Mutex::new(BTreeMap::new());
    static WATCHER: std::sync::Once = std::sync::Once::new();
    WATCHER.call_once(|| {
        thread::spawn(|| loop {
            thread::sleep(Duration::from_secs(1));
            for (name, start) in RUNNING.lock().expect("no panic while locked").values() {
                if start.elapsed() > Duration::from_secs(60) {
                    // Not captured, as the test never gets to show it.
                    let _ = writeln!(std::io::stderr(), "{name}: doesn't end");
                    std::process::exit(1);
                }
            }
        });
    });
    let thread: ThreadId = thread::current().id();
    let key = format!("{thread:?}");
    RUNNING
        .lock()
        .expect("no panic while locked")
        .insert(key.clone(), (name.into(), Instant::now()));
    let result = work();
    RUNNING.lock().expect("no panic while locked").remove(&key);
    result
}

// Damage.

/// Sound models to be damaged.
struct Sound {
    specs: Vec<ModelSpec>,
    files: Vec<Vec<u8>>,
}

impl Sound {
    fn new() -> Self {
        let specs: Vec<ModelSpec> = (0..260).map(random_model::spec).collect();
        let mut files: Vec<Vec<u8>> = specs.iter().take(130).map(ModelSpec::build).collect();
        let vectors = golden::models("tests/vectors").into_iter().step_by(5);
        files.extend(vectors.map(|model| model.bytes()).filter(|bytes| bytes.len() < 20_000));
        Sound { specs, files }
    }

    /// The damaged file of a seed, and what kind of damage it is.
    fn damaged(&self, seed: u64) -> (&'static str, Vec<u8>) {
        let mut rng = Rng::new(seed);
        if rng.chance(40) {
            let mut bytes = rng.pick(&self.files);
            let kind = rng.below(6);
            for _ in 0..rng.pick(&[1, 1, 1, 2, 4, 16]) {
                damage_bytes(&mut rng, kind, &mut bytes, &self.files);
            }
            return (["bits", "bytes", "words", "cut", "splice", "swap"][kind], bytes);
        }
        let mut spec = rng.pick(&self.specs);
        let kind = rng.below(FIELDS.len());
        for _ in 0..rng.pick(&[1, 1, 1, 2, 3]) {
            (FIELDS[kind].1)(&mut rng, &mut spec);
        }
        // Sometimes together with something else.
        if rng.chance(20) {
            (rng.pick(FIELDS).1)(&mut rng, &mut spec);
        }
        (FIELDS[kind].0, spec.build())
    }
}

fn damage_bytes(rng: &mut Rng, kind: usize, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
    if bytes.is_empty() {
        return;
    }
    let at = rng.below(bytes.len());
    match kind {
        0 => bytes[at] ^= 1 << rng.below(8),
        1 => bytes[at] = [0, 0xff, 0x80, 0x7f, 1, rng.next() as u8][rng.below(6)],
        2 => {
            let at = at / 4 * 4;
            if let Some(word) = bytes.get_mut(at..at + 4) {
                let old = i32::from_le_bytes(word.try_into().expect("four"));
                let new = match rng.below(3) {
                    0 => old.wrapping_add(rng.range(-8, 8) as i32),
                    1 => wild(rng) as i32,
                    _ => rng.next() as i32 >> rng.below(32),
                };
                word.copy_from_slice(&new.to_le_bytes());
            }
        }
        3 => match rng.chance(50) {
            true => bytes.truncate(at),
            false => drop(bytes.drain(at..(at + 1 + rng.below(64)).min(bytes.len()))),
        },
        4 => {
            let other = &others[rng.below(others.len())];
            let from = rng.below(other.len());
            let piece = &other[from..(from + 1 + rng.below(200)).min(other.len())];
            match rng.chance(70) {
                true => {
                    let end = (at + piece.len()).min(bytes.len());
                    bytes[at..end].copy_from_slice(&piece[..end - at]);
                }
                false => drop(bytes.splice(at..at, piece.iter().copied())),
            }
        }
        _ => {
            let length = 1 + rng.below(32).min(bytes.len() / 2);
            let (a, b) = (at.min(bytes.len() - length), rng.below(bytes.len() - length + 1));
            for i in 0..length {
                bytes.swap(a + i, b + i);
            }
        }
    }
}

/// A number that code may not expect.
fn wild(rng: &mut Rng) -> i64 {
    let shift = rng.below(40);
    let near = [
        0,
        1,
        2,
        3,
        4,
        7,
        8,
        255,
        256,
        65535,
        i64::from(i32::MAX),
        i64::from(i32::MIN),
        i64::MAX,
        i64::MIN,
    ];
    match rng.below(4) {
        0 => rng.pick(&near),
        1 => -rng.range(0, 9),
        2 => 1 << shift,
        _ => (1 << shift) - rng.range(-2, 2),
    }
}

fn wild_scale(rng: &mut Rng) -> f32 {
    let bits = rng.next() as u32;
    rng.pick(&[
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        0.0,
        -0.0,
        -1.0,
        1e-45,
        f32::MIN_POSITIVE,
        1e-30,
        1e-12,
        1e12,
        1e30,
        f32::MAX,
        f32::from_bits(bits),
    ])
}

/// A way of damaging a description.
type Damage = fn(&mut Rng, &mut ModelSpec);

const FIELDS: &[(&str, Damage)] = &[
    ("operands", |rng, spec| {
        let wild = wild(rng) as i32;
        let any = rng.below(spec.tensors.len()) as i32;
        let Some(operator) = any_operator(rng, spec) else { return };
        let own = operator.outputs.first().copied().unwrap_or(0);
        let list = if rng.chance(75) { &mut operator.inputs } else { &mut operator.outputs };
        let at = rng.below(list.len() + 1);
        match rng.below(4) {
            0 if at < list.len() => drop(list.remove(at)),
            1 => list.insert(at, rng.pick(&[any, own, -1])),
            _ if at < list.len() => list[at] = rng.pick(&[any, any, any, own, -1, wild]),
            _ => list.clear(),
        }
    }),
    ("order", |rng, spec| {
        if spec.operators.is_empty() {
            return;
        }
        let (a, b) = (rng.below(spec.operators.len()), rng.below(spec.operators.len()));
        match rng.below(3) {
            0 => spec.operators.swap(a, b),
            1 => drop(spec.operators.remove(a)),
            _ => {
                let again = spec.operators[a].clone();
                spec.operators.insert(b, again);
            }
        }
    }),
    ("border", |rng, spec| {
        let wild = wild(rng) as i32;
        let any = rng.below(spec.tensors.len()) as i32;
        let list = if rng.chance(50) { &mut spec.inputs } else { &mut spec.outputs };
        let at = rng.below(list.len() + 1);
        match rng.below(4) {
            0 if at < list.len() => drop(list.remove(at)),
            1 => list.insert(at, any),
            2 => list.insert(at, wild),
            _ => list.clear(),
        }
    }),
    ("kind", |rng, spec| {
        let code = rng.range(-2, 215) as i32;
        let wild = wild(rng) as i32;
        let Some(operator) = any_operator(rng, spec) else { return };
        operator.builtin = rng.pick(&[code, code, code, wild, builtin::CUSTOM]);
        operator.version = rng.pick(&[1, 1, wild]);
        if rng.chance(20) {
            operator.custom_code = Some("Mine\n\"*/\u{202e}".into());
        }
    }),
    ("options", |rng, spec| {
        let other = rng.pick(&Options::samples());
        let none = rng.chance(20);
        let Some(operator) = any_operator(rng, spec) else { return };
        operator.options = if none { Options::None } else { other };
    }),
    ("option", |rng, spec| {
        let (field, bits) = (rng.below(8), wild(rng));
        let scale = i64::from(wild_scale(rng).to_bits());
        let Some(operator) = any_operator(rng, spec) else { return };
        operator.options.set(field, if rng.chance(80) { bits } else { scale });
    }),
    ("small option", |rng, spec| {
        let (field, bits) = (rng.below(8), rng.range(0, 5));
        let Some(operator) = any_operator(rng, spec) else { return };
        operator.options.set(field, bits);
    }),
    ("shape", |rng, spec| {
        let size = wild(rng) as i32;
        let small = rng.range(0, 9) as i32;
        let tensor = any_tensor(rng, spec);
        let shape = &mut tensor.shape;
        let at = rng.below(shape.len() + 1);
        match rng.below(5) {
            0 if at < shape.len() => drop(shape.remove(at)),
            1 => shape.insert(at, rng.pick(&[1, 1, small, size])),
            2 => shape.reverse(),
            _ if at < shape.len() => shape[at] = rng.pick(&[size, small]),
            _ => shape.clear(),
        }
    }),
    ("size", |rng, spec| {
        // Consistent, and as the user may have it: an input of another size, the rest open.
        let open_all = rng.chance(90);
        if spec.inputs.is_empty() {
            return;
        }
        let input = rng.pick(&spec.inputs) as usize;
        if let Some(tensor) = spec.tensors.get_mut(input) {
            if !tensor.shape.is_empty() {
                let at = rng.below(tensor.shape.len());
                tensor.shape[at] = match rng.chance(50) {
                    true => 1 << rng.below(31),
                    false => rng.range(1, 40) as i32,
                };
            }
        }
        for id in spec.operators.iter().flat_map(|operator| operator.outputs.clone()) {
            if let Some(tensor) = spec.tensors.get_mut(id as usize).filter(|_| open_all) {
                tensor.shape.clear();
                tensor.is_unranked = true;
            }
        }
    }),
    ("type", |rng, spec| {
        let known = [
            tensor_type::INT8,
            tensor_type::INT8,
            tensor_type::UINT8,
            tensor_type::INT16,
            tensor_type::INT32,
            tensor_type::INT64,
            tensor_type::FLOAT32,
            tensor_type::BOOL,
        ];
        let any = rng.range(-1, 20) as i8;
        any_tensor(rng, spec).dtype = if rng.chance(70) { rng.pick(&known) } else { any };
    }),
    ("scale", |rng, spec| {
        let (scale, factor) = (wild_scale(rng), rng.real(-30.0, 30.0).exp2() as f32);
        let list = &mut any_quantized(rng, spec).scales;
        let at = rng.below(list.len() + 1);
        match rng.below(5) {
            0 if at < list.len() => drop(list.remove(at)),
            1 => list.insert(at, scale),
            2 if at < list.len() => list[at] = scale,
            _ => list.iter_mut().for_each(|s| *s *= factor),
        }
    }),
    ("zero point", |rng, spec| {
        let (code, any) = (wild(rng), rng.range(-140, 140));
        let axis = rng.range(-1, 4) as i32;
        let tensor = any_quantized(rng, spec);
        let list = &mut tensor.zero_points;
        let at = rng.below(list.len() + 1);
        match rng.below(5) {
            0 if at < list.len() => drop(list.remove(at)),
            1 => list.insert(at, code),
            2 => tensor.quantized_dimension = axis,
            _ if at < list.len() => list[at] = rng.pick(&[code, any]),
            _ => list.clear(),
        }
    }),
    ("data", |rng, spec| {
        let byte = rng.pick(&[0, 1, 0x7f, 0x80, 0xff]);
        let (word, which) = (wild(rng) as i32, rng.below(6));
        let constants: Vec<usize> =
            (0..spec.tensors.len()).filter(|&i| spec.tensors[i].data.is_some()).collect();
        if constants.is_empty() {
            return;
        }
        let tensor = &mut spec.tensors[rng.pick(&constants)];
        let Some(data) = &mut tensor.data else { return };
        let at = rng.below(data.len() + 1);
        match which {
            0 => data.truncate(at),
            1 => data.insert(at, byte),
            2 => data.fill(byte),
            3 => tensor.data = None,
            _ => {
                if let Some(old) = data.get_mut(at / 4 * 4..at / 4 * 4 + 4) {
                    old.copy_from_slice(&word.to_le_bytes());
                }
            }
        }
    }),
    ("indices", |rng, spec| {
        // Shapes, axes, paddings, positions.
        let (word, small) = (wild(rng) as i32, rng.range(-3, 6) as i32);
        let is_index = |t: &&mut TensorSpec| t.dtype == tensor_type::INT32 && t.data.is_some();
        let mut indices: Vec<&mut TensorSpec> = spec.tensors.iter_mut().filter(is_index).collect();
        if indices.is_empty() {
            return;
        }
        let which = rng.below(indices.len());
        let Some(data) = &mut indices[which].data else { return };
        let mut words: Vec<&mut [u8]> = data.chunks_exact_mut(4).collect();
        if !words.is_empty() {
            let at = rng.below(words.len());
            words[at].copy_from_slice(&rng.pick(&[word, small]).to_le_bytes());
        }
    }),
    ("rest", |rng, spec| {
        let name = rng.pick(&["", "a\nb", "\"}*/ // \\", "\u{0}", "\u{202e}\u{1f600}", "../../x"]);
        let signature = wild(rng) as i32;
        let which = rng.below(4);
        let tensor = any_tensor(rng, spec);
        match which {
            0 => tensor.is_variable = true,
            1 => tensor.shape_signature = vec![signature, -1],
            2 => tensor.is_unranked = true,
            _ => tensor.name = name.repeat(rng.pick(&[1, 1, 1000])),
        }
    }),
];

fn any_operator<'a>(rng: &mut Rng, spec: &'a mut ModelSpec) -> Option<&'a mut OperatorSpec> {
    let at = rng.below(spec.operators.len().max(1));
    spec.operators.get_mut(at)
}

fn any_tensor<'a>(rng: &mut Rng, spec: &'a mut ModelSpec) -> &'a mut TensorSpec {
    let at = rng.below(spec.tensors.len());
    &mut spec.tensors[at]
}

fn any_quantized<'a>(rng: &mut Rng, spec: &'a mut ModelSpec) -> &'a mut TensorSpec {
    let quantized: Vec<usize> =
        (0..spec.tensors.len()).filter(|&i| !spec.tensors[i].scales.is_empty()).collect();
    let at = if quantized.is_empty() { 0 } else { rng.pick(&quantized) };
    &mut spec.tensors[at]
}

// Models that are whole, but too much.

/// A model of int8 tensors of these shapes (all computed ones open), inputs first.
struct Large(ModelSpec);

impl Large {
    fn new(shapes: &[&[i32]]) -> Self {
        let mut large = Large(ModelSpec::default());
        for shape in shapes {
            let id = large.tensor(shape, None);
            large.0.inputs.push(id);
        }
        large
    }

    fn tensor(&mut self, shape: &[i32], data: Option<Vec<u8>>) -> i32 {
        let tensor = TensorSpec {
            name: format!("t{}", self.0.tensors.len()),
            shape: shape.into(),
            dtype: tensor_type::INT8,
            scales: vec![0.1],
            zero_points: vec![0],
            data,
            ..TensorSpec::default()
        };
        self.0.tensors.push(tensor);
        self.0.tensors.len() as i32 - 1
    }

    fn ints(&mut self, shape: &[i32], ints: &[i32]) -> i32 {
        let data = ints.iter().flat_map(|x| x.to_le_bytes()).collect();
        let id = self.tensor(shape, Some(data));
        let tensor = &mut self.0.tensors[id as usize];
        (tensor.dtype, tensor.scales, tensor.zero_points) = (tensor_type::INT32, vec![], vec![]);
        id
    }

    /// Adds an operator; its result is the output if no other follows.
    fn then(&mut self, kind: i32, inputs: &[i32], options: impl Into<Options>) -> i32 {
        let output = self.tensor(&[], None);
        self.0.tensors[output as usize].is_unranked = true;
        self.0.operators.push(OperatorSpec::new(kind, inputs, [output], options));
        self.0.outputs = vec![output];
        output
    }
}

fn pooling(padding: i8, window: [i32; 2], stride: [i32; 2]) -> Pool2DOptions {
    Pool2DOptions {
        padding,
        stride_h: stride[0],
        stride_w: stride[1],
        filter_height: window[0],
        filter_width: window[1],
        fused_activation_function: 0,
    }
}

/// Models that no microcontroller could hold or run.
fn absurd() -> Vec<(&'static str, ModelSpec)> {
    let mut models = Vec::new();

    let mut large = Large::new(&[&[1, 16384, 16384, 1]]);
    large.then(builtin::AVERAGE_POOL_2D, &[0], pooling(0, [2, 2], [2, 2]));
    models.push(("a huge input", large.0));

    let mut large = Large::new(&[&[1, 1, 1, 1]]);
    let padding = large.ints(&[4, 2], &[0, 0, 0, 1 << 30, 0, 1 << 30, 0, 0]);
    large.then(builtin::PAD, &[0, padding], PadOptions {});
    models.push(("a huge padding", large.0));

    let mut large = Large::new(&[&[1, 1 << 20], &[1 << 20, 1]]);
    large.then(builtin::ADD, &[0, 1], AddOptions::default());
    models.push(("a huge broadcast", large.0));

    let mut large = Large::new(&[&[1, 1, 1, 1]]);
    let size = large.ints(&[2], &[i32::MAX, 1]);
    large.then(
        builtin::RESIZE_NEAREST_NEIGHBOR,
        &[0, size],
        ResizeNearestNeighborOptions::default(),
    );
    models.push(("a huge new size", large.0));

    // Each tensor is of a sane size, but not all of them.
    let mut large = Large::new(&[&[1, 1024, 1024, 1]]);
    let mut last = 0;
    for _ in 0..2000 {
        last = large.then(builtin::RELU, &[last], Options::None);
    }
    models.push(("too much in all", large.0));

    let mut large = Large::new(&[&[1, 512, 512, 1]]);
    large.then(builtin::MAX_POOL_2D, &[0], pooling(0, [i32::MAX, i32::MAX], [1, 1]));
    models.push(("a huge window", large.0));

    let mut large = Large::new(&[&[1, 512, 512, 1]]);
    large.then(builtin::AVERAGE_POOL_2D, &[0], pooling(0, [5000, 5000], [1, 1]));
    models.push(("a window much larger than the image", large.0));

    let mut large = Large::new(&[&[1, 1024]]);
    let mut last = 0;
    for _ in 0..200_000 {
        last = large.then(builtin::RELU, &[last], Options::None);
    }
    models.push(("very many operators", large.0));

    let mut large = Large::new(&[&[1; 3000]]);
    large.then(builtin::RELU, &[0], Options::None);
    models.push(("very many dimensions", large.0));
    models
}

/// Models that are rather large: compiled or refused, but soon.
fn large() -> Vec<(&'static str, ModelSpec)> {
    let mut models = Vec::new();

    for (name, size, window, stride) in [
        ("a window as large as the image", 256, [256, 256], [1, 1]),
        ("a window of half of the image", 512, [256, 256], [1, 1]),
        ("a window as wide as the image", 1024, [3, 1024], [1, 1]),
        ("large strides", 1024, [3, 3], [1000, i32::MAX]),
        ("small windows on a large image", 2048, [3, 3], [1, 1]),
    ] {
        let mut large = Large::new(&[&[1, size, size, 1]]);
        large.then(builtin::AVERAGE_POOL_2D, &[0], pooling(0, window, stride));
        models.push((name, large.0));
    }

    for (name, size, dilation) in [
        ("dilation over the whole image", 512, 255),
        ("dilation beyond the image", 512, 5000),
        ("dilation beyond reason", 64, i32::MAX),
    ] {
        for kind in [builtin::CONV_2D, builtin::DEPTHWISE_CONV_2D] {
            let mut large = Large::new(&[&[1, size, size, 1]]);
            let weights = large.tensor(&[1, 3, 3, 1], Some(vec![3; 9]));
            let options: Options = match kind {
                builtin::CONV_2D => Conv2DOptions {
                    stride_w: 1,
                    stride_h: 1,
                    dilation_w_factor: dilation,
                    dilation_h_factor: dilation,
                    ..Conv2DOptions::default()
                }
                .into(),
                _ => DepthwiseConv2DOptions {
                    stride_w: 1,
                    stride_h: 1,
                    depth_multiplier: 1,
                    dilation_w_factor: dilation,
                    dilation_h_factor: dilation,
                    ..DepthwiseConv2DOptions::default()
                }
                .into(),
            };
            large.then(kind, &[0, weights], options);
            models.push((name, large.0));
        }
    }

    let mut large = Large::new(&[&[1, 2000, 2000, 1]]);
    let order = large.ints(&[4], &[3, 2, 1, 0]);
    large.then(builtin::TRANSPOSE, &[0, order], TransposeOptions {});
    models.push(("a large transposition", large.0));

    let mut large = Large::new(&[&[1, 1 << 22]]);
    let softmax = large.then(builtin::SOFTMAX, &[0], SoftmaxOptions { beta: 1.0 });
    let tensor = &mut large.0.tensors[softmax as usize];
    (tensor.scales, tensor.zero_points) = (vec![1.0 / 256.0], vec![-128]);
    models.push(("a deep softmax", large.0));

    let mut large = Large::new(&[&[1, 3]]);
    let constant = large.tensor(&[1, 1, 1, 1], Some(vec![5]));
    let padding = large.ints(&[4, 2], &[0, 0, 0, 1000, 0, 1000, 0, 0]);
    let padded = large.then(builtin::PAD, &[constant, padding], PadOptions {});
    let weights = large.tensor(&[16, 9, 9, 1], Some(vec![1; 16 * 81]));
    let options = Conv2DOptions { stride_w: 1, stride_h: 1, ..Conv2DOptions::default() };
    large.then(builtin::CONV_2D, &[padded, weights], options);
    models.push(("a lot to compute of constants", large.0));

    let mut large = Large::new(&[&[1, 64]]);
    let mut last = 0;
    for _ in 0..3000 {
        last = large.then(builtin::LOGISTIC, &[last], Options::None);
        let tensor = &mut large.0.tensors[last as usize];
        (tensor.scales, tensor.zero_points) = (vec![1.0 / 256.0], vec![-128]);
    }
    models.push(("many operators", large.0));

    let mut large = Large::new(&[&[1, 8]]);
    let mut last = 0;
    let weights = large.tensor(&[8, 8], Some(vec![1; 64]));
    last = large.then(builtin::FULLY_CONNECTED, &[last, weights], FullyConnectedOptions::default());
    let order = large.ints(&[2], &[1, 0]);
    for _ in 0..1000 {
        last = large.then(builtin::TRANSPOSE, &[last, order], TransposeOptions {});
    }
    for _ in 0..1000 {
        last = large.then(builtin::RELU, &[last], Options::None);
    }
    models.push(("many activations behind many movements", large.0));

    let mut large = Large::new(&[&[1, 8][..]; 3000]);
    let operands: Vec<i32> = (0..3000).collect();
    large.then(
        builtin::CONCATENATION,
        &operands,
        ConcatenationOptions { axis: 1, ..Default::default() },
    );
    models.push(("many operands", large.0));
    models
}
