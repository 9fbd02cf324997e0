//! Talking to one Jenkins: login, crumb, and its restarts.
//!
//! A restart shows itself as 503, refused, reset and hanging connections, and twice as a short 401 for a valid token (recorded from
//! 2.532). So a 401 is believed only when it lasts. The end is a 200 from `/api/json` with `X-Jenkins-Session`.

use super::super::http::{Access, Answer, Http, HttpError, Method, UnexpectedJson};
use super::super::wait::{Cancellation, Wait};
use super::error::JenkinsError;
use super::patience::Patience;
use super::request;
use super::watch::Watch;
use crate::mask::RunMask;
use crate::masters::driver::Event;
use base64::Engine as _;
use ostler_roles::master::jenkins::Version;
use ostler_roles::words::Secret;
use serde::de::DeserializeOwned;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use ureq::http::StatusCode;

/// How we log in.
#[derive(Debug, Clone)]
pub enum Login {
    /// With an API token: needs no crumb.
    Token {
        /// User.
        user: String,
        /// Token.
        token: Secret<String>,
    },
    /// With a password: each write needs a crumb and the session it was issued to.
    Password {
        /// User.
        user: String,
        /// Password.
        password: Secret<String>,
    },
}

impl Login {
    fn user(&self) -> &str {
        match self {
            Self::Token { user, .. } | Self::Password { user, .. } => user,
        }
    }

    fn secret(&self) -> &Secret<String> {
        match self {
            Self::Token { token, .. } => token,
            Self::Password { password, .. } => password,
        }
    }

    fn header(&self) -> Secret<String> {
        let pair = format!("{}:{}", self.user(), self.secret().expose());
        Secret::new(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)))
    }
}

/// What a request carries beside its login. A write by password carries a crumb, where this Jenkins wants any.
#[derive(Debug, Default)]
struct Carried {
    headers: Vec<(String, Secret<String>)>,
}

#[derive(Debug, Default)]
struct Memory {
    /// `X-Jenkins-Session` of the process that answered last.
    process: Option<String>,
    version: Option<Version>,
    /// What it calls the account that we log in with.
    account: Option<String>,
    /// It was found out that a Jenkins is there, though its answers do not say so.
    is_found: bool,
    crumb: Option<Arc<Carried>>,
}

/// One Jenkins and one login; clones share what was learned of it.
#[derive(Debug, Clone)]
pub(super) struct Session {
    http: Http,
    login: Login,
    pub(super) patience: Patience,
    pub(super) stop: Cancellation,
    memory: Arc<Mutex<Memory>>,
    /// Who is told.
    events: Option<SyncSender<Event>>,
}

/// How much of an address that we were sent to is quoted.
const EXCERPT: usize = 200;

/// What an answer says about the process behind it.
enum Condition {
    Settled,
    Restarting(String),
    Unauthorized,
}

/// A proxy's word that nobody is behind it: 502 Bad Gateway, 504 Gateway Timeout. What was asked may have been heard all the same.
fn is_unheard(answer: &Answer) -> bool {
    matches!(answer.status, 502 | 504)
}

fn condition(answer: &Result<Answer, HttpError>) -> Condition {
    match answer {
        Ok(answer) if answer.status == 503 || is_unheard(answer) => {
            Condition::Restarting(format!("{} {}", answer.status, title(&answer.body)))
        }
        Ok(answer) if answer.status == 401 => Condition::Unauthorized,
        Ok(_) => Condition::Settled,
        Err(error) if is_too_long(error) => Condition::Settled,
        Err(HttpError::Exchange { source, .. }) => Condition::Restarting(source.to_string()),
        Err(_) => Condition::Settled,
    }
}

fn is_too_long(error: &HttpError) -> bool {
    matches!(error, HttpError::Exchange { source, .. } if matches!(**source, ureq::Error::BodyExceedsLimit(_)))
}

