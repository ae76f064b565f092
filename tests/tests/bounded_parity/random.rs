//! Random small models with random plans.

use candle_core::{Device, Tensor};
use quickcheck::{Arbitrary, Gen};
use tweedie_core::noise::NoiseStream;
use tweedie_host::checkpoint::{Description, Model};
use tweedie_host::network::parameters::FrozenWeights;
use tweedie_host::preset::Preset;

/// Samples drawn of each case, each from a stream and of a class of its own.
pub const SAMPLES: usize = 2;

/// One model and the samples to draw of it: printing it says how to make it again.
#[derive(Clone, Debug)]
pub struct Case {
    pub overrides: Vec<String>,
    pub shape: Vec<usize>,
    pub classes: usize,
    pub weights: u64,
    pub seed: u64,
    /// The number of classes stands for none.
    pub drawn: [u32; SAMPLES],
}

impl Arbitrary for Case {
    fn arbitrary(g: &mut Gen) -> Self {
        let among = |g: &mut Gen, count: usize| usize::arbitrary(g) % count;
        let schedule = *g
            .choose(&[
                "trigonometric",
                "variance-preserving",
                "variance-exploding",
                "cosine-squared",
                "linear-beta",
                "flow-matching",
                "chain",
            ])
            .unwrap();
        // Elsewhere a velocity is so large at one end that a device's coefficients do not hold it.
        let prediction = match schedule {
            "trigonometric" | "flow-matching" => *g.choose(&["v", "x0", "velocity"]).unwrap(),
            _ => *g.choose(&["v", "x0"]).unwrap(),
        };
        let spacing = match schedule {
            "chain" => *g.choose(&["trailing", "linspace"]).unwrap(),
            _ => *g.choose(&["uniform", "uniform", "exponential", "log-snr"]).unwrap(),
        };
        let solver: &[&str] = match among(g, 4) {
            0 => &["sampling.solver=ddpm", "sampling.variance=posterior"],
            1 => &["sampling.solver=ddpm", "sampling.variance=beta"],
            _ => &["sampling.solver=ddim"],
        };
        let mut overrides = vec![
            format!("process.schedule={schedule}"),
            format!("process.sigma_max={}", 2 + among(g, 40)),
            format!("training.prediction={prediction}"),
            format!("sampling.spacing={spacing}"),
            format!("sampling.steps={}", 1 + among(g, 8)),
            format!("sampling.eta={}", g.choose(&[0.0, 0.0, 0.3, 1.0]).unwrap()),
            format!("sampling.clip={}", bool::arbitrary(g)),
            format!("network.hidden={}", 8 + among(g, 17)),
            format!("network.blocks={}", among(g, 3)),
        ];
        overrides.extend(solver.iter().map(|&set| set.to_owned()));
        let classes = among(g, 4);
        Self {
            overrides,
            shape: vec![1 + among(g, 4), 1 + among(g, 4)],
            classes,
            weights: u64::arbitrary(g),
            seed: u64::arbitrary(g),
            drawn: [(); SAMPLES].map(|()| among(g, classes + 1) as u32),
        }
    }
}

impl Case {
    /// The model: fresh weights, moved so that no scale is 1 and no shift 0.
    pub fn model(&self) -> Model {
        let preset = Preset::parse("random", "", &self.overrides).unwrap();
        let description = Description {
            format: "model".to_owned(),
            version: 1,
            preset: preset.to_toml().unwrap(),
            data: "none".to_owned(),
            shape: self.shape.clone(),
            classes: self.classes,
            offset: 0.0,
            scale: 1.0,
            class_names: Vec::new(),
            vectors: None,
            distilled: None,
        };
        let network = preset.network.build(&description.shape, self.classes).unwrap();
        let fresh = network.initialise(self.weights, &Device::Cpu).unwrap();
        let weights = fresh.iter().enumerate().map(|(index, (name, var))| {
            let mut noise = vec![0.0_f32; var.elem_count()];
            NoiseStream::new(self.weights, index as u64).fill(1, &mut noise);
            let noise = Tensor::from_vec(noise, var.shape(), &Device::Cpu).unwrap();
            (name.to_owned(), (var.as_tensor() + (noise * 0.1).unwrap()).unwrap())
        });
        let weights = FrozenWeights::new(weights.collect());
        Model { network, weights, preset, description }
    }
}
