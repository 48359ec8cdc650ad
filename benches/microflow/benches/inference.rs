//! Time per inference, and the table for README.md: the processor's time, which other processes
//! disturb less than the time of day.

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, SystemTime};

use cpu_time::ThreadTime;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::Criterion;
use tflc_bench_microflow::{for_each_model, random_codes, Both, Codes};

const RESULTS: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/criterion");

fn main() {
    let start = SystemTime::now();
    let mut criterion = Criterion::default()
        .output_directory(Path::new(RESULTS))
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(4))
        .with_measurement(ProcessorTime)
        .configure_from_args();
    let mut rows = Vec::new();
    macro_rules! measure {
        ($model:path) => {{
            use $model as model;
            measure::<model::Both>(&mut criterion);
            rows.extend(row::<model::Both>(start));
        }};
    }
    for_each_model!(measure);
    criterion.final_summary();
    if !rows.is_empty() {
        println!("| model | MACs | tflc | microflow | microflow / tflc |");
        println!("|---|---:|---:|---:|---:|\n{}", rows.join("\n"));
    }
}

fn measure<B: Both>(criterion: &mut Criterion<ProcessorTime>) {
    let mut model = Box::new(B::tflc());
    let codes = random_codes(B::INPUT_LEN, 0);
    let buffer = B::Input::from_codes(&codes);
    let mut group = criterion.benchmark_group(B::NAME);
    group.bench_function("tflc", |bencher| {
        bencher.iter(|| {
            black_box(B::run_tflc(black_box(&mut model), black_box(&codes)));
        })
    });
    group.bench_function("microflow", |bencher| {
        bencher.iter(|| B::run_microflow(black_box(&buffer)))
    });
    group.finish();
}

/// The table's row for a model, if it was measured since `start`.
fn row<B: Both>(start: SystemTime) -> Option<String> {
    let ours = median(B::NAME, "tflc", start)?;
    let theirs = median(B::NAME, "microflow", start)?;
    let ratio = theirs / ours;
    let (ours, theirs) = (time(ours), time(theirs));
    Some(format!("| `{}` | {} | {ours} | {theirs} | {ratio:.2} |", B::NAME, B::MACS))
}

/// The median in nanoseconds, as criterion left it behind.
fn median(model: &str, function: &str, start: SystemTime) -> Option<f64> {
    let path = Path::new(RESULTS).join(model).join(function).join("new/estimates.json");
    fs::metadata(&path).and_then(|file| file.modified()).ok().filter(|&time| time >= start)?;
    let json: serde_json::Value = serde_json::from_str(&fs::read_to_string(path).ok()?).ok()?;
    json["median"]["point_estimate"].as_f64()
}

fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        ..1e3 => format!("{nanoseconds:.1} ns"),
        ..1e6 => format!("{:.2} µs", nanoseconds / 1e3),
        _ => format!("{:.2} ms", nanoseconds / 1e6),
    }
}

/// What this thread had of the processor.
struct ProcessorTime;

impl Measurement for ProcessorTime {
    type Intermediate = ThreadTime;
    type Value = Duration;

    fn start(&self) -> ThreadTime {
        ThreadTime::now()
    }

    fn end(&self, start: ThreadTime) -> Duration {
        start.elapsed()
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}
