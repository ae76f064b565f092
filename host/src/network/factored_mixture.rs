//! A mixture of low-rank Gaussians in the parameters and operators that gradients flow through.

use super::{ANGLE_FEATURES, Inputs, Network, Parameters, Weights, angle_of};
use crate::mixture::{Tables, maximise::LEAST_VARIANCE, orthonormal};
use crate::network::parameters::FrozenWeights;
use candle_core::{D, Device, Result, Tensor};
use tweedie_core::exact::inverse_temperature;
use tweedie_core::schedule::{Process, Schedule};

/// The same function as [`Mixture`](super::Mixture), of weights that are free: priors, floors and what eigenvalues exceed floors by are
/// exponentials. Bases are taken to be orthonormal; the [lesson](crate::mixture::denoising) keeps them so.
///
/// The formulas are those of [`LowRankTerms`](tweedie_core::exact::LowRankTerms), for all components of all classes at once; those of other classes
/// than a row's are left out of its softmax.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactoredMixture {
    /// Numbers in a sample.
    pub features: usize,
    /// Classes; "no class" is the mixture of all of them.
    pub classes: usize,
    /// Components for each class.
    pub components: usize,
    /// Directions in which a component varies.
    pub rank: usize,
}

/// What a row's noise level says, each `[batch, 1]`.
struct Levels {
    /// `alpha`.
    signal: Tensor,
    /// `alpha^2`.
    signal_power: Tensor,
    /// `sigma^2`.
    noise_power: Tensor,
    /// `alpha / sigma^2`.
    inverse_temperature: Tensor,
}

impl FactoredMixture {
    /// Free weights that stand for a mixture.
    ///
    /// # Errors
    /// Tables of other sizes.
    pub fn parameters_of(&self, tables: &Tables, device: &Device) -> Result<Parameters> {
        let logarithms = |values: &[f64]| values.iter().map(|value| value.ln()).collect::<Vec<f64>>();
        let excess = tables.eigenvalues.iter().enumerate().map(|(at, lambda)| {
            let floor = tables.floors[at / self.rank.max(1)];
            (lambda - floor).max(LEAST_VARIANCE)
        });
        let values = [
            logarithms(&tables.weights),
            tables.means.clone(),
            tables.bases.clone(),
            logarithms(&excess.collect::<Vec<f64>>()),
            logarithms(&tables.floors),
        ];
        let mut parameters = Parameters::default();
        for ((name, shape), values) in self.weights().into_iter().zip(values) {
            let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
            parameters.insert(&name, Tensor::from_vec(values, shape, device)?)?;
        }
        Ok(parameters)
    }

    fn levels(&self, inputs: &Inputs) -> Result<Levels> {
        let angles = inputs.angle.flatten_all()?.to_vec1::<f32>()?;
        let mut columns = [const { Vec::new() }; 3];
        for angle in angles.chunks_exact(ANGLE_FEATURES) {
            let level =
                Schedule::Trigonometric.level(angle_of(angle).clamp(0.0, 1.0)).map_err(candle_core::Error::wrap)?;
            let beta = inverse_temperature(level).map_err(candle_core::Error::wrap)?;
            for (column, value) in columns.iter_mut().zip([level.alpha, level.sigma, beta]) {
                column.push(value as f32);
            }
        }
        let rows = inputs.condition.rows();
        let [signal, noise, inverse_temperature] =
            columns.map(|column| Tensor::from_vec(column, (rows, 1), inputs.state.device()));
        let (signal, noise) = (signal?, noise?);
        Ok(Levels {
            signal_power: signal.sqr()?,
            noise_power: noise.sqr()?,
            signal,
            inverse_temperature: inverse_temperature?,
        })
    }

    /// 0 for the components of a row's class, or of all for none, and next to minus infinity for the others: `[batch, components]`.
    fn mask(&self, inputs: &Inputs) -> Result<Tensor> {
        const LEFT_OUT: f32 = -1e30;
        let (classes, count) = (inputs.condition.classes()?, self.classes.max(1) * self.components);
        let own = |class: u32, k: usize| class as usize >= self.classes || k / self.components == class as usize;
        let row = |&class: &u32| (0..count).map(move |k| if own(class, k) { 0.0 } else { LEFT_OUT });
        Tensor::from_vec(classes.iter().flat_map(row).collect(), (classes.len(), count), inputs.state.device())
    }
}

impl Network for FactoredMixture {
    fn weights(&self) -> Vec<(String, Vec<usize>)> {
        let count = self.classes.max(1) * self.components;
        let shapes = [
            ("weights.log", vec![count]),
            ("means", vec![count, self.features]),
            ("bases", vec![count, self.rank, self.features]),
            ("excess.log", vec![count, self.rank]),
            ("floors.log", vec![count]),
        ];
        shapes.into_iter().map(|(name, shape)| (name.to_owned(), shape)).collect()
    }

    /// # Errors
    /// Always: a mixture begins at clusters of the data, see [`parameters_of`](Self::parameters_of).
    fn initialise(&self, _seed: u64, _device: &Device) -> Result<Parameters> {
        candle_core::bail!("a mixture begins at clusters of the data, not at random")
    }

