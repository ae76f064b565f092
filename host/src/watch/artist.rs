//! Whoever draws what is watched.

use crate::preset::SolverName;
use std::ops::ControlFlow;

/// What is drawn, and what of it can be changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    /// The run's or the artifact's name.
    pub name: String,
    /// Who draws, as in "candle on cpu".
    pub by: String,
    /// Shape of one sample.
    pub shape: Vec<usize>,
    /// Number of classes; 0 without.
    pub classes: usize,
    /// What each class stands for, where a number does not say it; else empty.
    pub class_names: Vec<String>,
    /// What cannot be changed.
    pub fixed: Fixed,
}

impl Subject {
    /// The number of values in a sample.
    pub fn features(&self) -> usize {
        self.shape.iter().product::<usize>().max(1)
    }

    /// Whether there is such a class, or none is asked for.
    ///
    /// # Errors
    /// A sentence that says which there are.
    pub fn check_class(&self, class: Option<u32>) -> Result<(), String> {
        match (class, self.classes) {
            (Some(class), 0) => Err(format!("class {class}: this model was trained without classes")),
            (Some(class), classes) if class as usize >= classes => {
                Err(format!("class {class}: this model knows the classes 0 to {}", classes - 1))
            }
            _ => Ok(()),
        }
    }
}

/// Why something cannot be changed, each as a sentence, or none where it can.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fixed {
    /// The solver.
    pub solver: Option<String>,
    /// The number of steps.
    pub steps: Option<String>,
    /// The guidance.
    pub guidance: Option<String>,
}

/// What is to be drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The one class of all samples, or all classes in turn.
    pub class: Option<u32>,
    /// Samples.
    pub count: usize,
    /// Seed of the noise.
    pub seed: u64,
    /// Network evaluations.
    pub steps: usize,
    /// The solver; none where the plan is the subject's own.
    pub solver: Option<SolverName>,
    /// Classifier-free guidance, 1 being none.
    pub guidance: f64,
}

/// What is seen between two steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Steps that have been taken; 0 is the noise.
    pub step: usize,
    /// Steps in all.
    pub steps: usize,
    /// The state's noise level as an angle: 1 is noise, 0 is data.
    pub angle: f64,
    /// The states over the norm of their noise level, `[count, features]`.
    pub state: Vec<f32>,
    /// The estimates that the last step made, as many; none before the first.
    pub x0_hat: Option<Vec<f32>>,
    /// How long the last step took, for all samples.
    pub seconds: f64,
}

/// Draws, on whatever device. One artist serves the keyboard's thread, which asks what is possible, and the one that draws.
pub trait Artist: Send + Sync {
    /// What it draws.
    fn subject(&self) -> &Subject;

    /// Whether something can be drawn, without drawing it.
    ///
    /// # Errors
    /// A sentence that says why not.
    fn check(&self, request: &Request) -> Result<(), String>;

    /// Draws, and shows the noise and then every step's end. Stops, and ends well, when `show` breaks.
    ///
    /// # Errors
    /// A sentence that says why it failed.
    fn draw(&self, request: &Request, show: &mut dyn FnMut(Frame) -> ControlFlow<()>) -> Result<(), String>;
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Draws two grey pixels that go from black to white, in as many steps as asked for; refuses 7 of them, and every solver but two.
    pub struct Painter(pub Subject);

    impl Painter {
        pub fn new(classes: usize) -> Self {
            Self(Subject {
                name: "test".into(),
                by: "a test".into(),
                shape: vec![1, 1, 2],
                classes,
                class_names: Vec::new(),
                fixed: Fixed::default(),
            })
        }
    }

    impl Artist for Painter {
        fn subject(&self) -> &Subject {
            &self.0
        }

        fn check(&self, request: &Request) -> Result<(), String> {
            self.0.check_class(request.class)?;
            match (request.steps, request.solver) {
                (7, _) => Err("seven is no number".into()),
                (_, Some(SolverName::Ddim | SolverName::UniPc)) => Ok(()),
                (_, solver) => Err(format!("no {solver:?}")),
            }
        }

        fn draw(&self, request: &Request, show: &mut dyn FnMut(Frame) -> ControlFlow<()>) -> Result<(), String> {
            let steps = request.steps;
            for step in 0..=steps {
                let level = 2.0 * step as f32 / steps as f32 - 1.0;
                let x0_hat = (step > 0).then(|| vec![level; 2 * request.count]);
                let (state, angle) = (vec![-level; 2 * request.count], 1.0 - step as f64 / steps as f64);
                if show(Frame { step, steps, angle, state, x0_hat, seconds: 0.001 }).is_break() {
                    break;
                }
            }
            match request.seed {
                13 => Err("thirteen brings bad luck".into()),
                _ => Ok(()),
            }
        }
    }

    /// What [`Painter`] begins with.
    pub fn request() -> Request {
        Request { class: None, count: 2, seed: 0, steps: 4, solver: Some(SolverName::Ddim), guidance: 1.0 }
    }

    #[test]
    fn classes_that_are_not_there_are_refused_in_words() {
        let subject = |classes| Painter::new(classes).0;
        assert!(subject(0).check_class(None).is_ok() && subject(3).check_class(Some(2)).is_ok());
        assert!(subject(0).check_class(Some(0)).unwrap_err().contains("without classes"));
        assert!(subject(3).check_class(Some(3)).unwrap_err().contains("the classes 0 to 2"));
    }
}
