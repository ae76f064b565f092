//! What a network is told of each sample beside the noise: a class, or a vector.
//!
//! Both are one product with a table of the network, `[width + 1, hidden]`, whose last row stands for "none": a class is a one-hot vector, so
//! that its product is a row of the table; a vector is followed by a 0, and none is zeros followed by a 1. A network may have several such
//! tables: [`is_table`] knows them by name, and [`freeze`](crate::condition::freeze) turns vectors into rows of each.

use candle_core::{Device, Result, Tensor};

/// A part of the name of every table of conditions, and of no other weight.
pub const TABLE: &str = "class";

/// Whether a weight of that name is a table of conditions.
pub fn is_table(name: &str) -> bool {
    name.split('.').any(|part| part == TABLE)
}

/// The conditions of a batch.
#[derive(Clone, Debug)]
pub enum Condition {
    /// The class of each row, the number of classes standing for "none": u32, `[batch]`.
    Class(Tensor),
    /// The vector of each row and a 0, or zeros and a 1 for "none": f32, `[batch, width + 1]`.
    Vector(Tensor),
}

impl Condition {
    /// Classes, the number of classes standing for "none".
    pub fn of_classes(classes: &[u32], device: &Device) -> Result<Self> {
        Ok(Self::Class(Tensor::from_slice(classes, classes.len(), device)?))
    }

    /// Vectors of `width` numbers; `None` stands for "none".
    pub fn of_vectors<'a>(
        vectors: impl ExactSizeIterator<Item = Option<&'a [f32]>>,
        width: usize,
        device: &Device,
    ) -> Result<Self> {
        let rows = vectors.len();
        let mut values = Vec::with_capacity(rows * (width + 1));
        for vector in vectors {
            match vector {
                Some(vector) => values.extend(vector.iter().copied().chain([0.0])),
                None => values.extend(std::iter::repeat_n(0.0, width).chain([1.0])),
            }
        }
        Ok(Self::Vector(Tensor::from_vec(values, (rows, width + 1), device)?))
    }

    /// The embedding of each row, `[batch, hidden]`, by a table `[width + 1, hidden]`.
    pub fn embed(&self, table: &Tensor) -> Result<Tensor> {
        match self {
            Self::Class(classes) => table.index_select(classes, 0),
            Self::Vector(vectors) => vectors.matmul(table),
        }
    }

    /// The class of each row.
    ///
    /// # Errors
    /// Conditions that are vectors.
    pub fn classes(&self) -> Result<Vec<u32>> {
        match self {
            Self::Class(classes) => classes.to_vec1(),
            Self::Vector(_) => candle_core::bail!("this network is told classes, not vectors"),
        }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        let (Self::Class(rows) | Self::Vector(rows)) = self;
        rows.dims().first().copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Tensor {
        Tensor::new(&[[1.0_f32, 2.0], [10.0, 20.0], [-5.0, 7.0]], &Device::Cpu).unwrap()
    }

    #[test]
    fn a_class_is_a_one_hot_vector() {
        let class = Condition::of_classes(&[1, 2, 0], &Device::Cpu).unwrap();
        let rows: [Option<&[f32]>; 3] = [Some(&[0.0, 1.0]), None, Some(&[1.0, 0.0])];
        let vector = Condition::of_vectors(rows.into_iter(), 2, &Device::Cpu).unwrap();
        let embedded = |condition: &Condition| condition.embed(&table()).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(embedded(&class), [[10.0, 20.0], [-5.0, 7.0], [1.0, 2.0]]);
        assert_eq!(embedded(&vector), embedded(&class));
        assert_eq!((class.rows(), vector.rows()), (3, 3));
    }

    #[test]
    fn a_vector_is_embedded_linearly() {
        let rows: [Option<&[f32]>; 1] = [Some(&[0.5, -0.25])];
        let vector = Condition::of_vectors(rows.into_iter(), 2, &Device::Cpu).unwrap();
        assert_eq!(vector.embed(&table()).unwrap().to_vec2::<f32>().unwrap(), [[-2.0, -4.0]]);
        assert!(vector.classes().is_err());
    }
}
