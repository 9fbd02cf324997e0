//! One conversation from its first byte to its last.

use super::error::ServeError;
use super::escalate::escalate;
use super::fault::{failure, from_error};
use super::frames::{Incoming, Input, Outbox};
use super::work::{Next, Work};
use crate::engine::{Facilities, NodeRecord, own_account};
use ostler_roles::outcome::{Failure, FailureKind};
use ostler_roles::wire::message::{Hello, Login, Open, SCHEMA, ToAgent, ToController};
use rustix::fd::OwnedFd;
use std::time::Duration;

/// `Open` stands right behind the exec.
const OPEN_WITHIN: Duration = Duration::from_secs(60);
/// A person may think over a plan for so long; heartbeats find a dead connection much sooner.
const NEXT_WITHIN: Duration = Duration::from_secs(24 * 3600);

/// Which half of an agent this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// Started by the login: becomes root where it is asked to.
    Login,
    /// Started by the login half: goes on as who it is.
    Root,
}

/// Serves one controller on these two descriptors. Returns when the conversation has ended; a run that began goes on.
pub fn serve(facilities: &dyn Facilities, half: Half, input: OwnedFd, output: OwnedFd) {
    let outbox = Outbox::new(output);
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let stopped = stopped;
            outbox.beat(&stopped);
        });
        if let Err(ServeError::Fault(failure)) = converse(facilities, half, Input::new(input), &outbox) {
            // The last word; with nobody there to hear it, it is lost.
            let _ = outbox.send(&ToController::Fault(*failure));
        }
        drop(stop);
    });
}

fn converse(facilities: &dyn Facilities, half: Half, mut input: Input, outbox: &Outbox) -> Result<(), ServeError> {
    if half == Half::Root {
        // The login half sends nothing before it has seen this: sudo would take it for a password.
        outbox.begin()?;
    }
    let Some(open) = await_open(&mut input)? else { return Ok(()) };
    if open.schema != SCHEMA {
        let message = format!("the controller speaks message set {}, this agent {SCHEMA}", open.schema);
        return Err(failure(FailureKind::Internal, message, None).into());
    }
    match open.r#become {
        Some(how) if half == Half::Login && !facilities.is_root() => {
            outbox.send(&ToController::Login(Login { schema: SCHEMA, agent: facilities.digest(), user: own_account() }))?;
            escalate(facilities, how, &open, input, outbox)
        }
        Some(_) | None => attend(facilities, input, outbox),
    }
}

fn await_open(input: &mut Input) -> Result<Option<Open>, ServeError> {
    match input.next(OPEN_WITHIN)? {
        Incoming::Message(message) => match *message {
            ToAgent::Open(open) => Ok(Some(open)),
            ToAgent::Bye => Ok(None),
            ToAgent::Password(_)
            | ToAgent::Catalog { .. }
            | ToAgent::Blobs(_)
            | ToAgent::Go { .. }
            | ToAgent::Attach { .. }
            | ToAgent::Cancel { .. }
            | ToAgent::Prove(_)
            | ToAgent::Challenge { .. } => Err(out_of_place("before it opened the conversation").into()),
        },
        Incoming::End => Ok(None),
        Incoming::Nothing => Err(failure(FailureKind::Deadline, "the controller did not open the conversation", None).into()),
    }
}

/// Says hello and does what is asked, message by message.
fn attend(facilities: &dyn Facilities, mut input: Input, outbox: &Outbox) -> Result<(), ServeError> {
    let (facts, hello) = hello(facilities)?;
    outbox.send(&ToController::Hello(Box::new(hello)))?;
    let mut work = Work::new(facilities, facts);
    loop {
        let message = match input.next(NEXT_WITHIN)? {
            Incoming::Message(message) => *message,
            Incoming::End => return Ok(()),
            Incoming::Nothing => return Err(failure(FailureKind::Deadline, "the controller has said nothing for a day", None).into()),
        };
        let next = match message {
            ToAgent::Catalog { catalog, base, part, want_old, secret_key } => {
                work.catalog(*catalog, base, (part, want_old), secret_key, &input, outbox)?
            }
            ToAgent::Blobs(blobs) => work.blobs(blobs)?,
            ToAgent::Go { run, plan, generation, secrets, masked, controller, owes } => {
                let asked = super::work::Asked { run, plan, generation, secrets, masked, controller, owes };
                work.go(asked, &mut input, outbox)?
            }
            ToAgent::Attach { run, after } => work.attach(run, after, &mut input, outbox)?,
            ToAgent::Cancel { run } => work.cancel(run, outbox)?,
            ToAgent::Prove(proved) => work.prove(proved, outbox)?,
            ToAgent::Challenge { place, account, nonce } => work.challenge(place, &account, nonce, outbox)?,
            ToAgent::Bye => Next::Leave,
            ToAgent::Open(_) | ToAgent::Password(_) => return Err(out_of_place("in the middle of the conversation").into()),
        };
        match next {
            Next::Listen => {}
            Next::Leave => return Ok(()),
        }
    }
}

fn hello(facilities: &dyn Facilities) -> Result<(ostler_roles::words::Digest, Hello), ServeError> {
    let (facts, live) = (facilities.facts()?, facilities.live()?);
    let paths = facilities.paths();
    let own = |error: crate::engine::EngineError| from_error(FailureKind::Internal, &error);
    let record = NodeRecord::read(paths).map_err(own)?;
    let run = record.active(paths).map_err(own)?;
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned();
    let root = facilities.is_root();
    let digest = facts.digest();
    let NodeRecord { generation, ledger, .. } = record;
    let hello =
        Hello { schema: SCHEMA, agent: facilities.digest(), user: own_account(), root, boot_id, run, generation, ledger, facts, live };
    Ok((digest, hello))
}

fn out_of_place(when: &str) -> Failure {
    failure(FailureKind::Internal, format_args!("the controller sent a message that has no place {when}"), None)
}
