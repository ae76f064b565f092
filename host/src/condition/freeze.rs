//! Freezing: vectors become classes.

use crate::checkpoint::{Description, Model};
use crate::data::conditions::Example;
use crate::error::Error;
use crate::network::Condition;
use crate::network::condition::is_table;
use crate::network::parameters::FrozenWeights;
use candle_core::Device;

/// The model that knows `examples` as its classes, in their order: each row of its tables is the embedding of one vector, and the last stays
/// that of "none". Without examples it is unconditional. A device then needs no encoder, and nothing of it changes with the number of vectors but
/// the table.
///
/// # Errors
/// A model that is told no vectors, or vectors of another width.
pub fn freeze(model: Model, examples: &[Example]) -> Result<Model, Error> {
    let Some(vectors) = &model.description.vectors else {
        return Err(Error::Argument("this model was trained without captions or vectors".to_owned()));
    };
    let width = vectors.width();
    if let Some(example) = examples.iter().find(|example| example.vector.len() != width) {
        let has = example.vector.len();
        return Err(Error::Argument(format!("{}: {has} numbers, where the model is told {width}", example.name)));
    }
    let rows = examples.iter().map(|example| Some(example.vector.as_slice()));
    let rows: Vec<_> = rows.chain([None]).collect();
    let told = |device: &Device| Condition::of_vectors(rows.clone().into_iter(), width, device);
    let weights = model.weights.iter().map(|(name, weight)| {
        let weight = if is_table(name) { told(weight.device())?.embed(weight)? } else { weight.clone() };
        Ok((name.to_owned(), weight))
    });
    let weights = FrozenWeights::new(weights.collect::<candle_core::Result<_>>()?);
    let description = Description {
        classes: examples.len(),
        class_names: examples.iter().map(|example| example.name.clone()).collect(),
        vectors: None,
        ..model.description
    };
    let network = model.preset.network.build(&description.shape, description.classes)?;
    Ok(Model { network, weights, preset: model.preset, description })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::conditions::{VectorDescription, VectorKind};
    use crate::data::{Dataset, Scaling};
    use crate::network::condition::TABLE;
    use crate::network::{Inputs, Weights};
    use crate::preset::Preset;
    use candle_core::Tensor;

    fn told(width: usize) -> Model {
        let preset = Preset::parse("test", "", &["network.hidden=24".to_owned()]).unwrap();
        let units = vec![Scaling { offset: 10.0, scale: 2.0 }; width];
        let vectors = VectorDescription { kind: VectorKind::Numbers, units, examples: Vec::new(), by_class: false };
        let mut description = Description::new(&preset, &Dataset::digits().unwrap()).unwrap();
        (description.classes, description.vectors) = (0, Some(vectors));
        let network = preset.network.build(&description.shape, description.condition_width()).unwrap();
        let parameters = network.initialise(5, &Device::Cpu).unwrap();
        let weights = parameters.iter().map(|(name, var)| (name.to_owned(), var.as_tensor().clone()));
        let weights = FrozenWeights::new(weights.collect());
        Model { network, weights, preset, description }
    }

    fn example(numbers: &[f32]) -> Example {
        told(numbers.len()).description.vectors.unwrap().example(numbers)
    }

    #[test]
    fn a_frozen_class_is_what_the_network_makes_of_the_vector() {
        let examples = [example(&[11.0, 4.0, 10.0]), example(&[10.0, 10.0, 30.0])];
        assert_eq!((examples[0].name.as_str(), examples[0].vector.as_slice()), ("11, 4, 10", &[0.5, -3.0, 0.0][..]));
        let state = Tensor::ones((3, 64), candle_core::DType::F32, &Device::Cpu).unwrap();
        let rows = [Some(examples[0].vector.as_slice()), Some(examples[1].vector.as_slice()), None];
        let mut inputs = Inputs::at_angles(state, &[0.4], &[0, 1, 2]).unwrap();
        let frozen = freeze(told(3), &examples).unwrap();
        let by_class = frozen.network.forward(&frozen.weights, &inputs).unwrap();
        inputs.condition = Condition::of_vectors(rows.into_iter(), 3, &Device::Cpu).unwrap();
        let model = told(3);
        let by_vector = model.network.forward(&model.weights, &inputs).unwrap();
        let difference = (&by_class - by_vector).unwrap().abs().unwrap().max_all().unwrap();
        assert!(difference.to_scalar::<f32>().unwrap() < 1e-5);
        // And the three differ.
        let rows = by_class.to_vec2::<f32>().unwrap();
        assert!((rows[0][0] - rows[1][0]).abs() > 1e-3 && (rows[0][0] - rows[2][0]).abs() > 1e-3, "{rows:?}");
        assert_eq!((frozen.description.classes, frozen.description.class_names[1].as_str()), (2, "10, 10, 30"));
        assert!(frozen.knows_classes().is_ok() && model.knows_classes().is_err());
    }

    #[test]
    fn without_examples_a_model_is_unconditional() {
        let frozen = freeze(told(2), &[]).unwrap();
        assert_eq!((frozen.description.classes, frozen.weights.get(TABLE).unwrap().dims()), (0, &[1, 24][..]));
    }

    #[test]
    fn vectors_of_another_width_are_refused() {
        let sentence = freeze(told(2), &[example(&[1.0])]).err().unwrap().to_string();
        assert_eq!(sentence, "1: 1 numbers, where the model is told 2");
        let classes = freeze(freeze(told(1), &[]).unwrap(), &[]).err().unwrap().to_string();
        assert!(classes.contains("without captions or vectors"), "{classes}");
    }
}
