//! `ostler demo`: the main job, shown with the program's own commands on a lab of three nodes. Each step says what it expects, and the
//! demo fails when it is not so.

mod stage;

use super::{CommandError, Context};
use crate::cli::DemoArgs;
use crate::report::{Exit, Paint};
use stage::Demo;

/// Shows the main job.
pub fn run(context: &Context, args: &DemoArgs) -> Result<Exit, CommandError> {
    let stage = Demo::set(context, args)?;
    let shown = acts(context, &stage);
    if args.keep {
        context.printer.line(&format!("The lab is still up: cd {} && ostler lab status", stage.directory().display()));
    } else {
        stage.say("Everything goes: the lab is taken down, nothing is left.");
        stage.end()?;
    }
    shown?;
    context.printer.line(&context.printer.style.paint(Paint::Good, "That is the whole of it."));
    Ok(Exit::Good)
}

fn acts(context: &Context, stage: &Demo) -> Result<(), CommandError> {
    let printer = &context.printer;
    printer.line(&printer.style.paint(Paint::Strong, "A CI master and two build nodes, from nothing to a proven label."));
    printer.line(&format!("The site: {}", stage.directory().display()));
    stage.say("Three machines with systemd, sshd and apt, on this one. Secrets are made, encrypted in the site.");
    stage.ostler(&["secret", "set", "web_password", "--generate", "password"], Exit::Good, &["written"])?;
    stage.ostler(&["secret", "set", "worker_password", "--generate", "password"], Exit::Good, &["written"])?;
    stage.ostler(&["lint"], Exit::Good, &["No faults: 3 nodes"])?;
    stage.ostler(&["lab", "up"], Exit::Good, &["The lab is up: 3 nodes."])?;
    stage.serve()?;

    stage.say("First run. build-2 is too small for two jobs: it is refused with the numbers, and nothing is changed anywhere.");
    stage.ostler(&["apply", "--yes"], Exit::Refused, &["build-2  disk /", "missing)", "Nothing was changed anywhere."])?;
    stage.untouched()?;

    stage.say(
        "build-2 gets a larger disk. Now all pass: packages, users, services, 24 repositories mirrored, a download proved by its checksum, \
         both nodes registered with the master, a smoke job green on each, and only then their labels.",
    );
    stage.grow()?;
    stage.ostler(&["apply", "--yes"], Exit::Good, &["labelled build debian", "Done. 3 nodes"])?;

    stage.say("Second run: nothing to change.");
    stage.ostler(&["apply", "--yes"], Exit::Good, &["Nothing to change. 3 nodes verified"])?;

    stage.say("Somebody edits a file behind its back. The plan finds it.");
    stage.drift()?;
    stage.ostler(
        &["plan", "-D"],
        Exit::Good,
        &[
            "file /etc/profile.d/ci.sh",
            "+export CI_FIXTURES=/opt/fixtures",
            "taken off until its smoke job has passed again",
            "2 to change",
        ],
    )
}
