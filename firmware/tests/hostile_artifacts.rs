//! Hostile files: a parsed artifact runs without a panic, and everything else is refused.
//!
//! This is the bounded, reproducible twin of the fuzz target in `firmware/fuzz`; debug builds run it, so overflow checks are on.

use tweedie_core::artifact::{
    self, ArtifactError, Attention, Constants, Convolution, Depthwise, Header, Layer, Linear, Mixture, MixtureLevel,
    MixtureTerms, Normalise, PlanStep, Rearrange, Source, TABLE_ENTRIES, pack_weights, seal, weight_words,
};
use tweedie_core::threefry;
use tweedie_firmware::{Model, sample};

/// A small model with every feature of the format: normalisation, table, residual, biases by step and by class, noise, history.
fn model() -> Vec<u32> {
    let (features, hidden, classes, steps) = (6, 7, 2, 3);
    let mut bits = (0..).flat_map(|i| threefry::block([1, 2, 3, 4], [i, 0, 0, 0]));
    let mut next = move |low: i32, high: i32| low + (bits.next().unwrap() % (high - low + 1) as u32) as i32;
    let mut weights = |inputs: usize, outputs: usize| {
        let plain: Vec<i8> = (0..inputs * outputs).map(|_| next(-127, 127) as i8).collect();
        let mut packed = vec![0; weight_words(inputs, outputs).unwrap()];
        pack_weights(&plain, inputs, outputs, &mut packed).unwrap();
        packed
    };
    let (first, second, last) = (weights(features, hidden), weights(hidden, hidden), weights(hidden, features));
    let bias = vec![1_000_u32; hidden];
    let multipliers = vec![1 << 22; hidden];
    let table: Vec<u32> = (0..TABLE_ENTRIES.div_ceil(2) as u32).map(|i| i * 7 % 4096).collect();
    let (step_bias, class_bias) = (vec![77_u32; steps * hidden], vec![(-99_i32) as u32; (classes + 1) * hidden]);
    let linear = |input_at, inputs: usize, output_at, outputs: usize, weights| Linear {
        input_at,
        inputs: inputs as u32,
        output_at,
        outputs: outputs as u32,
        add: false,
        weights,
        bias: &[],
        multipliers: &[],
        table: &[],
        step_bias: &[],
        class_bias: &[],
    };
    let layers = [
        Layer::Linear(Linear {
            bias: &bias,
            multipliers: &multipliers,
            step_bias: &step_bias,
            class_bias: &class_bias,
            ..linear(0, features, 8, hidden, &first)
        }),
        Layer::Normalise(Normalise {
            input_at: 8,
            features: hidden as u32,
            rows: 1,
            output_at: 16,
            shift: 12,
            epsilon: 9,
            gain: 1 << 33,
        }),
        Layer::Linear(Linear {
            bias: &bias,
            multipliers: &multipliers,
            table: &table,
            add: true,
            ..linear(16, hidden, 8, hidden, &second)
        }),
        Layer::Linear(Linear {
            bias: &bias[..features],
            multipliers: &multipliers[..features],
            ..linear(8, hidden, 24, features, &last)
        }),
    ];
    let step = |pull_count, pulls| PlanStep {
        keep: 9000,
        kick: 2000,
        from_state: 8000,
        from_output: -14000,
        pulls,
        pull_count,
        memory: None,
        angle: 0.5,
    };
    let plan = [step(1, [7000, 0, 0, 0]), step(2, [7000, 300, 0, 0]), step(1, [1 << 14, 0, 0, 0])];
    let header = Header {
        dims: [2, 3, 1, 1],
        rank: 2,
        classes: classes as u16,
        clip: true,
        arena: 32,
        input_at: 0,
        output_at: 24,
        offset: 0.0,
        scale: 1.0,
    };
    let mut words = vec![0; artifact::length(&plan, &layers)];
    artifact::write(&header, &plan, &layers, &mut words).unwrap();
    words
}

