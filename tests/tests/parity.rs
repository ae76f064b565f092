//! Exact parity: whole samples of random small networks are the same bytes here and on every emulated microcontroller.
//!
//! Networks, plans and seeds are quickcheck's; half of the plans are those of the solvers, every one of them. All go to the chip in one
//! file, so that a run of the emulator serves the lot.

#![allow(missing_docs)]

use draws::{assert_same_everywhere, lines};
use quickcheck::Gen;
use random_network::RandomModel;
use tweedie_host::preset::SolverName;

mod draws;
mod emulator;
mod random_network;

/// Networks in one run.
const MODELS: usize = 48;

#[test]
fn random_networks_draw_the_same_bytes_on_every_chip() {
    let mut g = Gen::new(100);
    let solvers = SolverName::ALL.iter().copied().map(Some).chain(std::iter::repeat(None));
    let made = |solver| {
        std::iter::repeat_with(|| RandomModel::new(&mut g, solver))
            .flatten()
            // The room that the board's program has.
            .find(|model| model.words.len() <= 2048)
            .unwrap()
    };
    let models: Vec<RandomModel> = solvers.take(MODELS).map(made).collect();
    let expected: Vec<String> = models.iter().flat_map(|model| lines(&model.words)).collect();
    let varied = expected.iter().flat_map(|line| line.as_bytes().chunks(4)).collect::<std::collections::HashSet<_>>();
    assert!(varied.len() > MODELS, "random networks should not all draw the same: {} values", varied.len());
    assert_same_everywhere(&models, &expected);
}
