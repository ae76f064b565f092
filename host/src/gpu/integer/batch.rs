//! Which samples are drawn together: those of a class, a group at a time.

use super::Wanted;

/// Samples of a lane: the numbers of a `vec4`.
pub const SAMPLES: usize = 4;
/// Lanes of a workgroup.
pub const LANES: usize = 32;
/// Samples of a workgroup.
pub const GROUP: usize = SAMPLES * LANES;

/// Samples of one class for a workgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The row of the tables by class; the last for none.
    pub class: u16,
    /// Places in the list of samples wanted, at most [`GROUP`] of them.
    pub members: Vec<usize>,
}

/// All samples in groups, class by class; `classes` is the row for none.
pub fn groups_of(wanted: &[Wanted], classes: u16) -> Vec<Group> {
    let row = |index: &usize| wanted[*index].class.unwrap_or(classes);
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by_key(row);
    let of_class = order.chunk_by(|one, other| row(one) == row(other));
    of_class
        .flat_map(|members| members.chunks(GROUP))
        .map(|members| Group { class: row(&members[0]), members: members.to_vec() })
        .collect()
}

/// The groups that run at once.
pub struct Batch<'a> {
    groups: &'a [Group],
    stride: usize,
    words: Vec<u32>,
}

impl<'a> Batch<'a> {
    /// Streams and classes as the kernels read them, in a buffer for `stride` lanes. Lanes without a sample draw stream 0, for nobody.
    pub fn new(wanted: &[Wanted], groups: &'a [Group], stride: usize) -> Self {
        let mut words = vec![0; SAMPLES * (2 * stride + stride / LANES)];
        for (number, group) in groups.iter().enumerate() {
            for (place, &member) in group.members.iter().enumerate() {
                let stream = wanted[member].stream;
                let at = number * GROUP + place;
                words[at] = stream as u32;
                words[SAMPLES * stride + at] = (stream >> 32) as u32;
            }
            words[SAMPLES * (2 * stride + number)] = group.class.into();
        }
        Self { groups, stride, words }
    }

    /// The buffer.
    pub fn words(&self) -> &[u32] {
        &self.words
    }

    /// Sorts `states`, two samples a word and `[features, stride]` lanes, into `[wanted, features]`.
    pub fn scatter(&self, states: &[u32], features: usize, drawn: &mut [i16]) {
        for (number, group) in self.groups.iter().enumerate() {
            for (place, &member) in group.members.iter().enumerate() {
                let at = (number * GROUP + place) / 2;
                let words = states.iter().skip(at).step_by(SAMPLES / 2 * self.stride);
                let sample = &mut drawn[member * features..][..features];
                sample.iter_mut().zip(words).for_each(|(number, word)| *number = (word >> (16 * (place % 2))) as i16);
            }
        }
    }
}
