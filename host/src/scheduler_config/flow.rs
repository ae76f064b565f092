//! Flow matching's own classes.

use super::plan::Rows;
use super::{Class, SchedulerConfig};
use crate::error::Error;
use tweedie_core::consistency;
use tweedie_core::discretise::{Spacing, shifted};
use tweedie_core::plan::Step;
use tweedie_core::schedule::Schedule;
use tweedie_core::solver::probability_flow;

impl SchedulerConfig {
    /// Flow matching by Euler or Heun.
    pub(super) fn flow_matching(&self, steps: usize) -> Result<Rows, Error> {
        let (shift, total) = (self.number("shift")?.unwrap_or(1.0), self.count("num_train_timesteps", 1000)? as f64);
        let process = Schedule::FlowMatching;
        let mut times = vec![1.0; steps];
        if steps > 1 {
            // The library shifts its least time when it is made, and all of them again here.
            Spacing::Uniform.fill(&process, 1.0, shifted(1.0 / total, shift)?, &mut times)?;
        }
        for time in &mut times {
            *time = shifted(*time, shift)?;
        }
        self.stretch(&mut times)?;
        if let Some(respaced) = self.respaced()? {
            times = respaced.times(steps, times[0], times[steps - 1])?;
        }
        times.push(0.0);
        let mut plan = vec![Step::EMPTY; steps];
        if self.class() == Class::FlowMatchHeunDiscrete {
            plan.resize(probability_flow::heun_evaluations(&process, &times)?, Step::EMPTY);
            probability_flow::heun_plan(&process, &times, &mut plan)?;
        } else if self.flag("stochastic_sampling", false)? {
            consistency::plan(&process, &times, &mut plan)?;
        } else {
            probability_flow::plan(&process, &times, &mut plan)?;
        }
        Ok((plan.iter().map(|step| step.t * total).collect(), plan))
    }

    /// Stretches times away from pure noise until the last is the one that the configuration names, if it does (`shift_terminal`).
    pub(super) fn stretch(&self, times: &mut [f64]) -> Result<(), Error> {
        let Some(terminal) = self.number("shift_terminal")?.filter(|&terminal| terminal != 0.0) else { return Ok(()) };
        let Some(&last) = times.last().filter(|&&last| last < 1.0 && (0.0..1.0).contains(&terminal)) else {
            return Err(self.fail(format!("shift_terminal = {terminal} cannot be reached from pure noise alone")));
        };
        let scale = (1.0 - last) / (1.0 - terminal);
        times.iter_mut().for_each(|time| *time = 1.0 - (1.0 - *time) / scale);
        Ok(())
    }
}
