//! A line on stderr that is written again and again; nothing where stderr is no terminal.

use std::io::{self, IsTerminal, Write};

/// One line.
pub(super) struct Screen {
    shown: bool,
    terminal: bool,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self { shown: false, terminal: io::stderr().is_terminal() }
    }

    /// Replaces the line.
    pub(super) fn show(&mut self, text: &str) {
        if self.terminal {
            self.shown = true;
            // A closed stderr is nobody's concern.
            write!(io::stderr(), "\r{text}\x1b[K").unwrap_or_default();
        }
    }

    /// Takes the line away.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            write!(io::stderr(), "\r\x1b[K").unwrap_or_default();
        }
    }
}
