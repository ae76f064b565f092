//! Classifier-free guidance (Ho and Salimans 2022).

use crate::tensor::{CombineError, Tensor};

/// The coefficients of `guided = unconditional + scale (conditional - unconditional)`, on `x0_hat`, `eps` or `v` alike.
///
/// `scale = 1` is no guidance, 0 ignores the condition, larger values exaggerate it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guidance {
    /// Multiplies the conditional estimate: `scale`.
    pub conditional: f64,
    /// Multiplies the unconditional estimate: `1 - scale`.
    pub unconditional: f64,
}

impl Guidance {
    /// Guidance of the given scale.
    pub fn new(scale: f64) -> Self {
        Self { conditional: scale, unconditional: 1.0 - scale }
    }

    /// Whether the unconditional estimate is not needed at all.
    pub fn is_none(&self) -> bool {
        self.unconditional == 0.0
    }

    /// `conditional <- guided estimate`; unchanged on error.
    pub fn apply<T: Tensor + ?Sized>(
        &self,
        conditional: &mut T,
        unconditional: &T,
    ) -> Result<(), CombineError<T::Error>> {
        let own = T::coeff(self.conditional).map_err(CombineError::Coeff)?;
        let other = T::coeff(self.unconditional).map_err(CombineError::Coeff)?;
        conditional.axpby(own, other, unconditional).map_err(CombineError::Tensor)
    }
}
