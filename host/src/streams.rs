//! Who reads which stream of random numbers under one seed, so that no two purposes share any.
//!
//! Samples read streams 0 upwards, one each, as a device does; the purposes here start far above.

/// Initial weights: one stream for each.
pub const WEIGHTS: u64 = 1 << 60;
/// Training noise, times and hidden labels: one stream for each update.
pub const TRAINING: u64 = 2 << 60;
/// The order of the data: one stream for each pass over them.
pub const ORDER: u64 = 3 << 60;
/// Trajectories of a teacher: one stream for each.
pub const TRAJECTORIES: u64 = 4 << 60;
/// The first components of a mixture: one stream for each class.
pub const SEEDING: u64 = 5 << 60;
/// Points inside a solid.
pub const POINTS: u64 = 7 << 60;
/// Which rows of the data a growing subset takes first.
pub const SUBSET: u64 = 9 << 60;
/// Batches of images and captions: one stream for each update.
pub const CAPTIONS: u64 = 13 << 60;

/// A number in (0, 1) from 32 random bits.
pub fn unit(bits: u32) -> f64 {
    (f64::from(bits) + 0.5) / 4_294_967_296.0
}
