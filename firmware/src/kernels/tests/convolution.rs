//! Convolutions against their description, in plain loops over wide integers.

use super::{Random, saturate, through, words};
use crate::kernels::{convolution, halves};
use quickcheck::quickcheck;
use std::vec;
use std::vec::Vec;
use tweedie_core::artifact::{Convolution, Linear, Source, TABLE_ENTRIES, pack_weights, weight_words};

/// A random convolution, with its tables and the weights before packing.
struct Sketch {
    layer: Convolution<'static>,
    weights: Vec<i8>,
    tables: [Vec<u32>; 5],
    table: Vec<i16>,
    arena: Vec<i16>,
}

const STEPS: usize = 2;
const CLASSES: usize = 1;

impl Sketch {
    fn random(random: &mut Random) -> Self {
        let below = |random: &mut Random, n: usize| (random.next() >> 8) as usize % n;
        let kernel = 1 + below(random, 4);
        let padding = below(random, kernel);
        let mut size = || (kernel.saturating_sub(2 * padding)).max(1) + below(random, 7);
        let (height, width) = (size() as u16, size() as u16);
        // Fours are laid out by words.
        let fours = below(random, 2) == 0;
        let mut channels =
            |least: usize| (if fours { 4 * (least + below(random, 3)) } else { least + below(random, 9) }) as u16;
        let (one, two) = (channels(1), channels(0) * u16::from(below(&mut Random(height.into()), 2) == 0));
        let outputs = if below(random, 2) == 0 { 4 * (1 + below(random, 3)) } else { 1 + below(random, 10) };
        let mut end = 0_u32;
        let mut place = |elements: usize, gap: usize| {
            let at = end + 2 * gap as u32;
            end = at + (elements as u32).next_multiple_of(4);
            at
        };
        let doubled = [below(random, 2) == 0, below(random, 2) == 0 && two > 0];
        let mut sources = [one, two].map(|channels| Source { at: 0, channels, doubled: false });
        for (source, doubled) in sources.iter_mut().zip(doubled) {
            source.doubled = doubled;
            let (height, width) = source.size(height, width);
            if source.channels > 0 {
                let elements = usize::from(height) * usize::from(width) * usize::from(source.channels);
                source.at = place(elements, below(random, 3));
            }
        }
        let inputs = kernel * kernel * usize::from(one + two);
        let rows = Linear {
            input_at: 0,
            inputs: inputs as u32,
            output_at: 0,
            outputs: outputs as u32,
            add: below(random, 2) == 0,
            weights: &[],
            bias: &[],
            multipliers: &[],
            table: &[],
            step_bias: &[],
            class_bias: &[],
        };
        let stride = 1 + below(random, 3) as u8;
        let (kernel, padding) = (kernel as u8, padding as u8);
        let mut layer = Convolution { sources, height, width, kernel, stride, padding, rows };
        let (output_height, output_width) = layer.output_size();
        layer.rows.output_at = place(output_height as usize * output_width as usize * outputs, below(random, 3));
        layer.rows.input_at = place(layer.scratch() as usize, below(random, 3));
        let extreme = below(random, 4) == 0;
        let weights = (0..inputs * outputs)
            .map(|_| if extreme { [127, -127][below(random, 2)] } else { (random.next() as i8).max(-127) })
            .collect();
        let mut biases = |has: bool, rows: usize| -> Vec<u32> {
            (0..if has { rows * outputs } else { 0 }).map(|_| (random.next() as i32 >> 5) as u32).collect()
        };
        let tables = [biases(true, 1), biases(fours, STEPS), biases(one % 3 > 0, CLASSES + 1), vec![], vec![]];
        let multipliers = (0..outputs)
            .map(|_| if extreme { i32::MAX as u32 } else { random.next() as u32 >> (1 + random.next() % 20) })
            .collect();
        let [bias, by_step, by_class, ..] = tables;
        let mut packed = vec![0; weight_words(inputs, outputs).unwrap()];
        let weights: Vec<i8> = weights;
        pack_weights(&weights, inputs, outputs, &mut packed).unwrap();
        let table =
            if below(random, 2) == 0 { (0..TABLE_ENTRIES).map(|_| random.i16(extreme)).collect() } else { vec![] };
        let arena = (0..end.next_multiple_of(2)).map(|_| random.i16(extreme)).collect();
        Self { layer, weights, tables: [bias, by_step, by_class, multipliers, packed], table, arena }
    }

