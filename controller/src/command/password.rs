//! Where sudo's password comes from: a private file, or the terminal.

use super::{CommandError, Context, interrupt::Echo};
use crate::report::{Printer, sanitize};
use crate::session::Password;
use crate::transport::BoxFuture;
use ostler_roles::mask;
use ostler_roles::words::{NodeName, Secret};
use rustix::event::{PollFd, PollFlags, poll};
use std::io::{PipeReader, Stdin};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;
use zeroize::Zeroizing;

/// Sudo's password: from its file, or a person's answer, now or when the first node wants it. Once `stop` is true nobody is asked any more.
pub fn keeper(context: &Context, now: bool, echo: &Echo, stop: &watch::Receiver<bool>) -> Result<Password, CommandError> {
    let mut given = from_file(context)?;
    let printer = context.printer.clone();
    if now && given.is_none() {
        let asked = ask("sudo password: ", printer.can_ask(), echo, || false);
        given = Some(asked.ok_or_else(|| CommandError::Usage {
            what: "no password came for --ask-become-pass".to_owned(),
            hint: "run in a terminal, or name a private file in OSTLER_SUDO_PASSWORD_FILE".to_owned(),
        })?);
    }
    if let Some(password) = &given {
        masked(password, &printer).map_err(|what| CommandError::Usage { what, hint: "give the account a longer one".to_owned() })?;
    }
    let (echo, stop) = (echo.clone(), stop.clone());
    let later = move |node: &NodeName, user: &str| -> BoxFuture<'static, Option<Secret<String>>> {
        let question = format!("{node}: sudo password of {}: ", sanitize(user, false));
        let (echo, printer, stop, asker) = (echo.clone(), printer.clone(), stop.clone(), Asker::new(&echo));
        let is_gone = Arc::clone(&asker.is_gone);
        let asked = move || {
            let password = ask(&question, printer.can_ask(), &echo, || *stop.borrow() || is_gone.load(Ordering::SeqCst))?;
            masked(&password, &printer).inspect_err(|what| printer.aside(what)).ok().map(|()| password)
        };
        Box::pin(async move {
            let answer = tokio::task::spawn_blocking(asked).await.ok().flatten();
            drop(asker);
            answer
        })
    };
    Ok(Password::new(given, Box::new(later)))
}

/// Whoever waits for an answer. With it goes its question: nobody would hear the answer, and the terminal would stay without echo.
struct Asker {
    echo: Echo,
    is_gone: Arc<AtomicBool>,
}

impl Asker {
    fn new(echo: &Echo) -> Self {
        Self { echo: echo.clone(), is_gone: Arc::default() }
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        self.is_gone.store(true, Ordering::SeqCst);
        self.echo.call_off();
    }
}

/// From now on it shows nowhere.
fn masked(password: &Secret<String>, printer: &Printer) -> Result<(), String> {
    if !mask::is_long_enough(password.expose().as_bytes()) {
        return Err(format!("sudo's password has fewer than {} characters: it could not be kept out of what is printed", mask::SHORTEST));
    }
    printer.mask.add([password.expose().as_bytes()]);
    Ok(())
}

fn from_file(context: &Context) -> Result<Option<Secret<String>>, CommandError> {
    let Some(path) = &context.environment.sudo_password_file else { return Ok(None) };
    let failed = |source| CommandError::File { what: format!("read {}", path.display()), source };
    let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(CommandError::Usage {
            what: format!("{} has mode {:04o}: others may read it", path.display(), mode & 0o7777),
            hint: format!("chmod 600 {}", path.display()),
        });
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(failed)?);
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(Some(Secret::new(line.to_owned()))),
        Some(_) | None => Err(CommandError::Usage {
            what: format!("{} holds no password in its first line", path.display()),
            hint: "write it there, or leave OSTLER_SUDO_PASSWORD_FILE unset".to_owned(),
        }),
    }
}

/// Reads a line from the terminal without echo; none where the question is called off, or `is_over` says that it need not be asked.
pub fn ask(question: &str, possible: bool, echo: &Echo, is_over: impl Fn() -> bool) -> Option<Secret<String>> {
    use std::io::{BufRead, Write};
    if !possible {
        return None;
    }
    let stdin = std::io::stdin();
    let called_off = echo.take_away(&stdin).ok()?;
    // Asked from here on: whoever calls it off later finds the question standing.
    if is_over() {
        echo.call_off();
        return None;
    }
    let mut err = std::io::stderr();
    let asked = err.write_all(question.as_bytes()).and_then(|()| err.flush());
    let mut line = Zeroizing::new(String::new());
    let read = asked.and_then(|()| if answered(&stdin, &called_off)? { stdin.lock().read_line(&mut line) } else { Ok(0) });
    // Whatever was read: the terminal echoes again.
    echo.call_off();
    match read {
        Ok(count) if count > 0 => Some(Secret::new(line.trim_end_matches(['\r', '\n']).to_owned())),
        Ok(_) | Err(_) => {
            // Nothing that is typed has ended the line; who no longer sees it does not miss it.
            let _ = err.write_all(b"\n");
            None
        }
    }
}

/// Waits for a line; false: the question was called off first.
fn answered(stdin: &Stdin, called_off: &PipeReader) -> std::io::Result<bool> {
    loop {
        let mut waited = [PollFd::new(called_off, PollFlags::IN), PollFd::new(stdin, PollFlags::IN)];
        match poll(&mut waited, None) {
            Ok(_) => return Ok(waited[0].revents().is_empty()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;
    use crate::report::Format;

    #[test]
    fn a_file_that_holds_no_password_or_shows_it_is_wrong_usage() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("password");
        let environment = Environment { sudo_password_file: Some(file.clone()), ..Environment::default() };
        let printer = Printer::new(Format::Human, Some(false), 0, &environment);
        let context = Context { printer, environment, site: None };
        let read = |content: &str, mode: u32| {
            std::fs::write(&file, content).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            from_file(&context)
        };
        assert_eq!(read("open sesame\nnot this\n", 0o600).unwrap().unwrap().expose(), "open sesame");
        for (content, mode, end) in [
            ("", 0o600, " holds no password in its first line"),
            ("\nsecond\n", 0o600, " holds no password in its first line"),
            ("open sesame\n", 0o644, " has mode 0644: others may read it"),
        ] {
            let Err(CommandError::Usage { what, .. }) = read(content, mode) else { panic!("{content:?} is taken") };
            assert!(what.ends_with(end), "{what}");
        }
    }
}
