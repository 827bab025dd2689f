//! Results on standard output: lines for people, or one JSON document with `--json`.

use std::io::{self, Write};

use serde::Serialize;

/// Where results go, and in which shape.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// JSON instead of lines for people.
    pub json: bool,
}

impl Output {
    /// Prints `value` as JSON, or what `human` writes about it.
    ///
    /// # Errors
    /// Standard output is closed or its disk is full.
    pub fn show<T: Serialize>(
        self,
        value: &T,
        human: impl FnOnce(&T, &mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.json {
            serde_json::to_writer(&mut out, value)?;
            writeln!(out)?;
        } else {
            human(value, &mut out)?;
        }
        out.flush()
    }
}
