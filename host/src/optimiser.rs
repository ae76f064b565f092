//! AdamW with gradient clipping and an exponential moving average of the weights, in one pass.

use crate::loss_scale::LossScale;
use crate::network::Parameters;
use crate::operators::{sum_of_squares, with_elements, with_elements_mut};
use crate::scalar::Scalar;
use candle_core::{DType, Result, Tensor, Var};

/// Settings of the optimiser (Loshchilov and Hutter 2019).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Decay of the gradient's running mean.
    pub beta1: f64,
    /// Decay of the squared gradient's running mean.
    pub beta2: f64,
    /// Added to the root of the squared gradient's mean.
    pub epsilon: f64,
    /// Decoupled weight decay, multiplied by the learning rate.
    pub weight_decay: f64,
    /// Gradients of a larger norm, all weights taken together, are scaled down to it; 0 switches this off.
    pub gradient_clip: f64,
    /// Decay of the weights' moving average. Early on it is at most `(1 + n) / (10 + n)` after `n` steps.
    pub ema: f64,
}

/// What the optimiser remembers of one weight. Each tensor is f32 and of the weight's shape.
#[derive(Debug)]
pub struct Slot {
    /// Running mean of the gradient.
    pub mean: Tensor,
    /// Running mean of the squared gradient.
    pub square: Tensor,
    /// Moving average of the weight.
    pub average: Tensor,
}

/// The optimiser's memory, in the order of the weights.
#[derive(Debug)]
pub struct OptimiserState {
    /// One for each weight.
    pub slots: Vec<Slot>,
    /// Updates made so far, and those left out because of [`loss_scale`](Self::loss_scale).
    pub updates: u64,
    /// What the loss is multiplied by where gradients are computed in f16; an update whose gradient is out of range is then left out.
    pub loss_scale: Option<LossScale>,
}

impl OptimiserState {
    /// The state before the first update: the average starts at the weights themselves.
    pub fn new(parameters: &Parameters) -> Result<Self> {
        let slots = parameters.iter().map(|(_, var)| {
            Ok(Slot { mean: var.zeros_like()?, square: var.zeros_like()?, average: var.as_tensor().copy()? })
        });
        Ok(Self { slots: slots.collect::<Result<_>>()?, updates: 0, loss_scale: None })
    }
}

impl AdamW {
    /// One update from `gradients`, which are in the order of the weights, and of the scaled loss if there is a scale. Returns the gradient's norm
    /// before clipping, without the scale.
    pub fn update(
        &self,
        parameters: &Parameters,
        gradients: &[Tensor],
        state: &mut OptimiserState,
        learning_rate: f64,
    ) -> Result<Scalar> {
        let constants = self.constants(state.updates, learning_rate);
        state.updates += 1;
        match parameters.iter().next().map(|(_, var)| var.device().is_cpu()) {
            Some(true) => self.update_fused(parameters, gradients, state, &constants).map(Scalar::Host),
            Some(false) => self.update_on_device(parameters, gradients, state, &constants).map(Scalar::Device),
            None => Ok(Scalar::Host(0.0)),
        }
    }

    pub(crate) fn constants(&self, before: u64, learning_rate: f64) -> Constants {
        let (before, after) = (before as f64, (before + 1) as f64);
        let average = self.ema.min((1.0 + before) / (10.0 + before));
        Constants {
            beta1: self.beta1 as f32,
            fresh1: (1.0 - self.beta1) as f32,
            beta2: self.beta2 as f32,
            fresh2: (1.0 - self.beta2) as f32,
            epsilon: self.epsilon as f32,
            shrink: (1.0 - learning_rate * self.weight_decay) as f32,
            step: (learning_rate / (1.0 - self.beta1.powf(after))) as f32,
            square_scale: (1.0 / (1.0 - self.beta2.powf(after))) as f32,
            keep: average as f32,
            take: (1.0 - average) as f32,
        }
    }

