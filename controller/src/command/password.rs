//! Sudo's password: asked for once, proved on one node before the others get it.

use super::{CommandError, Context};
use crate::session::Password;
use crate::transport::BoxFuture;
use ostler_roles::words::Secret;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Asks at most once, whoever needs it first; all others get the same answer.
pub fn keeper(context: &Context, now: bool) -> Result<Arc<Password>, CommandError> {
    let given = from_file(context)?;
    let printer = context.printer;
    let held: Arc<Mutex<Option<Option<Secret<String>>>>> = Arc::new(Mutex::new(given.map(Some)));
    if now && held.try_lock().is_ok_and(|held| held.is_none()) {
        let answer = ask("sudo password: ", printer.can_ask());
        if answer.is_none() {
            return Err(CommandError::NoConfirmation);
        }
        if let Ok(mut slot) = held.try_lock() {
            *slot = Some(answer);
        }
    }
    Ok(Arc::new(move |user: &str| -> BoxFuture<'static, Option<Secret<String>>> {
        let (held, question) = (Arc::clone(&held), format!("sudo password of {user}: "));
        Box::pin(async move {
            let mut slot = held.lock().await;
            if let Some(answer) = slot.as_ref() {
                return answer.clone();
            }
            let answer = tokio::task::spawn_blocking(move || ask(&question, printer.can_ask())).await.ok().flatten();
            *slot = Some(answer.clone());
            answer
        })
    }))
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
    let text = std::fs::read_to_string(path).map_err(failed)?;
    Ok(text.lines().next().map(|line| Secret::new(line.to_owned())))
}

/// Reads a line from the terminal without echo.
fn ask(question: &str, possible: bool) -> Option<Secret<String>> {
    use std::io::{BufRead, Write};
    if !possible {
        return None;
    }
    let stdin = std::io::stdin();
    let before = rustix::termios::tcgetattr(&stdin).ok()?;
    let mut silent = before.clone();
    silent.local_modes.remove(rustix::termios::LocalModes::ECHO);
    silent.local_modes.insert(rustix::termios::LocalModes::ECHONL);
    let mut err = std::io::stderr();
    err.write_all(question.as_bytes()).and_then(|()| err.flush()).ok()?;
    rustix::termios::tcsetattr(&stdin, rustix::termios::OptionalActions::Flush, &silent).ok()?;
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    // Whatever was read: the terminal echoes again.
    let restored = rustix::termios::tcsetattr(&stdin, rustix::termios::OptionalActions::Flush, &before);
    match (read, restored) {
        (Ok(count), Ok(())) if count > 0 => Some(Secret::new(line.trim_end_matches(['\r', '\n']).to_owned())),
        _ => None,
    }
}
