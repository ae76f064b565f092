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