/// A small mixture: two classes of two components of odd rank in three coordinates, two steps.
fn mixture() -> Vec<u32> {
    let (features, components, rank, blocks, steps) = (3, 2, 1, 2, 2);
    let rows = components * (1 + rank);
    let mut bits = (0..).flat_map(|i| threefry::block([9, 2, 3, 4], [i, 0, 0, 0]));
    let mut next = move |low: i32, high: i32| low + (bits.next().unwrap() % (high - low + 1) as u32) as i32;
    let mut packed = |inputs: usize, outputs: usize| {
        let length = weight_words(inputs, outputs).unwrap();
        let mut packed = vec![0; blocks * length];
        for block in packed.chunks_mut(length) {
            let plain: Vec<i8> = (0..inputs * outputs).map(|_| next(-127, 127) as i8).collect();
            pack_weights(&plain, inputs, outputs, block).unwrap();
        }
        packed
    };
    let (own_rows, columns) = (packed(features, rows), packed(rows, features));
    let mut by_step = Vec::new();
    for step in 0..steps {
        let level = MixtureLevel {
            alpha: (1 + step) << 29,
            sharpness: 30_000,
            logit_shift: 20,
            norm_shift: 17,
            square_shift: 16,
            gain_shift: 2,
        };
        by_step.extend(level.to_words());
        for k in 0..(blocks * components) as i32 {
            let gains = [5_000 * (k + 1) as u32];
            let terms = MixtureTerms { constant: -700 * k, mean_gain: 9_000, floor_gain: 4_000, excess_gains: &gains };
            by_step.extend(terms.head());
            by_step.extend(gains);
        }
    }
    let layer = Layer::Mixture(Mixture {
        input_at: 0,
        features: features as u32,
        output_at: 4,
        work_at: 8,
        components: components as u16,
        rank: rank as u16,
        blocks: blocks as u32,
        rows: &own_rows,
        offsets: &vec![(-12_345_i32) as u32; blocks * rows],
        multipliers: &vec![1 << 24; blocks * rows],
        columns: &columns,
        output_multipliers: &vec![1 << 24; blocks * features],
        by_step: &by_step,
    });
    let step = |keep, pull| PlanStep {
        keep,
        kick: 0,
        from_state: 0,
        from_output: 1 << 14,
        pulls: [pull, 0, 0, 0],
        pull_count: 1,
        memory: None,
        angle: 0.5,
    };
    let plan = [step(9000, 7000), step(0, 1 << 14)];
    let header = Header {
        dims: [3, 1, 1, 1],
        rank: 1,
        classes: blocks as u16,
        clip: false,
        arena: 20,
        input_at: 0,
        output_at: 4,
        offset: 0.0,
        scale: 1.0,
    };
    let mut words = vec![0; artifact::length(&plan, &[layer])];
    artifact::write(&header, &plan, &[layer], &mut words).unwrap();
    words
}

/// The records of images, each once: patches, constants, convolutions of one source and of two, depthwise, rows, attention.
fn image_model() -> Vec<u32> {
    let mut bits = (0..).flat_map(|i| threefry::block([9, 2, 3, 4], [i, 0, 0, 0]));
    let mut weights = |inputs: usize, outputs: usize| {
        let plain: Vec<i8> = (0..inputs * outputs).map(|_| (bits.next().unwrap() as i8).max(-127)).collect();
        let mut packed = vec![0; weight_words(inputs, outputs).unwrap()];
        pack_weights(&plain, inputs, outputs, &mut packed).unwrap();
        packed
    };
    // A sample of 4x4 is an image of 2x2x4.
    let all = [weights(36, 6), weights(9, 6), weights(90, 4), weights(4, 4)];
    let (bias, multipliers, constants) = ([500_u32; 6], [1 << 24; 6], [0x0010_0020_u32; 12]);
    let table: Vec<u32> = (0..TABLE_ENTRIES.div_ceil(2) as u32).map(|i| i * 9).collect();
    let rows = |input_at, inputs, output_at, outputs: u32, weights| Linear {
        input_at,
        inputs,
        output_at,
        outputs,
        add: false,
        weights,
        bias: &bias[..outputs as usize],
        multipliers: &multipliers[..outputs as usize],
        table: &[],
        step_bias: &[],
        class_bias: &[],
    };
    let source = |at, channels, doubled| Source { at, channels, doubled };
    let convolution = |sources, kernel, stride, rows| {
        Layer::Convolution(Convolution { sources, height: 2, width: 2, kernel, stride, padding: kernel / 2, rows })
    };
    let none = Source::default();
    let room = 160;
    let patches = Rearrange { input_at: 0, output_at: 16, rows: 2, columns: 2, side: 2, channels: 1, back: false };
    let layers = [
        Layer::Rearrange(patches),
        Layer::Constants(Constants { output_at: 32, length: 24, numbers: &constants }),
        convolution([source(16, 4, false), none], 3, 1, Linear { add: true, ..rows(room, 36, 32, 6, &all[0]) }),
        Layer::Normalise(Normalise {
            input_at: 32,
            features: 6,
            rows: 4,
            output_at: 56,
            shift: 9,
            epsilon: 9,
            gain: 1 << 40,
        }),
        Layer::Depthwise(Depthwise {
            input_at: 56,
            height: 2,
            width: 2,
            stride: 2,
            rows: rows(room, 9, 80, 6, &all[1]),
        }),
        // The one pixel that is left, doubled, beside the patches.
        convolution([source(80, 6, true), source(16, 4, false)], 3, 1, rows(room, 90, 88, 4, &all[2])),
        Layer::Attention(Attention {
            input_at: 32,
            output_at: 104,
            scratch_at: room,
            tokens: 4,
            heads: 1,
            depth: 2,
            shift: 3,
            multiplier: 1 << 22,
            table: &table,
        }),
        convolution([source(88, 4, false), none], 1, 1, rows(room, 4, 112, 4, &all[3])),
        Layer::Rearrange(Rearrange { input_at: 112, output_at: 128, back: true, ..patches }),
    ];
    let step = PlanStep { from_output: 1 << 14, pulls: [1 << 14, 0, 0, 0], pull_count: 1, ..PlanStep::default() };
    let header = Header {
        dims: [4, 4, 1, 1],
        rank: 2,
        classes: 0,
        clip: true,
        arena: 480,
        input_at: 0,
        output_at: 128,
        offset: 0.0,
        scale: 1.0,
    };
    let mut words = vec![0; artifact::length(&[step], &layers)];
    artifact::write(&header, &[step], &layers, &mut words).unwrap();
    words
}

