//! The artist that samples a trained model.

use super::artist::{Artist, Fixed, Frame, Request, Subject};
use crate::checkpoint::Model;
use crate::error::Error;
use crate::preset::SamplingSettings;
use crate::process::AnyProcess;
use crate::sample::follow::Stage;
use crate::sample::{check, classes_in_turn};
use std::ops::ControlFlow;
use std::time::Instant;

/// Whatever samples a model on some device and shows each stage, as [`follow`](crate::sample::follow::follow) does: of the model, by the
/// settings, samples of these classes, under the seed.
pub type Follow = dyn Fn(&Model, &SamplingSettings, &[u32], u64, &mut dyn FnMut(Stage) -> ControlFlow<()>) -> Result<(), Error>
    + Send
    + Sync;

/// A model, with the settings that no key changes.
pub struct ModelArtist {
    model: Model,
    process: AnyProcess,
    settings: SamplingSettings,
    follow: Box<Follow>,
    subject: Subject,
}

impl ModelArtist {
    /// Draws a model, called `name`, by `follow`, called `by`. What a [`Request`] does not say is as in `settings`.
    ///
    /// # Errors
    /// A model that is told vectors and has not been frozen, or a process that core refuses.
    pub fn new(
        model: Model,
        settings: SamplingSettings,
        follow: Box<Follow>,
        name: &str,
        by: &str,
    ) -> Result<Self, Error> {
        model.knows_classes()?;
        let description = &model.description;
        let student = description.distilled.map(|method| (method, model.preset.sampling.steps));
        let fixed = Fixed {
            solver: student.map(|_| format!("a student draws by the solver it was taught, {}", settings.solver)),
            steps: student.filter(|(method, _)| method.is_bound_to_its_steps()).map(|(_, steps)| {
                format!("this student knows the noise levels of its own plan alone, of length {steps}")
            }),
            guidance: (description.classes == 0).then(|| "guidance needs a model with classes".to_owned()),
        };
        let subject = Subject {
            name: name.to_owned(),
            by: by.to_owned(),
            shape: description.shape.clone(),
            classes: description.classes,
            class_names: description.class_names.clone(),
            fixed,
        };
        let process = AnyProcess::new(&model.preset.process)?;
        Ok(Self { model, process, settings, follow, subject })
    }

    fn settings(&self, request: &Request) -> SamplingSettings {
        SamplingSettings {
            solver: request.solver.unwrap_or(self.settings.solver),
            steps: request.steps,
            guidance: request.guidance,
            ..self.settings.clone()
        }
    }
}

impl Artist for ModelArtist {
    fn subject(&self) -> &Subject {
        &self.subject
    }

    fn check(&self, request: &Request) -> Result<(), String> {
        self.subject.check_class(request.class)?;
        let settings = self.settings(request);
        let checked = self.model.accepts(&settings).and_then(|()| check(&self.model.preset, &self.process, &settings));
        checked.map_err(|error| error.to_string())
    }

    fn draw(&self, request: &Request, show: &mut dyn FnMut(Frame) -> ControlFlow<()>) -> Result<(), String> {
        let classes = match request.class {
            Some(class) => vec![class; request.count],
            None => classes_in_turn(request.count, self.subject.classes),
        };
        let mut begun = Instant::now();
        let mut show = |Stage { step, steps, angle, state, x0_hat }: Stage| {
            let seconds = begun.elapsed().as_secs_f64();
            let wish = show(Frame { step, steps, angle, state, x0_hat, seconds });
            begun = Instant::now();
            wish
        };
        let settings = self.settings(request);
        (self.follow)(&self.model, &settings, &classes, request.seed, &mut show).map_err(|error| error.to_string())
    }
}
