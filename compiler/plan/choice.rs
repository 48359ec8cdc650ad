//! Which way each layer is computed: the fastest whole that fits the budgets.
//!
//! A layer's ways differ in cycles, flash and scratch memory. Of all choices for the layers together,
//! the best for any budget of flash is found by merging the layers' ways one after the other, keeping
//! only those sums that no other beats. RAM couples layers through the memory that they share: where
//! it is short, ways that hold much at the fullest moment are given up, until it fits.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};
use std::rc::Rc;

use super::cost;
use super::memory::is_free;
use super::schedule::Schedule;
use super::{Alternative, Prefer};
use crate::ir::Graph;
use crate::kernels::{Binding, Layer, Recipe};
use crate::loop_ir::assembly::Routine;
use crate::ops::TensorType;
use crate::target::Target;

/// A loop nest is taken to cost as much more than it is estimated to: compilers may do worse.
const DOUBT: u64 = 4;

/// How to compute one node, and what that costs.
pub struct Priced {
    /// The recipe.
    pub recipe: Recipe,
    cycles: u64,
    /// Bytes of code.
    code: usize,
    /// Each constant's bytes, by a number that tells them apart.
    constants: Vec<(u64, usize)>,
}

/// A way to compute a layer: recipes of one kind for all its nodes in a schedule.
#[derive(Clone)]
pub struct Way {
    /// By node, in the schedule's order.
    pub nodes: Vec<Rc<Priced>>,
    /// What it is called.
    pub name: &'static str,
    /// Cycles of all nodes.
    pub cycles: u64,
    /// Bytes of constants, and of code: a routine's are shared among the layers that can use it.
    pub flash: usize,
    /// Bytes of scratch memory.
    pub scratch: usize,
}

/// Finds the ways to compute a graph's layers on a core; what it has found, it knows.
pub struct Finder<'a> {
    graph: &'a Graph,
    target: &'a Target,
    known: HashMap<Likeness, Vec<Rc<Priced>>>,
}

/// What a node's recipes depend on: which layer it belongs to, its types and its attributes.
type Likeness = (usize, Vec<Vec<usize>>, String);

impl<'a> Finder<'a> {
    /// Knows nothing yet.
    pub fn new(graph: &'a Graph, target: &'a Target) -> Self {
        Finder { graph, target, known: HashMap::new() }
    }

    /// The ways for each layer of the graph, as a schedule runs it: the fastest first, none beaten by
    /// another one in everything.
    pub fn ways(&mut self, schedule: &Schedule) -> Vec<Vec<Way>> {
        let mut nodes: Vec<Vec<Vec<Rc<Priced>>>> = vec![Vec::new(); self.graph.nodes.len()];
        for (n, &source) in schedule.sources.iter().enumerate() {
            nodes[source].push(self.recipes(schedule, n));
        }
        let routines = nodes.iter().filter_map(|nodes| nodes.first()).flatten();
        let mut users: HashMap<&Routine, usize> = HashMap::new();
        for routine in routines.filter_map(|priced| priced.recipe.routine()) {
            *users.entry(routine).or_default() += 1;
        }
        nodes.iter().map(|nodes| Way::all(nodes, &users)).collect()
    }

    fn recipes(&mut self, schedule: &Schedule, n: usize) -> Vec<Rc<Priced>> {
        let graph = &schedule.graph;
        let node = &graph.nodes[n];
        let operands = node.inputs.iter().chain(&node.outputs);
        let shapes = operands.map(|&id| graph.tensors[id].ty.shape.clone()).collect();
        let likeness = (schedule.sources[n], shapes, node.op.describe());
        let target = self.target;
        let find = || {
            let recipes = Recipe::all(graph, node, target);
            let is_only = recipes.len() == 1;
            let layer = Layer { graph, node, in_place: None };
            let priced = |recipe| Rc::new(Priced::new(recipe, layer, target, is_only));
            recipes.into_iter().map(priced).collect()
        };
        self.known.entry(likeness).or_insert_with(find).clone()
    }
}

