//! Talking to a machine past its network: to the root shell behind its virtio port, and to qemu itself.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::child::tail;
use super::super::error::LabError;

/// Says why qemu is gone, where it is: nobody waits for a dead one.
pub(super) type LivenessCheck<'a> = &'a dyn Fn() -> Result<(), LabError>;

/// Has the root shell behind the port run a script; returns what it printed. The script's failure is an error.
pub(super) fn talk(port: &Path, script: &str, limit: Duration, pulse: LivenessCheck<'_>) -> Result<String, LabError> {
    let end = Instant::now() + limit;
    let mut conversation = Conversation { port, stream: connect(port, end, pulse)?, said: String::new(), pulse };
    // The guest opens its end anew whenever it found no host there, and what was on its way just then is lost. From the first
    // answer on the shell stays.
    while !conversation.hears("LAB-HERE", Instant::now() + Duration::from_millis(500))? {
        if Instant::now() >= end {
            return Err(LabError::Deadline { what: "the machine's root shell".into(), after: limit });
        }
        conversation.say("\necho \"LAB\"-HERE\n")?;
    }
    // In a subshell, so that its `set -e` or `exit` does not take the answer along.
    conversation.say(&format!("(\n{script}\n)\necho \"LAB-STATUS\"=$?=\n"))?;
    loop {
        let heard = conversation.hears("LAB-STATUS=", end)?;
        let (before, after) = conversation.said.split_once("LAB-STATUS=").unwrap_or_default();
        match after.split_once('=') {
            Some(("0", _)) => return Ok(before.to_owned()),
            Some((status, _)) => {
                let command = "a script on the machine's port".to_owned();
                return Err(LabError::Command { command, status: status.to_owned(), output: tail(before) });
            }
            None if heard && Instant::now() < end => conversation.listen(end)?,
            None => return Err(LabError::Deadline { what: format!("a script on the machine's port: {}", tail(before)), after: limit }),
        }
    }
}

/// A connection to the port and all that came through it.
struct Conversation<'a> {
    port: &'a Path,
    stream: UnixStream,
    said: String,
    pulse: LivenessCheck<'a>,
}

impl Conversation<'_> {
    fn say(&mut self, text: &str) -> Result<(), LabError> {
        self.stream.write_all(text.as_bytes()).map_err(|error| last_beat(self.pulse, LabError::file("write to", self.port)(error)))
    }

    /// Listens until this was said or the time is up.
    fn hears(&mut self, word: &str, end: Instant) -> Result<bool, LabError> {
        while !self.said.contains(word) {
            if Instant::now() >= end {
                return Ok(false);
            }
            self.listen(end)?;
        }
        Ok(true)
    }

    /// Takes in what comes next, if it comes in time.
    fn listen(&mut self, end: Instant) -> Result<(), LabError> {
        let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        self.stream.set_read_timeout(Some(left)).map_err(LabError::file("read from", self.port))?;
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(last_beat(self.pulse, LabError::Refused(format!("qemu closed the machine's port after: {}", tail(&self.said))))),
            Ok(count) => {
                self.said.push_str(&String::from_utf8_lossy(&buffer[..count]));
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(()),
            Err(error) => Err(last_beat(self.pulse, LabError::file("read from", self.port)(error))),
        }
    }
}

/// Has qemu carry out commands of its human monitor, in order.
pub(super) fn monitor(control: &Path, commands: &[&str], limit: Duration, pulse: LivenessCheck<'_>) -> Result<(), LabError> {
    let stream = connect(control, Instant::now() + limit, pulse)?;
    stream.set_read_timeout(Some(limit)).map_err(LabError::file("read from", control))?;
    let mut reader = BufReader::new(stream);
    ask(&mut reader, control, &json!({"execute": "qmp_capabilities"}))?;
    for command in commands {
        let request = json!({"execute": "human-monitor-command", "arguments": {"command-line": command}});
        let said = ask(&mut reader, control, &request)?;
        if !said.is_empty() {
            return Err(LabError::Command { command: (*command).to_owned(), status: "a complaint".into(), output: said });
        }
    }
    Ok(())
}

/// Ends qemu; its answer may already be lost.
pub(super) fn quit(control: &Path, limit: Duration) {
    let _ = monitor(control, &["quit"], limit, &|| Ok(()));
}

