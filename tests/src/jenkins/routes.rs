//! Which address does what. Order of checks as recorded: login, crumb, sight, method, permission, content.

use serde_json::{Value, json};

use super::http::{Request, Response, decode};
use super::state::{Crumb, State};
use super::tree::Tree;
use super::users::{self, Permission, Who};
use super::version::Version;
use super::{pages, routes_computer, routes_credentials, routes_job, views};

/// One request in the hands of the routes.
pub struct Call<'a> {
    /// The controller.
    pub state: &'a mut State,
    /// The request.
    pub request: &'a Request,
    /// Its sender.
    pub who: Who,
    /// Whether it carried a session cookie.
    pub has_cookie: bool,
}

impl std::fmt::Debug for Call<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.request.method, self.request.path)
    }
}

/// Answers one request.
pub fn handle(state: &mut State, request: &Request) -> Response {
    let response = answer(state, request);
    finish(state, response)
}

/// What the container and Jenkins' filters make of an answer, version by version.
fn finish(state: &State, mut response: Response) -> Response {
    if state.version.redirects_absolutely() {
        for (_, target) in response.headers.iter_mut().filter(|(name, target)| name == "Location" && target.starts_with('/')) {
            *target = format!("{}{}", state.root_url, target.trim_start_matches('/'));
        }
    }
    if state.hides_headers {
        response.headers.retain(|(name, _)| !name.starts_with("X-Jenkins"));
    }
    if state.version.reports_policy() && response.status != 401 {
        let policy = "base-uri 'none'; default-src 'self'; report-to content-security-policy";
        return response.header("Reporting-Endpoints", "content-security-policy: /").header("Content-Security-Policy-Report-Only", policy);
    }
    response
}

fn answer(state: &mut State, request: &Request) -> Response {
    let who = match users::identify(state, request) {
        Ok(who) => who,
        Err(response) => return response,
    };
    if let Err(response) = users::check_crumb(state, request, &who) {
        return response;
    }
    let has_cookie = users::session_cookie(state, request).is_some();
    if let Some((_, left)) = state.broken.iter_mut().find(|(word, left)| *left > 0 && request.target.contains(word.as_str())) {
        *left -= 1;
        return pages::oops(state, has_cookie);
    }
    let mut call = Call { state, request, who, has_cookie };
    call.open().unwrap_or_else(|| call.guarded())
}

