//! Rounds: calls that follow each other again and again, as those of layers in stripes do, to be
//! written as loops.

use crate::loop_ir::{Program, Rounds};

/// At least so many calls are written as another round of earlier ones: a loop is code, too.
const FEWEST: usize = 2;

/// The rounds of a program, those first that most calls are saved by.
pub fn find(program: &Program) -> Vec<Rounds> {
    let mut found = Vec::new();
    let calls = program.calls.len();
    let mut open = vec![(0, calls)];
    let repeats: Vec<Vec<usize>> = (1..=calls / 2).map(|calls| repeats(program, calls)).collect();
    while let Some((from, to)) = open.pop() {
        let mut best = Rounds { first: from, calls: 1, count: 1 };
        for (calls, repeats) in (1..).zip(&repeats) {
            let starts = repeats.iter().enumerate().take(to.saturating_sub(calls)).skip(from);
            for (first, repeats) in starts {
                let count = 1 + repeats.min(&(to - first - calls)) / calls;
                if saved(calls, count) > saved(best.calls, best.count) {
                    best = Rounds { first, calls, count };
                }
            }
        }
        if saved(best.calls, best.count) >= FEWEST {
            found.push(best);
            open.extend([(from, best.first), (best.end(), to)]);
        }
    }
    found.sort_unstable_by_key(|rounds| rounds.first);
    found
}

/// The calls that needn't be written.
fn saved(calls: usize, count: usize) -> usize {
    calls * (count - 1)
}

/// For each call, how many from it on are repeated behind as many others as a round has: each in
/// all rounds that follow.
fn repeats(program: &Program, calls: usize) -> Vec<usize> {
    let pairs = program.calls.len() - calls;
    let distances: Vec<_> = (0..pairs).map(|i| program.distances(i, i + calls)).collect();
    // Up to where each call is as far from the next round's as that one is from its next.
    let mut even = vec![0; pairs];
    let mut repeated = vec![0; pairs];
    for i in (0..pairs).rev() {
        if distances[i].is_none() {
            continue;
        }
        let next = |list: &[usize]| 1 + list.get(i + 1).copied().unwrap_or(0);
        even[i] = match distances.get(i + calls) {
            Some(later) if *later == distances[i] => next(&even),
            _ => 0,
        };
        // The second round may end this, in that the third isn't as far from it.
        repeated[i] = next(&repeated).min(calls + even[i]);
    }
    repeated
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loop_ir::{Access, Arg, Call, Function, Layer, Memory, Param, Region};
    use crate::ops::DType;

    /// A program that calls functions of one parameter each on one element each.
    fn program(calls: &[(usize, usize)]) -> Program {
        let param =
            Param { name: "x".into(), dtype: DType::I8, len: Some(1), access: Access::Write };
        let function = |i: usize| Function {
            name: format!("f{i}"),
            doc: Vec::new(),
            params: vec![param.clone()],
            scalars: Vec::new(),
            names: Vec::new(),
            body: Vec::new(),
        };
        let call = |&(function, offset): &(usize, usize)| {
            let args = vec![Arg::Region(Region { memory: 0, offset, len: 1 })];
            Call { function, args, scalars: Vec::new(), layer: Layer::default() }
        };
        Program {
            functions: (0..9).map(function).collect(),
            memories: vec![Memory { dtype: DType::I8, len: 100 }],
            calls: calls.iter().map(call).collect(),
            ..Program::default()
        }
    }

    fn found(calls: &[(usize, usize)]) -> Vec<(usize, usize, usize)> {
        let mut program = program(calls);
        program.rounds = find(&program);
        assert_eq!(crate::loop_ir::verify(&program), Ok(()));
        program.rounds.iter().map(|rounds| (rounds.first, rounds.calls, rounds.count)).collect()
    }

    #[test]
    fn what_repeats_is_found() {
        assert_eq!(found(&[]), []);
        assert_eq!(found(&[(0, 0), (1, 0), (2, 0), (1, 0)]), []);
        assert_eq!(found(&[(0, 0), (0, 1), (0, 2), (0, 3)]), [(0, 1, 4)]);
        // The first ones are others, and the last round breaks off.
        let calls = [(1, 0), (0, 1), (1, 6), (0, 3), (1, 5), (0, 5), (1, 4), (0, 7), (1, 9)];
        assert_eq!(found(&calls), [(1, 2, 3)]);
        // The longest ones, then those around them.
        let calls = [(2, 0), (2, 0), (2, 0), (0, 0), (1, 0), (0, 1), (1, 0), (0, 2), (1, 0)];
        assert_eq!(found(&calls), [(0, 1, 3), (3, 2, 3)]);
    }

    #[test]
    fn what_moves_unevenly_is_no_round() {
        assert_eq!(found(&[(0, 0), (0, 1), (0, 3)]), []);
        assert_eq!(found(&[(0, 0), (0, 1), (0, 2), (0, 4), (0, 6), (0, 8)]), [(2, 1, 4)]);
        assert_eq!(found(&[(0, 0), (1, 0), (0, 1), (1, 2), (0, 2), (1, 5)]), [(0, 2, 2)]);
    }
}
