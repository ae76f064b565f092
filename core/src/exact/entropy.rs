//! Entropy along the process, by draws.

use super::mixture::Mixture;
use crate::noise::NoiseStream;
use crate::{Error, NoiseLevel};

/// The differential entropy `-E ln p_t(x_t)` in nats, by the mean over `count` draws of `x_t`.
///
/// It rises along the forward process (Theorem 3.1) and falls along the reverse one (Theorem 3.3). The same stream draws the same `x_0` and
/// noise at every level, so that a curve over levels is smooth. `scratch` is [`Mixture::scratch_len`] numbers and two states more.
///
/// # Errors
/// [`Error::WrongLength`] for too little scratch or a `count` of 0; those of [`Mixture::log_density`].
pub fn entropy<M: Mixture + ?Sized>(
    data: &M,
    level: NoiseLevel,
    stream: &NoiseStream,
    count: u32,
    scratch: &mut [f64],
) -> Result<f64, Error> {
    let (dimension, need) = (data.dimension(), data.scratch_len() + 2 * data.dimension());
    if scratch.len() < need {
        return Err(Error::WrongLength { what: "scratch", need, have: scratch.len() });
    }
    if count == 0 {
        return Err(Error::WrongLength { what: "draws of an entropy", need: 1, have: 0 });
    }
    let (x_t, scratch) = scratch.split_at_mut(dimension);
    let (z, scratch) = scratch.split_at_mut(dimension);
    let mut sum = 0.0;
    for i in 0..count {
        // Three draws of the stream for each draw of x_t: the component, the data, the noise.
        let draw = i.wrapping_mul(3);
        let chance = f64::from(stream.bits(draw, 0)[0]) / 4_294_967_296.0;
        stream.fill(draw.wrapping_add(1), z);
        data.draw(component_at(data, chance), z, x_t);
        stream.fill(draw.wrapping_add(2), z);
        for (x, z) in x_t.iter_mut().zip(&*z) {
            *x = level.alpha * *x + level.sigma * z;
        }
        sum -= data.log_density(x_t, level, scratch)?;
    }
    Ok(sum / f64::from(count))
}

/// The component in whose share of [0, 1) a number lies.
fn component_at<M: Mixture + ?Sized>(data: &M, chance: f64) -> usize {
    let mut passed = 0.0;
    let reached = |k: &usize| {
        passed += data.prior(*k);
        passed > chance
    };
    (0..data.components()).find(reached).unwrap_or(data.components() - 1)
}
