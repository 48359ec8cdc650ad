//! `tflc report`: text, page and JSON say the same and keep their form, and predicted cycles are
//! those that are counted on an emulated Cortex-M4.

#[allow(dead_code)]
#[path = "support/extent.rs"]
mod extent;
#[allow(dead_code)]
#[path = "support/firmware.rs"]
mod firmware;
#[allow(dead_code)]
#[path = "support/golden.rs"]
mod golden;
#[path = "support/parallel.rs"]
mod parallel;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use firmware::Lang;
use golden::Model;
use serde_json::Value as Json;
use tflc::ops::DType;
use tflc::report::{Kernel, Report};
use tflc::target::Target;
use tflc::Options;

/// How far the predicted cycles of a model may be off, and those of a loop nest that takes more than
/// a hundredth of them. Routines in assembly are never off.
const TOLERANCES: (f64, f64) = (0.05, 0.10);

/// The same for models of which loop nests take more than a fifth: compilers differ that much among
/// themselves.
const PORTABLE: (f64, f64) = (0.20, 0.45);

fn tflc(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tflc"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).output().expect("can be run")
}

/// What is printed where all is well.
fn printed(arguments: &[&str]) -> String {
    let output = tflc(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// A file that is gone in the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        Scratch(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn report(model: &[u8], target: &str) -> Report {
    let target = Target::find(target).expect("is there");
    let options = Options {
        target,
        model: "m".into(),
        relax_requant: false,
        prefer: tflc::plan::Prefer::Speed,
        placement: tflc::backend::Placement::default(),
        arguments: "m".into(),
    };
    Report::new(&tflc::compile(model, &options).expect("compiles"), &options)
}

#[test]
fn text_is_compact_and_explains_the_peak() {
    let text = printed(&["report", "tests/models/digits_residual.tflite", "-t", "cortex-m4"]);
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{line}");
        assert_eq!(line, line.trim_end());
    }
    for part in [
        "digits_residual.tflite for cortex-m4\n",
        "CONV_2D 3x3 padding 1,1,1,1",
        "147,456",
        "conv_2d_0                    assembly",
        "softmax_11                   portable",
        "AVERAGE_POOL_2D 4x4 stride 4x4       i8[1x1x1x32]        0    ~",
        "requantize ×1, proved equal",
        "^ layer ",
        "The peak is at layer ",
        ".  scratch memory of layers",
    ] {
        assert!(text.contains(part), "{part} isn't in\n{text}");
    }
}

#[test]
fn relaxed_layers_are_told() {
    let model = "tests/models/digits_separable.tflite";
    let text = printed(&["report", model, "-t", "host", "--relax-requant"]);
    let json = printed(&["report", model, "-t", "host", "--relax-requant", "--json"]);
    let json: Json = serde_json::from_str(&json).expect("JSON");
    let relaxed = json["relaxed"].as_array().expect("a list");
    assert_eq!(relaxed.is_empty(), !text.contains("Not exact"));
    assert!(json["arguments"].as_str().expect("text").ends_with("--target host --relax-requant"));
}

#[test]
fn sums_agree_with_totals() {
    for model in golden::models("tests/models") {
        for target in ["cortex-m4", "cortex-m0plus", "cortex-m7", "host"] {
            let json = printed(&["report", &model.name, "--target", target, "--json"]);
            let json: Json = serde_json::from_str(&json).expect("JSON");
            let layers = json["layers"].as_array().expect("a list");
            let totals = &json["totals"];
            let number = |value: &Json| value.as_u64().unwrap_or_else(|| panic!("{value}"));
            let sum = |of: &dyn Fn(&Json) -> u64| layers.iter().map(of).sum::<u64>();
            let what = format!("{} for {target}", model.name);
            for key in ["macs", "constants"] {
                assert_eq!(
                    sum(&|layer| number(&layer[key])),
                    number(&totals[key]),
                    "{what}: {key}"
                );
            }
            for key in ["cycles", "code"] {
                let total = sum(&|layer| number(&layer[key]["value"]));
                assert_eq!(total, number(&totals[key]["value"]), "{what}: {key}");
                let estimated = layers.iter().any(|layer| layer[key]["estimated"] == true);
                assert_eq!(totals[key]["estimated"], estimated, "{what}: {key}");
            }
            let flash = number(&totals["constants"]) + number(&totals["code"]["value"]);
            assert_eq!(flash, number(&totals["flash"]["value"]), "{what}");
            let fullest = layers.iter().map(|layer| number(&layer["ram"])).max().expect("layers");
            assert_eq!(fullest, number(&json["peak"]["bytes"]), "{what}");
            assert!(fullest <= number(&totals["ram"]), "{what}");
            let memories = json["memories"].as_array().expect("a list");
            assert_eq!(memories.iter().map(number).sum::<u64>(), number(&totals["ram"]), "{what}");
            for tensor in json["tensors"].as_array().expect("a list") {
                let memory = number(&memories[number(&tensor["memory"]) as usize]);
                assert!(number(&tensor["offset"]) + number(&tensor["bytes"]) <= memory, "{what}");
            }
        }
    }
}