/// Nobody had begun to listen: the request cannot have been seen.
fn was_never_sent(error: &HttpError) -> bool {
    let HttpError::Exchange { source, .. } = error else { return false };
    match &**source {
        ureq::Error::Io(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        ureq::Error::ConnectionFailed | ureq::Error::HostNotFound => true,
        _ => false,
    }
}

impl Session {
    pub(super) fn new(url: &str, login: Login, patience: Patience, way: Access) -> Result<Self, JenkinsError> {
        let http = Http::new(url, patience.request, way)
            .map_err(|source| JenkinsError::Http { action: "use the address of this Jenkins".to_owned(), source })?;
        let header = login.header();
        http.mask().add([login.secret().expose().as_bytes(), header.expose().trim_start_matches("Basic ").as_bytes()]);
        Ok(Self { http, login, patience, stop: Cancellation::default(), memory: Arc::default(), events: None })
    }

    /// What nothing that is told of this Jenkins may show.
    pub(super) fn mask(&self) -> &RunMask {
        self.http.mask()
    }

    pub(super) fn user(&self) -> &str {
        self.login.user()
    }

    /// The process that answered last, by its `X-Jenkins-Session`: another one after each restart.
    pub(super) fn process(&self) -> Option<String> {
        self.memory().process.clone()
    }

    /// Whether a Jenkins has answered.
    pub(super) fn is_known(&self) -> bool {
        let memory = self.memory();
        memory.is_found || memory.process.is_some()
    }

    /// The same Jenkins, where this one is told what happens.
    pub(super) fn telling(&self, events: SyncSender<Event>) -> Self {
        Self { events: Some(events), ..self.clone() }
    }

    /// Tells whoever listens.
    pub(super) fn send(&self, event: Event) {
        // Who does not listen any more needs not be told.
        let _ = self.events.as_ref().map(|events| events.send(event));
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads JSON. 404 is `None`: absent, or hidden from this user.
    pub(super) fn json<T: DeserializeOwned>(&self, action: &str, path: &str) -> Result<Option<T>, JenkinsError> {
        let answer = self.read(action, path)?;
        if answer.status == 404 {
            return Ok(None);
        }
        let answer = self.expect(action, answer, &[200])?;
        let kind = answer.header("content-type").unwrap_or("no content type").to_owned();
        if !kind.starts_with("application/json") {
            return Err(JenkinsError::NotJenkins { action: action.to_owned(), kind });
        }
        serde_json::from_slice(&answer.body).map(Some).map_err(|error| shape(action, &error))
    }

    /// Reads a document that is no JSON, with the status it came with.
    pub(super) fn read(&self, action: &str, path: &str) -> Result<Answer, JenkinsError> {
        self.get(action, Method::Get, path, &Carried::default())
    }

    /// The same, unless it has not changed since it had this `Last-Modified`: then 304.
    pub(super) fn read_since(&self, action: &str, path: &str, modified: &str) -> Result<Answer, JenkinsError> {
        let headers = vec![("if-modified-since".to_owned(), Secret::new(modified.to_owned()))];
        self.get(action, Method::Get, path, &Carried { headers })
    }

    /// Reads no more of a document than its first `limit` bytes.
    pub(super) fn read_beginning(&self, action: &str, path: &str, limit: u64) -> Result<Answer, JenkinsError> {
        self.get(action, Method::Beginning(limit), path, &Carried::default())
    }

    fn get(&self, action: &str, ask: Method<'_>, path: &str, carried: &Carried) -> Result<Answer, JenkinsError> {
        let started = Instant::now();
        loop {
            let answer = self.ask(ask, path, carried);
            if let Some(answer) = self.judge(action, answer)? {
                return Ok(answer);
            }
            self.check_time(action, started)?;
        }
    }

    /// A single address that fails while the rest is well must not be asked for ever.
    fn check_time(&self, action: &str, started: Instant) -> Result<(), JenkinsError> {
        let waited = started.elapsed();
        if waited < self.patience.restart {
            return Ok(());
        }
        Err(JenkinsError::NotReady { action: action.to_owned(), waited, last: "this address alone does not answer".to_owned() })
    }

    /// Writes. A request that may have been seen is never sent twice: then it is [`JenkinsError::Lost`], and the caller looks again.
    pub(super) fn write(&self, action: &str, path: &str, kind: &str, body: &[u8]) -> Result<Answer, JenkinsError> {
        let started = Instant::now();
        let mut crumb_was_refused = false;
        loop {
            self.check_time(action, started)?;
            let answer = self.post(action, path, kind, body)?;
            if let Err(error) = answer {
                if is_too_long(&error) || matches!(error, HttpError::Certificate { .. } | HttpError::NotTls { .. }) {
                    return Err(JenkinsError::Http { action: action.to_owned(), source: error });
                }
                if !was_never_sent(&error) {
                    self.wait_until_ready(action, &error.to_string())?;
                    return Err(JenkinsError::Lost { action: action.to_owned(), source: error });
                }
                self.wait_until_ready(action, &error.to_string())?;
                continue;
            }
            if let Ok(answer) = &answer
                && is_unheard(answer)
            {
                let (status, excerpt) = (answer.status, title(&answer.body));
                self.wait_until_ready(action, &format!("{status} {excerpt}"))?;
                let source = HttpError::Status { method: "POST", url: self.http.url(path), status, excerpt };
                return Err(JenkinsError::Lost { action: action.to_owned(), source });
            }
            let Some(answer) = self.judge(action, answer)? else { continue };
            let is_crumb_fault = answer.status == 403 && String::from_utf8_lossy(&answer.body).contains("No valid crumb");
            if is_crumb_fault && !crumb_was_refused {
                crumb_was_refused = true;
                self.memory().crumb = None;
                continue;
            }
            return Ok(answer);
        }
    }

    /// Asks once.
    fn ask(&self, ask: Method<'_>, path: &str, carried: &Carried) -> Result<Answer, HttpError> {
        // Jenkins speaks the language that is asked for, and its errors are known here in English alone.
        let [login, any, english] = [self.login.header(), Secret::new("*/*".to_owned()), Secret::new("en".to_owned())];
        let always = [("authorization", &login), ("accept", &any), ("accept-language", &english)];
        let carried = carried.headers.iter().map(|(name, value)| (name.as_str(), value));
        request::ask(&self.http, &self.stop, ask, path, &always.into_iter().chain(carried).collect::<Vec<_>>())
    }

    fn post(&self, action: &str, path: &str, kind: &str, body: &[u8]) -> Result<Result<Answer, HttpError>, JenkinsError> {
        let crumb = self.crumb(action)?;
        let mut answer = self.ask(Method::Post(kind, body), path, &crumb);
        if let Ok(answer) = &mut answer
            && matches!(answer.status, 502..=504)
        {
            // A proxy's page may hold what was sent, and the caller, who knows the secrets in it, never sees this answer.
            let reason = StatusCode::from_u16(answer.status).ok().and_then(|status| status.canonical_reason());
            answer.body = reason.unwrap_or_default().into();
        }
        Ok(answer)
    }

    /// The crumb that writes need; a token needs none.
    fn crumb(&self, action: &str) -> Result<Arc<Carried>, JenkinsError> {
        if matches!(self.login, Login::Token { .. }) {
            return Ok(Arc::default());
        }
        if let Some(crumb) = self.memory().crumb.clone() {
            return Ok(crumb);
        }
        let crumb = Arc::new(self.fetch_crumb(action)?);
        self.memory().crumb = Some(Arc::clone(&crumb));
        Ok(crumb)
    }

    fn fetch_crumb(&self, action: &str) -> Result<Carried, JenkinsError> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Issued {
            crumb: String,
            crumb_request_field: String,
        }
        let answer = self.read(action, "/crumbIssuer/api/json")?;
        if answer.status == 404 {
            // No issuer: this Jenkins was set up to want no crumbs.
            return Ok(Carried::default());
        }
        let answer = self.expect(action, answer, &[200])?;
        let issued: Issued = serde_json::from_slice(&answer.body).map_err(|error| shape(action, &error))?;
        self.mask().add([issued.crumb.as_bytes()]);
        let cookies = self.http.cookies(&answer.headers).map(|cookies| ("cookie".to_owned(), cookies));
        Ok(Carried { headers: [(issued.crumb_request_field, Secret::new(issued.crumb))].into_iter().chain(cookies).collect() })
    }

    /// The answer of a settled process; `None` after a restart was waited out, when the request may be sent again.
    fn judge(&self, action: &str, answer: Result<Answer, HttpError>) -> Result<Option<Answer>, JenkinsError> {
        match condition(&answer) {
            Condition::Settled => {}
            Condition::Restarting(last) => {
                self.wait_until_ready(action, &last)?;
                return Ok(None);
            }
            Condition::Unauthorized => {
                self.wait_until_ready(action, "401")?;
                return Ok(None);
            }
        }
        let answer = answer.map_err(|source| JenkinsError::Http { action: action.to_owned(), source })?;
        self.note_process(&answer);
        if answer.status == 404 && answer.header("x-jenkins").is_none() {
            self.find(action)?;
        }
        Ok(Some(answer))
    }

    /// Makes sure that a Jenkins is there at all. A 404 of Jenkins' own says so in its headers, unless a proxy took them off.
    fn find(&self, action: &str) -> Result<(), JenkinsError> {
        if self.is_known() {
            return Ok(());
        }
        let root = self.ask(Method::Get, "/api/json?tree=mode", &Carried::default());
        if root.is_err() && self.stop.is_asked() {
            return Err(JenkinsError::Stopped { action: action.to_owned(), left: None });
        }
        let class = root.ok().and_then(|root| serde_json::from_slice::<serde_json::Value>(&root.body).ok());
        let is_found = class.is_some_and(|class| class["_class"] == "hudson.model.Hudson");
        self.memory().is_found = is_found;
        if is_found { Ok(()) } else { Err(JenkinsError::NoJenkins { action: action.to_owned(), url: self.http.url("") }) }
    }

    /// Whether this is the account that we log in with: by its name, or by what Jenkins calls it, which may be another (LDAP, upper case).
    pub(super) fn is_us(&self, account: &str) -> Result<bool, JenkinsError> {
        #[derive(serde::Deserialize)]
        struct Me {
            name: String,
        }
        if account.eq_ignore_ascii_case(self.user()) {
            return Ok(true);
        }
        let known = self.memory().account.clone();
        let name = match known {
            Some(name) => name,
            None => {
                let me: Option<Me> = self.json("ask who we are", "/whoAmI/api/json?tree=name")?;
                let name = me.map_or_else(|| self.user().to_owned(), |me| me.name);
                self.memory().account = Some(name.clone());
                name
            }
        };
        Ok(account.eq_ignore_ascii_case(&name))
    }

    /// The version of this Jenkins; none where a proxy takes it off every answer.
    pub(super) fn version(&self) -> Result<Option<Version>, JenkinsError> {
        if let Some(version) = self.memory().version {
            return Ok(Some(version));
        }
        let action = "ask for the version of this Jenkins";
        let answer = self.expect(action, self.read(action, "/api/json?tree=mode")?, &[200])?;
        Ok(answer.header("x-jenkins").and_then(Version::parse))
    }

    /// Its version, if it has said so already.
    pub(super) fn known_version(&self) -> Option<Version> {
        self.memory().version
    }

    fn note_process(&self, answer: &Answer) {
        let mut memory = self.memory();
        memory.version = answer.header("x-jenkins").and_then(Version::parse).or(memory.version);
        let Some(process) = answer.header("x-jenkins-session") else { return };
        if memory.process.as_deref() != Some(process) {
            memory.process = Some(process.to_owned());
            memory.crumb = None;
        }
    }

    /// Asks until `/api/json` answers 200 with a session. A 401 ends it when nothing else is seen for as long as the patience says.
    fn wait_until_ready(&self, action: &str, first: &str) -> Result<(), JenkinsError> {
        let is_known = self.memory().process.is_some();
        let has_status = first.starts_with("503") || first == "401";
        let mut watch = Watch::new(self, if is_known || has_status { self.patience.restart } else { self.patience.reach });
        let mut unauthorized_since = (first == "401").then(Instant::now);
        let mut last = first.to_owned();
        loop {
            match watch.wait(&format!("Jenkins answers ({last})")) {
                Wait::Again => {}
                Wait::Over => return Err(JenkinsError::NotReady { action: action.to_owned(), waited: watch.waited(), last }),
                Wait::Stopped => return Err(JenkinsError::Stopped { action: action.to_owned(), left: None }),
            }
            let answer = self.ask(Method::Get, "/api/json?tree=mode", &Carried::default());
            match condition(&answer) {
                Condition::Settled => {
                    if let Ok(answer) = &answer {
                        self.note_process(answer);
                    }
                    return Ok(());
                }
                Condition::Restarting(sign) => {
                    unauthorized_since = None;
                    last = sign;
                }
                Condition::Unauthorized => {
                    // Believed when it is still said at the end of that time, not when the time is merely over.
                    if unauthorized_since.get_or_insert_with(Instant::now).elapsed() >= self.patience.unauthorized {
                        return Err(JenkinsError::WrongLogin { action: action.to_owned(), user: self.user().to_owned() });
                    }
                    last = "401".to_owned();
                }
            }
        }
    }

    /// The answer if its status is one of these, else what the status says, in words.
    pub(super) fn expect(&self, action: &str, answer: Answer, good: &[u16]) -> Result<Answer, JenkinsError> {
        if good.contains(&answer.status) {
            return Ok(answer);
        }
        let action = action.to_owned();
        if answer.status == 403
            && let Some(permission) = missing_permission(&answer)
        {
            return Err(JenkinsError::MissingPermission { action, user: self.user().to_owned(), permission });
        }
        if let Some(reason) = answer.header("x-error") {
            return Err(JenkinsError::Refused { action, reason: reason.split_whitespace().collect::<Vec<_>>().join(" ") });
        }
        if let (300..=399, Some(to)) = (answer.status, answer.header("location")) {
            return Err(JenkinsError::Redirected { action, to: to.chars().take(EXCERPT).collect() });
        }
        Err(JenkinsError::Status { action, status: answer.status, excerpt: title(&answer.body) })
    }
}

/// JSON that is not what was expected.
pub(super) fn shape(action: &str, error: &serde_json::Error) -> JenkinsError {
    JenkinsError::Shape { action: action.to_owned(), source: UnexpectedJson::of(error) }
}

/// The permission of a 403: from the page's own words, or from the header's class name.
fn missing_permission(answer: &Answer) -> Option<String> {
    let body = String::from_utf8_lossy(&answer.body);
    if let Some((_, rest)) = body.split_once("is missing the ")
        && let Some((permission, _)) = rest.split_once(" permission")
    {
        return Some(permission.chars().take(80).collect());
    }
    if let Some((_, rest)) = body.split_once("missing a permission, one of ")
        && let Some((permissions, _)) = rest.split_once(" is required")
    {
        return Some(permissions.replace(", ", " or ").chars().take(80).collect());
    }
    answer.header("x-required-permission").map(|id| {
        let mut words = id.rsplit('.');
        let (verb, class) = (words.next().unwrap_or(id), words.next().unwrap_or(""));
        let class = match class {
            "Computer" => "Agent",
            "Item" => "Job",
            "Hudson" => "Overall",
            other => other,
        };
        format!("{class}/{verb}")
    })
}

/// The title of a page, or the beginning of a text; printable and short.
fn title(body: &[u8]) -> String {
    let body = String::from_utf8_lossy(body);
    let title = body.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>")).map_or(&*body, |(title, _)| title);
    title.chars().filter(|character| !character.is_control()).take(120).collect::<String>().trim().to_owned()
}
