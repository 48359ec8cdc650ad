//! Which way each layer is computed: the fastest ones that fit the flash.

use crate::ir::Graph;
use crate::kernels::Recipe;
use crate::target::Target;

/// A recipe for each node: the fastest, but for those that save the most flash for each cycle that
/// they lose, as far as the target's flash makes it necessary.
pub fn fastest(graph: &Graph, target: &Target) -> Vec<Recipe> {
    let all = |node| Recipe::all(graph, node, target);
    let mut ways: Vec<Vec<Recipe>> = graph.nodes.iter().map(all).collect();
    let limit = target.memory.flash.unwrap_or(usize::MAX);
    let flash = |ways: &[Vec<Recipe>]| ways.iter().map(|ways| ways[0].flash()).sum::<usize>();
    while flash(&ways) > limit {
        // How many bytes each step to the next way saves, and at how many cycles.
        let saving = |(node, ways): (usize, &Vec<Recipe>)| {
            let [fast, small, ..] = &ways[..] else { return None };
            let bytes = fast.flash().checked_sub(small.flash()).filter(|&bytes| bytes > 0)?;
            let cycles = small.cycles()?.saturating_sub(fast.cycles()?);
            Some((cycles as f64 / bytes as f64, node))
        };
        let cheapest = ways.iter().enumerate().filter_map(saving);
        let Some((_, node)) = cheapest.min_by(|a, b| a.0.total_cmp(&b.0)) else { break };
        ways[node].remove(0);
    }
    ways.into_iter().map(|ways| ways.into_iter().next().expect("at least one")).collect()
}
