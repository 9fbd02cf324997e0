//! A program at a terminal: what a person types, sees, and finds the terminal like afterwards.

#![expect(clippy::expect_used, reason = "test support: ground that gives way must stop the test at once")]

use rustix::fd::OwnedFd;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use std::fs::File;
use std::io::{Read, Write as _};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long anything here may take.
const LIMIT: Duration = Duration::from_secs(60);

/// A program that has a terminal to itself: Ctrl-C reaches it as it would a person's.
#[derive(Debug)]
pub struct Terminal {
    keyboard: OwnedFd,
    /// Held, so that the terminal outlives the program and can be looked at.
    screen: File,
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Terminal {
    /// Starts a program. Its environment and directory stay as the command has them.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(command: &Command) -> Self {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&keyboard).and_then(|()| unlockpt(&keyboard)).expect("a terminal");
        let path = ptsname(&keyboard, Vec::new()).expect("its name").into_string().expect("a path");
        tcsetwinsize(&keyboard, Winsize { ws_row: 40, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 }).expect("its size");
        let screen = File::options().read(true).write(true).open(path).expect("its other end");
        // A session of its own, with this as its controlling terminal; it becomes the program.
        let mut session = Command::new("setsid");
        session.arg("--ctty").arg(command.get_program()).args(command.get_args()).env_clear();
        session.envs(command.get_envs().filter_map(|(name, value)| value.map(|value| (name, value)))).env("TERM", "xterm");
        session.current_dir(command.get_current_dir().expect("a directory"));
        let end = || screen.try_clone().expect("another handle");
        let child = session.stdin(end()).stdout(end()).stderr(end()).spawn().expect("the program starts");
        let said = Arc::new(Mutex::new(String::new()));
        let (sink, mut from) = (Arc::clone(&said), File::from(keyboard.try_clone().expect("another handle")));
        // Ends with the terminal.
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                sink.lock().expect("no panic").push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        Self { keyboard, screen, child, said }
    }

    /// All that was shown so far.
    ///
    /// # Panics
    /// When the reader did.
    #[must_use]
    pub fn said(&self) -> String {
        self.said.lock().expect("no panic").clone()
    }

    /// Waits until this is shown.
    ///
    /// # Panics
    /// When it does not come.
    pub fn wait_for(&self, text: &str) {
        self.wait_until(text, |said| said.contains(text));
    }

    /// Waits until this holds of all that was shown.
    ///
    /// # Panics
    /// When it never does.
    pub fn wait_until(&self, what: &str, holds: impl Fn(&str) -> bool) {
        let end = Instant::now() + LIMIT;
        while !holds(&self.said()) {
            assert!(Instant::now() < end, "no {what:?}: {}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until what is typed is no longer shown.
    ///
    /// # Panics
    /// When it always is.
    pub fn wait_for_silence(&self) {
        self.wait_until("silence", |_| !self.echoes());
    }

    /// Whether what is typed is shown.
    ///
    /// # Panics
    /// When the terminal cannot be asked.
    #[must_use]
    pub fn echoes(&self) -> bool {
        tcgetattr(&self.screen).expect("a terminal").local_modes.contains(LocalModes::ECHO)
    }

    /// Types; `\u{3}` is Ctrl-C.
    ///
    /// # Panics
    /// When nobody takes it.
    pub fn types(&self, text: &str) {
        rustix::io::write(&self.keyboard, text.as_bytes()).expect("typed");
    }

    /// Sends the program a signal by name.
    ///
    /// # Panics
    /// When it is not there any more.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().expect("kill");
        assert!(sent.success(), "signal {name}");
    }

    /// What it said last may be on its way still: it comes before what is written now.
    fn read_all(&mut self) {
        const LAST: char = '\u{1e}';
        self.screen.write_all(LAST.to_string().as_bytes()).expect("written");
        self.wait_until("its last words", |said| said.contains(LAST));
        self.said.lock().expect("no panic").retain(|character| character != LAST);
    }

    /// Waits for its end, and for all that it said: its exit status, or 128 and the signal's number.
    ///
    /// # Panics
    /// When it does not end.
    pub fn end(&mut self) -> i32 {
        let end = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().expect("asked") {
                self.read_all();
                return status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
            }
            assert!(Instant::now() < end, "it does not end: {}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