    /// On the CPU: in one pass over memory.
    fn update_fused(
        &self,
        parameters: &Parameters,
        gradients: &[Tensor],
        state: &mut OptimiserState,
        constants: &Constants,
    ) -> Result<f64> {
        let mut squares = 0.0;
        for gradient in gradients {
            squares += with_elements(gradient, sum_of_squares)?;
        }
        let mut scale = 1.0;
        if let Some(loss_scale) = &mut state.loss_scale {
            scale = f64::from(loss_scale.read()?.0);
            let is_finite = Tensor::new(if squares.is_finite() { 1.0_f32 } else { 0.0 }, loss_scale.state().device())?;
            loss_scale.take_note(&is_finite)?;
            if !squares.is_finite() {
                return Ok(squares.sqrt());
            }
        }
        let norm = squares.sqrt() / scale;
        let clip = if self.gradient_clip > 0.0 && norm > self.gradient_clip { self.gradient_clip / norm } else { 1.0 };
        let factor = (clip / scale) as f32;
        for (((_, var), gradient), slot) in parameters.iter().zip(gradients).zip(&state.slots) {
            // One pass wants all four buffers at once, while an in-place operator is handed one: the four are nested.
            with_elements_mut(&slot.mean, &mut |mean| {
                with_elements_mut(&slot.square, &mut |square| {
                    with_elements_mut(&slot.average, &mut |average| {
                        with_elements_mut(var.as_tensor(), &mut |weight| {
                            with_elements(gradient, |gradient| {
                                constants.pass(factor, weight, gradient, mean, square, average);
                            })
                        })
                    })
                })
            })?;
        }
        Ok(norm)
    }

    /// On another device: of kernels if there are any, and without a word to the host either way.
    fn update_on_device(
        &self,
        parameters: &Parameters,
        gradients: &[Tensor],
        state: &mut OptimiserState,
        constants: &Constants,
    ) -> Result<Tensor> {
        #[cfg(feature = "cuda")]
        if let Some((_, var)) = parameters.iter().next()
            && var.device().is_cuda()
        {
            return self.update_by_kernels(parameters, gradients, state, constants, var.device());
        }
        self.update_by_operators(parameters, gradients, state, constants)
    }

    #[cfg(feature = "cuda")]
    fn update_by_kernels(
        &self,
        parameters: &Parameters,
        gradients: &[Tensor],
        state: &mut OptimiserState,
        constants: &Constants,
        device: &candle_core::Device,
    ) -> Result<Tensor> {
        use crate::loss_scale::GROWTH_INTERVAL;
        let verdict = match &state.loss_scale {
            Some(scale) => {
                crate::cuda::judge_gradients(gradients, self.gradient_clip, scale.state(), GROWTH_INTERVAL as f32)?
            }
            None => {
                let unscaled = Tensor::new(&[1.0_f32, 0.0], device)?;
                crate::cuda::judge_gradients(gradients, self.gradient_clip, &unscaled, 0.0)?
            }
        };
        for (((_, var), gradient), slot) in parameters.iter().zip(gradients).zip(&state.slots) {
            let memory = [&slot.mean, &slot.square, &slot.average];
            crate::cuda::adamw(var.as_tensor(), gradient, memory, &verdict, constants)?;
        }
        verdict.norm()
    }

