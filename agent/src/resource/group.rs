//! `group` at work: groupadd(8), groupdel(8).

use super::Act;
use super::fault::unread;
use super::node::Node;
use crate::engine::ApplyContext;
use crate::host::child::{self, Program};
use ostler_roles::outcome::Failure;
use ostler_roles::resource::Effect;
use ostler_roles::resource::group::{Change, Desired, Observed};

impl Act for Desired {
    fn observe(&self, node: &Node) -> Result<Observed, Failure> {
        let found = node.accounts()?.group(&node.host, self.name.as_str()).map_err(unread)?;
        Ok(found.map_or(Observed::Absent, |group| Observed::Present { gid: group.gid }))
    }

    fn apply(&self, node: &Node, changes: Vec<Change>, work: &ApplyContext<'_>) -> Result<Vec<String>, Failure> {
        for change in changes {
            match change {
                Change::Create => {
                    let present = self.present.clone().unwrap_or_default();
                    let gid = present.gid.map(|gid| format!("--gid={gid}"));
                    let system = present.system.then(|| "--system".to_owned());
                    node.shadow("groupadd", gid.into_iter().chain(system).collect(), self.name.as_str(), work)?;
                }
                Change::Remove => node.shadow("groupdel", Vec::new(), self.name.as_str(), work)?,
            }
        }
        Ok(Vec::new())
    }
}

/// What helps where an account has processes: userdel(8) and usermod(8) name the first of them, by its number alone.
fn busy(said: &[String], name: &str, program: impl Fn(i32) -> String) -> Option<String> {
    let number =
        said.iter().find_map(|line| line.split_once("currently used by process ")?.1.split_whitespace().next()?.parse::<i32>().ok())?;
    let who = Some(program(number)).filter(|program| !program.is_empty()).map(|program| format!(" ({program})")).unwrap_or_default();
    Some(format!(
        "on the node: `ps -u {name}` tells what runs as {name}, process {number}{who} among it; stop that, or wait for its jobs, and apply again"
    ))
}

impl Node {
    /// Runs a program of the shadow suite for `name`; in a tree beside the running system with its `--prefix`.
    pub(super) fn shadow(&self, program: &str, options: Vec<String>, name: &str, work: &ApplyContext<'_>) -> Result<(), Failure> {
        let mut argv = vec![program.to_owned()];
        if !self.host.is_running() {
            argv.push(format!("--prefix={}", self.host.outside("/".as_ref()).display()));
        }
        argv.extend(options);
        argv.push(name.to_owned());
        let done = Program::new(argv).run_to_end(work.deadline).map_err(super::fault::unmade);
        self.accounts.forget();
        self.host.touched_below("/etc".as_ref());
        done?.good(&format!("change the account or group {name}")).map(drop).map_err(|failed| {
            let said = failed.command.as_ref().map(|command| command.tail.as_slice()).unwrap_or_default();
            let hint = busy(said, name, child::name_of);
            Failure { hint: hint.or(failed.hint), ..failed }
        })
    }

    /// Forgets one thing; for kinds that change a database in the middle of their work.
    pub(super) fn forget_package_state(&self) {
        self.forget(&Effect::Everything);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_account_is_told_with_what_keeps_it_busy() {
        // As shadow 4.13 says it (lib/user_busy.c).
        let said = ["userdel: user ci is currently used by process 4242".to_owned()];
        let hint = busy(&said, "ci", |number| if number == 4242 { "java".to_owned() } else { String::new() });
        let wanted =
            "on the node: `ps -u ci` tells what runs as ci, process 4242 (java) among it; stop that, or wait for its jobs, and apply again";
        assert_eq!(hint.as_deref(), Some(wanted));
        assert!(busy(&said, "ci", |_| String::new()).unwrap().contains("process 4242 among it"));
        assert_eq!(busy(&["userdel: cannot lock /etc/passwd; try again later.".to_owned()], "ci", |_| String::new()), None);
    }
}
