//! Meeting a node: its agent is run by its digest straight away, placed when it is not there (127), elsewhere when the directory may
//! not run programs (126).

use super::{AgentFile, Channel, Offer, Password, SessionError};
use crate::transport::{CommandLine, Exit, Link, PlaceFault, Placement};
use ostler_roles::outcome::FailureKind;
use ostler_roles::wire::message::{Become, Hello, Open, SCHEMA, ToAgent, ToController};
use ostler_roles::words::NodeName;
use std::time::Duration;

/// Where the agent is kept: below the login directory, else in a directory of our own below one that all may write to.
const HOME_CACHE: &str = ".cache/ostler";
const SHARED_CACHES: &[&str] = &["/var/tmp", "/tmp"];
/// In a shared place only a directory that is our own is trusted: whoever made it could swap the program.
const START_IF_OWNED: &str = "[ -O \"$1\" ] && [ ! -L \"$1\" ] && exec \"$1/$2\" serve; exit 127";
/// How long an agent may take to say hello: reading facts, and sudo's own waits (DNS, PAM).
const HELLO_WITHIN: Duration = Duration::from_secs(30);

/// Who we are to a node.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The inventory's name of the node.
    pub node: NodeName,
    /// The account that logs in.
    pub login: String,
    /// How the agent becomes root; none: it logs in as root, or stays what it is.
    pub r#become: Option<Become>,
}

/// An agent that has said hello, as root where that was asked for.
#[derive(Debug)]
pub struct Greeting {
    /// The stream.
    pub channel: Channel,
    /// What it said.
    pub hello: Hello,
    /// Whether the agent had to be placed.
    pub placed: bool,
}

/// Starts the agent and waits for its hello. `early` travels right behind the exec: the catalog of the last known facts.
///
/// # Errors
/// When the agent cannot be placed, started, made root, or understood.
pub async fn meet(
    link: &dyn Link,
    agent: AgentFile,
    identity: &Identity,
    early: &[ToAgent],
    password: &Password,
) -> Result<Greeting, SessionError> {
    let open = ToAgent::Open(Open { schema: SCHEMA, node: identity.node.clone(), r#become: identity.r#become });
    let first: Vec<ToAgent> = std::iter::once(open).chain(early.iter().cloned()).collect();
    let shared = SHARED_CACHES.iter().map(|root| format!("{root}/ostler-{}", identity.login));
    let mut tried = Vec::new();
    for cache in std::iter::once(HOME_CACHE.to_owned()).chain(shared) {
        let path = format!("{cache}/{}", agent.file_name());
        let command = command_in(&cache, &agent.file_name())?;
        let mut placed = false;
        loop {
            match start(link, &command, &first, (&identity.node, password)).await? {
                Started::Speaks(channel, hello) => return Ok(Greeting { channel: *channel, hello: *hello, placed }),
                Started::Missing if !placed => {
                    if !place(link, agent, &path).await? {
                        break;
                    }
                    placed = true;
                }
                Started::Missing | Started::NotAllowed => break,
            }
        }
        tried.push(cache);
    }
    Err(SessionError::NoExec(tried.join(", ")))
}

fn command_in(cache: &str, file: &str) -> Result<CommandLine, SessionError> {
    let path = format!("{cache}/{file}");
    let owned = ["sh", "-c", START_IF_OWNED, "sh", cache, file];
    let plain = [path.as_str(), "serve"];
    let words: &[&str] = if cache.starts_with('/') { &owned } else { &plain };
    CommandLine::from_words(words.iter().copied()).map_err(SessionError::Name)
}

enum Started {
    Speaks(Box<Channel>, Box<Hello>),
    Missing,
    NotAllowed,
}

async fn start(
    link: &dyn Link,
    command: &CommandLine,
    first: &[ToAgent],
    (node, password): (&NodeName, &Password),
) -> Result<Started, SessionError> {
    let exec = link.exec(command).await?;
    let mut channel = Channel::new(exec);
    // A program that is not there takes nothing: what matters then is how it ended.
    let sent = channel.send(first).await;
    let (mut asked, mut offer): (bool, Option<Offer>) = (false, None);
    loop {
        let Some(message) = channel.receive("the agent's hello", HELLO_WITHIN).await? else {
            return how_it_ended(&mut channel, sent).await;
        };
        match message {
            ToController::Login(login) if login.schema != SCHEMA => {
                return Err(SessionError::Schema { theirs: login.schema, ours: SCHEMA });
            }
            ToController::Login(_) | ToController::Alive => {}
            ToController::Hello(hello) if hello.schema != SCHEMA => {
                return Err(SessionError::Schema { theirs: hello.schema, ours: SCHEMA });
            }
            ToController::Hello(hello) => {
                if let Some(offer) = offer {
                    offer.taken();
                }
                return Ok(Started::Speaks(Box::new(channel), hello));
            }
            ToController::AskPassword { user } if !asked => {
                asked = true;
                let offered = offer.insert(password.offer(node, &user).await?);
                let bytes = ostler_roles::wire::message::Hidden(offered.secret().expose().clone().into_bytes());
                channel.send(&[ToAgent::Password(bytes)]).await?;
            }
            ToController::Fault(failure) => {
                if let Some(offer) = offer.filter(|_| failure.kind == FailureKind::WrongPassword) {
                    offer.refused();
                }
                return Err(SessionError::Fault(Box::new(failure)));
            }
            other => return Err(SessionError::OutOfTurn { awaited: "a hello", found: super::talk::word(&other) }),
        }
    }
}

async fn how_it_ended(channel: &mut Channel, sent: Result<(), SessionError>) -> Result<Started, SessionError> {
    let Some(ended) = channel.ended().await else {
        sent?;
        return Err(SessionError::Lost { awaited: "the agent's hello", said: String::new() });
    };
    match ended.exit {
        Exit::Status(127) => Ok(Started::Missing),
        Exit::Status(126) => Ok(Started::NotAllowed),
        Exit::Cut(said) => Err(SessionError::Lost { awaited: "the agent's hello", said }),
        exit => Err(SessionError::DoesNotStart { exit: exit.to_string(), said: ended.stderr.text() }),
    }
}

/// Whether it could be placed here; false: try the next directory.
async fn place(link: &dyn Link, agent: AgentFile, path: &str) -> Result<bool, SessionError> {
    let placement = Placement { path, bytes: agent.bytes, mode: 0o700 };
    match link.place(&placement).await {
        Ok(()) => Ok(true),
        Err(error)
            if matches!(
                error.fault,
                PlaceFault::NoExec | PlaceFault::Permission(_) | PlaceFault::DiskFull(_) | PlaceFault::ReadOnly(_)
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(SessionError::Place(error)),
    }
}
