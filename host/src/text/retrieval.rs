//! Whether texts and samples find each other.

use super::encoder::{Encoder, WIDTH};
use crate::error::Error;
use serde::Serialize;

/// Shares of right answers, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Retrieval {
    /// Samples whose nearest text is of their class.
    pub texts_of_samples: f64,
    /// Texts whose nearest sample is of their class.
    pub samples_of_texts: f64,
}

impl Retrieval {
    /// Measures an encoder on samples with their labels; `texts` are what is said of each class.
    ///
    /// # Errors
    /// The tensor library's.
    pub fn of(encoder: &Encoder, samples: &[f32], labels: &[u32], texts: &[Vec<String>]) -> Result<Self, Error> {
        let classes: Vec<u32> =
            texts.iter().zip(0_u32..).flat_map(|(own, class)| own.iter().map(move |_| class)).collect();
        let (samples, texts) = (encoder.samples(samples)?, encoder.texts(&texts.concat())?);
        Ok(Self {
            texts_of_samples: right((&samples, labels), (&texts, &classes)),
            samples_of_texts: right((&texts, &classes), (&samples, labels)),
        })
    }
}

/// The share of vectors whose nearest of some others has their class.
fn right((own, classes): (&[f32], &[u32]), (others, of_others): (&[f32], &[u32])) -> f64 {
    let similarity = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let hits = own.chunks_exact(WIDTH).zip(classes).filter(|(vector, class)| {
        let near = others.chunks_exact(WIDTH).map(|other| similarity(vector, other));
        let nearest = near.zip(of_others).max_by(|(a, _), (b, _)| a.total_cmp(b));
        nearest.is_some_and(|(_, found)| found == *class)
    });
    hits.count() as f64 / classes.len().max(1) as f64
}
