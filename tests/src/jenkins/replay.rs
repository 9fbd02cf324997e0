//! Recorded exchanges: read, sent again, compared by value.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use serde_json::Value;

use super::http::Response;
use super::version::Version;
use super::xml;

/// Headers that are compared when they were recorded, or were answered.
const COMPARED: [&str; 13] = [
    "X-Error",
    "Location",
    "X-Required-Permission",
    "X-Permission-Implied-By",
    "X-You-Are-Authenticated-As",
    "WWW-Authenticate",
    "Content-Type",
    "X-Jenkins",
    "X-Jenkins-Session",
    "X-Text-Size",
    "X-More-Data",
    "Content-Disposition",
    "Accept-Ranges",
];
/// JSON fields that differ from run to run, wherever they stand.
const VOLATILE: [&str; 10] = [
    "timestamp",
    "buildableStartMilliseconds",
    "inQueueSince",
    "duration",
    "estimatedDuration",
    "crumb",
    "tokenUuid",
    "tokenValue",
    "connectTime",
    "tokenName",
];
/// What stands for a machine's key in the later recordings.
const PUBLIC_KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIIqxxmFBzQEIwxkRxtlBa9CMROCLupFp3O0S9C3ZzPMw";
/// JSON lists that are sets on the other side, in no order.
const SETS: [&str; 2] = ["assignedLabels", "nodes"];

/// Recordings of a course of events, rather than of one exchange: each is played by a test of its own.
pub const TIMELINES: [&str; 4] = [RESTART, RELAUNCH_LOST, RELAUNCH_KEPT, RELAUNCH_QUIET];
/// A restart.
pub const RESTART: &str = "restart-21-timeline";
/// An agent that is disconnected and launched at once, and is lost when the old connection is closed.
pub const RELAUNCH_LOST: &str = "v568-36-state-timeline-disconnect-launch-at-once-lost";
/// The same, and it stays.
pub const RELAUNCH_KEPT: &str = "v568-37-state-timeline-disconnect-launch-at-once-kept";
/// One that is launched when all has been quiet for some seconds.
pub const RELAUNCH_QUIET: &str = "v568-67-state-timeline-disconnect-quiet-launch";

/// One recorded exchange.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// File name without `.json`.
    pub title: String,
    /// The file.
    pub value: Value,
}

/// Reads them all, in the order of their groups and, in a group, of their time.
pub fn load(directory: &Path) -> std::io::Result<Vec<Exchange>> {
    let mut exchanges = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let value = serde_json::from_slice(&std::fs::read(&path)?).map_err(std::io::Error::other)?;
        let title = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        exchanges.push(Exchange { title, value });
    }
    exchanges.sort_by_key(|exchange| (exchange.group(), exchange.date(), exchange.title.clone()));
    Ok(exchanges)
}

impl Exchange {
    /// The Jenkins that answered.
    pub fn version(&self) -> Version {
        Version::of_recording(&self.title)
    }

    /// Place of its group in the session that was recorded.
    fn group(&self) -> usize {
        const ORDER: [&str; 12] =
            ["auth", "crumb", "cred", "node", "bad", "node-late", "state", "inbound", "job", "pyjenkins", "quiet", "restart"];
        let group = self.title.split('-').next().unwrap_or("");
        let late = group == "node" && self.title.as_str() >= "node-60";
        ORDER.iter().position(|known| *known == if late { "node-late" } else { group }).unwrap_or(ORDER.len())
    }

    fn date(&self) -> String {
        // All were recorded on one day, so the text of the header sorts by time.
        self.header("Date").first().cloned().unwrap_or_default()
    }

