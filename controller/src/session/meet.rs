//! Meeting a node: its agent is run by its digest straight away, placed when it is not there (127), elsewhere when the directory may
//! not run programs (126).

use super::channel::Wait;
use super::login_shell;
use super::{AgentFile, Channel, Offer, Password, SessionError};
use crate::mask::RunMask;
use crate::transport::{CommandLine, Exit, Link, PlaceFault, Placement, place_file};
use ostler_roles::outcome::FailureKind;
use ostler_roles::wire::message::{Become, Hello, Hidden, Open, SCHEMA, ToAgent, ToController};
use ostler_roles::words::NodeName;
use std::time::Duration;
use tokio::time::Instant;

/// Where the agent is kept: below the login directory, else in a directory of our own below one that all may write to.
const HOME_CACHE: &str = ".cache/ostler";
const SHARED_CACHES: &[&str] = &["/var/tmp", "/tmp"];
/// Our own shell decides whether the program is there (127) and may run (126): login shells have statuses of their own for that (tcsh: 1).
/// Only a directory that is the login's own is trusted, in the home too: whoever made it could swap the program. It is entered first: what
/// was asked of is what is run, whoever exchanges names meanwhile. Nor may others write in it, as they may in the directory above where that is
/// open: a link `ostler` to `.` would lead there.
const START: &str = "[ ! -L \"$1\" ] && CDPATH= cd -P -- \"$1\" 2>/dev/null && [ -O . ] && case $(ls -ld .) in d????-??-*) exec \"./$2\" serve;; esac; exit 127";
/// How long an agent may take to say hello: it gives sudo 60 s (DNS, PAM), and reads facts. It says every 15 s that it is there.
const HELLO: Wait = Wait { silence: Duration::from_secs(30), within: Duration::from_secs(90) };

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
    /// Sudo's password, where the node was told it.
    pub password: Option<Hidden>,
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
    mask: &RunMask,
) -> Result<Greeting, SessionError> {
    let met = greet(link, agent, identity, early, (password, mask)).await;
    match met {
        // What the login shell does to commands looks like many other things: it is asked for itself.
        Err(error) if error.may_be_the_shells() => Err(match login_shell::examine(link).await {
            Some(fault) => SessionError::LoginShell { fault, error: Box::new(error) },
            None => error,
        }),
        met => met,
    }
}