/// Every kind of record between them.
fn models() -> [Vec<u32>; 3] {
    [model(), image_model(), mixture()]
}

/// Parses; what parses is run. Whether it parsed.
fn run(words: &[u32]) -> Result<(), ArtifactError> {
    let model = Model::parse(words)?;
    // A large arena or layer costs time and shows nothing new.
    if model.scratch_words() < 1 << 16 && model.artifact().layers().count() * model.steps() < 1 << 10 {
        let mut scratch = vec![0xDEAD_BEEF; model.scratch_words()];
        for class in [None, Some(0), Some(u16::MAX)] {
            let _ = sample(&model, &mut scratch, 3, 4, class, |_| {});
        }
    }
    Ok(())
}

#[test]
fn the_whole_file_runs() {
    for words in models() {
        run(&words).unwrap();
    }
}

#[test]
fn every_truncation_is_refused() {
    for words in models() {
        for length in 0..words.len() {
            assert!(run(&words[..length]).is_err(), "{length} of {} words were accepted", words.len());
        }
        assert!(matches!(run(&words[..words.len() - 1]), Err(ArtifactError::Truncated { .. })));
    }
}

#[test]
fn every_single_bit_flip_is_refused() {
    for words in models() {
        for bit in 0..words.len() * 32 {
            let mut flipped = words.clone();
            flipped[bit / 32] ^= 1 << (bit % 32);
            assert!(run(&flipped).is_err(), "bit {bit} was flipped, and nobody noticed");
        }
    }
}

#[test]
fn flips_behind_the_checksum_are_refused_or_run() {
    for words in models() {
        let (mut refused, mut ran) = (0, 0);
        for bit in 5 * 32..words.len() * 32 {
            let mut flipped = words.clone();
            flipped[bit / 32] ^= 1 << (bit % 32);
            seal(&mut flipped);
            match run(&flipped) {
                Ok(()) => ran += 1,
                Err(_) => refused += 1,
            }
        }
        // Weights, biases and gains may be anything; offsets, sizes and shifts may not.
        assert!(refused > 100 && ran > 100, "{refused} refused, {ran} ran");
    }
}

#[test]
fn random_edits_behind_the_checksum_are_refused_or_run() {
    let mut bits = (0..).flat_map(|i| threefry::block([5, 6, 7, 8], [i, 0, 0, 0]));
    let mut next = || bits.next().unwrap();
    // Header, plan and records matter most, and a mixture's terms, which come last.
    let places = [(model(), 90), (image_model(), 130), (mixture(), 35), (mixture(), mixture().len() as u32 - 5)];
    for (words, places) in places {
        for _ in 0..15_000 {
            let mut edited = words.clone();
            for _ in 0..1 + next() % 4 {
                let at = (5 + next() % places) as usize;
                edited[at] = match next() % 4 {
                    0 => next(),
                    1 => edited[at].wrapping_add(next() % 9).wrapping_sub(4),
                    2 => [0, 1, u32::MAX, 1 << 31, 0x7FFF_FFFF, 0xFFFF, 0x1_0000][next() as usize % 7],
                    _ => edited[(next() as usize) % words.len()],
                };
            }
            seal(&mut edited);
            let _ = run(&edited);
        }
    }
}

#[test]
fn other_files_are_told_apart() {
    let words = model();
    let edited = |at: usize, word: u32| {
        let mut words = words.clone();
        words[at] = word;
        words
    };
    assert_eq!(run(&[]), Err(ArtifactError::Truncated { need: 16, have: 0 }));
    assert_eq!(run(&[0x4C45_467F; 40]), Err(ArtifactError::NotAnArtifact));
    assert_eq!(run(&edited(2, words[2] + 1)), Err(ArtifactError::Version(2)));
    assert_eq!(run(&edited(40, words[40] ^ 1)), Err(ArtifactError::Checksum));
    let mut longer = words.clone();
    longer.extend([u32::MAX; 9]);
    run(&longer).unwrap();
}
