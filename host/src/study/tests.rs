//! The figures show what the documents state.

use super::*;

fn points<'a>(findings: &'a Findings, name: &str) -> &'a [(f64, f64)] {
    let curve = findings.plot.curves.iter().find(|curve| curve.name.starts_with(name));
    &curve.unwrap_or_else(|| panic!("no curve {name}")).points
}

fn falls(points: &[(f64, f64)], order: f64) {
    let slope = log_log_slope(points);
    assert!((slope + order).abs() < 0.2, "slope {slope}, not -{order}: {points:?}");
}

#[test]
fn slopes_are_exponents() {
    let points: Vec<(f64, f64)> = (1..9).map(f64::from).map(|x| (x, 5.0 * x.powf(-1.5))).collect();
    assert!((log_log_slope(&points) + 1.5).abs() < 1e-12);
}

#[test]
fn norms_and_cosines_concentrate_as_the_square_root_of_the_dimensions() {
    let found = norms::findings();
    for (measured, law) in [("|ε|", "√(2/d)"), ("|u|", "2/√(5d)"), ("cosine", "1/√d")] {
        for (a, b) in points(&found, measured).iter().zip(points(&found, law)).skip(2) {
            assert!((a.1 / b.1 - 1.0).abs() < 0.15, "{measured}: {a:?}, the law says {b:?}");
        }
    }
}

#[test]
fn entropy_rises_forward_and_falls_in_reverse() {
    let found = entropy::findings().unwrap();
    let forward = points(&found, "forward");
    assert!(forward.windows(2).all(|pair| pair[0].1 < pair[1].1), "{forward:?}");
    for (x, most) in forward.iter().zip(points(&found, "Gaussian")) {
        assert!(x.1 < most.1 + 0.02, "{x:?}, {most:?}");
    }
    for name in ["reverse, 3 ", "reverse, 8 ", "reverse, 64 "] {
        let reverse = points(&found, name);
        assert!(reverse.windows(2).all(|pair| pair[0].0 > pair[1].0 && pair[0].1 > pair[1].1), "{reverse:?}");
    }
    // Many steps end where the data are.
    let end = points(&found, "reverse, 64 ").last().unwrap().1;
    assert!((end - forward[0].1).abs() < 0.1, "{end}, {}", forward[0].1);
}

#[test]
fn the_denoiser_leans_to_the_modes_and_in_much_noise_to_the_mean() {
    let found = denoisers::findings().unwrap();
    let at = |name: &str, x: f64| points(&found, name).iter().find(|p| (p.0 - x).abs() < 1e-9).unwrap().1;
    assert!((at("t = 0.1", 1.0) - 1.0).abs() < 0.01);
    assert!((at("t = 4", 0.0) - 1.0 / 3.0).abs() < 0.05, "{}", at("t = 4", 0.0));
}

#[test]
fn ways_end_at_the_modes() {
    let found = trajectories::findings().unwrap();
    let total: usize = (1..=3).map(|mode| points(&found, &format!("mode {mode}")).len()).sum();
    assert_eq!(total, 60);
    for &(x, y) in points(&found, "mode 3") {
        assert!((x - 0.1).hypot(y - 1.6) < 0.8, "({x}, {y})");
    }
}

#[test]
fn errors_of_solvers_fall_at_their_orders() {
    let found = solvers::findings().unwrap();
    for (name, order) in
        [("ddim", 1.0), ("flow-heun", 2.0), ("heun", 2.0), ("dpm++2m", 2.0), ("dpm++3m", 3.0), ("deis", 3.0)]
    {
        let all = points(&found, &format!("{name},"));
        falls(&all[all.len() - 3..], order);
    }
    // Ten evaluations of higher order are worth fifty of DDIM: its error falls like 1/L, so a fifth of its error with ten.
    let error = |name: &str| points(&found, name).iter().find(|point| (9.0..=11.0).contains(&point.0)).unwrap().1;
    for name in ["flow-heun,", "dpm++2m,", "unipc,"] {
        assert!(error(name) < 0.2 * error("ddim,"), "{name} {}, ddim {}", error(name), error("ddim,"));
    }
}

#[test]
fn total_variation_falls_like_one_over_the_steps() {
    let found = variation::findings().unwrap();
    falls(&points(&found, "exponential")[3..], 1.0);
}

#[test]
fn the_empirical_denoiser_draws_its_training_rows() {
    let found = memorising::findings().unwrap();
    let near = |x: &(f64, f64)| {
        let distances = points(&found, "training").iter().map(|row| (x.0 - row.0).hypot(x.1 - row.1));
        distances.fold(f64::INFINITY, f64::min)
    };
    let strays = points(&found, "drawn with the empirical").iter().filter(|x| near(x) > 0.02).count();
    assert!(strays <= 2, "{strays}");
    let fresh = points(&found, "drawn with the data's").iter().filter(|x| near(x) > 0.02).count();
    assert!(fresh > 150, "{fresh}");
}

#[test]
fn wider_balls_and_more_rows_make_fewer_copies() {
    let found = copies::findings().unwrap();
    for rows in ["16 ", "128 ", "1024 "] {
        let curve = points(&found, rows);
        assert!(curve[0].1 > 0.99 && curve.last().unwrap().1 < 0.05, "{curve:?}");
    }
    let half = |rows: &str| points(&found, rows).iter().find(|point| point.1 < 0.5).unwrap().0;
    assert!(half("16 ") > half("128 ") && half("128 ") > half("1024 "));
}

#[test]
fn a_study_is_the_same_every_time_and_its_table_has_its_points() {
    for name in [StudyName::Trajectories, StudyName::Denoisers] {
        let [one, two] = [(); 2].map(|()| name.findings().unwrap());
        assert_eq!(one.plot.csv(), two.plot.csv());
        let count: usize = one.plot.curves.iter().map(|curve| curve.points.len()).sum();
        assert_eq!(one.plot.csv().lines().count(), 1 + count);
    }
}
