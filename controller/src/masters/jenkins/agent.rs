//! What an inbound agent needs on its node, as resources: the program, the secret, the unit that calls in.

use super::super::http::encode;
use super::node::AGENT_PROGRAM;
use ostler_roles::catalog::{Action, Step, Watch};
use ostler_roles::master::jenkins::{Name, Version};
use ostler_roles::resource::{Desired, Ownership, command, download, file, service};
use ostler_roles::words::{
    AbsPath, AccountName, Blob, Content, Digest, MasterName, Mode, NameError, Origin, PathError, RoleName, Secret, SecretRef, Span,
    UnitName,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The program has 1.4 MB (2.532).
const DOWNLOAD_DEADLINE: Span = Span::seconds(120);
/// One small file, or one start.
const STEP_DEADLINE: Span = Span::seconds(60);

/// An inbound agent as it should run on its node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Its master.
    pub master: MasterName,
    /// The master's address.
    pub url: String,
    /// The certificates in PEM that alone may vouch for the master.
    pub trust: Option<String>,
    /// Its name there.
    pub name: Name,
    /// The account that jobs run as.
    pub user: AccountName,
    /// The jobs' directory.
    pub remote_fs: AbsPath,
}

/// Steps with what they refer to.
#[derive(Clone, Default)]
pub struct AgentSteps {
    /// In order.
    pub steps: Vec<Step>,
    /// Public contents.
    pub contents: BTreeMap<Digest, Vec<u8>>,
    /// The secret's value by its HMAC.
    pub secrets: BTreeMap<Digest, Arc<Secret<Vec<u8>>>>,
}

impl std::fmt::Debug for AgentSteps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentSteps").field("steps", &self.steps).finish_non_exhaustive()
    }
}

