//! Measures against closed forms, and against numpy on the embedded digits.

use super::*;
use crate::data::Scaling;
use crate::preset::Preset;
use crate::process::AnyProcess;
use tweedie_core::noise::NoiseStream;
use tweedie_core::schedule::Process;
use tweedie_core::shell;

fn data(samples: Vec<f32>, width: usize) -> Dataset {
    Dataset {
        name: "x".into(),
        shape: vec![width],
        samples,
        labels: None,
        classes: 0,
        conditions: None,
        scaling: Scaling::IDENTITY,
    }
}

/// Gaussian noise of a standard deviation.
fn noise(rows: usize, width: usize, deviation: f32) -> Dataset {
    let mut samples = vec![0.0; rows * width];
    NoiseStream::new(7, 0).fill(0, &mut samples);
    samples.iter_mut().for_each(|x: &mut f32| *x *= deviation);
    data(samples, width)
}

fn inspect(data: &Dataset) -> Inspection {
    Inspection::of(data, &DataSettings::samples_of("digits")).unwrap()
}

fn value(inspection: &Inspection, name: &str) -> f64 {
    inspection.measure(name).and_then(|measure| measure.value).unwrap_or_else(|| panic!("no {name}"))
}

#[track_caller]
fn near(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{found} is not {expected}");
}

#[test]
fn the_digits_measure_what_numpy_says() {
    let found = inspect(&Dataset::digits().unwrap());
    for (name, expected, tolerance) in [
        ("squared_norm", 0.715_254_819_738, 1e-9),
        ("squared_norm_spread", 0.066_721_193_905, 1e-9),
        // Of all pairs; here of 20 000 that are drawn.
        ("cosine", 0.590_4, 0.003),
        ("cosine_deviation", 0.271_2, 0.005),
        ("entropy_bits", 2.986_269_394_794, 1e-9),
        ("near_zero", 0.487_321_362_287, 1e-9),
        ("participation_ratio", 13.227_671_017_905, 1e-6),
        ("dimensions_90", 21.0, 0.0),
        ("dimensions_95", 29.0, 0.0),
        ("dimensions_99", 42.0, 0.0),
        ("nearest_distance", 2.038_688_303_788, 1e-6),
        ("largest_distance", 9.600_618_469_661, 1e-6),
        ("duplicates", 0.0, 0.0),
        ("class_balance", 133.0 / 137.0, 1e-12),
    ] {
        near(value(&found, name), expected, tolerance);
    }
    near(found.measure("cosine").unwrap().noise.unwrap(), 0.211_071_678_301, 1e-9);
    near(found.spectrum.data[0], 2.713_929_11, 1e-6);
}

#[test]
fn gaussian_noise_is_on_the_shell_and_full_of_dimensions() {
    let found = inspect(&noise(4000, 100, 1.0));
    near(value(&found, "squared_norm"), 1.0, 0.01);
    near(value(&found, "squared_norm_spread"), shell::spread_gaussian(100), 0.006);
    near(value(&found, "cosine"), 0.0, 0.003);
    near(value(&found, "cosine_deviation"), shell::cosine_deviation(100), 0.003);
    // Marchenko and Pastur: n d / (n + d) for n rows.
    near(value(&found, "participation_ratio"), 4000.0 * 100.0 / 4100.0, 1.0);
    for name in ["participation_ratio", "nearest_distance", "largest_distance", "dimensions_99"] {
        let measure = found.measure(name).unwrap();
        near(measure.value.unwrap() / measure.noise.unwrap(), 1.0, 0.05);
    }
    assert_eq!(found.measure("entropy_bits").unwrap().value, None);
    assert_eq!(value(&found, "duplicates"), 0.0);
}

#[test]
fn a_subspace_has_its_own_dimensions() {
    // Three directions of equal variance in 40, orthogonal by being different coordinates.
    let mut samples = vec![0.25; 500 * 40];
    let coordinates = noise(500, 3, 0.2);
    for (row, z) in samples.chunks_exact_mut(40).zip(coordinates.samples.chunks_exact(3)) {
        z.iter().enumerate().for_each(|(axis, z)| row[13 * axis] += z);
    }
    let found = inspect(&data(samples, 40));
    near(value(&found, "participation_ratio"), 3.0, 0.1);
    assert_eq!(value(&found, "dimensions_99"), 3.0);
    assert!(found.spectrum.data[3] < 1e-9 * found.spectrum.data[0]);
    // The mean is most of every row.
    assert!(value(&found, "cosine") > 0.8);
}

#[test]
fn fewer_rows_than_dimensions_have_the_same_spectrum_either_way() {
    // 30 rows of 50 numbers, by their products; the same rows in 1100 dimensions, the rest of them constant.
    let narrow = noise(30, 50, 0.3);
    let wide: Vec<f32> = narrow.samples.chunks_exact(50).flat_map(|row| [row, &[0.5; 1050]].concat()).collect();
    let [narrow, wide] = [Spectrum::of(&Rows::of(&narrow)), Spectrum::of(&Rows::of(&data(wide, 1100)))];
    assert_eq!((narrow.variances.len(), wide.variances.len()), (29, 29));
    narrow.variances.iter().zip(&wide.variances).for_each(|(a, b)| near(*a, *b, 1e-6));
}

