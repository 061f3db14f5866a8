//! Progress of long work, on stderr, with rate and time left.

use crate::output::Output;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;

/// A bar over `total` units named `unit`; hidden when quiet or not at a terminal.
pub fn bar(output: Output, total: u64, unit: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), target(output));
    let template = format!(
        "{{msg:16}} {{wide_bar:.cyan/dim}} {{human_pos}}/{{human_len}} {unit}  {{per_sec}}  {{eta}} left"
    );
    bar.set_style(
        ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar
}

/// A sign of life for work of unknown length.
pub fn spinner(output: Output, message: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, target(output));
    let template = "{spinner:.cyan} {msg}  {elapsed}";
    bar.set_style(
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner()),
    );
    bar.set_message(message.to_owned());
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

fn target(output: Output) -> ProgressDrawTarget {
    if output.quiet {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr_with_hz(8)
    }
}

/// Progress of trainings and evaluations, which know their own units.
pub struct ModelProgress {
    bar: ProgressBar,
}

impl ModelProgress {
    /// A bar that appears with the first report.
    #[must_use]
    pub fn new(output: Output) -> Self {
        Self {
            bar: bar(output, 0, ""),
        }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl nowcast_models::Progress for ModelProgress {
    fn report(&self, done: u64, total: u64, what: &str) {
        self.bar.set_message(what.to_owned());
        self.bar.set_length(total);
        self.bar.set_position(done);
    }
}