/// A value that a layer in place writes over is alive until then.
#[test]
fn values_live_until_they_are_read_last() {
    for model in golden::models("tests/models") {
        let report = report(&model.bytes(), "cortex-m3");
        for (i, layer) in report.layers.iter().enumerate() {
            let operands = layer.shapes.split(" → ").next().expect("operands").split(", ").count();
            let read = report.tensors.iter().filter(|life| life.read == Some(i)).count();
            let later = report
                .tensors
                .iter()
                .filter(|life| life.is_alive(i) && life.written != Some(i) && life.read != Some(i));
            assert!(read + later.count() >= operands, "{}: layer {i}", model.name);
        }
    }
}

#[test]
fn pages_are_well_formed_and_need_no_other() {
    for model in golden::models("tests/models") {
        let mut report = report(&model.bytes(), "cortex-m4");
        let page = report.html();
        well_formed(&page);
        for word in ["<svg ", "prefers-color-scheme: dark", "The peak is at layer "] {
            assert!(page.contains(word), "{word}");
        }
        for word in ["http", "src=", "href", "url(", "@import", "<script", "NaN"] {
            assert!(!page.contains(word), "{word}");
        }
        // Names in a model file can hold anything.
        let name = "</td><script>\"&\u{1b}\u{0}'";
        report.model = name.into();
        report.layers.iter_mut().for_each(|layer| layer.tensor = name.into());
        report.tensors.iter_mut().for_each(|life| life.tensor = name.into());
        let page = report.html();
        well_formed(&page);
        assert!(!page.contains("<script>") && !page.contains('\u{1b}'));
    }
}