impl Priced {
    /// `is_only` says that there is no other recipe, which then needs no close look.
    fn new(recipe: Recipe, layer: Layer, target: &Target, is_only: bool) -> Priced {
        let lowering = recipe.lower(layer);
        let constants = lowering.bindings.iter().filter_map(|binding| match binding {
            Binding::Constant { value, .. } => {
                let mut hasher = DefaultHasher::new();
                value.bytes.hash(&mut hasher);
                Some((hasher.finish(), value.bytes.len()))
            }
            _ => None,
        });
        let constants = constants.collect();
        let (cycles, code) = match (recipe.cycles(), recipe.routine()) {
            _ if is_free(layer.graph, layer.node) => (0, 0),
            (Some(cycles), Some(routine)) => {
                (cycles.div_ceil(target.cycles.issue.into()), routine.size())
            }
            _ => {
                let function = lowering.code.finish(String::new(), Vec::new());
                let cycles = match is_only {
                    true => steps(layer),
                    false => cost::cycles_of_loops(&function, &[], target),
                };
                let code = cost::code_of_loops(&function, &[], target);
                (cycles + cycles / DOUBT, code as usize)
            }
        };
        Priced { recipe, cycles, code, constants }
    }
}

/// About the steps that a layer takes.
fn steps(layer: Layer) -> u64 {
    let inputs: Vec<&TensorType> = (0..layer.node.inputs.len()).map(|i| layer.input(i)).collect();
    layer.node.op.work(&inputs, layer.output())
}

impl Way {
    /// Whether it is in assembly.
    pub fn is_routine(&self) -> bool {
        self.nodes.iter().any(|priced| priced.recipe.routine().is_some())
    }

    /// What it is and costs.
    pub fn alternative(&self) -> Alternative {
        let Way { name: kernel, cycles, flash, scratch, .. } = *self;
        Alternative { kernel, cycles, flash, scratch }
    }

    /// The ways for a layer, of whose nodes these are the recipes.
    fn all(nodes: &[Vec<Rc<Priced>>], users: &HashMap<&Routine, usize>) -> Vec<Way> {
        let Some((first, others)) = nodes.split_first() else { return Vec::new() };
        let mut ways: Vec<Way> = Vec::new();
        for priced in first {
            let name = priced.recipe.name();
            let same = |node: &Vec<Rc<Priced>>| {
                let routine = priced.recipe.routine();
                let alike = node.iter().find(|other| other.recipe.routine() == routine);
                alike.or_else(|| node.iter().find(|other| other.recipe.name() == name)).cloned()
            };
            let Some(rest) = others.iter().map(same).collect::<Option<Vec<_>>>() else { continue };
            let nodes: Vec<Rc<Priced>> = [vec![priced.clone()], rest].concat();
            let constants: BTreeMap<u64, usize> =
                nodes.iter().flat_map(|priced| priced.constants.iter().copied()).collect();
            let code = match priced.recipe.routine() {
                Some(routine) => priced.code / users[routine],
                None => nodes.iter().map(|priced| priced.code).sum(),
            };
            ways.push(Way {
                name,
                cycles: nodes.iter().map(|priced| priced.cycles).sum(),
                flash: constants.values().sum::<usize>() + code,
                scratch: nodes.iter().map(|priced| priced.recipe.scratch()).max().unwrap_or(0),
                nodes,
            });
        }
        let beats = |a: &Way, b: &Way| {
            (a.cycles, a.flash, a.scratch) != (b.cycles, b.flash, b.scratch)
                && a.cycles <= b.cycles
                && a.flash <= b.flash
                && a.scratch <= b.scratch
        };
        let beaten: Vec<bool> =
            ways.iter().map(|way| ways.iter().any(|other| beats(other, way))).collect();
        let mut beaten = beaten.into_iter();
        ways.retain(|_| !beaten.next().expect("one for each"));
        ways.sort_by_key(|way| way.cycles);
        ways
    }
}

/// So many sums are kept behind a layer at most.
const FRONT: usize = 8192;

/// One way for each layer, by its position among the layer's ways; 0 where there is none.
pub type Chosen = Vec<usize>;

