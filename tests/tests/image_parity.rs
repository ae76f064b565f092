//! Exact parity of networks of images: whole samples of random U-Nets and transformers, exported as a person exports them, are the same bytes here and on
//! every emulated microcontroller.

use draws::{assert_same_everywhere, fits, lines};
use quickcheck::{Arbitrary, Gen};
use std::collections::HashSet;
use tweedie_core::artifact::Layer;
use tweedie_firmware::Model;
use tweedie_host::export::export;
use tweedie_host::preset::{Preset, SolverName};

mod draws;
mod emulator;
mod untrained_images;

/// Networks in one run of the emulator.
const MODELS: usize = 36;

/// A random network of images, as an artifact.
struct RandomModel {
    overrides: Vec<String>,
    shape: Vec<usize>,
    words: Vec<u32>,
}

impl AsRef<[u32]> for RandomModel {
    fn as_ref(&self) -> &[u32] {
        &self.words
    }
}

impl std::fmt::Debug for RandomModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} of samples {:?}", self.overrides, self.shape)
    }
}

fn within(g: &mut Gen, low: usize, high: usize) -> usize {
    low + u32::arbitrary(g) as usize % (high - low + 1)
}

impl RandomModel {
    /// A network with a plan, or none where a device cannot run the plan.
    fn new(g: &mut Gen, solver: SolverName) -> Option<Self> {
        let is_unet = within(g, 0, 3) > 0;
        let (levels, patch, heads) = (within(g, 1, 3), within(g, 1, 2), within(g, 1, 3));
        // Numbers of a head and channels of a level are even.
        let hidden = if is_unet { 2 * within(g, 1, 6) } else { 2 * heads * within(g, 1, 4) };
        let multiple = if is_unet { patch << (levels - 1) } else { patch };
        let side = |g: &mut Gen| multiple * within(g, 1, 10 / multiple);
        // Of one pixel in a row there is no image; colours and their number are whatever they are.
        let shape = vec![within(g, 1, 3), side(g), side(g)];
        let classes = within(g, 1, 3);
        let overrides = vec![
            format!("network.kind={}", if is_unet { "unet" } else { "transformer" }),
            format!("network.hidden={hidden}"),
            format!("network.levels={levels}"),
            format!("network.patch={patch}"),
            format!("network.blocks={}", within(g, 1, 2)),
            format!("network.heads={heads}"),
            format!("process.schedule={}", g.choose(&["trigonometric", "variance-preserving", "flow-matching"])?),
            format!("process.max_time={}", g.choose(&[0.9, 0.99])?),
            format!("sampling.solver={solver}"),
            format!("sampling.steps={}", within(g, 2, 4)),
            format!("sampling.clip={}", bool::arbitrary(g)),
            "sampling.guidance=1.0".to_owned(),
        ];
        let preset = Preset::parse("random", "", &overrides).ok()?;
        let model = untrained_images::model(preset, &shape, classes, u64::arbitrary(g), 0.1);
        let words = export(&model, &model.preset.sampling, None).ok()?.words;
        fits(&words).then_some(Self { overrides, shape, words })
    }
}

#[test]
fn random_networks_of_images_draw_the_same_bytes_on_every_chip() {
    let mut g = Gen::new(100);
    let solvers: Vec<SolverName> = SolverName::ALL.to_vec();
    let mut next = solvers.iter().copied().cycle();
    let mut models = Vec::new();
    for _ in 0..20 * MODELS {
        models.extend(next.next().and_then(|solver| RandomModel::new(&mut g, solver)));
        if models.len() == MODELS {
            break;
        }
    }
    assert_eq!(models.len(), MODELS, "most random networks should export");
    // What the kinds of networks are made of.
    let (mut attention, mut doubled, mut odd) = (0, 0, 0);
    for model in &models {
        let parsed = Model::parse(&model.words).unwrap();
        let has = |is: fn(&Layer<'_>) -> bool| usize::from(parsed.artifact().layers().any(|layer| is(&layer)));
        attention += has(|layer| matches!(layer, Layer::Attention(_)));
        doubled += has(|layer| matches!(layer, Layer::Convolution(it) if it.sources[0].doubled));
        odd += has(|layer| matches!(layer, Layer::Convolution(it) if it.sources[0].channels % 2 == 1));
    }
    assert!(attention > 2 && doubled > 5 && odd > 5, "{attention} {doubled} {odd}");

    let expected: Vec<String> = models.iter().flat_map(|model| lines(&model.words)).collect();
    let varied = expected.iter().flat_map(|line| line.as_bytes().chunks(4)).collect::<HashSet<_>>();
    assert!(varied.len() > 10 * MODELS, "random networks should not all draw the same: {} values", varied.len());
    assert_same_everywhere(&models, &expected);
}
