//! What concerns several packages of Tweedie: walls, licences, parity, emulated chips, quality. The tests stand in `tests/`; here are the
//! programs of the tour, `docs/tour/`, each of which is compiled and run.

/// The pages, in their order.
#[cfg(doctest)]
mod tour {
    macro_rules! pages {
        ($($page:ident: $file:literal),+ $(,)?) => {
            $(#[doc = include_str!(concat!("../../docs/tour/", $file))] struct $page;)+
        };
    }
    pages! {
        Norms: "1-norms.md",
        Noise: "2-noise.md",
        Denoisers: "3-denoisers.md",
        Ddim: "4-ddim.md",
        Solvers: "5-solvers.md",
        Training: "6-training.md",
        Memorising: "7-memorising.md",
        FewSteps: "8-few-steps.md",
        FixedPoint: "9-fixed-point.md",
    }
}