/// The best choice of ways for constants of so many bytes at most, of those that `allowed` says: the
/// fastest one or the smallest one. `None` if all take more.
pub fn best(
    ways: &[Vec<Way>],
    allowed: &dyn Fn(usize, usize) -> bool,
    constants: usize,
    prefer: Prefer,
) -> Option<Chosen> {
    /// A sum over layers: bytes, cycles, and how it came about.
    struct Sum {
        flash: usize,
        cycles: u64,
        before: usize,
        way: usize,
    }
    let mut fronts: Vec<Vec<Sum>> = vec![vec![Sum { flash: 0, cycles: 0, before: 0, way: 0 }]];
    for (layer, ways) in ways.iter().enumerate() {
        let last = fronts.last().expect("the first one");
        let mut sums: Vec<Sum> = Vec::new();
        for (before, sum) in last.iter().enumerate() {
            for (way, Way { flash, cycles, .. }) in ways.iter().enumerate() {
                if allowed(layer, way) {
                    let (flash, cycles) = (sum.flash + flash, sum.cycles + cycles);
                    sums.push(Sum { flash, cycles, before, way });
                }
            }
            if ways.is_empty() {
                sums.push(Sum { before, way: 0, ..*sum });
            }
        }
        sums.retain(|sum| sum.flash <= constants);
        sums.sort_by_key(|sum| (sum.flash, sum.cycles));
        let mut fastest = u64::MAX;
        sums.retain(|sum| {
            let beats = sum.cycles < fastest;
            fastest = fastest.min(sum.cycles);
            beats
        });
        if sums.len() > FRONT {
            // Evenly thinned, the smallest and the fastest among those that stay.
            let (last, mut at) = (sums.len() - 1, 0);
            let step = sums.len().div_ceil(FRONT);
            sums.retain(|_| {
                at += 1;
                (at - 1) % step == 0 || at - 1 == last
            });
        }
        fronts.push(sums);
    }
    let front = fronts.last().expect("the first one");
    let mut at = match prefer {
        Prefer::Speed => front.len().checked_sub(1)?,
        Prefer::Size => (!front.is_empty()).then_some(0)?,
    };
    let mut chosen: Chosen = Vec::new();
    for front in fronts[1..].iter().rev() {
        chosen.push(front[at].way);
        at = front[at].before;
    }
    chosen.reverse();
    Some(chosen)
}

/// Bytes of flash for a choice: each constant and each routine once, and the code of loop nests.
fn flash(ways: &[Vec<Way>], chosen: &Chosen) -> usize {
    let mut constants: BTreeMap<u64, usize> = BTreeMap::new();
    let mut routines: Vec<(&Routine, usize)> = Vec::new();
    let mut nests = 0;
    let taken = ways.iter().zip(chosen).filter_map(|(ways, &way)| ways.get(way));
    for priced in taken.flat_map(|way| &way.nodes) {
        constants.extend(priced.constants.iter().copied());
        match priced.recipe.routine() {
            Some(routine) if routines.iter().any(|(known, _)| *known == routine) => {}
            Some(routine) => routines.push((routine, priced.code)),
            None => nests += priced.code,
        }
    }
    constants.values().sum::<usize>() + routines.iter().map(|(_, size)| size).sum::<usize>() + nests
}

/// The same choice with other ways where that saves flash and costs little time: by this share of all
/// cycles at most for a layer.
pub fn compact(
    ways: &[Vec<Way>],
    allowed: &dyn Fn(usize, usize) -> bool,
    mut chosen: Chosen,
) -> Chosen {
    let cycles = |layer: usize, way: usize| ways[layer].get(way).map_or(0, |way| way.cycles);
    let all: u64 = chosen.iter().enumerate().map(|(layer, &way)| cycles(layer, way)).sum();
    let mut bytes = flash(ways, &chosen);
    loop {
        let mut best: Option<(usize, usize, usize)> = None;
        for (layer, own) in ways.iter().enumerate() {
            for way in (0..own.len()).filter(|&way| allowed(layer, way)) {
                let longer = cycles(layer, way).saturating_sub(cycles(layer, chosen[layer]));
                if longer * SMALL_SHARE > all {
                    continue;
                }
                let before = std::mem::replace(&mut chosen[layer], way);
                let other = flash(ways, &chosen);
                chosen[layer] = before;
                if other < best.map_or(bytes, |(bytes, ..)| bytes) {
                    best = Some((other, layer, way));
                }
            }
        }
        let Some((other, layer, way)) = best else { return chosen };
        (bytes, chosen[layer]) = (other, way);
    }
}

/// One part of so many.
const SMALL_SHARE: u64 = 100;

/// The recipe of each node of a schedule.
pub fn recipes<'a>(schedule: &Schedule, ways: &'a [Vec<Way>], chosen: &Chosen) -> Vec<&'a Recipe> {
    let mut next = vec![0; ways.len()];
    let recipe = |&source: &usize| {
        let node = next[source];
        next[source] += 1;
        &ways[source][chosen[source]].nodes[node].recipe
    };
    schedule.sources.iter().map(recipe).collect()
}