fn ask(reader: &mut BufReader<UnixStream>, control: &Path, request: &Value) -> Result<String, LabError> {
    reader.get_mut().write_all(format!("{request}\n").as_bytes()).map_err(LabError::file("write to", control))?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).map_err(LabError::file("read from", control))? == 0 {
            return Err(LabError::Refused("qemu closed its control socket".into()));
        }
        let value: Value = serde_json::from_str(&line).map_err(|error| LabError::Wire(error.to_string()))?;
        if let Some(error) = value.get("error") {
            return Err(LabError::Refused(format!("qemu: {error}")));
        }
        // Greetings and events have neither.
        if let Some(returned) = value.get("return") {
            return Ok(returned.as_str().unwrap_or_default().trim().to_owned());
        }
    }
}

/// Connects as soon as qemu listens.
fn connect(path: &Path, end: Instant, pulse: LivenessCheck<'_>) -> Result<UnixStream, LabError> {
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return Ok(stream),
            Err(error) if Instant::now() >= end => return Err(LabError::file("connect to", path)(error)),
            Err(_) => {
                pulse()?;
                thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// Returns why qemu is gone, or else the error: one that closed its socket may take a moment more to be dead.
fn last_beat(pulse: LivenessCheck<'_>, error: LabError) -> LabError {
    let end = Instant::now() + Duration::from_secs(1);
    while Instant::now() < end {
        if let Err(gone) = pulse() {
            return gone;
        }
        thread::sleep(Duration::from_millis(20));
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;
    use std::process::{Command, Stdio};

    /// A guest behind a port: a shell on each connection, the first words thrown away as a closing port does.
    fn guest(port: &Path, lost: usize) {
        let listener = UnixListener::bind(port).expect("bound");
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("accepted");
            let mut thrown = vec![0; lost];
            stream.read_exact(&mut thrown).expect("read");
            let ends = [stream.try_clone().expect("end"), stream.try_clone().expect("end"), stream];
            let [input, output, errors] = ends.map(|end| Stdio::from(std::os::fd::OwnedFd::from(end)));
            Command::new("sh").stdin(input).stdout(output).stderr(errors).status().expect("sh")
        });
    }

    #[test]
    fn a_script_is_heard_although_the_first_words_were_lost() {
        let dir = tempfile::tempdir().expect("scratch");
        for lost in [0, 1, 15, 16, 40] {
            let port = dir.path().join(lost.to_string());
            guest(&port, lost);
            let said = talk(&port, "echo so it is", Duration::from_secs(20), &|| Ok(())).expect("answered");
            assert!(said.ends_with("so it is\n"), "{said}");
        }
    }

    #[test]
    fn a_failing_script_and_a_silent_machine_are_errors() {
        let dir = tempfile::tempdir().expect("scratch");
        let port = dir.path().join("port");
        guest(&port, 0);
        let failed = talk(&port, "echo why >&2; exit 3", Duration::from_secs(20), &|| Ok(())).expect_err("failed").to_string();
        assert!(failed.starts_with("`a script on the machine's port` ended with 3: ") && failed.ends_with("why"), "{failed}");
        let silent = dir.path().join("silent");
        let _listener = UnixListener::bind(&silent).expect("bound");
        assert!(matches!(talk(&silent, "true", Duration::from_millis(700), &|| Ok(())), Err(LabError::Deadline { .. })));
    }

    #[test]
    fn a_dead_qemu_is_named_before_it_listens_and_in_the_midst_of_its_words() {
        let dir = tempfile::tempdir().expect("scratch");
        let dead = || Err(LabError::Refused("qemu is dead".into()));
        let begun = Instant::now();
        let long = Duration::from_secs(600);
        for failed in [
            talk(&dir.path().join("nobody"), "true", long, &dead).expect_err("dead"),
            monitor(&dir.path().join("nobody"), &["info status"], long, &dead).expect_err("dead"),
        ] {
            assert_eq!(failed.to_string(), "qemu is dead");
        }
        let port = dir.path().join("port");
        let listener = UnixListener::bind(&port).expect("bound");
        let hung_up = thread::spawn(move || listener.accept().map(drop));
        assert_eq!(talk(&port, "true", long, &dead).expect_err("dead").to_string(), "qemu is dead");
        hung_up.join().expect("no panic").expect("accepted");
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}
