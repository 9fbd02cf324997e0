//! Ctrl-C: what the first one means depends on what is going on; whoever leaves leaves a terminal that echoes.

use crate::report::{Exit, Printer};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use serde_json::json;
use std::io::{PipeReader, PipeWriter, Stdin, pipe};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What is going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunPhase {
    /// Nodes are looked at, a person is asked: nothing is changed.
    Looking,
    /// Nodes are changed, and masters told of those that are done: the first Ctrl-C asks nodes to stop, and ends the waits on masters.
    Running,
    /// Only masters are told any more: the first Ctrl-C ends the waits on them.
    Registering,
    /// What goes on on nodes is shown or called off; it needs nobody here.
    Watching,
}

impl RunPhase {
    /// What the first Ctrl-C says, where it does not leave at once.
    fn stopping(self) -> Option<&'static str> {
        match self {
            Self::Looking | Self::Watching => None,
            Self::Running => Some(
                "Stopping: each node ends its present step, then stops; no master is waited for. Again to leave at once; they do so without us.",
            ),
            Self::Registering => Some(
                "Stopping: no master is waited for any more; an executor that has not passed stays in quarantine. Again to leave at once.",
            ),
        }
    }

    /// What leaving says; `asked`: no new work was wanted before.
    fn left(self, asked: bool) -> &'static str {
        match self {
            Self::Looking => "Interrupted. Nothing was changed.",
            Self::Running if !asked => "Left. Runs go on without us; `ostler attach` shows them.",
            Self::Running => "Left. Each node ends its present step, then stops; `ostler attach` shows it.",
            Self::Registering => "Left. Executors stay as far as they came; the next `apply` goes on from there.",
            Self::Watching => "Left. Runs go on without us.",
        }
    }
}

/// Listens for Ctrl-C and SIGTERM as long as it lives.
#[derive(Debug)]
pub struct Interrupts {
    stage: watch::Sender<RunPhase>,
    stop: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Interrupts {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the system lets nobody listen.
    pub fn listen(printer: Printer, echo: Echo) -> std::io::Result<Self> {
        let (stage, present) = watch::channel(RunPhase::Looking);
        let (stopper, stop) = watch::channel(false);
        let signals = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        #[expect(clippy::disallowed_methods, reason = "owned by this value and ended with it")]
        let task = tokio::spawn(attend(printer, echo, signals, present, stopper));
        Ok(Self { stage, stop, task })
    }

    /// Something else goes on from now on.
    pub fn enter(&self, stage: RunPhase) {
        self.stage.send_replace(stage);
    }

    /// For whoever finds that something else goes on.
    pub fn entering(&self, stage: RunPhase) -> impl Fn() + Send + Sync + use<> {
        let sender = self.stage.clone();
        move || _ = sender.send_replace(stage)
    }

    /// Becomes true when no new work is wanted.
    pub fn stop(&self) -> watch::Receiver<bool> {
        self.stop.clone()
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn attend(
    printer: Printer,
    echo: Echo,
    (mut interrupt, mut terminate): (Signal, Signal),
    stage: watch::Receiver<RunPhase>,
    stop: watch::Sender<bool>,
) {
    loop {
        let is_asked = tokio::select! {
            _ = interrupt.recv() => true,
            _ = terminate.recv() => false,
        };
        let present = *stage.borrow();
        match present.stopping().filter(|_| is_asked && !*stop.borrow()) {
            Some(text) => {
                stop.send_replace(true);
                // Whoever wants no new work answers no question for it.
                echo.call_off();
                let printer = printer.clone();
                beside(move || printer.aside(&format!("\n{text}")));
            }
            None => leave(&printer, &echo, present.left(*stop.borrow())),
        }
    }
}

/// How long a reader of our output may take over the last words.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Prints on a thread of its own: whoever no longer reads what we print (a pager, a stopped terminal) holds up nobody who wants to leave. The end
/// of it is heard by the receiver.
fn beside(print: impl FnOnce() + Send + 'static) -> mpsc::Receiver<()> {
    let (done, told) = mpsc::channel();
    std::thread::spawn(move || {
        print();
        // Nobody has to wait for it.
        let _ = done.send(());
    });
    told
}

fn leave(printer: &Printer, echo: &Echo, text: &str) {
    echo.restore();
    let (exit, text, printer) = (Exit::Interrupted.code(), text.to_owned(), printer.clone());
    let told = beside(move || {
        printer.json(&json!({ "v": 1, "type": "error", "exit": exit, "message": text, "causes": [], "hint": null, "faults": null }));
        printer.aside(&format!("\n{text}"));
    });
    // Told or not, we leave.
    let _ = told.recv_timeout(LAST_WORDS);
    #[expect(clippy::exit, reason = "others may be in the midst of a read that nothing ends, of a terminal or a link")]
    std::process::exit(i32::from(exit));
}

/// The terminal's echo, while it is taken away for a question.
#[derive(Debug, Clone, Default)]
pub struct Echo(Arc<Mutex<Silenced>>);

#[derive(Debug, Default)]
struct Silenced {
    /// The terminal as it was.
    before: Option<Termios>,
    /// Open as long as an answer is wanted.
    wanted: Option<PipeWriter>,
}

impl Echo {
    /// Takes it away. Ctrl-Z and Ctrl-\ do nothing meanwhile: a shell would be left with a terminal that shows nothing. What is returned comes to
    /// its end when no answer is wanted any more.
    ///
    /// # Errors
    /// When standard input is no terminal.
    pub fn take_away(&self, stdin: &Stdin) -> std::io::Result<PipeReader> {
        let before = tcgetattr(stdin)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        silent.local_modes.insert(LocalModes::ECHONL);
        // 0 is no character (termios(3): _POSIX_VDISABLE on Linux).
        silent.special_codes[SpecialCodeIndex::VSUSP] = 0;
        silent.special_codes[SpecialCodeIndex::VQUIT] = 0;
        let (called_off, wanted) = pipe()?;
        // Kept first: whoever is interrupted from here on gives it back.
        *self.silenced() = Silenced { before: Some(before), wanted: Some(wanted) };
        tcsetattr(stdin, OptionalActions::Flush, &silent)?;
        Ok(called_off)
    }

    /// Gives it back, where it was taken away.
    pub fn restore(&self) {
        if let Some(before) = self.silenced().before.take() {
            // A terminal that is gone echoes to nobody.
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, &before);
        }
    }

    /// Gives it back, and ends the question for which it was taken away.
    pub fn call_off(&self) {
        self.restore();
        self.silenced().wanted = None;
    }

    fn silenced(&self) -> MutexGuard<'_, Silenced> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
