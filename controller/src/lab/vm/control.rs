//! Talking to a machine past its network: to the root shell behind its virtio port, and to qemu itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::child::tail;
use super::super::error::LabError;

/// Has the root shell behind the port run a script; returns what it printed. The script's failure is an error.
pub(super) fn talk(port: &Path, script: &str, limit: Duration) -> Result<String, LabError> {
    let end = Instant::now() + limit;
    let mut stream = connect(port, end)?;
    // In a subshell, so that its `set -e` or `exit` does not take the answer along.
    let asked = format!("(\n{script}\n)\necho \"LAB-STATUS\"=$?=\n");
    stream.write_all(asked.as_bytes()).map_err(LabError::file("write to", port))?;
    let mut said = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&said);
        if let Some((before, after)) = text.split_once("LAB-STATUS=")
            && let Some((status, _)) = after.split_once('=')
        {
            return if status == "0" {
                Ok(before.to_owned())
            } else {
                Err(LabError::Command { command: "a script on the machine's port".into(), status: status.to_owned(), output: tail(before) })
            };
        }
        let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        stream.set_read_timeout(Some(left)).map_err(LabError::file("read from", port))?;
        match stream.read(&mut buffer) {
            Ok(count) if count > 0 => said.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => return Err(LabError::file("read from", port)(error)),
            _ if Instant::now() >= end => return Err(LabError::Deadline { what: "the machine's root shell".into(), after: limit }),
            Ok(_) => return Err(LabError::Refused(format!("qemu closed the machine's port after: {}", tail(&text)))),
            Err(_) => {}
        }
    }
}

/// Has qemu carry out commands of its human monitor, in order.
pub(super) fn monitor(control: &Path, commands: &[&str], limit: Duration) -> Result<(), LabError> {
    let stream = connect(control, Instant::now() + limit)?;
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
    let _ = monitor(control, &["quit"], limit);
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
fn connect(path: &Path, end: Instant) -> Result<UnixStream, LabError> {
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return Ok(stream),
            Err(error) if Instant::now() >= end => return Err(LabError::file("connect to", path)(error)),
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}
