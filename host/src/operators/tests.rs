//! Every fused operator, forward and backward, against the same of candle's operators in f64, which are checked against
//! central differences.

use super::linear::{Activation, linear};
use super::{attention, combine_rows, convolution, join, layer_norm, loss, normalise, rearrange};
use candle_core::{DType, Device, Result, Tensor, Var};
use quickcheck::{Arbitrary, Gen, TestResult, quickcheck};
use tweedie_core::noise::NoiseStream;

/// Odd sizes, whose remainders every vectorised loop meets; now and then more than a vector's width.
#[derive(Clone, Copy, Debug)]
struct Size(usize);

impl Arbitrary for Size {
    fn arbitrary(g: &mut Gen) -> Self {
        Self(match u8::arbitrary(g) {
            0..30 => 17 + usize::arbitrary(g) % 60,
            _ => 1 + usize::arbitrary(g) % 9,
        })
    }
}

fn normal(seed: u64, stream: u64, shape: &[usize]) -> Vec<f32> {
    let mut values = vec![0.0; shape.iter().product()];
    NoiseStream::new(seed, stream).fill(0, &mut values);
    values
}

type Operator<'a> = &'a dyn Fn(&[Tensor]) -> Result<Tensor>;

/// The value of `operator`, and the gradient of its inner product with `cotangent` by the first `trained` operands.
fn differentiate(
    operator: Operator<'_>,
    operands: &[(Vec<f32>, Vec<usize>)],
    trained: usize,
    dtype: DType,
    cotangent: &dyn Fn(&[usize]) -> Vec<f32>,
) -> Result<(Vec<f64>, Vec<Vec<f64>>)> {
    let tensor = |values: &[f32], shape: &[usize]| Tensor::from_slice(values, shape, &Device::Cpu)?.to_dtype(dtype);
    let numbers = |tensor: &Tensor| tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>();
    let vars = operands[..trained].iter().map(|(values, shape)| Var::from_tensor(&tensor(values, shape)?));
    let vars = vars.collect::<Result<Vec<_>>>()?;
    let mut tensors: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    for (values, shape) in &operands[trained..] {
        tensors.push(tensor(values, shape)?);
    }
    let out = operator(&tensors)?;
    let weights = tensor(&cotangent(out.dims()), out.dims())?;
    let gradients = (&out * weights)?.sum_all()?.backward()?;
    let by_var = vars.iter().map(|var| numbers(gradients.get(var.as_tensor()).expect("a gradient")));
    Ok((numbers(&out)?, by_var.collect::<Result<_>>()?))
}

fn farthest(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let size = b.iter().fold(1.0_f64, |size, x| size.max(x.abs()));
    a.iter().zip(b).map(|(a, b)| (a - b).abs() / size).fold(0.0, f64::max)
}

/// Fused in f32 against candle's in f64, and that against central differences.
fn agree(
    fused: Operator<'_>,
    plain: Operator<'_>,
    operands: &[(Vec<f32>, Vec<usize>)],
    trained: usize,
    tolerance: f64,
) {
    let cotangent = |shape: &[usize]| normal(99, 7, shape);
    let own = differentiate(fused, operands, trained, DType::F32, &cotangent).unwrap();
    let exact = differentiate(plain, operands, trained, DType::F64, &cotangent).unwrap();
    assert!(farthest(&own.0, &exact.0) < tolerance, "values {:?} {:?}", own.0, exact.0);
    for (operand, (own, exact)) in own.1.iter().zip(&exact.1).enumerate() {
        assert!(farthest(own, exact) < tolerance, "gradient by operand {operand}: {own:?}, exactly {exact:?}");
    }

    // The inner product as a function of one operand's numbers.
    for operand in 0..trained {
        let value = |index: usize, change: f64| -> f64 {
            let tensors = operands.iter().enumerate().map(|(other, (values, shape))| {
                let mut values: Vec<f64> = values.iter().map(|&v| f64::from(v)).collect();
                if other == operand {
                    values[index] += change;
                }
                Tensor::from_vec(values, shape.as_slice(), &Device::Cpu).unwrap()
            });
            let out = plain(&tensors.collect::<Vec<_>>()).unwrap();
            let weights = cotangent(out.dims());
            let out = out.flatten_all().unwrap().to_vec1::<f64>().unwrap();
            out.iter().zip(&weights).map(|(out, &weight)| out * f64::from(weight)).sum()
        };
        let h = 1e-5;
        // A few numbers of each operand are enough: all were compared with candle's above.
        let indices: Vec<usize> = (0..operands[operand].0.len()).step_by(operands[operand].0.len() / 5 + 1).collect();
        let differences: Vec<f64> = indices.iter().map(|&i| (value(i, h) - value(i, -h)) / (2.0 * h)).collect();
        let gradient: Vec<f64> = indices.iter().map(|&i| exact.1[operand][i]).collect();
        assert!(farthest(&differences, &gradient) < 1e-5, "operand {operand}: {differences:?}, {gradient:?}");
    }
}

