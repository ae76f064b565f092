//! Is a sample a copy of a training row? Two criteria.
//!
//! - **By distance** (Yoon et al. 2023): its nearest training row is at most a third as far away as the second nearest. In pixels.
//! - **By cosine** (Somepalli et al. 2023, who look at features made for finding copies): some training row's features lie in the same
//!   direction, cosine similarity above 3/5.
//!
//! Which features makes or breaks the second one. The judge's last layer has thrown away all that tells one seven from another, so there
//! every row has a twin. Here it is the judge's *first* layer, wide and close to the pixels, less its class's mean and whitened by the scatter
//! within classes: what is left says how this seven differs from other sevens, and in how many independent ways. Even so real digits of
//! strangers look alike now and then; a report therefore shows the held-out rows' own share beside the samples'.

use crate::error::Error;
use crate::neighbours::Near;
use crate::operators::{Activation, linear};
use candle_core::{Device, Tensor};
use nalgebra::{DMatrix, SymmetricEigen};
use rayon::prelude::*;

/// The cosine similarity above which a sample counts as a copy.
const SIMILAR: f32 = 0.6;
/// Directions that vary less than this share of the most varying one are whitened no further: they are noise.
const LEAST_VARIANCE: f64 = 1e-4;
/// Rows that one thread looks at together.
const ROWS: usize = 128;

/// The distance to the nearest training row over that to the second nearest, 0 to 1; 0 for a sample that both meet.
pub fn distance_ratio([first, second]: [Near; 2]) -> f64 {
    if second.squared > 0.0 { f64::from(first.squared / second.squared).sqrt() } else { 0.0 }
}

/// Whether a sample of this [`distance_ratio`] counts as a copy.
pub fn is_copy(distance_ratio: f64) -> bool {
    distance_ratio <= 1.0 / 3.0
}

/// Training rows as directions, and the map that makes them.
#[derive(Clone, Debug)]
pub struct CopyFinder {
    width: usize,
    /// Each class's mean, `[classes, width]`.
    means: Vec<f32>,
    /// `[width, width]`, onto coordinates of unit variance.
    whitening: Tensor,
    /// The training rows, whitened and of unit length, `[n, width]`.
    rows: Tensor,
}

impl CopyFinder {
    /// A finder of copies among rows with `details`, `[n, width]`, of the classes `labels`, `[n]`.
    ///
    /// # Errors
    /// Only the tensor library's own.
    pub fn new(details: &[f32], labels: &[u32], classes: usize, width: usize) -> Result<Self, Error> {
        let means = class_means(details, labels, classes, width);
        let within = centred(details, labels, &means, width);
        let whitening = Tensor::from_vec(whitening(&within, width), (width, width), &Device::Cpu)?;
        let rows = Tensor::from_vec(within, (details.len() / width, width), &Device::Cpu)?;
        let mut rows = linear(&rows, &whitening, &no_bias(width)?, Activation::None)?.flatten_all()?.to_vec1()?;
        normalise(&mut rows, width);
        let rows = Tensor::from_vec(rows, (labels.len(), width), &Device::Cpu)?;
        Ok(Self { width, means, whitening, rows })
    }

    /// A finder of copies among some of the rows alone, which whitens as this one does.
    ///
    /// # Errors
    /// A row that is not there.
    pub fn among(&self, rows: &[u32]) -> Result<Self, Error> {
        let wanted = Tensor::from_slice(rows, rows.len(), &Device::Cpu)?;
        Ok(Self { rows: self.rows.index_select(&wanted, 0)?, ..self.clone() })
    }

    /// The share of samples with `details`, `[n, width]`, asked for as `classes`, `[n]`, that are copies; 0 of none.
    ///
    /// # Errors
    /// Only the tensor library's own.
    pub fn share_of_copies(&self, details: &[f32], classes: &[u32]) -> Result<f64, Error> {
        let parts: Vec<_> = details.chunks(ROWS * self.width).zip(classes.chunks(ROWS)).collect();
        let copies = parts.into_par_iter().map(|(details, classes)| self.count_copies(details, classes));
        let copies: usize = copies.collect::<Result<Vec<_>, Error>>()?.into_iter().sum();
        Ok(copies as f64 / classes.len().max(1) as f64)
    }

    fn count_copies(&self, details: &[f32], classes: &[u32]) -> Result<usize, Error> {
        let within = centred(details, classes, &self.means, self.width);
        let within = Tensor::from_vec(within, (classes.len(), self.width), &Device::Cpu)?;
        let white = linear(&within, &self.whitening, &no_bias(self.width)?, Activation::None)?;
        let mut white = white.flatten_all()?.to_vec1()?;
        normalise(&mut white, self.width);
        let white = Tensor::from_vec(white, (classes.len(), self.width), &Device::Cpu)?;
        let count = self.rows.dim(0)?;
        let cosines =
            linear(&white, &self.rows, &no_bias(count)?, Activation::None)?.flatten_all()?.to_vec1::<f32>()?;
        Ok(cosines.chunks_exact(count).filter(|row| row.iter().any(|&cosine| cosine > SIMILAR)).count())
    }
}

