//! Where text goes: data to standard output, everything else to standard error; a closed pipe is a quiet end.

use super::Style;
use serde_json::Value;
use std::io::{IsTerminal, Write};

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

/// The only writer.
#[derive(Debug, Clone, Copy)]
pub struct Printer {
    /// What standard output carries.
    pub format: Format,
    /// How it looks.
    pub style: Style,
    /// How long work is shown.
    pub progress: Progress,
    /// `-v` given so many times.
    pub verbose: u8,
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
        Self { format, style: Style { colour: colour && format == Format::Human, width }, progress, verbose }
    }

    /// A line of data for people; nothing under JSON.
    pub fn line(&self, text: &str) {
        if self.format == Format::Human {
            write(&mut std::io::stdout().lock(), text);
        }
    }
    /// Lines of data for people.
    pub fn lines(&self, lines: &[String]) {
        for line in lines {
            self.line(line);
        }
    }
    /// An object for programs; nothing for people.
    pub fn json(&self, value: &Value) {
        if self.format == Format::Json {
            write(&mut std::io::stdout().lock(), &value.to_string());
        }
    }
    /// A line beside the data: progress, hints, questions.
    pub fn aside(&self, text: &str) {
        write(&mut std::io::stderr().lock(), text);
    }
    /// Text as it is, whatever the format: completions, schemas, man pages.
    pub fn raw(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
            quiet_end();
        }
    }
    /// Asks for one line at the terminal, without echo for secrets; none where there is no terminal.
    pub fn ask(&self, question: &str) -> Option<String> {
        if !std::io::stdin().is_terminal() {
            return None;
        }
        let mut err = std::io::stderr().lock();
        if err.write_all(question.as_bytes()).and_then(|()| err.flush()).is_err() {
            return None;
        }
        drop(err);
        let mut answer = String::new();
        match std::io::stdin().read_line(&mut answer) {
            Ok(count) if count > 0 => Some(answer.trim_end_matches(['\r', '\n']).to_owned()),
            Ok(_) | Err(_) => None,
        }
    }
    /// Whether a question can be asked.
    pub fn can_ask(&self) -> bool {
        std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }
}

fn write(out: &mut dyn Write, text: &str) {
    if out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).is_err() {
        quiet_end();
    }
}

/// The reader has closed the pipe (`ostler plan | head`): there is nobody to tell anything.
fn quiet_end() {
    #[expect(clippy::exit, reason = "nothing can be printed any more; 0 as other tools do on a closed pipe")]
    std::process::exit(0);
}

fn terminal_width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}