fn linear_agrees(batch: usize, inputs: usize, outputs: usize, seed: u64, activation: Activation) {
    let operands = [vec![batch, inputs], vec![outputs, inputs], vec![outputs]];
    let operands: Vec<_> =
        operands.into_iter().enumerate().map(|(i, shape)| (normal(seed, i as u64, &shape), shape)).collect();
    let fused = |t: &[Tensor]| linear(&t[0], &t[1], &t[2], activation);
    let plain = |t: &[Tensor]| super::linear::by_operators(&t[0], &t[1], &t[2], activation);
    agree(&fused, &plain, &operands, 3, 3e-6);
}

/// Which sizes a convolution is checked at.
#[derive(Clone, Copy, Debug)]
struct ConvolutionCase {
    /// `[batch, height, width, inputs]`.
    images: [usize; 4],
    outputs: usize,
    size: usize,
    stride: usize,
    own_bias: bool,
    activation: Activation,
}

impl Arbitrary for ConvolutionCase {
    fn arbitrary(g: &mut Gen) -> Self {
        let mut among = |least: usize, most: usize| least + usize::arbitrary(g) % (most - least + 1);
        let (stride, height) = (among(1, 2), among(1, 7));
        // By stride 2 candle's backward pass is right only for sides that are both even or both odd.
        let width = if stride == 1 { among(1, 7) } else { height % 2 + 2 * among(1, 3) };
        Self {
            images: [among(1, 3), height, width, among(1, 5)],
            outputs: among(1, 18),
            size: [1, 3][among(0, 1)],
            stride,
            own_bias: among(0, 1) == 1,
            activation: [Activation::None, Activation::Silu][among(0, 1)],
        }
    }
}

fn convolution_agrees(case: ConvolutionCase, seed: u64) {
    let ConvolutionCase { images, outputs, size, stride, own_bias, activation } = case;
    let bias = if own_bias { vec![images[0], outputs] } else { vec![outputs] };
    let shapes = [images.to_vec(), vec![outputs, size, size, images[3]], bias];
    let operands: Vec<_> =
        shapes.into_iter().enumerate().map(|(i, shape)| (normal(seed, i as u64, &shape), shape)).collect();
    let fused = |t: &[Tensor]| convolution(&t[0], &t[1], &t[2], stride, activation);
    let plain = |t: &[Tensor]| convolution::by_operators(&t[0], &t[1], &t[2], stride, activation);
    agree(&fused, &plain, &operands, 3, 5e-6);
}