fn no_bias(outputs: usize) -> candle_core::Result<Tensor> {
    Tensor::zeros(outputs, candle_core::DType::F32, &Device::Cpu)
}

fn class_means(details: &[f32], labels: &[u32], classes: usize, width: usize) -> Vec<f32> {
    let (mut sums, mut counts) = (vec![0.0_f64; classes * width], vec![0_usize; classes]);
    for (row, &label) in details.chunks_exact(width).zip(labels) {
        counts[label as usize] += 1;
        for (sum, &value) in sums[label as usize * width..].iter_mut().zip(row) {
            *sum += f64::from(value);
        }
    }
    sums.chunks_exact(width)
        .zip(counts)
        .flat_map(|(s, n)| s.iter().map(move |s| (s / n.max(1) as f64) as f32))
        .collect()
}

fn centred(details: &[f32], labels: &[u32], means: &[f32], width: usize) -> Vec<f32> {
    let rows = details.chunks_exact(width).zip(labels);
    rows.flat_map(|(row, &label)| row.iter().zip(&means[label as usize * width..]).map(|(value, mean)| value - mean))
        .collect()
}

/// `diag(1 / sqrt(lambda)) V^T` of the scatter `V diag(lambda) V^T`, row-major.
fn whitening(within: &[f32], width: usize) -> Vec<f32> {
    let points = DMatrix::from_row_iterator(within.len() / width, width, within.iter().map(|&x| f64::from(x)));
    let scatter = points.tr_mul(&points) / points.nrows().max(1) as f64;
    let SymmetricEigen { eigenvalues, eigenvectors } = scatter.symmetric_eigen();
    let floor = (LEAST_VARIANCE * eigenvalues.max()).max(f64::MIN_POSITIVE);
    let scale = |k: usize| 1.0 / (eigenvalues[k].max(0.0) + floor).sqrt();
    (0..width * width).map(|at| (scale(at / width) * eigenvectors[(at % width, at / width)]) as f32).collect()
}

/// Scales each row to length 1; a row of zeros stays.
fn normalise(rows: &mut [f32], width: usize) {
    for row in rows.chunks_exact_mut(width) {
        let norm = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
        if norm > 0.0 {
            row.iter_mut().for_each(|x| *x = (f64::from(*x) / norm) as f32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neighbours::nearest;
    use tweedie_core::noise::NoiseStream;

    fn noise(count: usize, width: usize, draw: u32) -> Vec<f32> {
        let mut values = vec![0.0; count * width];
        NoiseStream::new(1, 0).fill(draw, &mut values);
        values
    }

    #[test]
    fn the_ratio_of_distances() {
        let rows = [0.0, 3.0, 100.0];
        let ratio = |x: f32| distance_ratio(nearest::<2>(&rows, &[x], 1)[0]);
        assert!((ratio(1.0) - 0.5).abs() < 1e-6 && !is_copy(ratio(1.0)));
        assert!(is_copy(ratio(0.7)) && is_copy(ratio(101.0)));
        assert_eq!(ratio(3.0), 0.0);
        // A row that the data hold twice, and a sample that meets both.
        assert!(is_copy(distance_ratio(nearest::<2>(&[5.0, 5.0], &[5.0], 1)[0])));
    }

    #[test]
    fn copies_are_found_and_strangers_are_not() {
        let (width, count) = (40, 300);
        // Two classes far apart, stretched along some axes: without centring and whitening everything would look alike.
        let stretched = |mut rows: Vec<f32>| {
            for (row, label) in rows.chunks_exact_mut(width).zip((0..2).cycle()) {
                row.iter_mut().enumerate().for_each(|(k, x)| *x = 50.0 * label as f32 + *x * (1.0 + k as f32));
            }
            rows
        };
        let rows = stretched(noise(count, width, 0));
        let labels: Vec<u32> = (0..2).cycle().take(count).collect();
        let finder = CopyFinder::new(&rows, &labels, 2, width).unwrap();
        assert_eq!(finder.share_of_copies(&rows, &labels).unwrap(), 1.0);
        let near: Vec<f32> = rows.iter().zip(noise(count, width, 1)).map(|(x, z)| x + 0.3 * z).collect();
        assert!(finder.share_of_copies(&near, &labels).unwrap() > 0.99);
        assert!(finder.share_of_copies(&stretched(noise(count, width, 2)), &labels).unwrap() < 0.05);
        assert_eq!(finder.share_of_copies(&[], &[]).unwrap(), 0.0);
        // Of the rows 0 and 1 alone, only they are copies.
        let few = finder.among(&[1, 0]).unwrap();
        assert_eq!(few.share_of_copies(&rows[..4 * width], &labels[..4]).unwrap(), 0.5);
        assert!(finder.among(&[300]).is_err());
    }
}