/// Every element that is opened is closed, and no bare `&` or `<` stands between.
fn well_formed(page: &str) {
    let body = page.strip_prefix("<!DOCTYPE html>\n").expect("a page of HTML");
    let mut open: Vec<&str> = Vec::new();
    for part in body.split('<').skip(1) {
        let (tag, text) = part.split_once('>').expect("a tag ends");
        let name = tag.trim_start_matches('/').split([' ', '\n', '/']).next().expect("a name");
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "{tag}");
        } else if !tag.ends_with('/') {
            open.push(name);
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        assert!(!text.contains('>'), "{text}");
        for entity in text.split('&').skip(1) {
            let name = entity.split(';').next().expect("a name");
            assert!(["amp", "lt", "gt", "quot", "#x27", "#x2F"].contains(&name), "{entity}");
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn a_page_is_written_whole_or_not_at_all() {
    let model = "tests/models/digits_conv.tflite";
    let page = Scratch::new("page.html");
    let path = page.0.to_str().expect("a plain name");
    let text = printed(&["report", model, "-t", "cortex-m4", "--html", path]);
    assert_eq!(text, format!("{path}\n"));
    let first = fs::read(path).expect("is there");
    let json = printed(&["report", model, "-t", "cortex-m4", "--html", path, "--json"]);
    assert!(json.starts_with('{') && json.ends_with("}\n"));
    assert_eq!(fs::read(path).expect("is there"), first);

    // All that is wrong, at once.
    let output = tflc(&["report", "none.tflite", "-t", "m4", "--html", "none/page.html"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*output.stdout), (Some(2), &b""[..]));
    for part in ["there is no target 'm4'", "there is no file none.tflite", "no folder none"] {
        assert!(errors.contains(part), "{errors}");
    }
    let output = tflc(&["report", model, "-t", "cortex-m4", "--html", model]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("which is read"));
}

/// What exceeds a budget is shown, and is an error.
#[test]
fn budgets_are_kept() {
    let output =
        tflc(&["report", "tests/models/digits_conv.tflite", "-t", "cortex-m4", "--ram", "300"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stdout).contains("The peak is at layer"));
    assert!(String::from_utf8_lossy(&output.stderr).contains("more than --ram 300 allows"));
}

#[test]
fn predicted_cycles_are_the_counted_ones() {
    let mut models = golden::models("tests/models");
    if extent::all() {
        let shared = golden::models("../shared/models").into_iter();
        // Not the ones in the folders below, nor what is too small to be more than its calls.
        models.extend(shared.filter(|model| {
            model.name.matches('/').count() == 3 && !model.name.contains("hello_world")
        }));
    } else {
        // Those that are left are measured for `costs.rs` too.
        models.retain(|model| !model.name.contains("/qat/"));
        extent::left_out("counted cycles of tests/models/qat and ../shared/models");
    }
    let mut wanted = vec![("cortex-m4", Lang::C), ("cortex-m4", Lang::Rust)];
    match extent::all() {
        true => wanted.extend([("cortex-m33", Lang::C), ("cortex-m33", Lang::Rust)]),
        false => extent::left_out("counted cycles on the Cortex-M33"),
    }
    wanted.retain(|&(target, lang)| match firmware::missing(target, lang) {
        Some(missing) => {
            let what = format!("counted cycles on {target} in {lang:?}");
            extent::left_out(&format!("{what}, for want of {missing}"));
            false
        }
        None => true,
    });
    let jobs: Vec<_> =
        models.iter().flat_map(|model| wanted.iter().map(move |&(t, l)| (model, t, l))).collect();
    let wrong = parallel::map(&jobs, |&(model, target, lang)| compare(model, target, lang));
    let wrong = wrong.concat();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Where predicted cycles, or stack, aren't what is counted.
fn compare(model: &Model, target: &str, lang: Lang) -> Vec<String> {
    let report = report(&model.bytes(), target);
    let floats = |layer: &tflc::report::Layer| layer.shapes.contains(&DType::F32.to_string());
    // Rust's target has float instructions, which C's flags don't presume.
    if lang == Lang::Rust && report.layers.iter().any(floats) {
        return Vec::new();
    }
    let word = format!("{lang:?}").to_lowercase();
    let (total, stack, counted) = count(model, target, &word);
    let mut wrong = Vec::new();
    if stack > report.totals.stack.value {
        let predicted = report.totals.stack.value;
        wrong.push(format!("{} in {word}: {stack} bytes of stack, not {predicted}", model.name));
    }
    let mut check = |what: &str, predicted: u64, counted: u64, tolerance: f64| {
        let off = predicted as f64 / counted as f64 - 1.0;
        if off.abs() > tolerance {
            wrong.push(format!(
                "{} on {target} in {word}, {what}: {predicted} cycles predicted, {counted} counted ({:+.1} %)",
                model.name,
                100.0 * off
            ));
        }
    };
    let loops = report.layers.iter().filter(|layer| layer.kernel == Kernel::Portable);
    let loops: u64 = loops.map(|layer| layer.cycles.value).sum();
    let tolerances = if loops * 5 > total { PORTABLE } else { TOLERANCES };
    check("all", report.totals.cycles.value, total, tolerances.0);
    let mut functions: BTreeMap<&str, (u64, Kernel)> = BTreeMap::new();
    // What floats take is counted as the library's.
    for layer in report.layers.iter().filter(|layer| !floats(layer)) {
        functions.entry(&layer.function).or_insert((0, layer.kernel)).0 += layer.cycles.value;
    }
    for (function, (predicted, kernel)) in functions {
        let Some(&counted) = counted.get(function) else { continue };
        if kernel == Kernel::Assembly {
            check(function, predicted, counted, 0.0);
        } else if counted * 100 > total {
            check(function, predicted, counted, tolerances.1);
        }
    }
    wrong
}

/// The cycles and the stack of an inference on the emulated core, and the cycles of each function.
fn count(model: &Model, target: &str, word: &str) -> (u64, u64, BTreeMap<String, u64>) {
    // Several models are measured at once.
    let thread = std::thread::current().id();
    let input = Scratch::new(&format!("report-{word}-{thread:?}.case"));
    let case = model.cases().swap_remove(0);
    fs::write(&input.0, [case.inputs.concat(), case.outputs.concat()].concat())
        .expect("can be written");
    let output = firmware::script("measure.sh")
        .args([&model.path, Path::new(target), Path::new(word)])
        .env("TFLC", env!("CARGO_BIN_EXE_tflc"))
        .env("CASE", &input.0)
        .env("HOT", "1")
        .output()
        .expect("can be run");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", model.name);
    let text = String::from_utf8(output.stdout).expect("text");
    let number = |name: &str| -> u64 {
        let number = text.split_whitespace().find_map(|word| word.strip_prefix(name));
        number.and_then(|number| number.parse().ok()).expect("a number")
    };
    let mut functions = BTreeMap::new();
    for line in text.lines() {
        let [cycles, _, _, name] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            continue;
        };
        // Rust's modules stand before a name, what gcc made of a function behind it.
        let name = name.rsplit("::").next().and_then(|name| name.split('.').next());
        if let (Ok(cycles), Some(name)) = (cycles.parse::<u64>(), name) {
            *functions.entry(name.to_string()).or_insert(0) += cycles;
        }
    }
    (number("cycles="), number("stack="), functions)
}
