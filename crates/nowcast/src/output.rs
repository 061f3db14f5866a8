//! Results go to stdout, and nothing else does.

use anyhow::Context;
use serde::Serialize;
use std::io::Write;

/// How a command reports.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// One JSON object a line instead of text.
    pub json: bool,
    /// No progress on stderr.
    pub quiet: bool,
}

impl Output {
    /// Prints `value` as one line of JSON, or what `text` makes of it.
    ///
    /// # Errors
    /// When stdout is closed.
    pub fn result<T: Serialize>(
        self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> anyhow::Result<()> {
        if self.json {
            let line = serde_json::to_string(value).context("cannot write the result as JSON")?;
            self.line(&line)
        } else {
            self.line(&text(value))
        }
    }

    /// Prints one line to stdout, at once.
    ///
    /// # Errors
    /// When stdout is closed.
    pub fn line(self, text: &str) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{text}")
            .and_then(|()| out.flush())
            .context("cannot write to stdout")
    }

    /// Tells the person at the terminal something that is not a result.
    pub fn note(self, text: &str) {
        if !self.quiet {
            // A closed stderr is no reason to stop.
            let _ = writeln!(std::io::stderr(), "{text}");
        }
    }
}

/// An error and its causes in one line, leaving out causes that the line already tells.
#[must_use]
pub fn words(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |line, cause| {
        let cause = cause.to_string();
        match line.as_str() {
            "" => cause,
            told if told.contains(&cause) => line,
            _ => format!("{line}: {cause}"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn a_cause_is_told_once() {
        let error = anyhow!("disk full")
            .context("log: disk full")
            .context("cannot open data");
        assert_eq!(words(&error), "cannot open data: log: disk full");
    }
}
