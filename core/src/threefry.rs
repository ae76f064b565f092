//! Threefry-4x32, the counter-based generator of Salmon et al. (2011, "Parallel random numbers: as easy as 1, 2, 3").
//!
//! A block of random bits is a function of a key and a counter; nothing is carried from one block to the next. So any
//! number can be had at once, in any order, on any number of threads, and a resumed training needs no generator state. It uses only
//! 32-bit additions, rotations and exclusive ors: a Cortex-M0 has no wide multiply, and neither has WGSL.

use core::convert::Infallible;
use rand_core::{SeedableRng, TryRng};

const PARITY: u32 = 0x1BD1_1BDA;
const ROTATIONS: [[u32; 2]; 8] = [[10, 26], [11, 21], [13, 27], [23, 5], [6, 20], [17, 11], [25, 10], [18, 20]];

/// The 20-round block function: 128 random bits for a key and a counter.
///
/// ```
/// use tweedie_core::threefry::block;
/// // Known answer of the authors' reference implementation.
/// assert_eq!(block([0; 4], [0; 4]), [0x9c6c_a96a, 0xe17e_ae66, 0xfc10_ecd4, 0x5256_a7d8]);
/// ```
#[must_use]
pub fn block(key: [u32; 4], counter: [u32; 4]) -> [u32; 4] {
    let schedule = [key[0], key[1], key[2], key[3], PARITY ^ key[0] ^ key[1] ^ key[2] ^ key[3]];
    let [mut a, mut b, mut c, mut d] = counter;
    a = a.wrapping_add(schedule[0]);
    b = b.wrapping_add(schedule[1]);
    c = c.wrapping_add(schedule[2]);
    d = d.wrapping_add(schedule[3]);
    for group in 0..5 {
        for round in 0..4 {
            let [left, right] = ROTATIONS[(group % 2) * 4 + round];
            // Even rounds mix (a, b) and (c, d), odd rounds (a, d) and (c, b).
            if round % 2 == 0 {
                a = a.wrapping_add(b);
                b = b.rotate_left(left) ^ a;
                c = c.wrapping_add(d);
                d = d.rotate_left(right) ^ c;
            } else {
                a = a.wrapping_add(d);
                d = d.rotate_left(left) ^ a;
                c = c.wrapping_add(b);
                b = b.rotate_left(right) ^ c;
            }
        }
        let injection = group + 1;
        a = a.wrapping_add(schedule[injection % 5]);
        b = b.wrapping_add(schedule[(injection + 1) % 5]);
        c = c.wrapping_add(schedule[(injection + 2) % 5]);
        d = d.wrapping_add(schedule[(injection + 3) % 5]).wrapping_add(injection as u32);
    }
    [a, b, c, d]
}

/// Reads consecutive blocks as a stream of words, for code that wants a [`rand_core`] generator.
///
/// ```
/// use rand_core::{Rng, SeedableRng};
/// use tweedie_core::threefry::Threefry;
/// let mut rng = Threefry::seed_from_u64(7);
/// assert_eq!(rng.next_u32(), Threefry::seed_from_u64(7).next_u32());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Threefry {
    key: [u32; 4],
    counter: [u32; 4],
    words: [u32; 4],
    used: usize,
}

impl Threefry {
    /// The stream of a key that starts at a counter. The first two counter words count blocks (low word first).
    #[must_use]
    pub fn new(key: [u32; 4], counter: [u32; 4]) -> Self {
        Self { key, counter, words: [0; 4], used: 4 }
    }

    fn word(&mut self) -> u32 {
        if self.used == 4 {
            self.words = block(self.key, self.counter);
            let (low, carry) = self.counter[0].overflowing_add(1);
            self.counter[0] = low;
            self.counter[1] = self.counter[1].wrapping_add(u32::from(carry));
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }
}

impl TryRng for Threefry {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.word())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let (low, high) = (self.word(), self.word());
        Ok(u64::from(low) | u64::from(high) << 32)
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for chunk in out.chunks_mut(4) {
            chunk.copy_from_slice(&self.word().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

impl SeedableRng for Threefry {
    type Seed = [u8; 16];

    fn from_seed(seed: [u8; 16]) -> Self {
        let mut key = [0; 4];
        for (word, bytes) in key.iter_mut().zip(seed.chunks_exact(4)) {
            *word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        Self::new(key, [0; 4])
    }
}
