//! Which way each layer is computed: the fastest ones that fit the budgets.

use crate::ir::Graph;
use crate::kernels::Recipe;
use crate::target::Target;

/// The ways to compute each node, fastest first; the first one is chosen.
pub struct Choice(Vec<Vec<Recipe>>);

/// What may be short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// Read-only memory.
    Flash,
    /// Everything that changes.
    Ram,
}

impl Choice {
    /// The fastest way for each node.
    pub fn new(graph: &Graph, target: &Target) -> Self {
        Choice(graph.nodes.iter().map(|node| Recipe::all(graph, node, target)).collect())
    }

    /// The chosen way for each node.
    pub fn recipes(&self) -> Vec<&Recipe> {
        self.0.iter().map(|ways| &ways[0]).collect()
    }

    /// Gives up speed to save so many bytes, first where that costs the fewest cycles for a byte.
    /// Whether there was something to save.
    pub fn save(&mut self, budget: Budget, bytes: usize) -> bool {
        let mut saved = 0;
        while saved < bytes {
            let needs = |way: &Recipe| match budget {
                Budget::Flash => way.flash(),
                Budget::Ram => way.scratch(),
            };
            let saving = |(node, ways): (usize, &Vec<Recipe>)| {
                let [fast, small, ..] = &ways[..] else { return None };
                let bytes = needs(fast).checked_sub(needs(small)).filter(|&bytes| bytes > 0)?;
                let cycles = small.cycles()?.saturating_sub(fast.cycles()?);
                Some((cycles as f64 / bytes as f64, node, bytes))
            };
            let savings = self.0.iter().enumerate().filter_map(saving);
            let Some((_, node, less)) = savings.min_by(|a, b| a.0.total_cmp(&b.0)) else { break };
            self.0[node].remove(0);
            saved += less;
        }
        saved > 0
    }
}
