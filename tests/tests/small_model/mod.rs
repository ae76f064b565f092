// A model of one hidden layer with weights from a counter: nothing to look at, everything to compute. Shared by tests that need a file.

use std::path::Path;

use tweedie_core::artifact::{Header, Layer, Linear, PlanStep, length, pack_weights, weight_words, write};

const STEPS: usize = 4;
const CLASSES: usize = 3;

/// Writes an artifact for samples of a shape with so many hidden features.
pub fn write_file(path: &Path, shape: &[u16], hidden: usize) {
    let pixels: usize = shape.iter().map(|&length| usize::from(length)).product();
    let mut dims = [1; 4];
    dims[..shape.len()].copy_from_slice(shape);
    // Every buffer begins at a word.
    let (hidden_at, output_at) =
        (pixels.next_multiple_of(4), (pixels.next_multiple_of(4) + hidden).next_multiple_of(4));
    let mut state = 1_u32;
    let mut weights = |inputs: usize, outputs: usize| {
        let plain: Vec<i8> = (0..inputs * outputs)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as i8 / 8
            })
            .collect();
        let mut packed = vec![0; weight_words(inputs, outputs).expect("a size")];
        pack_weights(&plain, inputs, outputs, &mut packed).expect("weights");
        packed
    };
    let (first, second) = (weights(pixels, hidden), weights(hidden, pixels));
    let (bias, multipliers) = (vec![0; hidden.max(pixels)], vec![1 << 24; hidden.max(pixels)]);
    let class_bias: Vec<_> = (0..hidden * (CLASSES + 1)).map(|k| k as u32).collect();
    let linear = |at: (usize, usize), inputs: usize, outputs: usize| Linear {
        input_at: at.0 as u32,
        inputs: inputs as u32,
        output_at: at.1 as u32,
        outputs: outputs as u32,
        add: false,
        weights: &[],
        bias: &bias[..outputs],
        multipliers: &multipliers[..outputs],
        table: &[],
        step_bias: &[],
        class_bias: &[],
    };
    let layers = [
        Linear { weights: &first, class_bias: &class_bias, ..linear((0, hidden_at), pixels, hidden) },
        Linear { weights: &second, ..linear((hidden_at, output_at), hidden, pixels) },
    ]
    .map(Layer::Linear);
    let header = Header {
        dims,
        rank: shape.len() as u8,
        classes: CLASSES as u16,
        clip: true,
        arena: (output_at + pixels.next_multiple_of(4)) as u32,
        input_at: 0,
        output_at: output_at as u32,
        offset: 8.0,
        scale: 8.0,
    };
    let step = |index: usize| PlanStep {
        keep: 12_000,
        kick: if index + 1 < STEPS { 2_000 } else { 0 },
        from_state: 1 << 14,
        from_output: -4_000,
        pulls: [4_000, 0, 0, 0],
        pull_count: 1,
        memory: None,
        angle: 1.0 - index as f32 / STEPS as f32,
    };
    let plan: Vec<_> = (0..STEPS).map(step).collect();
    let mut words = vec![0; length(&plan, &layers)];
    write(&header, &plan, &layers, &mut words).expect("an artifact");
    let bytes: Vec<_> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    std::fs::write(path, bytes).expect("a file");
}
