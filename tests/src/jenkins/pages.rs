//! The pages: Jenkins' own (main panel in a frame) and the servlet container's.

use super::http::{Request, Response};
use super::state::State;
use super::users::{Permission, Who};
use super::version::Version;

/// Adds what every answer that Jenkins itself renders carries.
pub fn stamped(state: &State, response: Response) -> Response {
    response.header("X-Jenkins", state.version.number()).header("X-Jenkins-Session", state.session.clone())
}

/// A page with a title and a main panel. A client without session cookie gets one.
pub fn html(state: &mut State, status: u16, title: &str, panel: &str, has_cookie: bool) -> Response {
    let notice = if state.quieting {
        "<div id=\"shutdown-msg\">The Jenkins Controller is preparing for shutdown. No new builds can be started.</div>"
    } else {
        ""
    };
    let (start, end) = state.version.panel();
    let title = state.version.title(title);
    let start = start.replacen("<a id", &format!("{notice}<a id"), 1);
    let body =
        format!("<!DOCTYPE html><html><head><title>{title}</title></head><body><div id=\"page-body\">{start}{panel}{end}</body></html>");
    let mut response = Response::empty(status);
    if !has_cookie {
        response = response.header("Set-Cookie", state.new_session());
    }
    stamped(state, response.header("Content-Type", "text/html;charset=utf-8")).body(body)
}

/// 404, which also stands for "you may not see it".
pub fn not_found(state: &mut State, who: &Who, has_cookie: bool) -> Response {
    let hint = if matches!(who, Who::Anonymous) { "If you have an account, try logging in." } else { "" };
    let panel = format!(
        "<h1 style=\"text-align: center\"><img src=\"/static/{}/images/rage.svg\" width=\"154\" height=\"179\"><span style=\"font-size:50px\">\u{a0}Oops!</span></h1><div id=\"error-description\" style=\"text-align: center\"><h2>Not Found</h2><p>\n                                This page may not exist, or you may not have permission to see it.\n                                {hint}</div>",
        state.session
    );
    html(state, 404, "Not Found", &panel, has_cookie)
}

/// 500: only a number to look up in the log.
pub fn oops(state: &mut State, has_cookie: bool) -> Response {
    let number = state.next_number();
    let panel = format!(
        "<h1 style=\"text-align: center\"><img src=\"/static/{}/images/rage.svg\" width=\"154\" height=\"179\"><span style=\"font-size:50px\">\u{a0}Oops!</span></h1><div id=\"error-description\"><h2 style=\"text-align: center\">A problem occurred while processing the request</h2><p style=\"text-align: center\">Logging ID=00000000-0000-4000-8000-{number:012}</div>",
        state.session
    );
    html(state, 500, "Oops", &panel, has_cookie)
}

/// 400 with the reason in `X-Error`, where quotes beyond ASCII became blanks.
pub fn refused(state: &mut State, message: &str, has_cookie: bool) -> Response {
    let plain: String = message.chars().map(|c| if c.is_ascii() { c } else { ' ' }).collect();
    let mut response = html(state, 400, "Error", &format!("<h1>Error</h1><p>{message}"), has_cookie);
    response.headers.insert(0, ("X-Error".to_owned(), plain));
    response
}

/// 403 that names the permission.
pub fn forbidden(state: &mut State, who: &Who, permission: Permission, has_cookie: bool) -> Response {
    let panel = format!("<h1>Access Denied</h1><p class=\"error\">{} is missing the {} permission", who.name(), permission.title());
    let mut response = html(state, 403, "Access Denied", &panel, has_cookie);
    response.headers.splice(0..0, refusal(who.name(), permission));
    response
}

/// The headers that name a permission that is missing.
fn refusal(user: &str, permission: Permission) -> Vec<(String, String)> {
    let mut headers =
        vec![("X-You-Are-Authenticated-As".to_owned(), user.to_owned()), ("X-Required-Permission".to_owned(), permission.id().to_owned())];
    headers.extend(permission.implied_by().into_iter().map(|id| ("X-Permission-Implied-By".to_owned(), id.to_owned())));
    headers
}

/// 403 where either of two permissions would do: no header names them.
pub fn forbidden_either(state: &mut State, who: &Who, one: Permission, other: Permission, has_cookie: bool) -> Response {
    let panel = format!(
        "<h1>Access Denied</h1><p class=\"error\">{} is missing a permission, one of {}, {} is required",
        who.name(),
        one.title(),
        other.title()
    );
    html(state, 403, "Access Denied", &panel, has_cookie)
}

/// 405: the address wants POST.
pub fn wants_post(state: &mut State, path: &str, has_cookie: bool) -> Response {
    let url = format!("{}{path}", state.root_url.trim_end_matches('/'));
    let panel = format!(
        "<h1>This URL requires POST</h1><p>The URL you're trying to access requires that requests be sent using POST (like a form submission). The button below allows you to retry accessing this URL using POST. URL being accessed:<p><code>{url}</code><p><strong>If you were sent here from an untrusted source, please proceed with caution.</strong><form method=\"post\" autocomplete=\"off\" name=\"retry\"><div width=\"100%\"><button formNoValidate=\"formNoValidate\" name=\"Submit\" value=\"Retry using POST\" class=\"jenkins-button jenkins-submit-button jenkins-button--primary \">\n    Retry using POST\n  </button></div></form>"
    );
    html(state, 405, "Error", &panel, has_cookie)
}