    fn forward(&self, weights: &dyn Weights, inputs: &Inputs) -> Result<Tensor> {
        let (x, batch) = (&inputs.state, inputs.condition.rows());
        let (means, bases) = (weights.get("means")?, weights.get("bases")?);
        let count = means.dim(0)?;
        let Levels { signal, signal_power, noise_power, inverse_temperature } = self.levels(inputs)?;
        let flat = bases.reshape((count * self.rank, self.features))?;

        // Variances along and across the directions: [batch, count], [batch, count, rank].
        let floors = weights.get("floors.log")?.exp()?.reshape((1, count))?;
        let excess = weights.get("excess.log")?.exp()?.reshape((1, count, self.rank))?;
        let across = signal_power.broadcast_mul(&floors)?.broadcast_add(&noise_power)?;
        let along = signal_power.unsqueeze(2)?.broadcast_mul(&excess)?.broadcast_add(&across.unsqueeze(2)?)?;

        // Coordinates of x_t - alpha mu.
        let lengths = means.sqr()?.sum(1)?.reshape((1, count))?;
        let mean = (x.matmul(&means.t()?)? - signal.broadcast_mul(&lengths)?)?;
        let offsets = bases.broadcast_mul(&means.unsqueeze(1)?)?.sum(2)?.reshape((1, count, self.rank))?;
        let coordinates = x.matmul(&flat.t()?)?.reshape((batch, count, self.rank))?;
        let coordinates = (coordinates - signal.unsqueeze(2)?.broadcast_mul(&offsets)?)?;

        // Gains.
        let mean_gain = noise_power.broadcast_div(&across)?;
        let floor_gain = signal.broadcast_mul(&floors)?.div(&across)?;
        let share = signal.broadcast_mul(&mean_gain)?.unsqueeze(2)?;
        let gained = share.broadcast_mul(&excess)?.div(&along)?.mul(&coordinates)?;

        let square = (&gained * &coordinates)?.sum(2)?;
        let floor_energy = floor_gain.broadcast_mul(&x.sqr()?.sum_keepdim(1)?)?;
        let energy = ((&mean_gain * mean)? + ((floor_energy + square)? * 0.5)?)?;
        let left = (self.features - self.rank) as f64;
        let volume = ((across.log()? * left)? + along.log()?.sum(2)?)?;
        let shift = signal_power.broadcast_mul(&lengths)?.div(&across)?;
        let constant = ((shift - volume)? * 0.5)?.broadcast_add(&weights.get("weights.log")?.reshape((1, count))?)?;
        let logits = ((constant + inverse_temperature.broadcast_mul(&energy)?)? + self.mask(inputs)?)?;
        let chances = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?.detach())?.exp()?;
        let chances = chances.broadcast_div(&chances.sum_keepdim(D::Minus1)?)?;

        let of_state = x.broadcast_mul(&(&chances * floor_gain)?.sum_keepdim(1)?)?;
        let of_means = (&chances * mean_gain)?.matmul(means)?;
        let of_bases = chances.unsqueeze(2)?.broadcast_mul(&gained)?.reshape((batch, count * self.rank))?;
        (of_state + of_means)? + of_bases.matmul(&flat)?
    }

    /// The tables of [`Mixture`](super::Mixture): orthonormal bases, variances and priors.
    fn harvest(&self, weights: FrozenWeights) -> Result<FrozenWeights> {
        let get = |name: &str| -> Result<Vec<f64>> {
            Ok(weights.get(name)?.flatten_all()?.to_vec1::<f32>()?.into_iter().map(f64::from).collect())
        };
        let exponentials = |values: Vec<f64>| values.into_iter().map(f64::exp).collect::<Vec<f64>>();
        let floors: Vec<f64> =
            exponentials(get("floors.log")?).into_iter().map(|floor| floor.max(LEAST_VARIANCE)).collect();
        let excess = exponentials(get("excess.log")?);
        let eigenvalues = excess.iter().enumerate().map(|(at, excess)| floors[at / self.rank.max(1)] + excess);
        let mut bases = get("bases")?;
        for basis in bases.chunks_exact_mut((self.rank * self.features).max(1)) {
            orthonormal::rows(basis, self.features);
        }
        let priors = exponentials(get("weights.log")?);
        let total: f64 = priors.iter().sum();
        let priors = priors.into_iter().map(|prior| (prior / total).max(f64::from(f32::MIN_POSITIVE)));
        let tables = Tables {
            weights: priors.collect(),
            means: get("means")?,
            bases,
            eigenvalues: eigenvalues.collect(),
            floors,
        };
        let network = super::Mixture {
            features: self.features,
            classes: self.classes,
            components: self.components,
            rank: self.rank,
        };
        let tensor = |((name, shape), (_, values)): ((String, Vec<usize>), (_, &[f64]))| {
            let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
            Ok((name, Tensor::from_vec(values, shape, weights.get("means")?.device())?))
        };
        let entries = network.weights().into_iter().zip(tables.entries()).map(tensor);
        Ok(FrozenWeights::new(entries.collect::<Result<_>>()?))
    }
}
