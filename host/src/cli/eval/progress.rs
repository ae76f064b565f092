//! How far an evaluation is: one changing line on a terminal, a plain line for each number of steps elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::Duration;

/// Progress of an evaluation, on standard error.
pub struct Progress {
    spinner: Option<ProgressBar>,
}

impl Default for Progress {
    fn default() -> Self {
        let spinner = std::io::stderr().is_terminal().then(|| {
            let spinner = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed:>4} {msg}") {
                spinner.set_style(style);
            }
            spinner.enable_steady_tick(Duration::from_millis(100));
            spinner
        });
        Self { spinner }
    }
}

impl Progress {
    /// Says what is being done, on a terminal.
    pub fn show(&self, what: &str) {
        if let Some(spinner) = &self.spinner {
            spinner.set_message(what.to_owned());
        }
    }

    /// Says what has been done, where there is no terminal.
    pub fn done(&self, what: &str) {
        if self.spinner.is_none() {
            eprintln!("{what}");
        }
    }

    /// Makes room for what follows.
    pub fn finish(&self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}