    /// The same of candle's own operators.
    fn update_by_operators(
        &self,
        parameters: &Parameters,
        gradients: &[Tensor],
        state: &mut OptimiserState,
        constants: &Constants,
    ) -> Result<Tensor> {
        let squares = gradients.iter().map(|gradient| gradient.sqr()?.sum_all()).collect::<Result<Vec<_>>>()?;
        let scaled_norm = Tensor::stack(&squares, 0)?.sum_all()?.sqrt()?;
        let (mut norm, mut factor, mut applies) = (scaled_norm, None, None);
        if let Some(loss_scale) = &mut state.loss_scale {
            let inverse = loss_scale.scale()?.recip()?;
            let is_finite = norm.le(f64::from(f32::MAX))?;
            loss_scale.take_note(&is_finite.to_dtype(DType::F32)?)?;
            norm = (norm * &inverse)?;
            (factor, applies) = (Some(inverse), Some(is_finite));
        }
        if self.gradient_clip > 0.0 {
            let clip = (norm.recip()? * self.gradient_clip)?.minimum(1.0)?;
            factor = Some(match factor {
                Some(factor) => (factor * clip)?,
                None => clip,
            });
        }
        for (((_, var), gradient), slot) in parameters.iter().zip(gradients).zip(&mut state.slots) {
            let gradient = match &factor {
                Some(factor) => gradient.broadcast_mul(factor)?,
                None => gradient.clone(),
            };
            let [mean, square, weight, average] = constants.by_operators(var, &gradient, slot)?;
            let choose = |new: Tensor, old: &Tensor| match &applies {
                Some(applies) => applies.broadcast_as(new.shape())?.where_cond(&new, old),
                None => Ok(new),
            };
            slot.mean = choose(mean, &slot.mean)?;
            slot.square = choose(square, &slot.square)?;
            slot.average = choose(average, &slot.average)?;
            var.set(&choose(weight, var.as_tensor())?)?;
        }
        Ok(norm)
    }
}

/// What one update multiplies by.
#[derive(Clone, Copy, Debug)]
pub struct Constants {
    beta1: f32,
    fresh1: f32,
    beta2: f32,
    fresh2: f32,
    epsilon: f32,
    shrink: f32,
    step: f32,
    square_scale: f32,
    keep: f32,
    take: f32,
}

impl Constants {
    /// In the order of the kernel's parameters.
    pub fn in_order(&self) -> [f32; 10] {
        let Self { beta1, fresh1, beta2, fresh2, epsilon, shrink, step, square_scale, keep, take } = *self;
        [beta1, fresh1, beta2, fresh2, epsilon, shrink, step, square_scale, keep, take]
    }

    pub(crate) fn pass(
        &self,
        factor: f32,
        weight: &mut [f32],
        gradient: &[f32],
        mean: &mut [f32],
        square: &mut [f32],
        average: &mut [f32],
    ) {
        let [beta1, fresh1, beta2, fresh2, epsilon, shrink, step, square_scale, keep, take] = self.in_order();
        pulp::Arch::default().dispatch(|| {
            let buffers = weight.iter_mut().zip(gradient).zip(mean).zip(square).zip(average);
            for ((((weight, gradient), mean), square), average) in buffers {
                let gradient = gradient * factor;
                *mean = beta1 * *mean + fresh1 * gradient;
                *square = beta2 * *square + fresh2 * gradient * gradient;
                *weight = shrink * *weight - step * *mean / ((*square * square_scale).sqrt() + epsilon);
                *average = keep * *average + take * *weight;
            }
        });
    }

