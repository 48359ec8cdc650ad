//! That both sides compute the same model: tflc's output is exact, microflow's is near it.

use std::fs;
use std::path::Path;

use serde_json::Value as Json;
use tflc::ir;
use tflc::ops::Value;
use tflc_bench_microflow::{for_each_model, random_codes, Both, Codes};

/// Models with padding that microflow places elsewhere: stride 2, an even size, SAME.
const PADDED_OTHERWISE: [&str; 2] = ["person_detect", "vww_96_int8"];

/// An input, and the output of the reference kernels.
struct Case {
    input: Vec<i8>,
    output: Vec<i8>,
}

fn check<B: Both>() {
    let (cases, kind) = cases::<B>();
    let mut model = B::tflc();
    let (mut differing, mut codes, mut largest) = (0, 0, 0);
    for Case { input, output } in &cases {
        let ours = B::run_tflc(&mut model, input);
        assert_eq!(ours, output, "{}: tflc is not exact", B::NAME);
        let theirs = B::run_microflow(&B::Input::from_codes(input)).to_codes();
        assert_eq!(theirs.len(), output.len());
        for (&ours, &theirs) in output.iter().zip(&theirs) {
            let difference = i32::from(ours).abs_diff(theirs.into());
            differing += usize::from(difference > 0);
            codes += 1;
            largest = largest.max(difference);
        }
    }
    println!(
        "{}: {} {kind}, tflc exact, microflow differs in {differing} of {codes} codes, by up to {largest}",
        B::NAME,
        cases.len()
    );
    // It rounds once, in float32, where the reference kernels round twice.
    assert!(largest <= 8 || PADDED_OTHERWISE.contains(&B::NAME), "{}: not the same model", B::NAME);
}

/// What there is to check with, and what it is called.
fn cases<B: Both>() -> (Vec<Case>, &'static str) {
    let path = Path::new(B::FILE);
    if let Ok(text) = fs::read_to_string(path.with_extension("json")) {
        let json: Json = serde_json::from_str(&text).expect("golden cases are JSON");
        let cases = json["cases"].as_array().expect("cases");
        let case = |case: &Json| Case {
            input: codes(&case["inputs"][0]),
            output: codes(&case["outputs"][0]),
        };
        return (cases.iter().map(case).collect(), "golden cases");
    }
    let graph = tflc::frontend::import(&fs::read(path).expect("was read before"))
        .expect("was compiled before");
    let ty = &graph.tensors[graph.inputs[0]].ty;
    let case = |seed| {
        let input = random_codes(ty.elements(), seed);
        let value = Value::from_ints(ty.clone(), input.iter().map(|&code| code.into()));
        let output = ir::eval(&graph, &[value]).expect("the input fits").remove(0);
        Case { input, output: output.ints().iter().map(|&code| code as i8).collect() }
    };
    ((0..16).map(case).collect(), "random inputs (against tflc's interpreter)")
}

fn codes(hex: &Json) -> Vec<i8> {
    let digits = hex.as_str().expect("hexadecimal").as_bytes();
    let digit = |digit: u8| (digit as char).to_digit(16).expect("hexadecimal") as u8;
    digits.chunks_exact(2).map(|pair| (digit(pair[0]) << 4 | digit(pair[1])) as i8).collect()
}

#[test]
fn both_compute_the_same() {
    macro_rules! check {
        ($model:path) => {{
            use $model as model;
            check::<model::Both>();
        }};
    }
    for_each_model!(check);
}