    fn input(&self, y: i64, x: i64) -> Vec<i64> {
        let mut numbers = Vec::new();
        for source in self.layer.sources {
            for channel in 0..usize::from(source.channels) {
                let inside =
                    (0..i64::from(self.layer.height)).contains(&y) && (0..i64::from(self.layer.width)).contains(&x);
                numbers.push(if inside {
                    let half = |at: i64| if source.doubled { at / 2 } else { at } as usize;
                    let width = if source.doubled { self.layer.width.div_ceil(2) } else { self.layer.width };
                    let pixel = half(y) * usize::from(width) + half(x);
                    i64::from(self.arena[source.at as usize + pixel * usize::from(source.channels) + channel])
                } else {
                    0
                });
            }
        }
        numbers
    }

    /// What the arena must hold afterwards, the room for patches aside.
    fn expected(&self, step: usize, class: usize) -> Vec<i16> {
        let layer = &self.layer;
        let (kernel, stride, padding) = (i64::from(layer.kernel), i64::from(layer.stride), i64::from(layer.padding));
        let (height, width) = (i64::from(layer.height), i64::from(layer.width));
        let (inputs, outputs) = (layer.rows.inputs as usize, layer.rows.outputs as usize);
        let mut arena = self.arena.clone();
        let mut at = layer.rows.output_at as usize;
        for top in (-padding..).step_by(stride as usize).take_while(|top| top + kernel <= height + padding) {
            for left in (-padding..).step_by(stride as usize).take_while(|left| left + kernel <= width + padding) {
                let patch: Vec<i64> =
                    (0..kernel * kernel).flat_map(|n| self.input(top + n / kernel, left + n % kernel)).collect();
                for o in 0..outputs {
                    let of =
                        |table: &[u32], row: usize| table.get(row * outputs + o).map_or(0, |&b| i64::from(b as i32));
                    let [bias, by_step, by_class, multipliers, _] = &self.tables;
                    let mut acc = of(bias, 0) + of(by_step, step) + of(by_class, class);
                    for (w, x) in self.weights[o * inputs..][..inputs].iter().zip(&patch) {
                        acc += i64::from(*w) * x;
                    }
                    assert_eq!(acc, i64::from(acc as i32), "the test's own numbers must be provable");
                    let mut z = saturate((acc * i64::from(multipliers[o]) + (1 << 31)) >> 32);
                    if !self.table.is_empty() {
                        z = through(&self.table, z);
                    }
                    let before = i64::from(arena[at]);
                    arena[at] = if layer.rows.add { saturate(before + z) } else { z } as i16;
                    at += 1;
                }
            }
        }
        arena
    }
}

quickcheck! {
    fn convolutions_are_those_described(seed: u64) -> bool {
        let mut random = Random(seed);
        for _ in 0..20 {
            let sketch = Sketch::random(&mut random);
            let (step, class) = (random.next() as usize % STEPS, random.next() as usize % (CLASSES + 1));
            let table = words(&sketch.table);
            let [bias, step_bias, class_bias, multipliers, weights] = &sketch.tables;
            let rows = Linear { weights, bias, multipliers, table: &table, step_bias, class_bias, ..sketch.layer.rows };
            let layer = Convolution { rows, ..sketch.layer };
            let mut arena = words(&sketch.arena);
            convolution(&layer, step, class, &mut arena).unwrap();
            let room = layer.rows.input_at as usize..(layer.rows.input_at + layer.scratch()) as usize;
            let outside = |arena: &[i16]| [&arena[..room.start], &arena[room.end..]].concat();
            assert!(outside(halves(&arena)) == outside(&sketch.expected(step, class)), "{:?}", sketch.layer);
        }
        true
    }
}

#[test]
fn an_arena_that_is_too_short_is_refused() {
    let sketch = Sketch::random(&mut Random(5));
    let [bias, step_bias, class_bias, multipliers, weights] = &sketch.tables;
    let rows = Linear { weights, bias, multipliers, step_bias, class_bias, ..sketch.layer.rows };
    let layer = Convolution { rows, ..sketch.layer };
    let mut arena = words(&sketch.arena);
    let whole = arena.len();
    assert!(convolution(&layer, 0, 0, &mut arena).is_ok());
    let error = convolution(&layer, 0, 0, &mut arena[..whole - 1]).unwrap_err();
    assert_eq!((error.what, error.need, error.have), ("a convolution's arena", whole, whole - 1));
    let fewer = Convolution { rows: Linear { bias: &bias[1..], ..rows }, ..layer };
    assert_eq!(convolution(&fewer, 0, 0, &mut arena).unwrap_err().what, "a layer's bias");
}
