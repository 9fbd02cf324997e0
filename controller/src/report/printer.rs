//! Where text goes: data to standard output, everything else to standard error. A reader that closes its pipe hears no more; the work goes on.

use super::{Paint, Style, escaped};
use crate::mask::RunMask;
use serde_json::Value;
use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// What standard output carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Text for people.
    #[default]
    Human,
    /// JSON lines and nothing else.
    Json,
}

/// How long work is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Live lines on a terminal.
    Live,
    /// Plain lines.
    Lines,
    /// Nothing: JSON is told instead.
    Silent,
}

/// The only writer. What it writes is masked; what is broken into lines should be so before.
#[derive(Debug, Clone)]
pub struct Printer {
    /// What standard output carries.
    pub format: Format,
    /// How it looks.
    pub style: Style,
    /// How long work is shown.
    pub progress: Progress,
    /// `-v` given so many times.
    pub verbose: u8,
    /// `-q`: no progress and no details, but what failed.
    pub quiet: bool,
    /// What no line may show.
    pub mask: RunMask,
}

impl Printer {
    /// From the command line and the terminal: `--color`, NO_COLOR, TERM, tty, in that order.
    pub fn new(format: Format, colour: Option<bool>, verbose: u8, environment: &crate::environment::Environment) -> Self {
        let out = std::io::stdout().is_terminal();
        let err = std::io::stderr().is_terminal();
        let smart = environment.term.as_deref() != Some("dumb");
        let colour = colour.unwrap_or(out && smart && !environment.no_color);
        let width = if out { terminal_width() } else { None };
        let live = err && smart && !environment.ci;
        let progress = match format {
            Format::Json => Progress::Silent,
            Format::Human if live => Progress::Live,
            Format::Human => Progress::Lines,
        };
        Self {
            format,
            style: Style { colour: colour && format == Format::Human, width },
            progress,
            verbose,
            quiet: false,
            mask: RunMask::default(),
        }
    }

    /// A line of data for people; nothing under JSON.
    pub fn line(&self, text: &str) {
        if self.format == Format::Human {
            to_output(&self.mask.text(text), "\n");
        }
    }
    /// Lines of data for people.
    pub fn lines(&self, lines: &[String]) {
        for line in lines {
            self.line(line);
        }
    }
    /// Whether what people can do without is left out.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }
    /// Lines of data that people can do without; nothing under `-q`.
    pub fn details(&self, lines: &[String]) {
        if !self.quiet {
            self.lines(lines);
        }
    }
    /// A sentence for people, in its colour; broken where the terminal is narrow.
    pub fn say(&self, paint: Paint, text: &str) {
        for line in self.style.paragraph(&self.mask.text(text), 2) {
            self.line(&self.style.paint(paint, &line));
        }
    }
    /// An object for programs; nothing for people.
    pub fn json(&self, value: &Value) {
        if self.format == Format::Json {
            let mut value = value.clone();
            self.mask.hide_in_json(&mut value);
            to_output(&escaped(&value.to_string()), "\n");
        }
    }
    /// A line beside the data: progress, hints, questions.
    pub fn aside(&self, text: &str) {
        to_error(&self.mask.text(text));
    }
    /// Text as it is, whatever the format: completions, schemas, man pages.
    pub fn raw(&self, text: &str) {
        to_output(&self.mask.text(text), "");
    }
    /// Whether all of the data was written, or its reader went away of itself. False: it could not be written, a full disk perhaps.
    pub fn told_all(&self) -> bool {
        OUTPUT.load(Ordering::Relaxed) != FAILED
    }
    /// Asks for one line at the terminal, which shows what is typed; none where there is no terminal.
    pub fn ask(&self, question: &str) -> Option<String> {
        if !std::io::stdin().is_terminal() {
            return None;
        }
        let mut err = std::io::stderr().lock();
        if err.write_all(self.mask.text(question).as_bytes()).and_then(|()| err.flush()).is_err() {
            return None;
        }
        drop(err);
        let mut answer = String::new();
        match std::io::stdin().read_line(&mut answer) {
            Ok(count) if count > 0 => Some(answer.trim_end_matches(['\r', '\n']).to_owned()),
            Ok(_) | Err(_) => {
                // Nothing that is typed has ended the line.
                self.aside("");
                None
            }
        }
    }
    /// Whether a question can be asked.
    pub fn can_ask(&self) -> bool {
        std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }
}

/// What became of standard output. A process has one, and every printer writes to it.
static OUTPUT: AtomicU8 = AtomicU8::new(OPEN);
/// Whether nothing more can be written to standard error.
static ERROR_CLOSED: AtomicBool = AtomicBool::new(false);

const OPEN: u8 = 0;
/// Its reader has closed the pipe (`ostler plan | head`): there is nobody to tell anything, and nothing wrong.
const CLOSED: u8 = 1;
/// It cannot be written.
const FAILED: u8 = 2;

fn to_output(text: &str, end: &str) {
    if OUTPUT.load(Ordering::Relaxed) != OPEN {
        return;
    }
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.write_all(end.as_bytes())).and_then(|()| out.flush());
    drop(out);
    match written {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => OUTPUT.store(CLOSED, Ordering::Relaxed),
        Err(error) => {
            OUTPUT.store(FAILED, Ordering::Relaxed);
            to_error(&format!("error: standard output cannot be written: {error}"));
        }
    }
}

fn to_error(text: &str) {
    let mut err = std::io::stderr().lock();
    let is_closed = ERROR_CLOSED.load(Ordering::Relaxed);
    if !is_closed && err.write_all(text.as_bytes()).and_then(|()| err.write_all(b"\n")).is_err() {
        // There is no other place to say so.
        ERROR_CLOSED.store(true, Ordering::Relaxed);
    }
}

fn terminal_width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Standard error for traces: each is written in one piece, masked like everything else.
#[derive(Debug, Clone)]
pub struct MaskedError(pub RunMask);

impl Write for MaskedError {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        std::io::stderr().write_all(self.0.text(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}
