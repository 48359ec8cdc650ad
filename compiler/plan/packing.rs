//! Buffers at offsets: apart, or over each other as far as they may, in as little memory as a
//! search finds.

/// Between which values something must not lie, the ends excluded; in order, and apart.
pub type Ranges = Vec<(i64, i64)>;

/// Buffers that have to be placed.
pub struct Packing {
    /// The elements of each.
    lens: Vec<usize>,
    /// For each buffer, by how much it must not begin behind which others; `None` where the two have
    /// no byte in common, as most don't: there may be many pairs.
    #[allow(clippy::box_collection)]
    apart: Vec<Vec<(u32, Option<Box<Ranges>>)>>,
    /// Offsets are multiples of it.
    step: usize,
}

/// How many arrangements are tried at most, how many placements are looked at until the smallest one is
/// proved, and how many pairs of buffers are looked at for each.
const TRIES: usize = 1000;
const PLACEMENTS: usize = 20_000;
const WORK: usize = 2_000_000;
/// Stacks of buffers are looked at from so many of the largest on.
const STACKS: usize = 32;

impl Packing {
    /// No buffers yet, whose offsets are multiples of `step`.
    pub fn new(step: usize) -> Self {
        Packing { lens: Vec::new(), apart: Vec::new(), step }
    }

    /// Adds a buffer of so many elements.
    pub fn push(&mut self, len: usize) {
        self.lens.push(len);
        self.apart.push(Vec::new());
    }

    /// Keeps buffer `other` from beginning between so many elements behind buffer `one`.
    pub fn keep_apart(&mut self, one: usize, other: usize, forbidden: Ranges) {
        if forbidden.is_empty() {
            return;
        }
        let (mirrored, forbidden) = match forbidden == [self.whole(one, other)] {
            true => (None, None),
            false => {
                let mirrored = forbidden.iter().rev().map(|&(from, to)| (-to, -from)).collect();
                (Some(Box::new(mirrored)), Some(Box::new(forbidden)))
            }
        };
        self.apart[one].push((other as u32, mirrored));
        self.apart[other].push((one as u32, forbidden));
    }

    /// Between which values buffer `other` begins behind buffer `one` if the two have bytes in common.
    fn whole(&self, one: usize, other: usize) -> (i64, i64) {
        (-(self.lens[other] as i64), self.lens[one] as i64)
    }

    /// An offset for each buffer, and the length of it all: the smallest that is found.
    ///
    /// Buffers are placed one after the other, each as low as it may; the search is for the order. It
    /// begins with the largest first and goes on by moving some, the same every time. What is found so
    /// is the bound for a search through all placements, buffers in the order of their offsets, which
    /// ends with the smallest one unless there are too many.
    pub fn search(&self) -> (Vec<usize>, usize) {
        let mut order = self.largest_first();
        let mut best = self.place(&order);
        let bound = self.bound();
        // xorshift64
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut random = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below as u64) as usize
        };
        let pairs = self.apart.iter().map(Vec::len).sum::<usize>() + order.len();
        for _ in 0..TRIES.min(WORK / pairs.max(1)) {
            if best.1 <= bound {
                return best;
            }
            let mut other = order.clone();
            for _ in 0..1 + random(3) {
                let moved = other.remove(random(order.len()));
                other.insert(random(order.len()), moved);
            }
            let found = self.place(&other);
            if found.1 <= best.1 {
                order = other;
                best = found;
            }
        }
        let mut placements = Placements {
            packing: self,
            left: PLACEMENTS.min(WORK / pairs.max(1)),
            offsets: vec![None; self.lens.len()],
            bound,
            best,
        };
        placements.visit(0, 0);
        placements.best
    }

    /// What no packing is shorter than: buffers that must all lie apart, one behind the other.
    fn bound(&self) -> usize {
        let lies_apart = |one: usize, other: usize| {
            let pair = self.apart[other].iter().find(|(i, _)| *i as usize == one);
            pair.is_some_and(|(_, ranges)| ranges.is_none())
        };
        let largest_first = self.largest_first();
        let from = |&first: &usize| {
            let mut stack = vec![first];
            for &other in &largest_first[..largest_first.len().min(STACKS)] {
                if other != first && stack.iter().all(|&one| lies_apart(one, other)) {
                    stack.push(other);
                }
            }
            // All but the topmost end at a multiple of the step.
            let ends = stack.iter().map(|&i| self.lens[i].next_multiple_of(self.step));
            let slack =
                stack.iter().map(|&i| self.lens[i].next_multiple_of(self.step) - self.lens[i]);
            ends.sum::<usize>() - slack.max().unwrap_or(0)
        };
        largest_first[..largest_first.len().min(STACKS)].iter().map(from).max().unwrap_or(0)
    }

    /// An offset for each buffer, the largest placed first, and the length of it all.
    pub fn greedy(&self) -> (Vec<usize>, usize) {
        self.place(&self.largest_first())
    }

    fn largest_first(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.lens.len()).collect();
        order.sort_by_key(|&i| (std::cmp::Reverse(self.lens[i]), i));
        order
    }

    /// Places buffers in an order, each at the lowest offset that those before it leave.
    fn place(&self, order: &[usize]) -> (Vec<usize>, usize) {
        let mut offsets: Vec<Option<i64>> = vec![None; order.len()];
        let mut len = 0;
        let mut forbidden: Ranges = Vec::new();
        for &i in order {
            let at = self.lowest(i, &offsets, 0, &mut forbidden);
            offsets[i] = Some(at);
            len = len.max(at as usize + self.lens[i]);
        }
        (placed(&offsets), len)
    }

    /// The lowest offset from `floor` on where a buffer may lie among those that are placed; `space` is
    /// room for work.
    fn lowest(&self, i: usize, offsets: &[Option<i64>], floor: i64, space: &mut Ranges) -> i64 {
        space.clear();
        for (j, ranges) in &self.apart[i] {
            let j = *j as usize;
            if let Some(at) = offsets[j] {
                let behind = |&(from, to): &(i64, i64)| (at + from, at + to);
                match ranges {
                    None => space.push(behind(&self.whole(j, i))),
                    Some(ranges) => space.extend(ranges.iter().map(behind)),
                }
            }
        }
        space.sort_unstable();
        let mut at = floor;
        loop {
            let before = at;
            for &(from, to) in &*space {
                if from < at && at < to {
                    at = (to as usize).next_multiple_of(self.step) as i64;
                }
            }
            if at == before {
                return at;
            }
        }
    }
}

