//! What the user sees while waiting: a bar or spinner on a terminal, plain lines elsewhere (CI, a pipe, a file).

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::Duration;

/// One thing being done. Dropped without [`Step::done`], it vanishes from a terminal.
pub struct Step {
    bar: Option<ProgressBar>,
    name: String,
}

impl Step {
    /// Announces a step of unknown length.
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        let bar = fancy().then(|| spinner(&name));
        if bar.is_none() {
            eprintln!("{name} …");
        }
        Self { bar, name }
    }

    /// Shows how far it is, in per cent, from the first report on as a bar. Plain output stays quiet.
    pub fn percent(&self, percent: u64) {
        let Some(bar) = &self.bar else { return };
        if bar.length().is_none() {
            bar.set_style(style("{spinner} {msg} [{bar:30}] {percent} %"));
            bar.set_length(100);
        }
        bar.set_position(percent);
    }

    /// Shows what is being worked on just now. Plain output stays quiet.
    pub fn note(&self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{}: {text}", self.name));
        }
    }

    /// Prints a line that stays.
    pub fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }

    /// Ends the step with what came of it.
    pub fn done(self, outcome: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        eprintln!("{}: {outcome}", self.name);
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Whether someone watches a terminal that can redraw.
pub fn fancy() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("CI").is_none()
}

fn spinner(name: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_style(style("{spinner} {msg}")).with_message(name.to_owned());
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is well formed")
}