#[test]
fn entropy_counts_bits() {
    let coin: Vec<f32> = (0..100).map(|i| if i % 4 == 0 { 1.0 } else { -1.0 }).collect();
    let levels = DataLevels::of(&coin).unwrap();
    near(entropy::bits(&coin, &levels), 0.75 * (4.0_f64 / 3.0).log2() + 0.25 * 2.0, 1e-12);
    let bytes: Vec<f32> = (0..=255_u8).map(|v| f32::from(v) / 127.5 - 1.0).collect();
    near(entropy::bits(&bytes, &DataLevels::of(&bytes).unwrap()), 8.0, 1e-12);
    let (share, middle) = background::share(&coin);
    near(share, 0.75, 1e-12);
    near(middle, -1.0, 1.0 / 64.0);
}

#[test]
fn what_comes_twice_is_counted_and_is_no_neighbour() {
    let mut twice = noise(50, 8, 0.2);
    twice.samples.extend_from_within(..3 * 8);
    let found = inspect(&twice);
    assert_eq!(value(&found, "duplicates"), 3.0);
    assert!(found.measure("duplicates").unwrap().advice.contains("3 of 53 rows"));
    assert!(value(&found, "nearest_distance") > 0.1);
    // Where every row has a copy there is still a distance.
    let found = inspect(&data(vec![0.0, 0.0, 0.5, 0.5], 1));
    assert_eq!((value(&found, "nearest_distance"), value(&found, "largest_distance")), (0.5, 0.5));
}

#[test]
fn rare_classes_are_named() {
    let mut labelled = noise(10, 4, 0.2);
    (labelled.labels, labelled.classes) = (Some(vec![0, 0, 0, 0, 0, 0, 1, 2, 2, 2]), 3);
    let found = inspect(&labelled);
    near(value(&found, "class_balance"), 1.0 / 6.0, 1e-12);
    assert!(found.measure("class_balance").unwrap().advice.starts_with("Class 1 has 1 rows, class 0 6"));
    labelled.classes = 4;
    assert!(inspect(&labelled).measure("class_balance").unwrap().advice.starts_with("Class 3 has no row"));
}

#[test]
fn suggested_noise_reaches_from_the_levels_to_beyond_the_data() {
    let digits = Dataset::digits().unwrap();
    let Suggestion { sigma_min, sigma_max, min_time, max_time, .. } = inspect(&digits).suggestion;
    near(sigma_min, 0.125 / 4.0, 1e-9);
    let preset = Preset::parse("x", &inspect(&digits).suggestion.preset, &[]).unwrap();
    assert_eq!((preset.process.min_time, preset.process.max_time), (min_time, max_time));
    // Both ends lie on the process where they should, to the digits that are written.
    let process = AnyProcess::new(&preset.process).unwrap();
    let ratio = |t: f64| {
        let level = process.level(t).unwrap();
        level.sigma / level.alpha
    };
    assert!(ratio(min_time) <= sigma_min && ratio(min_time) > 0.99 * sigma_min);
    assert!(ratio(max_time) >= sigma_max && ratio(max_time) < 1.1 * sigma_max);
    let points = inspect(&noise(3000, 3, 0.3));
    assert_eq!((points.suggestion.times, &points.suggestion.preset), ("log-snr", &points.suggestion.preset));
    assert!(points.suggestion.preset.contains("steps = 50"));
}

#[test]
fn what_cannot_be_measured_is_a_sentence() {
    let refused =
        |data: &Dataset| Inspection::of(data, &DataSettings::samples_of("digits")).map(|_| ()).unwrap_err().to_string();
    assert!(refused(&data(vec![0.5, 0.25], 2)).contains("at least 2"));
    assert!(refused(&data(vec![0.5; 8], 2)).contains("every number is 0.5"));
}

#[test]
fn rows_of_zeros_have_no_angle_and_no_place_in_the_numbers() {
    let mut some = noise(20, 6, 0.3);
    some.samples[..12].fill(0.0);
    let found = inspect(&some);
    assert!(found.measures.iter().all(|measure| measure.value.is_none_or(f64::is_finite)), "{found:?}");
}

#[test]
fn plots_hold_the_measured_numbers() {
    let found = inspect(&Dataset::digits().unwrap());
    let spectrum = plots::spectrum(&found);
    assert_eq!(spectrum.curves[1].points[0], (1.0, found.spectrum.data[0]));
    let norms = plots::norms(&found);
    let (width, own) = (norms.curves[1].points[1].0 - norms.curves[1].points[0].0, &norms.curves[1].points);
    near(own.iter().map(|point| point.1 * width).sum::<f64>(), 1.0, 1e-9);
    // In one dimension noise's density has no bound; the plot has.
    let line = plots::norms(&inspect(&noise(100, 1, 0.3)));
    assert!(line.y.range.end.is_finite() && line.draw().is_ok());
}