fn placed(offsets: &[Option<i64>]) -> Vec<usize> {
    offsets.iter().map(|at| at.expect("all are placed") as usize).collect()
}

/// A search through all placements.
struct Placements<'a> {
    packing: &'a Packing,
    /// How many may still be looked at.
    left: usize,
    offsets: Vec<Option<i64>>,
    bound: usize,
    best: (Vec<usize>, usize),
}

impl Placements<'_> {
    /// Places those that aren't yet, none below `floor`; those that are end at `len`.
    fn visit(&mut self, floor: i64, len: usize) {
        let mut space = Ranges::new();
        // Where each would lie, and where it would end.
        let mut next: Vec<(i64, usize, usize)> = Vec::new();
        for i in 0..self.offsets.len() {
            if self.offsets[i].is_none() {
                let at = self.packing.lowest(i, &self.offsets, floor, &mut space);
                let end = at as usize + self.packing.lens[i];
                if end >= self.best.1 {
                    return;
                }
                next.push((at, usize::MAX - end, i));
            }
        }
        if next.is_empty() {
            self.best = (placed(&self.offsets), len);
            return;
        }
        next.sort_unstable();
        for (at, end, i) in next {
            if self.left == 0 || self.best.1 <= self.bound {
                return;
            }
            self.left -= 1;
            self.offsets[i] = Some(at);
            self.visit(at, len.max(usize::MAX - end));
            self.offsets[i] = None;
        }
    }
}

/// The same ranges in order and apart.
pub fn merged(mut ranges: Ranges) -> Ranges {
    ranges.retain(|(from, to)| from < to);
    ranges.sort_unstable();
    let mut merged: Ranges = Vec::new();
    for (from, to) in ranges {
        match merged.last_mut() {
            // What lies on an end of both is in neither.
            Some(last) if from < last.1 => last.1 = last.1.max(to),
            _ => merged.push((from, to)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packing(lens: &[usize], apart: &[(usize, usize, Ranges)]) -> Packing {
        let mut packing = Packing::new(4);
        lens.iter().for_each(|&len| packing.push(len));
        for (one, other, ranges) in apart {
            packing.keep_apart(*one, *other, ranges.clone());
        }
        packing
    }

    #[test]
    fn buffers_begin_where_they_may() {
        let below_or_behind = |from| packing(&[16, 16], &[(0, 1, vec![(from, 16)])]).search().1;
        assert_eq!(below_or_behind(0), 16);
        assert_eq!(below_or_behind(-4), 20);
        assert_eq!(below_or_behind(-16), 32);
        let same = packing(&[16, 16], &[(0, 1, vec![(-16, 0), (0, 16)])]);
        assert_eq!(same.search().1, 16);
    }

    #[test]
    fn ranges_that_share_more_than_an_end_are_one() {
        assert_eq!(merged(vec![(4, 9), (0, 2), (8, 12), (2, 4)]), [(0, 2), (2, 4), (4, 12)]);
        assert_eq!(merged(vec![(3, 3), (5, 1)]), []);
    }

    #[test]
    fn the_search_finds_what_trying_all_orders_finds() {
        let mut state = 1u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            ((state >> 33) % below) as usize
        };
        for _ in 0..100 {
            let lens: [usize; 6] = std::array::from_fn(|_| 1 + random(60));
            let mut apart = Vec::new();
            for (one, other) in (0..6).flat_map(|other| (0..other).map(move |one| (one, other))) {
                let (above, below) = (lens[one] as i64, -(lens[other] as i64));
                // Apart, over each other in part, at the same place, or anywhere.
                let ranges = match random(4) {
                    0 => vec![(below, above)],
                    1 => vec![(below + random(lens[other] as u64) as i64, above)],
                    2 => vec![(below, 0), (0, above)],
                    _ => continue,
                };
                apart.push((one, other, ranges));
            }
            let packing = packing(&lens, &apart);
            let mut least = usize::MAX;
            let mut order: Vec<usize> = (0..lens.len()).collect();
            all_orders(&mut order, 0, &mut |order| least = least.min(packing.place(order).1));
            let (offsets, len) = packing.search();
            assert_eq!(len, least, "{lens:?} {apart:?}");
            for (one, other, ranges) in &apart {
                let behind = offsets[*other] as i64 - offsets[*one] as i64;
                let forbidden = |&(from, to): &(i64, i64)| from < behind && behind < to;
                assert!(!ranges.iter().any(forbidden), "{lens:?} {apart:?} {offsets:?}");
            }
        }
    }

    fn all_orders(order: &mut Vec<usize>, from: usize, visit: &mut dyn FnMut(&[usize])) {
        if from == order.len() {
            return visit(order);
        }
        for i in from..order.len() {
            order.swap(from, i);
            all_orders(order, from + 1, visit);
            order.swap(from, i);
        }
    }
}
