//! The search for what is preferred among all that fits: ways to compute each layer, and where the
//! RAM is short all the same, layers that are computed together, a few rows at a time.

use std::collections::BTreeSet;
use std::ops::Range;

use super::choice::{self, Chosen, Finder, Way};
use super::memory::{Effort, Layout};
use super::schedule::{self, Schedule, Stripes};
use super::{assemble, cost, Prefer};
use crate::ir::Graph;
use crate::loop_ir::Program;
use crate::target::Target;

/// Rows that are computed at a time.
const ROWS: [usize; 6] = [1, 2, 3, 4, 6, 8];
/// So many layers before and behind those that take too much may be drawn in.
const AROUND: usize = 5;
/// So many layers are in a group at most.
const LONGEST: usize = 16;
/// How many groups of layers in stripes there are at most.
const GROUPS: usize = 3;
/// Of groups that don't fit at a glance, so many are laid out with care.
const LOOKED_AT: usize = 12;

/// A whole: what runs how, and where everything lies.
pub struct Solution {
    /// The ways for each layer of the graph.
    pub ways: Vec<Vec<Way>>,
    /// Which of them are taken.
    pub chosen: Chosen,
    /// The code.
    pub program: Program,
    /// Bytes that are missing.
    short: Short,
    cycles: u64,
    /// Whether RAM is short, or ways were given up for want of it.
    is_strained: bool,
    /// By layer: bytes alive while it runs, if it is computed as would be best.
    wanted: Vec<usize>,
}

/// Bytes by which a budget is exceeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Short {
    ram: usize,
    flash: usize,
}

impl Solution {
    /// Whether it comes nearer to what fits than another one, or takes less memory.
    pub fn is_smaller(&self, other: &Solution) -> bool {
        (self.short, self.program.ram()) < (other.short, other.program.ram())
    }
}

/// The best whole for a graph on a core, or the one that comes nearest to fitting.
pub fn run(graph: &Graph, target: &Target, prefer: Prefer) -> Solution {
    let mut finder = Finder::new(graph, target);
    let mut stripes: Vec<Stripes> = Vec::new();
    let mut best = fit(&mut finder, graph, &stripes, target, prefer);
    while best.is_strained && stripes.len() < GROUPS {
        let limit = target.memory.ram.unwrap_or(usize::MAX);
        let groups = groups(graph, &stripes, &best.wanted, limit);
        let Some(found) = best_group(&mut finder, graph, &stripes, groups, target, prefer) else {
            break;
        };
        if (found.1.short, found.1.cycles) >= (best.short, best.cycles) {
            break;
        }
        stripes.push(found.0);
        best = found.1;
    }
    best
}

/// The groups of layers that hold what takes too much.
fn groups(graph: &Graph, taken: &[Stripes], alive: &[usize], limit: usize) -> Vec<Stripes> {
    let full = |layer: &usize| alive[*layer] > limit;
    let Some(first) = (0..alive.len()).find(full) else { return Vec::new() };
    let end = (first..alive.len()).find(|layer| !full(layer)).unwrap_or(alive.len());
    let mut groups = Vec::new();
    for start in first.saturating_sub(AROUND)..end {
        for end in start + 2..=(end + AROUND).min(graph.nodes.len()).min(start + LONGEST) {
            let nodes = start..end;
            let apart =
                |other: &Stripes| other.nodes.end <= nodes.start || nodes.end <= other.nodes.start;
            let holds_fullest = nodes.contains(&fullest(alive, first..alive.len()));
            if !holds_fullest || !taken.iter().all(apart) {
                continue;
            }
            let group = |rows| Stripes { nodes: nodes.clone(), rows };
            groups.extend(ROWS.map(group).into_iter().filter(|g| schedule::possible(graph, g)));
        }
    }
    groups
}

fn fullest(alive: &[usize], within: Range<usize>) -> usize {
    within.max_by_key(|&layer| (alive[layer], std::cmp::Reverse(layer))).unwrap_or(0)
}

