//! `/credentials/store/system/...`. Who may not look finds 404 everywhere.

use serde_json::{Value, json};

use super::credentials::{Credential, domain_json};
use super::http::Response;
use super::routes::Call;
use super::state::Language;
use super::users::Permission;
use super::xml;

/// Routes below `/credentials/store/system`.
pub fn route(call: &mut Call<'_>, rest: &[&str]) -> Response {
    if !call.who.may(Permission::CredentialsView) {
        return call.not_found();
    }
    match rest {
        ["api", "json"] => {
            let domain = domain_json(&call.state.credentials);
            call.json(
                json!({"_class": "com.cloudbees.plugins.credentials.SystemCredentialsProvider$UserFacingAction", "domains": {"_": domain}}),
            )
        }
        ["domain", "_", "api", "json"] => {
            let mut value = domain_json(&call.state.credentials);
            let asks_for_english = call.request.header("Accept-Language").is_some_and(|language| language.starts_with("en"));
            let language = if asks_for_english { call.state.words() } else { call.state.language };
            for credential in value["credentials"].as_array_mut().into_iter().flatten() {
                // Names of types are translated, as are most errors.
                match language {
                    Language::English => {}
                    Language::German => credential["typeName"] = json!("SSH-Benutzername und privater Schlüssel"),
                    Language::Japanese => credential["typeName"] = json!("SSHユーザー名と秘密鍵"),
                }
            }
            call.json(value)
        }
        ["domain", "_", "createCredentials"] => create(call).unwrap_or_else(|response| response),
        ["domain", "_", "credential", id, verb @ ..] => match call.state.credentials.iter().position(|credential| credential.id == *id) {
            Some(at) => one(call, at, verb).unwrap_or_else(|response| response),
            None => call.not_found(),
        },
        _ => call.not_found(),
    }
}

fn is_xml(call: &Call<'_>) -> bool {
    call.request.header("Content-Type").is_some_and(|kind| kind.contains("xml"))
}

fn form_json(call: &mut Call<'_>) -> Result<Value, Response> {
    let json = call.request.parameter("json").unwrap_or_default();
    serde_json::from_str(&json).map_err(|_| call.oops())
}

fn create(call: &mut Call<'_>) -> Result<Response, Response> {
    call.post_only()?;
    call.need(Permission::CredentialsCreate)?;
    let by_xml = is_xml(call);
    let credential = if by_xml {
        let posted = xml::parse(&call.request.text()).map_err(|_| call.oops())?;
        Credential::from_xml(&posted).map_err(|_| call.oops())?
    } else {
        let json = form_json(call)?;
        Credential::from_form(json.get("credentials").unwrap_or(&Value::Null)).map_err(|_| call.oops())?
    };
    let exists = call.state.credentials.iter().any(|known| known.id == credential.id);
    if !exists {
        call.state.credentials.push(credential);
    }
    Ok(match (by_xml, exists) {
        (true, true) => Response::empty(409),
        (true, false) => Response::empty(200),
        // By form an existing id is left alone, and nobody says so.
        (false, _) => Response::empty(302).header("Location", "/credentials/store/system/domain/_"),
    })
}

fn one(call: &mut Call<'_>, at: usize, verb: &[&str]) -> Result<Response, Response> {
    let known = call.state.credentials[at].clone();
    match (call.request.method.as_str(), verb) {
        (_, ["api", "json"]) => {
            let mut value = known.json();
            value["_class"] = json!("com.cloudbees.plugins.credentials.CredentialsStoreAction$CredentialsWrapper");
            Ok(call.json(value))
        }
        ("GET" | "HEAD", ["config.xml"]) => Ok(call.xml(known.config_xml(call.state.version))),
        ("POST", ["config.xml"]) => {
            call.need(Permission::CredentialsUpdate)?;
            let posted = xml::parse(&call.request.text()).map_err(|_| call.oops())?;
            let credential = Credential::from_xml(&posted).map_err(|_| call.oops())?;
            if credential.id != known.id {
                return Err(call.oops());
            }
            call.state.credentials[at] = credential;
            Ok(Response::empty(200))
        }
        ("POST", ["updateSubmit"]) => {
            call.need(Permission::CredentialsUpdate)?;
            let json = form_json(call)?;
            let credential = Credential::from_form(&json).map_err(|_| call.oops())?;
            call.state.credentials[at] = credential;
            Ok(Response::empty(302).header("Location", format!("/credentials/store/system/domain/_/credential/{}/", known.id)))
        }
        ("DELETE", ["config.xml"]) => {
            call.need(Permission::CredentialsDelete)?;
            call.state.credentials.remove(at);
            Ok(Response::empty(200))
        }
        ("POST", ["doDelete"]) => {
            call.need(Permission::CredentialsDelete)?;
            call.state.credentials.remove(at);
            Ok(Response::empty(302).header("Location", "/credentials/store/system/domain/_/"))
        }
        _ => Err(call.not_found()),
    }
}
