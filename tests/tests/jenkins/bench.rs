//! The stage of the client's tests: the model, or the real Jenkins that the environment names.

use std::collections::BTreeSet;
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use ostler::masters::driver::{Event, MasterError};
use ostler::masters::http::Access;
use ostler::masters::jenkins::{Client, Credential, InstallAgent, Jenkins, JenkinsError, Kind, Login, Patience};
use ostler::masters::register::{self, Ending};
use ostler::masters::witness::Witness;
use ostler_roles::executor::Smoke;
use ostler_roles::master::Proof;
use ostler_roles::master::jenkins::{CredentialId, HostKey, Launcher, Mode, Name, Node, Site, Ssh};
use ostler_roles::words::{AbsPath, Label, NodeName, Origin, Secret};
use ostler_tests::jenkins::{Model, Permission, SshHost, User, Version};
use ostler_tests::machine::Machine;

/// The key of the machine that the model's SSH launches reach.
pub const HOST_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIqxxmFBzQEIwxkRxtlBa9CMROCLupFp3O0S9C3ZzPMw";
/// What must show up nowhere.
pub const PLANTED: &str = "planted-private-key-7f3a";
/// The site's key for fingerprints.
pub const SITE_KEY: &[u8] = b"site key of the tests";

/// The version that this suite is run against.
pub fn version() -> Version {
    match module_path!().split("::").nth(1) {
        Some("oldest") => Version::OLDEST,
        Some("v2_440") => Version::V2_440,
        Some("v2_516") => Version::V2_516,
        Some("v2_532") => Version::V2_532,
        _ => Version::NEWEST,
    }
}

pub fn patience() -> Patience {
    let milliseconds = Duration::from_millis;
    Patience {
        // Long: on a busy machine a short one would make a slow answer a restart.
        request: Duration::from_secs(20),
        reach: milliseconds(600),
        restart: Duration::from_secs(60),
        unwell: milliseconds(600),
        unauthorized: milliseconds(300),
        connect: Duration::from_secs(30),
        drain: Duration::from_secs(30),
        smoke: Duration::from_secs(60),
        settle: Duration::ZERO,
        silence: Duration::from_secs(600),
    }
}

pub fn site() -> Site {
    Site::parse("tests").unwrap()
}

pub fn token(user: &str) -> Login {
    Login::Token { user: user.to_owned(), token: Secret::new(format!("11{user}-token")) }
}

pub fn client(model: &Model, login: Login) -> Client {
    Client::new(&model.url(), login, site(), patience(), Access::default()).unwrap()
}

/// A model with an administrator, a narrow account and one machine with sshd.
pub fn model() -> Model {
    model_of(version())
}

/// The same of another version.
pub fn model_of(version: Version) -> Model {
    let users = vec![
        User::new("admin", &[Permission::Administer]),
        User::new("narrow", &Permission::ENOUGH),
        User::new("reader", &[Permission::Read]),
    ];
    let model = Model::of(version, users).unwrap();
    model.state().hosts = vec![SshHost { host: "192.0.2.7".to_owned(), port: 22, host_key: HOST_KEY.to_owned(), java: 21 }];
    model
}

pub fn labels(words: &[&str]) -> BTreeSet<Label> {
    words.iter().map(|word| Label::parse(word).unwrap()).collect()
}

pub fn ssh() -> Launcher {
    Launcher::Ssh(Ssh {
        host: "192.0.2.7".to_owned(),
        port: NonZeroU16::new(22).unwrap(),
        credential: CredentialId::parse("jenkins-ssh").unwrap(),
        host_key: HostKey::parse(HOST_KEY).unwrap(),
        java: None,
    })
}

pub fn node(name: &str, launcher: Launcher) -> Node {
    Node {
        name: Name::parse(name).unwrap(),
        executors: NonZeroU32::new(2).unwrap(),
        labels: labels(&["debian", "big"]),
        mode: Mode::Any,
        remote_fs: AbsPath::parse("/srv/workspaces").unwrap(),
        launcher,
        site: site(),
    }
}

