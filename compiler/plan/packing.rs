//! Buffers at offsets: those that are alive at the same time apart, or over each other as far as
//! they may, in as little memory as a search finds.

/// A run of memory.
#[derive(Clone, Copy, Debug)]
pub struct Buffer {
    /// Its elements.
    pub len: usize,
    /// The first and the last step at which its contents are needed.
    pub alive: (usize, usize),
}

/// Two buffers, alive together at one step only, that may share memory then.
#[derive(Clone, Copy, Debug)]
pub struct Overlap {
    /// What is read.
    pub below: usize,
    /// What is written.
    pub above: usize,
    /// How far behind the start of the one the other may begin; it is negative where it must begin
    /// before it.
    pub limit: i64,
    /// Whether it may also begin at the very same place.
    pub same: bool,
}

/// How many arrangements are tried at most, and how many pairs of buffers are looked at for it.
const TRIES: usize = 3000;
const WORK: usize = 4_000_000;

/// An offset for each buffer, at multiples of `step`, and the length of it all.
///
/// Buffers are placed one after the other, each as low as it may; the search is for the order. It
/// starts with the largest first, and goes on by moving some, the same every time.
pub fn pack(buffers: &[Buffer], overlaps: &[Overlap], step: usize) -> (Vec<usize>, usize) {
    let packing = Packing::new(buffers, overlaps, step);
    let mut order: Vec<usize> = (0..buffers.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(buffers[i].len), i));
    let mut best = packing.place(&order);
    let bound = buffers.iter().map(|buffer| buffer.len).max().unwrap_or(0);
    // xorshift64
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let pairs = buffers.len() * buffers.len();
    for _ in 0..TRIES.min(WORK / pairs.max(1)) {
        if best.1 <= bound {
            break;
        }
        let mut other = order.clone();
        for _ in 0..1 + random(3) {
            let moved = other.remove(random(order.len()));
            other.insert(random(order.len()), moved);
        }
        let found = packing.place(&other);
        if found.1 <= best.1 {
            order = other;
            best = found;
        }
    }
    best
}

/// Between which values something must not lie, the ends excluded.
type Ranges = Vec<(i64, i64)>;

struct Packing<'a> {
    buffers: &'a [Buffer],
    step: usize,
    /// For each buffer, the others that it may share memory with: which one, and between which
    /// differences of their offsets, the ends excluded, it must not lie.
    shared: Vec<Vec<(usize, Ranges)>>,
}

impl<'a> Packing<'a> {
    fn new(buffers: &'a [Buffer], overlaps: &[Overlap], step: usize) -> Self {
        let mut shared: Vec<Vec<(usize, Ranges)>> = vec![Vec::new(); buffers.len()];
        for o in overlaps {
            let (below, above) = (buffers[o.below].len as i64, buffers[o.above].len as i64);
            let limit = o.limit.max(-above);
            let forbidden = match o.same && limit < 0 {
                true => vec![(limit, 0), (0, below)],
                false => vec![(limit, below)],
            };
            let mirrored = forbidden.iter().map(|&(from, to)| (-to, -from)).collect();
            shared[o.above].push((o.below, forbidden));
            shared[o.below].push((o.above, mirrored));
        }
        Packing { buffers, step, shared }
    }

    /// Places buffers in an order, each at the lowest offset that those before it leave.
    fn place(&self, order: &[usize]) -> (Vec<usize>, usize) {
        let mut offsets = vec![0i64; order.len()];
        let mut len = 0;
        let mut forbidden: Vec<(i64, i64)> = Vec::new();
        for (position, &i) in order.iter().enumerate() {
            let buffer = &self.buffers[i];
            forbidden.clear();
            for &j in &order[..position] {
                let other = &self.buffers[j];
                if buffer.alive.0 > other.alive.1 || other.alive.0 > buffer.alive.1 {
                    continue;
                }
                let at = offsets[j];
                match self.shared[i].iter().find(|(with, _)| *with == j) {
                    None => forbidden.push((at - buffer.len as i64, at + other.len as i64)),
                    Some((_, ranges)) => {
                        forbidden.extend(ranges.iter().map(|(from, to)| (at + from, at + to)));
                    }
                }
            }
            forbidden.sort_unstable();
            let mut at = 0i64;
            loop {
                let before = at;
                for &(from, to) in &forbidden {
                    if from < at && at < to {
                        at = (to as usize).next_multiple_of(self.step) as i64;
                    }
                }
                if at == before {
                    break;
                }
            }
            offsets[i] = at;
            len = len.max(at as usize + buffer.len);
        }
        (offsets.into_iter().map(|at| at as usize).collect(), len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_that_live_together_lie_apart() {
        let buffer = |len, first, last| Buffer { len, alive: (first, last) };
        let buffers = [buffer(10, 0, 1), buffer(20, 1, 2), buffer(10, 2, 3), buffer(4, 0, 3)];
        let (offsets, len) = pack(&buffers, &[], 4);
        assert!(len <= 36, "{len}");
        for (i, a) in buffers.iter().enumerate() {
            for (j, b) in buffers.iter().enumerate().take(i) {
                let together = a.alive.0 <= b.alive.1 && b.alive.0 <= a.alive.1;
                let apart = offsets[i] + a.len <= offsets[j] || offsets[j] + b.len <= offsets[i];
                assert!(apart || !together, "{i} and {j}: {offsets:?}");
            }
        }
    }

    #[test]
    fn what_is_written_behind_the_reading_shares_memory() {
        let buffers = [Buffer { len: 16, alive: (0, 1) }, Buffer { len: 16, alive: (1, 2) }];
        let overlap = |limit, same| [Overlap { below: 0, above: 1, limit, same }];
        assert_eq!(pack(&buffers, &overlap(0, false), 4).1, 16);
        assert_eq!(pack(&buffers, &overlap(-4, false), 4).1, 20);
        assert_eq!(pack(&buffers, &overlap(-16, false), 4).1, 32);
        assert_eq!(pack(&buffers, &overlap(-16, true), 4).1, 16);
    }

    #[test]
    fn the_search_finds_what_trying_all_orders_finds() {
        let mut state = 1u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % below
        };
        for _ in 0..100 {
            let buffers: Vec<Buffer> = (0..6)
                .map(|_| {
                    let first = random(5) as usize;
                    let alive = (first, first + random(3) as usize);
                    Buffer { len: 1 + random(60) as usize, alive }
                })
                .collect();
            let packing = Packing::new(&buffers, &[], 4);
            let mut least = usize::MAX;
            let mut order: Vec<usize> = (0..buffers.len()).collect();
            all_orders(&mut order, 0, &mut |order| least = least.min(packing.place(order).1));
            assert_eq!(pack(&buffers, &[], 4).1, least, "{buffers:?}");
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