/// Why there are no steps.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// A name that is no part of a path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A name that is no part of a unit's.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl Agent {
    /// Returns what makes the node call in: `program` is the `agent.jar` of the master, which has this version, where that is known; `key` is the
    /// site's key for HMACs.
    ///
    /// # Errors
    /// When a name gives no path or unit; names that Jenkins takes do.
    pub fn steps(&self, program: &[u8], version: Option<Version>, secret: &Secret<String>, key: &[u8]) -> Result<AgentSteps, AgentError> {
        let mut all = AgentSteps::default();
        let own = AbsPath::parse(&format!("/etc/jenkins-agent/{}", self.master))?;
        let jar = AbsPath::parse(&format!("/usr/local/lib/jenkins-agent/{}/agent.jar", self.master))?;
        let secret_path = own.join(&format!("{}.secret", self.name))?;
        let trust_path = own.join("trust.pem")?;
        if let Some(trust) = &self.trust {
            // Nothing vouches for the master on the node: the program comes with us, and Java is told whom to trust.
            let content = all.public(trust.clone().into_bytes());
            all.push(file_at(&trust_path, content, AccountName::parse("root")?, 0o644), STEP_DEADLINE, Vec::new())?;
            let content = all.public(program.to_vec());
            all.push(file_at(&jar, content, AccountName::parse("root")?, 0o644), STEP_DEADLINE, Vec::new())?;
        } else {
            let url = format!("{}/{AGENT_PROGRAM}", self.url.trim_end_matches('/'));
            let ownership = Ownership { owner: AccountName::parse("root")?, group: None, mode: Mode::from_bits(0o644) };
            let desired = download::Desired { path: jar.clone(), url, sha256: Digest::of(program), ownership };
            all.push(Desired::Download(desired), DOWNLOAD_DEADLINE, Vec::new())?;
        }
        let reference =
            SecretRef { name: format!("agent secret of {}", self.name), hmac: SecretRef::hmac(key, secret.expose().as_bytes()) };
        all.secrets.insert(reference.hmac, Arc::new(Secret::new(secret.expose().clone().into_bytes())));
        all.push(file_at(&secret_path, Content::Secret(reference), self.user.clone(), 0o600), STEP_DEADLINE, Vec::new())?;
        all.push(self.trial(program, &jar)?, STEP_DEADLINE, Vec::new())?;
        let watches = all.steps.iter().map(|step| Watch { id: step.id(), action: Action::Restart }).collect();
        let trusted = self.trust.as_ref().map(|_| &trust_path);
        let unit = all.public(self.unit(version, &jar, &secret_path, trusted).into_bytes());
        let desired = service::Desired {
            name: UnitName::parse_service(&format!("jenkins-agent-{}-{}", self.master, self.name))?,
            unit: Some(unit),
            state: Some(service::State::Running),
            enabled: Some(true),
            check: None,
            at_rest: false,
        };
        all.push(Desired::Service(desired), STEP_DEADLINE, watches)?;
        Ok(all)
    }

    /// A Java that is too old for the program says so here, before anything waits for it: once for each program, as the job user.
    fn trial(&self, program: &[u8], jar: &AbsPath) -> Result<Desired, PathError> {
        let said = AbsPath::parse(&format!("/usr/local/lib/jenkins-agent/{}/{}.runs", self.master, Digest::of(program).short()))?;
        Ok(Desired::Command(command::Desired {
            name: format!("jenkins-agent-{}-runs", self.master),
            run: ["java", "-jar", jar.as_str(), "-version"].map(str::to_owned).to_vec(),
            creates: Some(said.clone()),
            unless: None,
            environment: Vec::new(),
            run_as: Some(self.user.clone()),
            directory: None,
            stdin: None,
            accept: Vec::new(),
            stdout_to: Some(said),
        }))
    }

    /// `-secret @FILE` and `-cert @FILE` (remoting's `Launcher`) keep the secret off the command line. 143 is Java's answer to SIGTERM.
    /// Before 2.430 `agent.jar` knows no `-url`: it prints its usage, and that is all. There it reads from Jenkins how to call in.
    fn unit(&self, version: Option<Version>, jar: &AbsPath, secret: &AbsPath, trust: Option<&AbsPath>) -> String {
        let (secret, trust) = (format!("@{secret}"), trust.map(|path| format!("@{path}")));
        let description = format!("{}/computer/{}/jenkins-agent.jnlp", self.url.trim_end_matches('/'), encode(self.name.as_str()));
        let mut line = vec!["java", "-jar", jar.as_str()];
        match version.is_none_or(Version::agent_knows_url) {
            true => line.extend(["-url", &self.url, "-name", self.name.as_str(), "-secret", &secret, "-webSocket"]),
            false => line.extend(["-jnlpUrl", &description, "-secret", &secret]),
        }
        line.extend(trust.iter().flat_map(|path| ["-cert", path]));
        line.extend(["-workDir", self.remote_fs.as_str()]);
        let line: Vec<String> = line.into_iter().map(word).collect();
        format!(
            "[Unit]\nDescription=Jenkins agent {name} of {master}\nWants=network-online.target\nAfter=network-online.target\n\n\
             [Service]\nUser={user}\nExecStart={line}\nRestart=always\nRestartSec=5\nSuccessExitStatus=143\n\n\
             [Install]\nWantedBy=multi-user.target\n",
            name = self.name,
            master = self.master,
            user = self.user,
            line = line.join(" "),
        )
    }
}

impl AgentSteps {
    fn public(&mut self, bytes: Vec<u8>) -> Content {
        let blob = Blob::of(&bytes);
        self.contents.insert(Digest::of(&bytes), bytes);
        Content::Blob(blob)
    }

    fn push(&mut self, desired: Desired, within: Span, watches: Vec<Watch>) -> Result<(), NameError> {
        let (role, origin) = (RoleName::parse("jenkins-agent")?, Origin::generated("registration"));
        self.steps.push(Step { desired, role, origin, within, watches, together: None, while_busy: false });
        Ok(())
    }
}

fn file_at(path: &AbsPath, content: Content, owner: AccountName, mode: u32) -> Desired {
    let ownership = Ownership { owner, group: None, mode: Mode::from_bits(mode) };
    Desired::File(file::Desired { path: path.clone(), present: Some(file::Present { content, ownership, validate: None }) })
}