pub fn credential(key: &str) -> Credential {
    let private_key = Secret::new(format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{key}\n-----END OPENSSH PRIVATE KEY-----\n"));
    Credential {
        id: CredentialId::parse("jenkins-ssh").unwrap(),
        username: "jenkins".to_owned(),
        kind: Kind::SshKey { private_key, passphrase: None },
    }
}

pub fn smoke(command: &str) -> Vec<Smoke> {
    let run = ["sh", "-c", command].map(str::to_owned).to_vec();
    vec![Smoke { name: "a command".to_owned(), run, origin: Origin::generated("test") }]
}

/// A node to be registered, with whether its machine changed.
#[derive(Debug, Clone)]
pub struct Registration {
    pub node: Node,
    pub smoke: Vec<Smoke>,
    pub proof: Proof,
    pub java: Option<u32>,
    pub agent: Option<Arc<dyn InstallAgent>>,
    pub machine: Arc<Machine>,
}

pub fn registration(node: Node, command: &str) -> Registration {
    Registration { node, smoke: smoke(command), proof: Proof::Standing, java: None, agent: None, machine: Arc::default() }
}

fn executor(registration: &Registration) -> NodeName {
    NodeName::parse(registration.node.name.as_str()).unwrap()
}

/// The driver of a Jenkins for these nodes.
pub fn driver(client: &Client, registrations: &[Registration]) -> Jenkins {
    let wanted = |one: &Registration| {
        let (node, smoke, java, agent) = (one.node.clone(), one.smoke.clone(), one.java, one.agent.clone());
        let witness = Arc::clone(&one.machine) as Arc<dyn Witness>;
        (executor(one), ostler::masters::jenkins::Registration { node, smoke, java, agent, witness })
    };
    Jenkins::new(client.clone(), registrations.iter().map(wanted).collect(), None)
}

/// Registers nodes as a run does.
pub fn register(
    client: &Client,
    registrations: &[Registration],
    events: &mut dyn FnMut(Event),
) -> Result<Vec<(NodeName, Ending)>, MasterError> {
    let executors: Vec<(NodeName, Proof)> = registrations.iter().map(|one| (executor(one), one.proof)).collect();
    register::register(&driver(client, registrations), &executors, &mut |_, event| events(event))
}

/// Why it went no further, in Jenkins' own type.
pub fn fault(ending: &Ending) -> Option<&JenkinsError> {
    match ending {
        Ending::Failed(error) => error.of(),
        _ => None,
    }
}

/// The requests since the last call that were no reads.
pub fn writes(model: &Model) -> Vec<String> {
    let log = model.take_log();
    log.iter().filter(|request| request.method != "GET").map(|request| format!("{} {}", request.method, request.path)).collect()
}

/// A server that tests of the bare interface may use: the model, or a real Jenkins.
pub struct Anywhere {
    pub client: Client,
    pub model: Option<Model>,
    url: String,
    login: String,
}

/// `OSTLER_TEST_JENKINS_URL`, `_USER` and `_TOKEN` point at a real one; it needs the permissions in `docs/jenkins.md`.
#[expect(clippy::disallowed_methods, reason = "tests are pointed at a real Jenkins by the environment alone")]
pub fn anywhere() -> Anywhere {
    let variable = |name: &str| std::env::var(format!("OSTLER_TEST_JENKINS_{name}"));
    if let Ok(url) = variable("URL") {
        let (user, secret) = (variable("USER").unwrap(), variable("TOKEN").unwrap());
        let login = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{secret}"));
        let token = Login::Token { user, token: Secret::new(secret) };
        return Anywhere {
            client: Client::new(&url, token, site(), Patience::default(), Access::default()).unwrap(),
            model: None,
            url,
            login,
        };
    }
    let model = model();
    let login = base64::engine::general_purpose::STANDARD.encode("narrow:11narrow-token");
    Anywhere { client: client(&model, token("narrow")), url: model.url(), model: Some(model), login }
}

impl Anywhere {
    /// What an operator does by hand: a form posted past the client. Returns the status.
    pub fn by_hand(&self, path: &str, body: &str) -> u16 {
        let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).build();
        let agent = ureq::Agent::new_with_config(config);
        let request = agent
            .post(format!("{}{path}", self.url.trim_end_matches('/')))
            .header("authorization", format!("Basic {}", self.login))
            .header("content-type", "application/x-www-form-urlencoded");
        request.send(body).unwrap().status().as_u16()
    }
}

/// What was told, without how long it took: a busy machine takes longer.
pub fn timeless(told: &str) -> String {
    let (before, rest) = told.split_once(" within ").unwrap_or((told, ""));
    format!("{before} within {}", rest.trim_start_matches(|character: char| character.is_ascii_digit()).trim_start())
}

/// Registers one node.
pub fn run(client: &Client, registration: &Registration) -> Ending {
    register(client, std::slice::from_ref(registration), &mut |_| {}).unwrap().remove(0).1
}

/// Registers, and once it has come to this, lets that happen.
pub fn and_then(model: &Model, client: &Client, wanted: &Registration, is_so: impl Fn(&Model) -> bool, happens: impl Fn(&Model)) -> Ending {
    std::thread::scope(|scope| {
        let done = scope.spawn(|| run(client, wanted));
        let end = Instant::now() + Duration::from_secs(60);
        while !is_so(model) && !done.is_finished() {
            assert!(Instant::now() < end, "it never came to that");
            std::thread::sleep(Duration::from_millis(2));
        }
        happens(model);
        done.join().unwrap()
    })
}