impl Call<'_> {
    /// Addresses that need no login.
    fn open(&mut self) -> Option<Response> {
        Some(match self.request.path.as_str() {
            "/login" => pages::login(self.state),
            "/whoAmI/api/json" => {
                let anonymous = matches!(self.who, Who::Anonymous);
                let group = if anonymous { "anonymous" } else { "authenticated" };
                self.json(json!({"_class": "hudson.security.WhoAmI", "anonymous": anonymous, "authenticated": true, "authorities": [group], "name": self.who.name()}))
            }
            "/jnlpJars/agent.jar" if self.request.header("If-Modified-Since") == Some(self.state.version.agent_written()) => {
                Response::empty(304)
            }
            "/jnlpJars/agent.jar" => Response::empty(200)
                .header("Last-Modified", self.state.version.agent_written())
                .header("Content-Disposition", "attachment; filename=agent.jar")
                .header("Accept-Ranges", "bytes")
                .header("Content-Type", "application/java-archive")
                .body(agent_jar(self.state.version)),
            "/wsagents/" => {
                pages::jetty(self.state.version, 400, "This endpoint is only for use from agent.jar in WebSocket mode", &self.request.path)
            }
            "/tcpSlaveAgentListener/" => self.not_found(),
            _ => return None,
        })
    }

    fn guarded(&mut self) -> Response {
        if matches!(self.who, Who::Anonymous) {
            return pages::log_in_first(self.state, &self.request.path);
        }
        if !self.who.may(Permission::Read) {
            return self.forbidden(Permission::Read);
        }
        let request = self.request;
        let raw: Vec<&str> = request.target.split('?').next().unwrap_or("").split('/').skip(1).collect();
        let segments: Vec<String> = raw.iter().map(|segment| decode(segment, false)).collect();
        let words: Vec<&str> = segments.iter().map(String::as_str).collect();
        match words.as_slice() {
            [""] => pages::html(self.state, 200, "Dashboard", "", self.has_cookie),
            ["api", "json"] => self.root(),
            ["me", "api", "json"] => self.me(),
            ["crumbIssuer", "api", "json"] if self.state.wants_crumbs => self.crumb(),
            ["label", expression, "api", "json"] => {
                let value = views::label(self.state, expression);
                self.json(value)
            }
            ["user", name, "descriptorByName", "jenkins.security.ApiTokenProperty", "generateNewToken"] => self.new_token(name),
            ["quietDown" | "cancelQuietDown" | "safeRestart" | "restart"] => self.administer(words[0]),
            ["computer", rest @ ..] => routes_computer::route(self, rest),
            ["credentials", "store", "system", rest @ ..] => routes_credentials::route(self, rest),
            ["configuration-as-code", ..] if self.state.is_code => self.forbidden(Permission::Administer),
            ["createItem"] | ["job" | "queue", ..] => routes_job::route(self, &words),
            _ => self.not_found(),
        }
    }

    fn root(&mut self) -> Response {
        let jobs: Vec<Value> = self.state.jobs.values().map(|job| job.reference(self.state)).collect();
        let url = self.state.root_url.clone();
        let view = json!({"_class": "hudson.model.AllView", "name": "all", "url": url});
        self.json(json!({
            "_class": "hudson.model.Hudson", "assignedLabels": [{"name": "built-in"}], "mode": "NORMAL",
            "nodeDescription": "the Jenkins controller's built-in node", "nodeName": "", "numExecutors": 0, "description": null, "jobs": jobs,
            "overallLoad": {}, "primaryView": view, "quietDownReason": null, "quietingDown": self.state.quieting, "slaveAgentPort": -1,
            "unlabeledLoad": {"_class": "jenkins.model.UnlabeledLoadStatistics"}, "url": url, "useCrumbs": true, "useSecurity": true, "views": [view],
        }))
    }

    fn me(&mut self) -> Response {
        let name = self.who.name().to_owned();
        let url = format!("{}user/{name}", self.state.root_url);
        self.json(json!({"_class": "hudson.model.User", "absoluteUrl": url, "description": null, "fullName": name, "id": name}))
    }

    fn crumb(&mut self) -> Response {
        let cookie = self.state.new_session();
        let session = cookie.split(['=', ';']).nth(1).unwrap_or("").to_owned();
        let value = format!("crumb{:059x}", self.state.next_number());
        self.state.crumbs.push(Crumb { session, user: self.who.name().to_owned(), value: value.clone() });
        self.json(json!({"_class": "hudson.security.csrf.DefaultCrumbIssuer", "crumb": value, "crumbRequestField": "Jenkins-Crumb"}))
            .header("Set-Cookie", cookie)
    }

    fn new_token(&mut self, name: &str) -> Response {
        let token_name = self.request.parameter("newTokenName").unwrap_or_default();
        let number = self.state.next_number();
        let token = format!("11{number:032x}");
        let Some(user) = self.state.users.iter_mut().find(|user| user.name == name) else { return self.not_found() };
        user.tokens.push(token.clone());
        let value = json!({"status": "ok", "data": {"tokenName": token_name, "tokenUuid": format!("00000000-0000-4000-8000-{number:012}"), "tokenValue": token}});
        Response::empty(200).header("Content-Type", "application/json;charset=utf-8").body(value.to_string())
    }

    fn administer(&mut self, verb: &str) -> Response {
        if let Err(response) = self.post_only() {
            return response;
        }
        if !self.who.may(Permission::Administer) {
            return self.forbidden(Permission::Administer);
        }
        match verb {
            "quietDown" => self.state.quieting = true,
            "cancelQuietDown" => self.state.quieting = false,
            _ => {}
        }
        Response::empty(302).header("Location", "/")
    }

    /// A JSON answer, cut by `tree=`.
    pub fn json(&mut self, value: Value) -> Response {
        let value = match self.request.parameter("tree") {
            Some(tree) => Tree::parse(&tree).pick(&value),
            None => value,
        };
        pages::stamped(self.state, Response::empty(200)).header("Content-Type", "application/json;charset=utf-8").body(value.to_string())
    }

    /// An XML answer.
    pub fn xml(&self, body: String) -> Response {
        Response::empty(200).header("Content-Type", "application/xml").body(body)
    }

    /// A log from `start=` on; a start beyond the end gives all of it.
    pub fn log(&self, log: &str, more: bool) -> Response {
        let start = self.request.parameter("start").and_then(|text| text.parse().ok()).unwrap_or(0_usize);
        let raw = log.replace("\r\n", "\n");
        let from = if start > raw.len() { 0 } else { start };
        // A start in the middle of a character gives what is left of it.
        let body = String::from_utf8_lossy(raw.as_bytes().get(from..).unwrap_or_default()).replace('\n', "\r\n");
        let response = Response::empty(200).header("Content-Type", "text/plain;charset=utf-8").header("X-Text-Size", raw.len().to_string());
        if more { response.header("X-More-Data", "true").body(body) } else { response.body(body) }
    }

    /// 404.
    pub fn not_found(&mut self) -> Response {
        pages::not_found(self.state, &self.who, self.has_cookie)
    }

    /// 403 for that permission.
    pub fn forbidden(&mut self, permission: Permission) -> Response {
        pages::forbidden(self.state, &self.who, permission, self.has_cookie)
    }

    /// 400 with `X-Error`.
    pub fn refused(&mut self, message: &str) -> Response {
        pages::refused(self.state, message, self.has_cookie)
    }

    /// 500.
    pub fn oops(&mut self) -> Response {
        pages::oops(self.state, self.has_cookie)
    }

    /// The permission, or the 403.
    pub fn need(&mut self, permission: Permission) -> Result<(), Response> {
        if self.who.may(permission) { Ok(()) } else { Err(self.forbidden(permission)) }
    }

    /// Whether the sender's roles end before this node.
    pub fn is_beyond_roles(&self, node: &str) -> bool {
        self.state.beyond_roles.contains(node) && !self.who.may(Permission::Administer)
    }

    /// POST, or the 405.
    pub fn post_only(&mut self) -> Result<(), Response> {
        if self.request.method == "POST" { Ok(()) } else { Err(pages::wants_post(self.state, &self.request.path, self.has_cookie)) }
    }

    /// What is wrong with a name, in Jenkins' words.
    pub fn check_name(&mut self, name: &str) -> Result<(), Response> {
        let fault = if name.is_empty() {
            "Query parameter 'name' is required".to_owned()
        } else if matches!(name, "." | "..") {
            format!("“{name}” is not an allowed name")
        } else if let Some(character) = name.chars().find(|c| "?*/\\%!@#$^&|<>[]:;".contains(*c)) {
            format!("‘{character}’ is an unsafe character")
        } else if name.ends_with('.') {
            "A name cannot end with ‘.’".to_owned()
        } else {
            return Ok(());
        };
        Err(self.refused(&fault))
    }
}

/// Bytes that start like a jar; the model's agents are not Java.
fn agent_jar(version: Version) -> Vec<u8> {
    let mut bytes = vec![0x50, 0x4b, 0x03, 0x04, 0x14, 0x00, 0x08, 0x08];
    bytes.resize(version.agent_size(), 0);
    bytes
}
