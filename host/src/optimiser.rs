//! AdamW with gradient clipping and an exponential moving average of the weights, in one pass.

use crate::network::Parameters;
use crate::operators::{sum_of_squares, with_elements, with_elements_mut};
use candle_core::{Result, Tensor, Var};

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
    /// Updates made so far.
    pub updates: u64,
}

impl OptimiserState {
    /// The state before the first update: the average starts at the weights themselves.
    pub fn new(parameters: &Parameters) -> Result<Self> {
        let slots = parameters.iter().map(|(_, var)| {
            Ok(Slot { mean: var.zeros_like()?, square: var.zeros_like()?, average: var.as_tensor().copy()? })
        });
        Ok(Self { slots: slots.collect::<Result<_>>()?, updates: 0 })
    }
}

impl AdamW {
    /// One update from `gradients`, which are in the order of the weights. Returns the gradient's norm before clipping.
    pub fn update(
        &self,
        parameters: &Parameters,
        gradients: &[Tensor],
        state: &mut OptimiserState,
        learning_rate: f64,
    ) -> Result<f64> {
        let mut squares = 0.0;
        for gradient in gradients {
            squares += squared_norm(gradient)?;
        }
        let norm = squares.sqrt();
        let clip = if self.gradient_clip > 0.0 && norm > self.gradient_clip { self.gradient_clip / norm } else { 1.0 };
        let count = state.updates as f64;
        state.updates += 1;
        let rates = Rates {
            clip,
            shrink: 1.0 - learning_rate * self.weight_decay,
            step: learning_rate / (1.0 - self.beta1.powf(state.updates as f64)),
            square_scale: 1.0 / (1.0 - self.beta2.powf(state.updates as f64)),
            average: self.ema.min((1.0 + count) / (10.0 + count)),
        };
        for (((_, var), gradient), slot) in parameters.iter().zip(gradients).zip(&mut state.slots) {
            if var.device().is_cpu() {
                self.update_fused(var, gradient, slot, &rates)?;
            } else {
                self.update_by_operators(var, gradient, slot, &rates)?;
            }
        }
        Ok(norm)
    }

    fn update_by_operators(&self, var: &Var, gradient: &Tensor, slot: &mut Slot, rates: &Rates) -> Result<()> {
        let gradient = (gradient * rates.clip)?;
        slot.mean = ((&slot.mean * self.beta1)? + (&gradient * (1.0 - self.beta1))?)?;
        slot.square = ((&slot.square * self.beta2)? + (gradient.sqr()? * (1.0 - self.beta2))?)?;
        let deviation = ((&slot.square * rates.square_scale)?.sqrt()? + self.epsilon)?;
        var.set(&((var.as_tensor() * rates.shrink)? - ((&slot.mean / deviation)? * rates.step)?)?)?;
        slot.average = ((&slot.average * rates.average)? + (var.as_tensor() * (1.0 - rates.average))?)?;
        Ok(())
    }

    fn update_fused(&self, var: &Var, gradient: &Tensor, slot: &mut Slot, rates: &Rates) -> Result<()> {
        // One pass wants all four buffers at once, while an in-place operator is handed one: the four are nested.
        with_elements_mut(&slot.mean, &mut |mean| {
            with_elements_mut(&slot.square, &mut |square| {
                with_elements_mut(&slot.average, &mut |average| {
                    with_elements_mut(var.as_tensor(), &mut |weight| {
                        with_elements(gradient, |gradient| {
                            self.pass(rates, weight, gradient, mean, square, average);
                        })
                    })
                })
            })
        })
    }

    fn pass(
        &self,
        rates: &Rates,
        weight: &mut [f32],
        gradient: &[f32],
        mean: &mut [f32],
        square: &mut [f32],
        average: &mut [f32],
    ) {
        let [beta1, beta2, epsilon] = [self.beta1, self.beta2, self.epsilon].map(|v| v as f32);
        let [fresh1, fresh2] = [1.0 - self.beta1, 1.0 - self.beta2].map(|v| v as f32);
        let [clip, shrink, step, square_scale, keep, take] =
            [rates.clip, rates.shrink, rates.step, rates.square_scale, rates.average, 1.0 - rates.average]
                .map(|v| v as f32);
        pulp::Arch::default().dispatch(|| {
            let buffers = weight.iter_mut().zip(gradient).zip(mean).zip(square).zip(average);
            for ((((weight, gradient), mean), square), average) in buffers {
                let gradient = gradient * clip;
                *mean = beta1 * *mean + fresh1 * gradient;
                *square = beta2 * *square + fresh2 * gradient * gradient;
                *weight = shrink * *weight - step * *mean / ((*square * square_scale).sqrt() + epsilon);
                *average = keep * *average + take * *weight;
            }
        });
    }
}

/// What one update multiplies by.
struct Rates {
    clip: f64,
    shrink: f64,
    step: f64,
    square_scale: f64,
    average: f64,
}

fn squared_norm(gradient: &Tensor) -> Result<f64> {
    if gradient.device().is_cpu() {
        with_elements(gradient, sum_of_squares)
    } else {
        Ok(f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?))
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

        assert_eq!(PLAIN.update(&parameters, &[tensor(&[0.5])], &mut state, 0.1).unwrap(), 0.5);
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
                let gradient = tensor(&noise(update, count));
                let count = update as f64;
                let rates = Rates {
                    clip: 0.5,
                    shrink: 0.999,
                    step: 0.01 / (1.0 - 0.9_f64.powf(count)),
                    square_scale: 1.0 / (1.0 - 0.999_f64.powf(count)),
                    average: 0.9,
                };
                let (fused_var, plain_var) = (fused.iter().next().unwrap().1, plain.iter().next().unwrap().1);
                PLAIN.update_fused(fused_var, &gradient, &mut of_fused.slots[0], &rates).unwrap();
                PLAIN.update_by_operators(plain_var, &gradient, &mut of_plain.slots[0], &rates).unwrap();
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
        assert_eq!(clipping.update(&parameters, &gradients, &mut state, 0.1).unwrap(), 7.0);
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