    fn header(&self, name: &str) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
        let headers = self.value["response"]["headers"].as_array().cloned().unwrap_or_default();
        headers.iter().filter(|pair| text(&pair[0]).eq_ignore_ascii_case(name)).map(|pair| text(&pair[1])).collect()
    }

    /// The recorded status; 0 for a file that holds no exchange.
    pub fn status(&self) -> u64 {
        self.value["response"]["status"].as_u64().unwrap_or(0)
    }

    /// What differs from the recording, in words.
    pub fn differences(&self, answer: &Response) -> Vec<String> {
        let mut found = Vec::new();
        if u64::from(answer.status) != self.status() {
            found.push(format!("status {} instead of {}", answer.status, self.status()));
        }
        for name in COMPARED {
            let answered: Vec<&String> =
                answer.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect();
            let recorded = self.header(name);
            if answered != recorded.iter().collect::<Vec<_>>() {
                found.push(format!("{name}: {answered:?} instead of {recorded:?}"));
            }
        }
        let session = |values: &[String]| values.iter().any(|value| value.starts_with("JSESSIONID."));
        let answered: Vec<String> = answer.headers.iter().filter(|(key, _)| key == "Set-Cookie").map(|(_, value)| value.clone()).collect();
        if session(&answered) != session(&self.header("Set-Cookie")) {
            found.push(format!("session cookie: {answered:?} instead of {:?}", self.header("Set-Cookie")));
        }
        found.extend(self.body_difference(answer));
        found
    }

    fn body_difference(&self, answer: &Response) -> Option<String> {
        let response = &self.value["response"];
        let answered = String::from_utf8_lossy(&answer.body).into_owned();
        if self.value["request"]["method"] == "HEAD" {
            return None;
        }
        if let Some(start) = response["body_first_bytes_hex"].as_str() {
            let hex: String = answer.body.iter().take(start.len() / 2).map(|byte| format!("{byte:02x}")).collect();
            let length = response["body_binary_bytes"].as_u64() == u64::try_from(answer.body.len()).ok();
            return (hex != start || !length).then(|| format!("binary body {hex}, {} bytes", answer.body.len()));
        }
        if let Some(excerpt) = response["body_excerpt"].as_str() {
            let (excerpt, answered) = (mask_text(excerpt), mask_text(&answered));
            return (!answered.contains(&excerpt)).then(|| format!("page without\n{excerpt}\nbut\n{answered}"));
        }
        let recorded = response["body"].as_str().unwrap_or("").replace("<BASE64_PUBLIC_KEY>", PUBLIC_KEY);
        let recorded = recorded.as_str();
        let kind = self.header("Content-Type").first().cloned().unwrap_or_default();
        if kind.starts_with("application/json") {
            let (answered, recorded) = (serde_json::from_str(&answered), serde_json::from_str(recorded));
            return match (answered, recorded) {
                (Ok(answered), Ok(recorded)) => {
                    let (answered, recorded) = (mask_json(answered), mask_json(recorded));
                    (answered != recorded).then(|| format!("JSON\n{answered}\ninstead of\n{recorded}"))
                }
                _ => Some("not JSON".to_owned()),
            };
        }
        if recorded.contains("<!DOCTYPE html>") {
            // Pages in full: their frame is Jenkins' own, so the title stands for them.
            let title = |text: &str| {
                text.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>")).map(|(title, _)| title.to_owned())
            };
            return (title(&answered) != title(recorded)).then(|| format!("title {:?} instead of {:?}", title(&answered), title(recorded)));
        }
        if kind.starts_with("application/xml") && xml::parse(recorded).is_err() {
            return Some("recorded XML does not parse".to_owned());
        }
        let (answered, recorded) = (mask_text(&answered), mask_text(recorded));
        (answered != recorded).then(|| format!("body\n{answered}\ninstead of\n{recorded}"))
    }
}

/// Sets in order, volatile fields blanked, monitor readings reduced to their names.
fn mask_json(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(mask_json).collect()),
        Value::Object(object) => Value::Object(
            object
                .into_iter()
                .map(|(key, value)| {
                    let value = match (key.as_str(), value) {
                        (name, value) if VOLATILE.contains(&name) => Value::Bool(!value.is_null()),
                        ("monitorData", Value::Object(readings)) => readings.into_iter().map(|(name, _)| Value::String(name)).collect(),
                        ("why", Value::String(text)) => Value::String(text.chars().filter(|c| !c.is_ascii_digit()).collect()),
                        (name, Value::Array(items)) if SETS.contains(&name) => {
                            let mut items: Vec<Value> = items.into_iter().map(mask_json).collect();
                            items.sort_by_key(Value::to_string);
                            Value::Array(items)
                        }
                        (_, value) => mask_json(value),
                    };
                    (key, value)
                })
                .collect(),
        ),
        other => other,
    }
}

/// Blanks what no two runs share: log numbers, script numbers, times in XML, trailing blanks, the agent's secret.
fn mask_text(text: &str) -> String {
    let text = text.trim_end().replace("<DIGITS>", "1").replace("<TMP_DIR>", "/tmp");
    let mut text = text.replace("<BASE64_PUBLIC_KEY>", PUBLIC_KEY);
    for (start, end) in [("Logging ID=", "</div>"), ("<timestamp>", "</timestamp>"), ("<application-desc><argument>", "</argument>")] {
        if let Some(from) = text.find(start).map(|at| at + start.len())
            && let Some(length) = text[from..].find(end).or_else(|| text[from..].find("<!--"))
        {
            text.replace_range(from..from + length, "*");
        }
    }
    // A page ends its log number with a comment when the main panel follows.
    text.replace("Logging ID=*</div>", "Logging ID=*")
}

