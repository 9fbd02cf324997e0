//! OpenSSH's own programs, told to go the way that we went: for hints that can be pasted.

use std::path::Path;

use super::config::{HostConfig, Jump, Target};
use super::link::quoted;

/// How `ssh` is called to reach a target as we do: the configuration file, and all that the site says of the way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Invocation {
    config_file: Option<String>,
    /// Flags of `ssh` in front of the host.
    flags: Vec<String>,
    host: String,
    /// What the flags, or the configuration, resolve to, once that is known.
    resolved: Option<Resolved>,
}

/// The machine itself, for programs that read no configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Resolved {
    hostname: String,
    port: u16,
    user: String,
    /// The bastion before it, as `ssh` is called for that.
    bastion: Option<Box<Invocation>>,
}

impl Invocation {
    /// How to reach `target`; `config_file` stands in for the user's and the machine's configuration (`-F`).
    pub(super) fn of(target: &Target, config_file: Option<&Path>) -> Self {
        let settings = &target.settings;
        let mut flags = Vec::new();
        let mut flag = |name: &str, value: String| flags.extend([name.to_owned(), value]);
        if let Some(port) = settings.port {
            flag("-p", port.to_string());
        }
        if let Some(user) = &settings.user {
            flag("-l", user.clone());
        }
        if let Some(identity) = &settings.identity {
            flag("-i", identity.display().to_string());
            flag("-o", "IdentitiesOnly=yes".to_owned());
        }
        if let Some(known_hosts) = &settings.known_hosts {
            flag("-o", format!("UserKnownHostsFile={}", known_hosts.display()));
        }
        match &settings.jump {
            Jump::AsConfigured => {}
            Jump::Direct => flag("-J", "none".to_owned()),
            Jump::Via(bastion) => flag("-J", chain(bastion)),
        }
        let config_file = config_file.map(|file| file.display().to_string());
        Self { config_file, flags, host: target.host.clone(), resolved: None }
    }

    /// Knows what the configuration says of the machine.
    pub(super) fn resolved(mut self, config: &HostConfig) -> Self {
        let bastion = match &config.jump {
            Jump::Via(bastion) => Some(Box::new(Self::of(bastion, self.config_file.as_deref().map(Path::new)))),
            Jump::AsConfigured | Jump::Direct => None,
        };
        self.resolved = Some(Resolved { hostname: config.hostname.clone(), port: config.port, user: config.user.clone(), bastion });
        self
    }

    /// `ssh EXTRA ... HOST COMMAND`.
    pub(super) fn ssh(&self, extra: &[&str], command: &[&str]) -> String {
        let mut words = vec!["ssh"];
        words.extend(extra);
        if let Some(file) = &self.config_file {
            words.extend(["-F", file]);
        }
        words.extend(self.flags.iter().map(String::as_str));
        words.push(&self.host);
        words.extend(command);
        line(&words)
    }

    /// `ssh-keyscan` for keys of a type, run on the bastion where there is one: it reads no configuration and knows no jump.
    pub(super) fn keyscan(&self, key_type: &str) -> String {
        let port = self.resolved.as_ref().map_or(22, |resolved| resolved.port).to_string();
        let mut words = vec!["ssh-keyscan", "-t", key_type];
        if port != "22" {
            words.extend(["-p", &port]);
        }
        words.push(self.resolved.as_ref().map_or(&self.host, |resolved| &resolved.hostname));
        match self.resolved.as_ref().and_then(|resolved| resolved.bastion.as_deref()) {
            Some(bastion) => bastion.ssh(&[], &words),
            None => line(&words),
        }
    }

    /// `ssh-copy-id` of a key file for this login.
    pub(super) fn copy_id(&self, file: &Path) -> String {
        let file = file.display().to_string();
        let mut words = vec!["ssh-copy-id", "-i", &file];
        if let Some(config) = &self.config_file {
            words.extend(["-F", config]);
        }
        // It takes neither -l nor -i for another file; what else the site says it passes on as an option.
        let mut flags = self.flags.iter().map(String::as_str);
        let (mut user, mut jump) = (None, None);
        while let (Some(flag), Some(value)) = (flags.next(), flags.next()) {
            match flag {
                "-p" | "-o" if value != "IdentitiesOnly=yes" => words.extend([flag, value]),
                "-l" => user = Some(value),
                "-J" => jump = Some(format!("ProxyJump={value}")),
                _ => {}
            }
        }
        if let Some(jump) = &jump {
            words.extend(["-o", jump]);
        }
        let login = user.map_or_else(|| self.host.clone(), |user| format!("{user}@{}", self.host));
        words.push(&login);
        line(&words)
    }

    /// The file in which an option is set for this host.
    pub(super) fn configuration(&self) -> &str {
        self.config_file.as_deref().unwrap_or("~/.ssh/config")
    }
}

/// `[user@]host[:port]` of a bastion, those before it first.
fn chain(bastion: &Target) -> String {
    let settings = &bastion.settings;
    let user = settings.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
    let host = if bastion.host.contains(':') { format!("[{}]", bastion.host) } else { bastion.host.clone() };
    let port = settings.port.map(|port| format!(":{port}")).unwrap_or_default();
    let own = format!("{user}{host}{port}");
    match &settings.jump {
        Jump::Via(before) => format!("{},{own}", chain(before)),
        Jump::AsConfigured | Jump::Direct => own,
    }
}

fn line(words: &[&str]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::config::HostSettings;

    #[test]
    fn a_call_says_all_that_the_site_and_the_flags_say() {
        let bastion =
            Target { host: "gate".to_owned(), settings: HostSettings { user: Some("ann".to_owned()), ..HostSettings::default() } };
        let settings =
            HostSettings { port: Some(2222), user: Some("ci".to_owned()), jump: Jump::Via(Box::new(bastion)), ..HostSettings::default() };
        let target = Target { host: "build-1".to_owned(), settings };
        let call = Invocation::of(&target, Some(Path::new("/home/a b/ssh config")));
        assert_eq!(call.ssh(&["-v"], &["true"]), "ssh -v -F '/home/a b/ssh config' -p 2222 -l ci -J ann@gate build-1 true");
        assert_eq!(
            call.copy_id(Path::new("/k/id.pub")),
            "ssh-copy-id -i /k/id.pub -F '/home/a b/ssh config' -p 2222 -o 'ProxyJump=ann@gate' ci@build-1"
        );
        assert_eq!(Invocation::of(&Target::new("n1"), None).ssh(&["-G"], &[]), "ssh -G n1");
        assert_eq!(Invocation::of(&Target::new("n1"), None).keyscan("ed25519"), "ssh-keyscan -t ed25519 n1");
    }
}