async fn greet(
    link: &dyn Link,
    agent: AgentFile,
    identity: &Identity,
    early: &[ToAgent],
    (password, mask): (&Password, &RunMask),
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
            match start(link, &command, &first, (identity, password, mask), HELLO).await? {
                Started::Speaks(channel, hello, password) => return Ok(Greeting { channel: *channel, hello: *hello, placed, password }),
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
    CommandLine::from_words(["sh", "-c", START, "sh", cache, file]).map_err(SessionError::Name)
}

enum Started {
    Speaks(Box<Channel>, Box<Hello>, Option<Hidden>),
    Missing,
    NotAllowed,
}

async fn start(
    link: &dyn Link,
    command: &CommandLine,
    first: &[ToAgent],
    (identity, password, mask): (&Identity, &Password, &RunMask),
    wait: Wait,
) -> Result<Started, SessionError> {
    let exec = link.exec(command).await?;
    let mut channel = Channel::new(exec, mask.clone());
    // A program that is not there takes nothing: what matters then is how it ended.
    let sent = channel.send(first).await;
    let (mut asked, mut offer, mut told): (bool, Option<Offer>, Option<Hidden>) = (false, None, None);
    let awaited = "the agent's hello";
    let mut end = Instant::now() + wait.within;
    loop {
        let answer = match channel.answer(awaited, wait.until(end)).await {
            Err(SessionError::Deadline { .. }) if Instant::now() >= end => {
                return Err(SessionError::Deadline { awaited, seconds: wait.within.as_secs() });
            }
            answer => answer?,
        };
        let Some(mut message) = answer else { return how_it_ended(&mut channel, sent).await };
        mask.hide_in(&mut message);
        match message {
            ToController::Login(login) if login.schema != SCHEMA => {
                return Err(SessionError::Schema { theirs: login.schema, ours: SCHEMA });
            }
            ToController::Login(_) => {}
            ToController::Hello(hello) if hello.schema != SCHEMA => {
                return Err(SessionError::Schema { theirs: hello.schema, ours: SCHEMA });
            }
            ToController::Hello(hello) => {
                if let Some(offer) = offer {
                    offer.taken();
                }
                return Ok(Started::Speaks(Box::new(channel), hello, told));
            }
            // Only a node on which we become root by sudo has any use for a password.
            ToController::AskPassword { user, said } if !asked && identity.r#become == Some(Become::Sudo) => {
                asked = true;
                let given = password.offer((&identity.node, &identity.login), &user).await.map_err(|error| match (error, said) {
                    // What is wrong there beside comes first: who gives a password may find it still.
                    (SessionError::NeedsPassword { .. }, Some(said)) => SessionError::Fault(said),
                    (error, _) => error,
                })?;
                let offered = offer.insert(given);
                let password = told.insert(Hidden(offered.secret().expose().clone().into_bytes()));
                channel.send(&[ToAgent::Password(password.clone())]).await?;
                // A person may have taken any time over it.
                end = Instant::now() + wait.within;
            }
            ToController::Fault(failure) => {
                if let Some(offer) = offer.filter(|_| failure.kind == FailureKind::WrongPassword) {
                    offer.refused();
                }
                return Err(SessionError::Fault(Box::new(failure)));
            }
            other => return Err(SessionError::out_of_turn("a hello", &other)),
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
        // A shell takes an empty file, such as a power cut leaves, for a script that ends well. An agent does not end without a word.
        Exit::Status(0) if channel.noise().is_empty() => Ok(Started::Missing),
        Exit::Status(126) => Ok(Started::NotAllowed),
        Exit::Cut(said) => Err(SessionError::Lost { awaited: "the agent's hello", said: channel.mask.text(&said) }),
        exit => {
            // A login shell such as nologin(8) says why on standard output.
            let printed = String::from_utf8_lossy(channel.noise()).trim().to_owned();
            let said = [ended.stderr.text().trim().to_owned(), printed].into_iter().find(|text| !text.is_empty());
            let said = said.map_or_else(|| "it said nothing".to_owned(), |said| channel.mask.text(&said));
            Err(SessionError::DoesNotStart { exit: exit.to_string(), said })
        }
    }
}

/// Whether it could be placed here; false: try the next directory.
async fn place(link: &dyn Link, agent: AgentFile, path: &str) -> Result<bool, SessionError> {
    let placement = Placement { path, bytes: agent.bytes, packed: agent.packed(), mode: 0o700 };
    match place_file(link, &placement).await {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{BoxFuture, Deadlines, Ended, Exec, LinkError, Tail};
    use ostler_roles::wire::frame::{self, MAGIC};
    use ostler_roles::wire::message::Login;
    use ostler_roles::words::{Digest, Secret};
    use std::sync::Mutex;
    use tokio::io::{AsyncWriteExt, DuplexStream};

    #[test]
    fn whoever_exchanges_the_agents_directory_meanwhile_runs_nothing() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let home = tempfile::tempdir().unwrap();
        let (own, theirs, link) = (home.path().join("own"), home.path().join("theirs"), home.path().join("link"));
        // Beside it too, where a link to `.` leads.
        for (directory, said) in [(own.as_path(), "ours"), (&theirs, "theirs"), (home.path(), "theirs")] {
            std::fs::create_dir_all(directory).unwrap();
            std::fs::write(directory.join("agent"), format!("#!/bin/sh\necho {said}\n")).unwrap();
            std::fs::set_permissions(directory.join("agent"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        }
        std::os::unix::fs::chown(&theirs, Some(65_534), None).unwrap();
        std::os::unix::fs::symlink(".", &link).unwrap();
        std::fs::set_permissions(home.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        for other in [&theirs, &link] {
            let said = starts_while_exchanged(home.path(), other);
            assert!(said.iter().all(|said| said != "theirs\n"), "another account's program ran as the login");
            assert!(said.iter().any(|said| said == "ours\n"), "it starts where the directory is the login's own");
        }
    }

    /// What START starts in `own`, again and again, while that is exchanged with another one all the time.
    fn starts_while_exchanged(home: &std::path::Path, other: &std::path::Path) -> Vec<String> {
        let is_over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    // There and back.
                    for _ in 0..2 {
                        let (at, exchange) = (rustix::fs::CWD, rustix::fs::RenameFlags::EXCHANGE);
                        rustix::fs::renameat_with(at, home.join("own"), at, other, exchange).unwrap();
                    }
                }
            });
            let start = || std::process::Command::new("sh").args(["-c", START, "sh", "own", "agent"]).current_dir(home).output().unwrap();
            let said: Vec<String> = (0..300).map(|_| String::from_utf8(start().stdout).unwrap()).collect();
            is_over.store(true, std::sync::atomic::Ordering::Relaxed);
            said
        })
    }

    /// A link with one command on it.
    struct One(Mutex<Option<Exec>>, Deadlines);

    impl std::fmt::Debug for One {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("One")
        }
    }

    impl Link for One {
        fn exec<'a>(&'a self, _command: &'a CommandLine) -> BoxFuture<'a, Result<Exec, LinkError>> {
            let exec = self.0.lock().unwrap().take().ok_or(LinkError::Cut { host: "n1".to_owned(), reason: "used up".to_owned() });
            Box::pin(std::future::ready(exec))
        }
        fn deadlines(&self) -> &Deadlines {
            &self.1
        }
        fn close<'a>(&'a self) -> BoxFuture<'a, ()> {
            Box::pin(std::future::ready(()))
        }
    }

    /// Its first words, then signs of life for ever.
    async fn beat(mut line: DuplexStream, first: Vec<ToController>) {
        line.write_all(MAGIC).await.unwrap();
        for message in first {
            line.write_all(&frame::encode(&message).unwrap()).await.unwrap();
        }
        let alive = frame::encode(&ToController::Alive).unwrap();
        let mut pause = tokio::time::interval(Duration::from_millis(20));
        while line.write_all(&alive).await.is_ok() {
            pause.tick().await;
        }
    }

    /// How a start ends whose agent says this, while a person takes so long over the password.
    async fn started(first: Vec<ToController>, person: Duration, r#become: Option<Become>) -> (Result<(), SessionError>, Duration) {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (stdout, stdin) = tokio::io::split(ours);
        let ended = Box::pin(async { Ended { exit: Exit::Status(0), stderr: Tail::default() } });
        let link = One(Mutex::new(Some(Exec { stdin: Box::new(stdin), stdout: Box::new(stdout), ended })), Deadlines::default());
        let ask = move |_: &NodeName, _: &str| -> BoxFuture<'static, Option<Secret<String>>> {
            Box::pin(async move {
                tokio::time::sleep(person).await;
                Some(Secret::new("word".to_owned()))
            })
        };
        let password = Password::new(None, Box::new(ask));
        let identity = Identity { node: NodeName::parse("n1").unwrap(), login: "ci".to_owned(), r#become };
        let command = CommandLine::from_words(["agent"]).unwrap();
        let wait = Wait { silence: Duration::from_millis(200), within: Duration::from_millis(400) };
        let began = Instant::now();
        let start = async {
            tokio::time::timeout(Duration::from_secs(10), start(&link, &command, &[], (&identity, &password, &RunMask::default()), wait))
                .await
        };
        tokio::select! {
            ended = start => (ended.expect("it ends").map(drop), began.elapsed()),
            () = beat(theirs, first) => panic!("the beats ended first"),
        }
    }

    #[tokio::test]
    async fn an_agent_that_only_beats_on_has_not_said_hello() {
        let login = ToController::Login(Login { schema: SCHEMA, agent: Digest::of(b"agent"), user: "ci".to_owned() });
        let (ended, took) = started(vec![login], Duration::ZERO, Some(Become::Sudo)).await;
        assert!(matches!(ended, Err(SessionError::Deadline { awaited: "the agent's hello", .. })), "{ended:?}");
        assert!(took < Duration::from_secs(5), "{took:?}");
    }

    fn asks() -> ToController {
        ToController::AskPassword { user: "ci".to_owned(), said: None }
    }

    #[tokio::test]
    async fn a_node_that_need_not_become_root_is_told_no_password() {
        // doas reads none from us (0001).
        for by in [None, Some(Become::Doas)] {
            let (ended, _) = started(vec![asks()], Duration::ZERO, by).await;
            assert!(matches!(ended, Err(SessionError::OutOfTurn { found: "a question for a password", .. })), "{by:?}: {ended:?}");
        }
    }

    #[tokio::test]
    async fn the_time_that_a_person_takes_over_the_password_is_not_the_agents() {
        let (ended, took) = started(vec![asks()], Duration::from_millis(800), Some(Become::Sudo)).await;
        assert!(matches!(ended, Err(SessionError::Deadline { awaited: "the agent's hello", .. })), "{ended:?}");
        assert!(took >= Duration::from_millis(1150), "{took:?}");
    }
}
