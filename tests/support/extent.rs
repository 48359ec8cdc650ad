//! How much is tested: by default what a developer waits two minutes for, everything with
//! `TFLC_TESTS=all`. What is left out is said.
//!
//! `TFLC_SEEDS=FIRST..END` makes random models and damage of these seeds, instead of those that the
//! test would take: to search further, or to see one again.

use std::collections::BTreeSet;
use std::env;
use std::io::{stderr, Write};
use std::ops::Range;
use std::sync::Mutex;

/// Whether everything is tested.
pub fn all() -> bool {
    match env::var("TFLC_TESTS").as_deref() {
        Ok("all") => true,
        Ok("") | Err(_) => false,
        Ok(other) => panic!("TFLC_TESTS is {other:?}; it can be \"all\""),
    }
}

/// Seeds of what is drawn by chance: so many, or with everything so many.
pub fn seeds(what: &str, some: u64, everything: u64) -> Vec<u64> {
    let seeds = chosen_seeds().unwrap_or_else(|| match all() {
        true => 0..everything,
        false => {
            left_out(&format!("{} of {everything} {what}", everything - some));
            0..some
        }
    });
    seeds.collect()
}

/// Those that `TFLC_SEEDS` names. Nobody can expect of them that they hold everything.
pub fn chosen_seeds() -> Option<Range<u64>> {
    let text = env::var("TFLC_SEEDS").ok()?;
    let seeds =
        text.split_once("..").and_then(|(first, end)| Some(first.parse().ok()?..end.parse().ok()?));
    Some(seeds.unwrap_or_else(|| panic!("TFLC_SEEDS is {text:?}, not like 5..9")))
}

/// Says once what isn't tested and why, past the harness, which shows no output of tests that succeed.
pub fn left_out(what: &str) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if SAID.lock().expect("no panic while locked").insert(what.into()) {
        let _ = writeln!(stderr(), "left out: {what}");
    }
}
