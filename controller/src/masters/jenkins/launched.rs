//! Where the agent that is connected was launched. A launcher that is changed is used at the next launch only (recorded: `idem-01` to `idem-03`),
//! and a launch over SSH says first of all with what (recorded: `node-09`, `v568-25`). Of an agent that calls in nothing like it is known: the
//! address in its log is that of whatever stands between.

use super::error::JenkinsError;
use super::node::{computer, path};
use super::session::Session;
use ostler_roles::master::jenkins::{Config, Launched, Name, SeenLauncher};

/// How much of a log is read for its first line.
const FIRST_LINE: u64 = 2048;

/// With what it was launched, as its log says; none: that does not say.
pub(super) fn launched(session: &Session, name: &Name, config: &Config) -> Result<Option<Launched>, JenkinsError> {
    if !matches!(config.launcher, SeenLauncher::Ssh { .. }) {
        return Ok(None);
    }
    let action = format!("look with what the agent of node `{name}` was launched");
    let answer = session.read_beginning(&action, &path(name, "logText/progressiveText?start=0"), FIRST_LINE)?;
    Ok(if answer.status == 200 { said_first(&String::from_utf8_lossy(&answer.body)) } else { None })
}

/// The same, of an agent of which it is not known whether it is connected.
pub(super) fn launched_if_online(session: &Session, name: &Name, config: &Config) -> Result<Option<Launched>, JenkinsError> {
    match config.launcher {
        SeenLauncher::Ssh { .. } if !computer(session, name)?.offline => launched(session, name, config),
        SeenLauncher::Ssh { .. } | SeenLauncher::Inbound { .. } | SeenLauncher::Other(_) => Ok(None),
    }
}

fn said_first(log: &str) -> Option<Launched> {
    let (host, rest) = log.lines().next()?.strip_prefix("SSHLauncher{host='")?.split_once("', port=")?;
    let (port, rest) = rest.split_once(", credentialsId='")?;
    let (credential, _) = rest.split_once('\'')?;
    Some(Launched { host: host.to_owned(), port: port.to_owned(), credential: credential.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_launch_over_ssh_says_first_with_what_and_another_log_says_nothing() {
        let line =
            "SSHLauncher{host='10.78.0.13', port=22, credentialsId='rec-xml', jvmOptions='', javaPath=''}\r\n[11/29/26 15:01:34] [SSH]";
        let launched = Launched { host: "10.78.0.13".to_owned(), port: "22".to_owned(), credential: "rec-xml".to_owned() };
        assert_eq!(said_first(line), Some(launched));
        for other in ["", "Inbound agent connected from 127.0.0.1\r\n", "SSHLauncher{host='10.78.0.13', port=22", &format!("x\r\n{line}")] {
            assert_eq!(said_first(other), None, "{other}");
        }
    }
}
