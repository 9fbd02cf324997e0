//! The smoke job itself: a freestyle job tied to the node's quarantine label, so that no other node can take it and no other job comes first.

use super::super::http::encode;
use super::error::JenkinsError;
use super::node::FORM;
use super::session::Session;
use super::unwell::bear;
use super::xml::{self, Element};
use ostler_roles::executor::Smoke;
use ostler_roles::master::jenkins::{Node, Owner};

const XML: &str = "application/xml";

/// What the smoke job of a node is called.
pub(super) fn name_of(node: &Node) -> String {
    format!("ostler-smoke-{}", node.name)
}

/// Makes the job, or brings the one of an earlier run up to date: of an earlier try too.
pub(super) fn install(session: &Session, node: &Node, job: &str, nonce: &str, commands: &[Smoke]) -> Result<(), JenkinsError> {
    let document = job_xml(node, nonce, commands).document();
    bear(session, || put(session, node, job, &document))
}

fn put(session: &Session, node: &Node, job: &str, document: &[u8]) -> Result<(), JenkinsError> {
    let action = format!("create job `{job}`");
    let path = format!("/job/{}/config.xml", encode(job));
    let known = session.read(&format!("read job `{job}`"), &path)?;
    match known.status {
        200 => {
            let fault = |source| JenkinsError::Xml { action: action.clone(), source };
            let known = xml::parse(&known.body).map_err(fault)?;
            if let Owner::Other(stranger) = node.site.owner(known.value("description").unwrap_or_default()) {
                return Err(JenkinsError::ForeignJob(job.to_owned(), stranger));
            }
            let action = format!("change job `{job}`");
            let answer = retry_once(|| session.write(&action, &path, XML, document))?;
            session.expect(&action, answer, &[200]).map(drop)
        }
        404 => {
            let create = format!("/createItem?name={}", encode(job));
            let answer = match session.write(&action, &create, XML, document) {
                // If it was made after all, the second time says that it exists.
                Err(JenkinsError::Lost { .. }) => {
                    let answer = session.write(&action, &create, XML, document)?;
                    if answer.status == 400 { return Ok(()) } else { answer }
                }
                other => other?,
            };
            if answer.header("x-error").is_some_and(|text| text.contains("already exists")) {
                // It is there, but not for our eyes.
                let (user, permission) = (session.user().to_owned(), "Job/Read".to_owned());
                return Err(JenkinsError::MissingPermission { action, user, permission });
            }
            session.expect(&action, answer, &[200]).map(drop)
        }
        _ => session.expect(&format!("read job `{job}`"), known, &[200, 404]).map(drop),
    }
}

fn retry_once<T>(mut write: impl FnMut() -> Result<T, JenkinsError>) -> Result<T, JenkinsError> {
    match write() {
        Err(JenkinsError::Lost { .. }) => write(),
        other => other,
    }
}

fn job_xml(node: &Node, nonce: &str, commands: &[Smoke]) -> Element {
    let shell = Element::new("hudson.tasks.Shell").child(Element::text("command", &script(nonce, commands)));
    Element::new("project")
        .child(Element::text("description", &node.site.mark()))
        .child(Element::text("keepDependencies", "false"))
        .child(Element::new("properties"))
        .child(Element::new("scm").with("class", "hudson.scm.NullSCM"))
        .child(Element::text("assignedNode", &node.name.quarantine()))
        .child(Element::text("canRoam", "false"))
        .child(Element::text("disabled", "false"))
        .child(Element::new("triggers"))
        .child(Element::text("concurrentBuild", "false"))
        .child(Element::new("builders").child(shell))
        .child(Element::new("publishers"))
        .child(Element::new("buildWrappers"))
}

/// One line a command, every word quoted: the shell has nothing to expand. The first failure ends it (Jenkins runs `sh -xe`).
fn script(nonce: &str, commands: &[Smoke]) -> String {
    // One command a line: `-e` lets a failure pass on the left of `&&`.
    let mut lines: Vec<String> = vec!["set -eu".to_owned(), format!("cat {}", quote(nonce))];
    // Printed first: what runs on another machine goes no further there.
    lines.extend(["touch .ostler-smoke", "rm .ostler-smoke"].map(str::to_owned));
    for command in commands {
        let name: String = command.name.chars().filter(|character| !character.is_control()).collect();
        lines.push(format!(": {}", quote(&name)));
        lines.push(command.run.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" "));
    }
    lines.join("\n")
}

fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Removes a job; gone already is done.
pub(super) fn remove(session: &Session, job: &str) -> Result<(), JenkinsError> {
    let action = format!("remove job `{job}`");
    bear(session, || {
        let answer = retry_once(|| session.write(&action, &format!("/job/{}/doDelete", encode(job)), FORM, b""))?;
        // 404: gone already, or an earlier try was heard after all.
        session.expect(&action, answer, &[200, 302, 404]).map(drop)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_roles::words::Origin;

    #[test]
    fn commands_reach_the_shell_word_by_word() {
        let run = vec!["echo".to_owned(), "it's $HOME; rm -rf /".to_owned()];
        let command = Smoke { name: "a\nb".to_owned(), run, origin: Origin::generated("test") };
        let script = script("/run/x", &[command]);
        assert_eq!(script.lines().take(2).collect::<Vec<_>>(), ["set -eu", "cat '/run/x'"]);
        assert_eq!(script.lines().skip(4).collect::<Vec<_>>(), [": 'ab'", "'echo' 'it'\\''s $HOME; rm -rf /'"]);
    }
}