    /// The same of candle's operators: what mean, square, weight and average become.
    fn by_operators(&self, var: &Var, gradient: &Tensor, slot: &Slot) -> Result<[Tensor; 4]> {
        let [beta1, fresh1, beta2, fresh2, epsilon, shrink, step, square_scale, keep, take] =
            self.in_order().map(f64::from);
        let mean = ((&slot.mean * beta1)? + (gradient * fresh1)?)?;
        let square = ((&slot.square * beta2)? + (gradient.sqr()? * fresh2)?)?;
        let deviation = ((&square * square_scale)?.sqrt()? + epsilon)?;
        let weight = ((var.as_tensor() * shrink)? - ((&mean / deviation)? * step)?)?.detach();
        let average = ((&slot.average * keep)? + (&weight * take)?)?;
        Ok([mean, square, weight, average])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use tweedie_core::noise::NoiseStream;

    const PLAIN: AdamW =
        AdamW { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01, gradient_clip: 0.0, ema: 0.995 };

    fn parameters(weights: &[&[f32]]) -> Parameters {
        let mut parameters = Parameters::default();
        for (index, values) in weights.iter().enumerate() {
            parameters.insert(&format!("{index}"), tensor(values)).unwrap();
        }
        parameters
    }

    fn tensor(values: &[f32]) -> Tensor {
        Tensor::from_slice(values, values.len(), &Device::Cpu).unwrap()
    }

    fn numbers(tensor: &Tensor) -> Vec<f32> {
        tensor.to_vec1().unwrap()
    }

    #[track_caller]
    fn assert_close(actual: &[f32], expected: &[f32]) {
        assert_eq!(actual.len(), expected.len());
        for (a, e) in actual.iter().zip(expected) {
            assert!((a - e).abs() <= 1e-6 * (1.0 + e.abs()), "{actual:?} instead of {expected:?}");
        }
    }

    // Worked by hand: means 0.05 and 0.02, squares 2.5e-4 and 3.1225e-4, corrected by 1 - 0.9^n and 1 - 0.999^n.
    #[test]
    fn two_updates_worked_by_hand() {
        let parameters = parameters(&[&[1.0]]);
        let mut state = OptimiserState::new(&parameters).unwrap();
        let weight = || numbers(parameters.iter().next().unwrap().1.as_tensor());

        let norm = PLAIN.update(&parameters, &[tensor(&[0.5])], &mut state, 0.1).unwrap();
        assert_eq!(norm.read().unwrap(), 0.5);
        assert_close(&weight(), &[0.999 - 0.1]);
        assert_close(&numbers(&state.slots[0].average), &[0.1 + 0.9 * 0.899]);

        PLAIN.update(&parameters, &[tensor(&[-0.25])], &mut state, 0.1).unwrap();
        assert_close(&numbers(&state.slots[0].mean), &[0.02]);
        assert_close(&numbers(&state.slots[0].square), &[3.1225e-4]);
        assert_close(&weight(), &[0.871_467_3]);
        assert_close(&numbers(&state.slots[0].average), &[0.878_309_6]);
        assert_eq!(state.updates, 2);
    }

    #[test]
    fn the_fused_pass_equals_the_operators() {
        let noise = |stream: u64, count: usize| {
            let mut values = vec![0.0_f32; count];
            NoiseStream::new(1, stream).fill(0, &mut values);
            values
        };
        for count in [1, 7, 16, 33] {
            let start = noise(0, count);
            let (fused, plain) = (parameters(&[&start]), parameters(&[&start]));
            let (mut of_fused, mut of_plain) =
                (OptimiserState::new(&fused).unwrap(), OptimiserState::new(&plain).unwrap());
            for update in 1..20 {
                let gradients = [tensor(&noise(update, count))];
                let clipping = AdamW { gradient_clip: if update % 3 == 0 { 0.0 } else { 1.5 }, ..PLAIN };
                let constants = clipping.constants(update - 1, 0.01);
                let own = clipping.update_fused(&fused, &gradients, &mut of_fused, &constants).unwrap();
                let norm = clipping.update_by_operators(&plain, &gradients, &mut of_plain, &constants).unwrap();
                assert_close(&[own as f32], &[norm.to_scalar::<f32>().unwrap()]);
                let (fused_var, plain_var) = (fused.iter().next().unwrap().1, plain.iter().next().unwrap().1);
                assert_close(&numbers(fused_var.as_tensor()), &numbers(plain_var.as_tensor()));
                let (a, b) = (&of_fused.slots[0], &of_plain.slots[0]);
                assert_close(&numbers(&a.mean), &numbers(&b.mean));
                assert_close(&numbers(&a.square), &numbers(&b.square));
                assert_close(&numbers(&a.average), &numbers(&b.average));
            }
            assert_ne!(numbers(fused.iter().next().unwrap().1.as_tensor()), start);
        }
    }

    #[test]
    fn the_norm_of_all_gradients_is_clipped() {
        let clipping = AdamW { gradient_clip: 1.0, ..PLAIN };
        let parameters = parameters(&[&[0.0, 0.0], &[0.0]]);
        let mut state = OptimiserState::new(&parameters).unwrap();
        let gradients = [tensor(&[2.0, 3.0]), tensor(&[6.0])];
        let norm = clipping.update(&parameters, &gradients, &mut state, 0.1).unwrap();
        assert_eq!(norm.read().unwrap(), 7.0);
        assert_close(&numbers(&state.slots[0].mean), &[0.2 / 7.0, 0.3 / 7.0]);
        assert_close(&numbers(&state.slots[1].mean), &[0.6 / 7.0]);

        // A smaller one is left as it is, and so is a larger one without a limit.
        for (optimiser, gradient) in [(clipping, 0.5), (PLAIN, 50.0)] {
            let mut state = OptimiserState::new(&parameters).unwrap();
            let gradients = [tensor(&[0.0, gradient]), tensor(&[0.0])];
            optimiser.update(&parameters, &gradients, &mut state, 0.1).unwrap();
            assert_close(&numbers(&state.slots[0].mean), &[0.0, 0.1 * gradient]);
        }
    }

    /// A power of two changes no bit, and an update that is out of range changes nothing but the scale.
    #[test]
    fn a_scaled_loss_gives_the_same_update_or_none() {
        let noise = |stream: u64| {
            let mut values = vec![0.0_f32; 9];
            NoiseStream::new(2, stream).fill(0, &mut values);
            values
        };
        let optimiser = AdamW { gradient_clip: 2.0, ..PLAIN };
        type Way = fn(&AdamW, &Parameters, &[Tensor], &mut OptimiserState, &Constants) -> f64;
        let fused: Way = |own, p, g, s, c| own.update_fused(p, g, s, c).unwrap();
        let plain: Way =
            |own, p, g, s, c| f64::from(own.update_by_operators(p, g, s, c).unwrap().to_scalar::<f32>().unwrap());
        for way in [fused, plain] {
            let (unscaled, scaled) = (parameters(&[&noise(0)]), parameters(&[&noise(0)]));
            let mut states = [&unscaled, &scaled].map(|p| OptimiserState::new(p).unwrap());
            states[1].loss_scale = Some(LossScale::restored((1024.0, 0.0), &Device::Cpu).unwrap());
            let weights = |p: &Parameters| numbers(p.iter().next().unwrap().1.as_tensor());
            for update in 0..6 {
                let constants = optimiser.constants(update, 0.1);
                if update == 3 {
                    let before = (weights(&scaled), numbers(&states[1].slots[0].average));
                    let mut lost = noise(7);
                    lost[4] = f32::INFINITY;
                    way(&optimiser, &scaled, &[tensor(&lost)], &mut states[1], &constants);
                    assert_eq!((weights(&scaled), numbers(&states[1].slots[0].average)), before);
                    assert_eq!(states[1].loss_scale.as_ref().unwrap().read().unwrap(), (512.0, 0.0));
                }
                let gradient = noise(1 + update);
                let scale = states[1].loss_scale.as_ref().unwrap().read().unwrap().0;
                let times: Vec<f32> = gradient.iter().map(|g| g * scale).collect();
                let norm = way(&optimiser, &unscaled, &[tensor(&gradient)], &mut states[0], &constants);
                let other = way(&optimiser, &scaled, &[tensor(&times)], &mut states[1], &constants);
                assert!((norm - other).abs() < 1e-6 * norm, "{norm} {other}");
                assert_close(&weights(&scaled), &weights(&unscaled));
            }
            assert_ne!(weights(&scaled), noise(0));
        }
    }

    #[test]
    fn the_average_warms_up() {
        let parameters = parameters(&[&[1.0]]);
        for (updates, keep) in [(0, 0.1), (8, 0.5), (90, 0.91), (100_000, 0.995)] {
            let mut state = OptimiserState::new(&parameters).unwrap();
            state.slots[0].average = tensor(&[100.0]);
            state.updates = updates;
            PLAIN.update(&parameters, &[tensor(&[0.0])], &mut state, 0.0).unwrap();
            // With no gradient and no learning rate the weight stays 1.
            assert_close(&numbers(&state.slots[0].average), &[keep * 100.0 + (1.0 - keep)]);
        }
    }
}
