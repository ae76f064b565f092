//! Activations as tables of 257 numbers, between which the device interpolates.

use crate::operators::Activation;
use tweedie_core::artifact::TABLE_ENTRIES;

/// An activation's value.
pub fn activate(activation: Activation, z: f64) -> f64 {
    match activation {
        Activation::None => z,
        Activation::Silu => z / (1.0 + (-z).exp()),
    }
}

/// Entry `k` is the activation at `z = 256 k - 32768` in units of `z_scale`, and counts units of `scale`.
pub fn entries(activation: Activation, z_scale: f64, scale: f64) -> Vec<i16> {
    let at = |k: usize| activate(activation, (256.0 * k as f64 - 32768.0) * z_scale) / scale;
    // The cast saturates.
    (0..TABLE_ENTRIES).map(|k| at(k).round() as i16).collect()
}

/// `exp` from -16 up to 0, in units of 2^-15 but for the last bit.
pub fn exponentials() -> Vec<i16> {
    let step = 16.0 / (TABLE_ENTRIES - 1) as f64;
    (0..TABLE_ENTRIES).map(|k| (f64::from(i16::MAX) * (step * k as f64 - 16.0).exp()).round() as i16).collect()
}

/// Entries as an artifact holds them: two in a word, low half first, the last half 0.
pub fn packed(entries: &[i16]) -> Vec<u32> {
    let half = |entry: Option<&i16>| entry.map_or(0, |&entry| u32::from(entry as u16));
    entries.chunks(2).map(|pair| half(pair.first()) | half(pair.get(1)) << 16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::integer::interpolate;

    #[test]
    fn the_table_follows_silu() {
        let (z_scale, scale) = (12.0 / 32768.0, 12.0 / 32767.0);
        let table = entries(Activation::Silu, z_scale, scale);
        for z in i16::MIN..=i16::MAX {
            let error = f64::from(interpolate(&table, z)) * scale - activate(Activation::Silu, f64::from(z) * z_scale);
            // h^2 / 8 max |silu''| = (12 / 128)^2 / 16 between entries; entries and results are each rounded by half a unit.
            assert!(error.abs() < 5.5e-4 + scale, "{z}: {error}");
        }
        assert_eq!(table[128], 0);
    }

    #[test]
    fn pairs_stand_low_half_first() {
        assert_eq!(packed(&[1, -1, 5]), [0xffff_0001, 5]);
    }
}