/// Sends recorded requests; keeps the crumb and session that the answers gave.
#[derive(Debug)]
pub struct Replayer {
    address: SocketAddr,
    crumb: String,
    session: String,
}

impl Replayer {
    /// For the model at that address.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, crumb: String::new(), session: String::new() }
    }

    /// Sends one recorded request with placeholders filled in. Those of python-jenkins follow redirects, as it did.
    pub fn send(&mut self, exchange: &Exchange) -> std::io::Result<Response> {
        let request = &exchange.value["request"];
        let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
        let mut headers: Vec<(String, String)> = Vec::new();
        for (name, value) in request["headers"].as_object().into_iter().flatten() {
            match name.as_str() {
                "Host" | "Content-Length" | "Accept-Encoding" | "Connection" => {}
                "Authorization" => headers.push((name.clone(), authorization(&text(value)))),
                "Cookie" => headers.push((name.clone(), text(value).replace("<SESSION>", &self.session))),
                "Jenkins-Crumb" if exchange.title.starts_with("crumb-04") => headers.push((name.clone(), "a-wrong-crumb".to_owned())),
                _ => headers.push((name.clone(), text(value).replace("<CRUMB>", &self.crumb))),
            }
        }
        let body = match request["form"].as_object() {
            Some(form) => form
                .iter()
                .map(|(key, value)| {
                    format!("{}={}", encode(key), encode(&fill(&text(value).replace("<SSH_PRIVATE_KEY>\n", "<SSH_PRIVATE_KEY>"), "\\n")))
                })
                .collect::<Vec<_>>()
                .join("&"),
            None => fill(&text(&request["body"]), "\n"),
        };
        let mut answer = exchange_once(self.address, &text(&request["method"]), &text(&request["path"]), &headers, &body)?;
        if exchange.title.starts_with("pyjenkins-")
            && answer.status == 302
            && let Some(location) = answer.get("Location").map(str::to_owned)
        {
            answer = exchange_once(self.address, "GET", &location, &headers, "")?;
        }
        self.remember(&answer);
        Ok(answer)
    }

    fn remember(&mut self, answer: &Response) {
        let crumb = serde_json::from_slice::<Value>(&answer.body).ok().and_then(|value| value["crumb"].as_str().map(str::to_owned));
        let Some(crumb) = crumb else { return };
        self.crumb = crumb;
        let cookie = answer.headers.iter().find(|(key, value)| key == "Set-Cookie" && value.starts_with("JSESSIONID."));
        self.session = cookie.and_then(|(_, value)| value.split(['=', ';']).nth(1)).unwrap_or("").to_owned();
    }
}

/// One request on a connection of its own.
pub fn exchange_once(address: SocketAddr, method: &str, path: &str, headers: &[(String, String)], body: &str) -> std::io::Result<Response> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\nConnection: close\r\n", body.len());
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{text}\r\n{body}").as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").ok_or_else(|| std::io::Error::other("no header"))?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok()).unwrap_or(0);
    let headers = lines.filter_map(|line| line.split_once(": ")).map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    Ok(Response { status, headers, body: bytes[end + 4..].to_vec() })
}

/// Tokens and passwords stand as placeholders in the recording; each user has the model's own.
fn authorization(recorded: &str) -> String {
    let pair = recorded.trim_start_matches("Basic base64(").trim_end_matches(')');
    let (user, secret) = pair.split_once(':').unwrap_or((pair, ""));
    let secret = match secret {
        "<PASSWORD>" => format!("{user}-password"),
        secret if secret.ends_with("_TOKEN>") => format!("11{user}-token"),
        secret => secret.to_owned(),
    };
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{secret}")))
}

fn fill(text: &str, newline: &str) -> String {
    let key = format!("-----BEGIN OPENSSH PRIVATE KEY-----{newline}bW9kZWw={newline}-----END OPENSSH PRIVATE KEY-----");
    text.replace("<BASE64_PUBLIC_KEY>", PUBLIC_KEY).replace("<SSH_PRIVATE_KEY>", &key).replace("<NODE_PASSWORD>", "node-password")
}

fn encode(text: &str) -> String {
    text.bytes().map(|byte| if byte.is_ascii_alphanumeric() { (byte as char).to_string() } else { format!("%{byte:02X}") }).collect()
}