quickcheck! {
    fn convolutions(case: ConvolutionCase, seed: u64) -> bool {
        convolution_agrees(case, seed);
        true
    }

    fn normalisation(batch: Size, features: Size, seed: u64) -> bool {
        let operands = [(normal(seed, 0, &[batch.0, 2, features.0]), vec![batch.0, 2, features.0])];
        let spread = operands[0].0.chunks(features.0).map(spread).fold(f32::MAX, f32::min);
        let tolerance = 2e-5 / f64::from(spread.clamp(0.003, 1.0));
        agree(&|t| normalise(&t[0]), &|t| normalise::by_operators(&t[0]), &operands, 1, tolerance);
        true
    }

    fn attention_in_heads(batch: u8, tokens: Size, heads: u8, depth: Size, seed: u64) -> bool {
        let (batch, heads) = (1 + usize::from(batch % 2), 1 + usize::from(heads % 3));
        let (tokens, depth) = (tokens.0.min(20), depth.0.min(20));
        let shape = vec![batch, tokens, 3 * heads * depth];
        let operands = [(normal(seed, 0, &shape), shape)];
        agree(&|t| attention(&t[0], heads), &|t| attention::by_operators(&t[0], heads), &operands, 1, 1e-5);
        true
    }

    fn joining(batch: u8, side: u8, channels: Size, others: Size, enlarge: bool, seed: u64) -> bool {
        let (batch, side, enlarge) = (1 + usize::from(batch % 3), 1 + usize::from(side % 3), 1 + usize::from(enlarge));
        let shapes = [
            vec![batch, side, side + 1, channels.0],
            vec![batch, side * enlarge, (side + 1) * enlarge, others.0],
        ];
        let operands: Vec<_> =
            shapes.into_iter().enumerate().map(|(i, shape)| (normal(seed, i as u64, &shape), shape)).collect();
        let fused = |t: &[Tensor]| join(&t[0], &t[1], enlarge);
        let plain = |t: &[Tensor]| join::by_operators(&t[0], &t[1], enlarge);
        agree(&fused, &plain, &operands, 2, 3e-6);
        true
    }

    fn rearranging(batch: Size, features: Size, seed: u64) -> bool {
        // Any permutation will do.
        let mut order: Vec<u32> = (0..features.0 as u32).collect();
        order.rotate_left(features.0 / 3);
        order[features.0 / 2..].reverse();
        let order: std::sync::Arc<[u32]> = order.into();
        let operands = [(normal(seed, 0, &[batch.0, features.0]), vec![batch.0, features.0])];
        agree(&|t| rearrange(&t[0], &order), &|t| rearrange::by_operators(&t[0], &order), &operands, 1, 1e-7);
        true
    }

    fn linear_layers(batch: Size, inputs: Size, outputs: Size, seed: u64, silu: bool) -> bool {
        let activation = if silu { Activation::Silu } else { Activation::None };
        linear_agrees(batch.0, inputs.0, outputs.0, seed, activation);
        true
    }

    fn layer_normalisation(batch: Size, features: Size, seed: u64) -> bool {
        let shapes = [vec![batch.0, features.0], vec![features.0], vec![features.0]];
        let operands: Vec<_> =
            shapes.into_iter().enumerate().map(|(i, shape)| (normal(seed, i as u64, &shape), shape)).collect();
        let fused = |t: &[Tensor]| layer_norm(&t[0], &t[1], &t[2]);
        let plain = |t: &[Tensor]| layer_norm::by_operators(&t[0], &t[1], &t[2]);
        // Two nearly equal numbers lose digits when their mean is taken off, as in any f32 arithmetic.
        let spread = operands[0].0.chunks(features.0).map(spread).fold(f32::MAX, f32::min);
        let tolerance = 2e-5 / f64::from(spread.clamp(0.003, 1.0));
        agree(&fused, &plain, &operands, 3, tolerance);
        true
    }

    fn steps_of_rows(batch: Size, features: Size, seed: u64) -> bool {
        let operands = [0, 1].map(|i| (normal(seed, i, &[batch.0, features.0]), vec![batch.0, features.0]));
        let [a, b] = [2, 3].map(|i| std::sync::Arc::<[f32]>::from(normal(seed, i, &[batch.0])));
        let fused = |t: &[Tensor]| combine_rows(&a, &t[0], &b, &t[1]);
        let plain = |t: &[Tensor]| combine_rows::by_operators(&a, &t[0], &b, &t[1]);
        agree(&fused, &plain, &operands, 2, 3e-6);
        true
    }

    fn loss_of_a_batch(batch: Size, features: Size, seed: u64, scale: i8) -> TestResult {
        let shapes = [vec![batch.0, features.0], vec![batch.0, features.0], vec![batch.0]];
        let operands: Vec<_> =
            shapes.into_iter().enumerate().map(|(i, shape)| (normal(seed, i as u64, &shape), shape)).collect();
        // Candle leaves gradients of 0 out.
        let scale = f64::from(scale | 1) / 16.0;
        // Weights of both signs could cancel all but the rounding.
        let mut operands = operands;
        operands[2].0.iter_mut().for_each(|weight| *weight = weight.abs());
        let fused = |t: &[Tensor]| loss::weighted_mean_squared_error(&t[0], &t[1], &t[2], scale);
        let plain = |t: &[Tensor]| loss::by_operators(&t[0], &t[1], &t[2], scale);
        agree(&fused, &plain, &operands, 1, 3e-6);
        TestResult::passed()
    }
}

