//! A shell in a tree in which a step has failed.

use crate::command::Context;
use crate::image::root::Root;
use crate::report::Paint;
use std::process::Command;

/// Opens a shell in the tree and waits for its end; without a terminal it is only told how.
pub fn open(context: &Context, root: &Root) {
    let printer = &context.printer;
    if !printer.can_ask() {
        printer.aside("a shell is opened where there is a terminal; here is none");
        return;
    }
    printer.say(
        Paint::Strong,
        "A shell in the tree as the failed step left it. What is done here goes with it: mend the role. `exit` goes on.",
    );
    let target = root.pid().to_string();
    let shell = Command::new("nsenter")
        .args(["--target", &target, "--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd=/", "--"])
        .args(["env", "-i", "HOME=/root", "TERM=linux", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "/bin/sh"])
        .status();
    if let Err(error) = shell {
        printer.aside(&format!("no shell: nsenter: {error}"));
    }
}