/// Of groups to be added to those taken, the one with which all fits at the least cost; or else the
/// one that comes nearest.
fn best_group(
    finder: &mut Finder,
    graph: &Graph,
    taken: &[Stripes],
    groups: Vec<Stripes>,
    target: &Target,
    prefer: Prefer,
) -> Option<(Stripes, Solution)> {
    let limit = target.memory.ram.unwrap_or(usize::MAX);
    // At a glance: bytes too much, and cycles.
    let mut glances: Vec<(usize, u64, Stripes)> = Vec::new();
    for group in groups {
        let stripes = [taken, std::slice::from_ref(&group)].concat();
        let schedule = Schedule::new(graph, &stripes);
        let ways = finder.ways(&schedule);
        if ways.iter().any(Vec::is_empty) {
            continue;
        }
        // The fastest ways, or those with the least scratch memory.
        let fastest = vec![0; ways.len()];
        let smallest = ways.iter().map(|ways| least_scratch(ways)).collect();
        let glance = |chosen: Chosen| {
            let recipes = choice::recipes(&schedule, &ways, &chosen);
            let layout = Layout::new(&schedule, &recipes, target.alignment, Effort::Glance);
            let taken = ways.iter().zip(&chosen).map(|(ways, &way)| ways[way].cycles);
            (layout.ram().saturating_sub(limit), taken.sum::<u64>() + moved(&schedule))
        };
        let (over, cycles) = glance(fastest).min(glance(smallest));
        glances.push((over, cycles, group));
    }
    glances.sort_by_key(|(over, cycles, _)| (*over, *cycles));
    let mut best: Option<(Stripes, Solution)> = None;
    for (_, _, group) in glances.into_iter().take(LOOKED_AT) {
        let stripes = [taken, std::slice::from_ref(&group)].concat();
        let solution = fit(finder, graph, &stripes, target, prefer);
        let better = |(_, best): &(Stripes, Solution)| {
            (solution.short, solution.cycles) < (best.short, best.cycles)
        };
        if best.as_ref().is_none_or(better) {
            best = Some((group, solution));
        }
    }
    best
}

/// Of ways to compute a layer, the one with the least scratch memory, in assembly if there is one.
fn least_scratch(ways: &[Way]) -> usize {
    let order = |way: &usize| (!ways[*way].is_routine(), ways[*way].scratch);
    (0..ways.len()).min_by_key(order).unwrap_or(0)
}

/// About the cycles that it takes to move rows.
fn moved(schedule: &Schedule) -> u64 {
    let cycles = |step: &schedule::Step| match step {
        schedule::Step::Keep { len, .. } => *len as u64,
        schedule::Step::Node(_) => 0,
    };
    schedule.steps.iter().map(cycles).sum()
}

/// The best ways for the layers of a graph in those stripes.
fn fit(
    finder: &mut Finder,
    graph: &Graph,
    stripes: &[Stripes],
    target: &Target,
    prefer: Prefer,
) -> Solution {
    let schedule = Schedule::new(graph, stripes);
    let ways = finder.ways(&schedule);
    let mut trial = Trial {
        graph,
        schedule: &schedule,
        ways: &ways,
        target,
        prefer,
        unwanted: BTreeSet::new(),
    };
    let mut given_up = BTreeSet::new();
    if prefer == Prefer::Size {
        // Loop nests for what routines can do save a little flash and cost several times the cycles:
        // no choice but for a budget.
        given_up = loop_nests(&ways);
        if trial.within(&given_up).short != Short::default() {
            given_up.clear();
        }
    }
    trial.unwanted = given_up.clone();
    let mut draft = trial.within(&given_up);
    let wanted = draft.alive.clone();
    let mut nearest = draft.clone();
    while draft.short.ram > 0 {
        let Some(way) = trial.least_missed(&draft, &given_up) else { break };
        given_up.insert(way);
        draft = trial.within(&given_up);
        if (draft.short, draft.cycles) < (nearest.short, nearest.cycles) {
            nearest = draft.clone();
        }
    }
    if draft.short.ram > 0 {
        draft = nearest;
    } else {
        // What was given up first may not have been what counted.
        for way in given_up.difference(&trial.unwanted).copied().collect::<Vec<_>>() {
            given_up.remove(&way);
            let other = trial.within(&given_up);
            match other.short <= draft.short && other.cycles <= draft.cycles {
                true => draft = other,
                false => drop(given_up.insert(way)),
            }
        }
    }
    let is_strained = draft.short.ram > 0 || given_up != trial.unwanted;
    let Draft { chosen, program, short, cycles, .. } = draft;
    Solution { ways, chosen, program, short, cycles, is_strained, wanted }
}