fn spread(row: &[f32]) -> f32 {
    let mean = row.iter().sum::<f32>() / row.len() as f32;
    let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / row.len() as f32;
    if row.len() == 1 { 1.0 } else { variance.sqrt() }
}

#[test]
fn the_sizes_of_the_digits() {
    for activation in [Activation::None, Activation::Silu] {
        linear_agrees(128, 64, 128, 3, activation);
    }
}

/// More patches than are laid out at once, and rows of several images in one block.
#[test]
fn the_sizes_of_an_image_network() {
    for (images, outputs, size, stride) in [
        ([3, 14, 14, 24], 24, 3, 1),
        ([3, 14, 14, 24], 48, 3, 2),
        ([9, 7, 7, 48], 24, 1, 1),
        ([1, 28, 28, 32], 32, 3, 1),
    ] {
        let case =
            ConvolutionCase { images, outputs, size, stride, own_bias: stride == 1, activation: Activation::Silu };
        convolution_agrees(case, 5);
    }
}

/// Weighted, `0.5 (2 (1 - 0)^2 + 2 (2 - 0)^2 + 3 (3 - 1)^2 + 3 (4 - 1)^2)`, and its gradient.
#[test]
fn the_loss_of_numbers_worked_by_hand() {
    let device = Device::Cpu;
    let output = Var::from_slice(&[1.0_f32, 2.0, 3.0, 4.0], (2, 2), &device).unwrap();
    let target = Tensor::new(&[[0.0_f32, 0.0], [1.0, 1.0]], &device).unwrap();
    let weights = Tensor::new(&[2.0_f32, 3.0], &device).unwrap();
    let loss = loss::weighted_mean_squared_error(&output, &target, &weights, 0.5).unwrap();
    assert_eq!(loss.to_scalar::<f32>().unwrap(), 24.5);
    let gradients = loss.backward().unwrap();
    let gradient = gradients.get(output.as_tensor()).unwrap().to_vec2::<f32>().unwrap();
    assert_eq!(gradient, [[2.0, 4.0], [6.0, 9.0]]);
}

#[test]
fn shapes_that_do_not_fit_are_errors() {
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    assert!(linear(&zeros(&[2, 3]), &zeros(&[4, 5]), &zeros(&[4]), Activation::None).is_err());
    assert!(linear(&zeros(&[2, 3]), &zeros(&[4, 3]), &zeros(&[5]), Activation::None).is_err());
    let convolve = |x: &[usize], weight: &[usize], bias: &[usize]| {
        convolution(&zeros(x), &zeros(weight), &zeros(bias), 1, Activation::None)
    };
    assert!(convolve(&[2, 4, 4, 3], &[5, 3, 3, 3], &[5]).is_ok());
    assert!(convolve(&[2, 4, 4, 3], &[5, 3, 3, 2], &[5]).is_err());
    assert!(convolve(&[2, 4, 4, 3], &[5, 2, 2, 3], &[5]).is_err());
    assert!(convolve(&[2, 4, 4, 3], &[5, 3, 3, 3], &[3, 5]).is_err());
    assert!(attention(&zeros(&[1, 4, 9]), 2).is_err());
    assert!(join(&zeros(&[1, 2, 2, 1]), &zeros(&[1, 5, 4, 1]), 2).is_err());
    assert!(rearrange(&zeros(&[1, 3]), &std::sync::Arc::from([1, 0])).is_err());
    assert!(layer_norm(&zeros(&[2, 3]), &zeros(&[2]), &zeros(&[3])).is_err());
    assert!(loss::weighted_mean_squared_error(&zeros(&[2, 3]), &zeros(&[3, 2]), &zeros(&[2]), 1.0).is_err());
    assert!(loss::weighted_mean_squared_error(&zeros(&[2, 3]), &zeros(&[2, 3]), &zeros(&[3]), 1.0).is_err());
    // Types that do not go together are errors too.
    let doubles = zeros(&[2, 3]).to_dtype(DType::F64).unwrap();
    assert!(linear(&doubles, &zeros(&[4, 3]), &zeros(&[4]), Activation::None).is_err());
}