/// 403 to those who did not log in: no redirect by status, only by the page.
pub fn log_in_first(state: &mut State, path: &str) -> Response {
    let from: String = path
        .bytes()
        .map(|b| if b.is_ascii_alphanumeric() || b"-_.".contains(&b) { (b as char).to_string() } else { format!("%{b:02X}") })
        .collect();
    let session = &state.session;
    let mut why = String::new();
    if state.version.explains_refusals() {
        why.push_str("You are authenticated as: anonymous\nGroups that you are in:\n  anonymous\n");
        why.push_str(&format!("Permission you need to have (but didn't): {}\n", Permission::Read.id()));
        Permission::Read.implied_by().iter().for_each(|id| why.push_str(&format!(" ... which is implied by: {id}\n")));
    }
    let body = format!(
        "<html><head><meta http-equiv='refresh' content='1;url=/login?from={from}'/><script id='redirect' data-redirect-url='/login?from={from}' src='/static/{session}/scripts/redirect.js'></script></head><body style='background-color:white; color:white;'>\nAuthentication required\n<!--\n{why}-->\n\n</body></html>"
    );
    let cookie = state.new_session();
    let mut response = Response::empty(403).header("Set-Cookie", cookie).header("Content-Type", "text/html;charset=utf-8");
    if state.version.explains_refusals() {
        response.headers.extend(refusal("anonymous", Permission::Read));
    }
    stamped(state, response).body(body)
}

/// The login page, the only one that is open to all.
pub fn login(state: &mut State) -> Response {
    let cookie = state.new_session();
    let response = Response::empty(200).header("Content-Type", "text/html;charset=utf-8").header("Set-Cookie", cookie);
    let title = state.version.title("Sign in");
    stamped(state, response).body(format!("<!DOCTYPE html><html lang=\"en\"><head><title>{title}</title></head><body></body></html>"))
}

/// The servlet container's own error page: no `X-Jenkins`.
pub fn jetty(version: Version, status: u16, message: &str, path: &str) -> Response {
    let jetty = version.jetty();
    let body = format!(
        "<html>\n<head>\n<meta http-equiv=\"Content-Type\" content=\"text/html;charset=ISO-8859-1\"/>\n<title>Error {status} {message}</title>\n</head>\n<body><h2>HTTP ERROR {status} {message}</h2>\n<table>\n<tr><th>URI:</th><td>{path}</td></tr>\n<tr><th>STATUS:</th><td>{status}</td></tr>\n<tr><th>MESSAGE:</th><td>{message}</td></tr>\n<tr><th>SERVLET:</th><td>Stapler</td></tr>\n</table>\n<hr/><a href=\"https://jetty.org/\">Powered by Jetty:// {jetty}</a><hr/>\n\n</body>\n</html>\n"
    );
    Response::empty(status).header("Content-Type", "text/html;charset=iso-8859-1").body(body)
}

/// 401 for a wrong secret, or for a right one at the wrong moment of a restart.
pub fn unauthorized(version: Version, path: &str) -> Response {
    let mut response = jetty(version, 401, "Unauthorized", path);
    response.headers.splice(
        0..0,
        [
            ("Set-Cookie".to_owned(), "remember-me=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; SameSite=Lax".to_owned()),
            ("WWW-Authenticate".to_owned(), version.challenge().to_owned()),
        ],
    );
    response
}

/// 503 while the process goes (`Restarting`) or comes (`Starting`).
pub fn unavailable(word: &str) -> Response {
    Response::empty(503)
        .header("Content-Type", "text/html;charset=utf-8")
        .body(format!("<!DOCTYPE html><html lang=\"en\"><head><title>{word} Jenkins</title></head><body></body></html>"))
}

/// What nginx says when it has no answer to pass on.
pub fn gateway(status: u16, reason: &str) -> Response {
    let page = format!(
        "<html>\r\n<head><title>{status} {reason}</title></head>\r\n<body>\r\n<center><h1>{status} {reason}</h1></center>\r\n</html>\r\n"
    );
    Response::empty(status).header("Content-Type", "text/html").body(page)
}

/// All that was sent, as a talkative proxy gives it back.
pub fn echo(status: u16, request: &Request) -> Response {
    let headers: String = request.headers.iter().map(|(name, value)| format!("{name}: {value} ")).collect();
    let body = request.text();
    let line = body.replace(['\r', '\n'], " ");
    let response = Response::empty(status).header("Content-Type", "application/json");
    match status {
        200 => response.body(serde_json::json!(format!("{headers} {body}")).to_string()),
        400 => response.header("X-Error", format!("{headers} {line}")),
        // What a proxy could not pass on it may quote by its end.
        502 | 504 => response.body(line.chars().skip(line.chars().count().saturating_sub(180)).collect::<String>()),
        // The body first: a title is cut after its first words.
        _ => response.body(format!("<title>{line} {headers}</title>")),
    }
}