/// The loop nests of layers that routines can compute.
fn loop_nests(ways: &[Vec<Way>]) -> GivenUp {
    let of_layer = |(layer, ways): (usize, &Vec<Way>)| {
        let nests = |routine: bool| {
            ways.iter().enumerate().filter(move |(_, way)| way.is_routine() == routine)
        };
        let has_routines = nests(true).next().is_some();
        let list: Vec<_> = nests(false).map(|(way, _)| (layer, way)).collect();
        if has_routines {
            list
        } else {
            Vec::new()
        }
    };
    ways.iter().enumerate().flat_map(of_layer).collect()
}

/// What a choice of ways is made for.
struct Trial<'a> {
    graph: &'a Graph,
    schedule: &'a Schedule,
    ways: &'a [Vec<Way>],
    target: &'a Target,
    prefer: Prefer,
    /// Ways that are taken only where that saves much.
    unwanted: GivenUp,
}

/// Ways that are not to be taken: layer, way.
type GivenUp = BTreeSet<(usize, usize)>;

#[derive(Clone)]
struct Draft {
    chosen: Chosen,
    program: Program,
    short: Short,
    cycles: u64,
    alive: Vec<usize>,
}

impl Trial<'_> {
    /// The best choice for the flash there is, without some ways.
    fn within(&self, given_up: &GivenUp) -> Draft {
        let limit = |limit: Option<usize>| limit.unwrap_or(usize::MAX);
        let memory = &self.target.memory;
        let allowed = |layer: usize, way: usize| !given_up.contains(&(layer, way));
        let mut budget = usize::MAX;
        loop {
            let within = choice::best(self.ways, &allowed, budget, self.prefer);
            let smallest = within.is_none();
            let chosen = within
                .or_else(|| choice::best(self.ways, &allowed, usize::MAX, Prefer::Size))
                .expect("each layer has a way");
            let chosen = match self.prefer {
                Prefer::Speed => chosen,
                Prefer::Size => {
                    let allowed = |layer: usize, way: usize| {
                        allowed(layer, way) || self.unwanted.contains(&(layer, way))
                    };
                    choice::compact(self.ways, &allowed, chosen)
                }
            };
            let recipes = choice::recipes(self.schedule, self.ways, &chosen);
            let layout =
                Layout::new(self.schedule, &recipes, self.target.alignment, Effort::Search);
            let program = assemble(self.graph, self.schedule, &recipes, &layout, self.target);
            let over = cost::flash(&program, self.target).saturating_sub(limit(memory.flash));
            let sum = |of: fn(&Way) -> u64| -> u64 {
                let taken = self.ways.iter().zip(&chosen);
                taken.filter_map(|(ways, &way)| ways.get(way)).map(of).sum()
            };
            if over > 0 && !smallest {
                // The code is known only now.
                budget = (sum(|way| way.flash as u64) as usize).saturating_sub(over);
                continue;
            }
            return Draft {
                short: Short { ram: layout.ram().saturating_sub(limit(memory.ram)), flash: over },
                cycles: sum(|way| way.cycles) + moved(self.schedule),
                alive: by_layer(self.schedule, &layout.alive, self.ways.len()),
                chosen,
                program,
            };
        }
    }

    /// Among layers at which about as much is alive as there is, or more, the way that can be given up for one with
    /// less scratch memory at the least cost for a byte.
    fn least_missed(&self, draft: &Draft, given_up: &GivenUp) -> Option<(usize, usize)> {
        let ram = self.target.memory.ram.unwrap_or(usize::MAX);
        let saving = |layer: usize| {
            let (ways, taken) = (&self.ways[layer], draft.chosen[layer]);
            let now = ways.get(taken)?;
            let smaller = ways.iter().enumerate().filter(|(way, other)| {
                !given_up.contains(&(layer, *way)) && other.scratch < now.scratch
            });
            let costs = smaller.map(|(_, other)| {
                let bytes = now.scratch - other.scratch;
                other.cycles.saturating_sub(now.cycles) as f64 / bytes as f64
            });
            Some((costs.min_by(f64::total_cmp)?, (layer, taken)))
        };
        // Gaps between what is alive take some, too.
        let full = (0..self.ways.len()).filter(|&layer| draft.alive[layer] > ram - ram / 16);
        full.filter_map(saving).min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, way)| way)
    }
}

/// By layer, the most that is alive while one of its nodes runs.
fn by_layer(schedule: &Schedule, alive: &[usize], layers: usize) -> Vec<usize> {
    let mut most = vec![0; layers];
    for (&source, &alive) in schedule.sources.iter().zip(alive) {
        most[source] = alive.max(most[source]);
    }
    most
}
