//! The arena: where in the device's memory each buffer lies, and which buffers share a place.

use super::folded::{Folded, Kind};

/// A plan of the arena.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arena {
    /// Where each buffer begins, in 16-bit elements; a multiple of 4.
    pub offsets: Vec<usize>,
    /// Where each layer finds the room that it needs beside its buffers, if it does.
    pub rooms: Vec<usize>,
    /// 16-bit elements altogether.
    pub elements: usize,
}

/// The layers during which a buffer's content is needed, first and last included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lifetime {
    first: usize,
    last: usize,
}

impl Lifetime {
    fn meets(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    fn length(self) -> usize {
        self.last + 1 - self.first
    }
}

/// What has to be placed: a buffer or a layer's room.
#[derive(Clone, Copy)]
struct Item {
    length: usize,
    lifetime: Lifetime,
}

/// Places every buffer and every layer's room at the lowest offset where it meets no other that is alive at the same time, in several orders, and keeps
/// the arena that is smallest.
///
/// A layer's input, output and room are alive while it runs, so they never overlap. Lengths are padded to 4 elements, as kernels read them.
pub fn plan(network: &Folded) -> Arena {
    let (buffers, layers) = (network.buffers.len(), network.layers.len());
    let lengths = network.buffers.iter().map(|buffer| buffer.length).zip(lifetimes(network));
    let buffer_items = lengths.map(|(length, lifetime)| lifetime.map(|lifetime| Item { length, lifetime }));
    let room_items = network.layers.iter().enumerate().map(|(index, layer)| {
        let (length, lifetime) = (layer.kind.room(), Lifetime { first: index, last: index });
        (length > 0).then_some(Item { length, lifetime })
    });
    let items: Vec<Option<Item>> = buffer_items.chain(room_items).map(padded).collect();
    // The longest first; those that live longest first; as they come; and those that fill the most memory for the most time.
    let orders: [fn(&Item) -> [usize; 2]; 4] = [
        |item| [usize::MAX - item.length, item.lifetime.first],
        |item| [usize::MAX - item.lifetime.length(), usize::MAX - item.length],
        |item| [item.lifetime.first, usize::MAX - item.length],
        |item| [usize::MAX - item.length * item.lifetime.length(), item.lifetime.first],
    ];
    let placed = orders.map(|order| place(&items, order));
    let (offsets, elements) = placed.into_iter().min_by_key(|(_, elements)| *elements).unwrap_or_default();
    debug_assert_eq!(offsets.len(), buffers + layers);
    let (offsets, rooms) = offsets.split_at(buffers);
    Arena { offsets: offsets.to_vec(), rooms: rooms.to_vec(), elements }
}

fn padded(item: Option<Item>) -> Option<Item> {
    item.map(|item| Item { length: item.length.next_multiple_of(4), ..item })
}

/// Where each item lies, and the end of the last.
fn place(items: &[Option<Item>], order: impl Fn(&Item) -> [usize; 2]) -> (Vec<usize>, usize) {
    let mut sorted: Vec<(usize, Item)> =
        items.iter().enumerate().filter_map(|(at, item)| Some((at, (*item)?))).collect();
    sorted.sort_by_key(|(_, item)| order(item));
    let mut offsets = vec![0; items.len()];
    let mut elements = 0;
    for (index, &(own, item)) in sorted.iter().enumerate() {
        let earlier = sorted[..index].iter().filter(|(_, other)| other.lifetime.meets(item.lifetime));
        let mut taken: Vec<(usize, usize)> =
            earlier.map(|&(other, Item { length, .. })| (offsets[other], offsets[other] + length)).collect();
        taken.sort_unstable();
        let mut at = 0;
        for (begin, end) in taken {
            if begin >= at + item.length {
                break;
            }
            at = at.max(end);
        }
        offsets[own] = at;
        elements = elements.max(at + item.length);
    }
    (offsets, elements)
}

/// `None` for a buffer that no layer uses.
fn lifetimes(network: &Folded) -> Vec<Option<Lifetime>> {
    let end = network.layers.len();
    let mut lifetimes = vec![None; network.buffers.len()];
    let mut use_at = |buffer: usize, layer: usize| {
        let lifetime = lifetimes[buffer].get_or_insert(Lifetime { first: layer, last: layer });
        lifetime.last = layer;
    };
    use_at(network.input, 0);
    for (index, layer) in network.layers.iter().enumerate() {
        for buffer in layer.reads() {
            use_at(buffer, index);
        }
        use_at(layer.output, index);
        if let Kind::Mixture(mixture) = &layer.kind {
            use_at(mixture.work, index);
        }
    }
    use_at(network.output, end);
    lifetimes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::folded::{Buffer, FoldedLayer};

    /// A network whose layers are given as pairs of buffers.
    fn network(lengths: &[usize], layers: &[(usize, usize)], output: usize) -> Folded {
        let buffers = lengths.iter().map(|&length| Buffer { name: String::new(), length }).collect();
        let layer = |&(input, output): &(usize, usize)| FoldedLayer {
            name: String::new(),
            input,
            output,
            kind: Kind::Normalise { features: 1, epsilon: 1.0 },
        };
        Folded { buffers, layers: layers.iter().map(layer).collect(), input: 0, output }
    }

    fn assert_apart(network: &Folded) {
        let (arena, lifetimes) = (plan(network), lifetimes(network));
        for (a, lifetime) in lifetimes.iter().enumerate().filter_map(|(a, lifetime)| Some((a, (*lifetime)?))) {
            assert!(arena.offsets[a].is_multiple_of(4));
            assert!(arena.offsets[a] + network.buffers[a].length <= arena.elements);
            for (b, other) in lifetimes.iter().enumerate().take(a) {
                let end = |buffer: usize| arena.offsets[buffer] + network.buffers[buffer].length.next_multiple_of(4);
                let apart = arena.offsets[a] >= end(b) || arena.offsets[b] >= end(a);
                let meet = other.is_some_and(|other| other.meets(lifetime));
                assert!(apart || !meet, "{a} and {b} in {arena:?}");
            }
        }
    }

    #[test]
    fn a_residual_network_needs_three_widths() {
        let blocks = [(0, 1), (1, 2), (2, 3), (3, 1), (1, 2), (2, 3), (3, 1), (1, 4)];
        let network = network(&[64, 128, 128, 128, 64], &blocks, 4);
        assert_apart(&network);
        assert_eq!(plan(&network).elements, 3 * 128);
    }

    #[test]
    fn odd_lengths_are_padded() {
        let network = network(&[3, 7, 7, 7, 3], &[(0, 1), (1, 2), (2, 3), (3, 1), (1, 4)], 4);
        assert_apart(&network);
        assert_eq!(plan(&network).elements, 24);
    }

    quickcheck::quickcheck! {
        fn buffers_alive_together_never_overlap(lengths: Vec<u8>, layers: Vec<(u8, u8)>, output: u8) -> bool {
            let count = lengths.len() + 2;
            let lengths: Vec<usize> = lengths.iter().map(|&n| usize::from(n) + 1).chain([5, 9]).collect();
            let layers: Vec<_> = layers.iter().map(|&(a, b)| (usize::from(a) % count, usize::from(b) % count)).collect();
            assert_apart(&network(&lengths, &layers, usize::from(output) % count));
            true
        }
    }
}