/// One word of `ExecStart=`: `%` and `$` stand for themselves (systemd.service(5), "Command lines").
fn word(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    let is_plain = escaped.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:@%$=+,~".contains(c));
    if is_plain { escaped } else { format!("\"{escaped}\"") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(trust: Option<&str>) -> Agent {
        Agent {
            master: MasterName::parse("ci").unwrap(),
            url: "https://ci.example/a%20b/".to_owned(),
            trust: trust.map(str::to_owned),
            name: Name::parse("n1").unwrap(),
            user: AccountName::parse("jenkins").unwrap(),
            remote_fs: AbsPath::parse("/srv/my jobs").unwrap(),
        }
    }

    fn version(text: &str) -> Option<Version> {
        Some(Version::parse(text).unwrap())
    }

    #[test]
    fn a_program_of_before_2_430_is_told_where_it_reads_how_to_call_in() {
        for trust in [None, Some("-----BEGIN CERTIFICATE-----")] {
            let steps = agent(trust).steps(b"PK", version("2.426.2"), &Secret::new("a".to_owned()), b"key").unwrap();
            let cert = trust.map_or("", |_| "-cert @/etc/jenkins-agent/ci/trust.pem ");
            let line = format!(
                "-jnlpUrl https://ci.example/a%%20b/computer/n1/jenkins-agent.jnlp -secret @/etc/jenkins-agent/ci/n1.secret {cert}-workDir"
            );
            assert!(unit(&steps).contains(&line), "{}", unit(&steps));
            assert!(!unit(&steps).contains("-url "), "{}", unit(&steps));
        }
    }

    fn unit(steps: &AgentSteps) -> String {
        let Some(Desired::Service(service)) = steps.steps.last().map(|step| &step.desired) else { panic!("{steps:?}") };
        let Some(Content::Blob(blob)) = &service.unit else { panic!("{service:?}") };
        String::from_utf8(steps.contents[&blob.digest].clone()).unwrap()
    }

    #[test]
    fn the_secret_is_in_a_file_of_the_job_user_and_nowhere_else() {
        let secret = Secret::new("hunter2".to_owned());
        let steps = agent(None).steps(b"PK", version("2.568.2"), &secret, b"key").unwrap();
        let ids: Vec<String> = steps.steps.iter().map(|step| step.id().to_string()).collect();
        assert_eq!(
            ids,
            [
                "download /usr/local/lib/jenkins-agent/ci/agent.jar",
                "file /etc/jenkins-agent/ci/n1.secret",
                "command jenkins-agent-ci-runs",
                "service jenkins-agent-ci-n1"
            ]
        );
        let Desired::File(file) = &steps.steps[1].desired else { panic!("{steps:?}") };
        let present = file.present.as_ref().unwrap();
        assert_eq!((present.ownership.owner.as_str(), present.ownership.mode), ("jenkins", Mode::from_bits(0o600)));
        assert!(matches!(&present.content, Content::Secret(_)));
        assert_eq!(steps.secrets.values().map(|value| value.expose().as_slice()).collect::<Vec<_>>(), [b"hunter2"]);
        assert!(
            !format!("{steps:?}").contains("hunter2") && steps.contents.values().all(|bytes| !bytes.windows(7).any(|w| w == b"hunter2"))
        );
        let line = "ExecStart=java -jar /usr/local/lib/jenkins-agent/ci/agent.jar -url https://ci.example/a%%20b/ -name n1 \
            -secret @/etc/jenkins-agent/ci/n1.secret -webSocket -workDir \"/srv/my jobs\"\n";
        assert!(unit(&steps).contains(line), "{}", unit(&steps));
    }

    #[test]
    fn another_program_or_secret_starts_the_agent_again() {
        let steps = agent(None).steps(b"PK", version("2.568.2"), &Secret::new("a".to_owned()), b"key").unwrap();
        let service = steps.steps.last().unwrap();
        assert!(steps.steps[..2].iter().all(|step| service.action_for(&step.desired) == Some(Action::Restart)));
    }

    #[test]
    fn a_master_that_only_we_trust_is_trusted_by_java_too_and_its_program_comes_with_us() {
        let steps =
            agent(Some("-----BEGIN CERTIFICATE-----")).steps(b"PK", version("2.568.2"), &Secret::new("a".to_owned()), b"key").unwrap();
        assert!(steps.steps.iter().all(|step| !matches!(step.desired, Desired::Download(_))));
        assert!(unit(&steps).contains(" -webSocket -cert @/etc/jenkins-agent/ci/trust.pem "), "{}", unit(&steps));
    }
}
