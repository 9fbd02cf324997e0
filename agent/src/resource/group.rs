//! `group` at work: groupadd(8), groupdel(8).

use super::Act;
use super::fault::unread;
use super::node::Node;
use crate::engine::ApplyContext;
use crate::host::child::Program;
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
        done?.good(&format!("change the account or group {name}")).map(drop)
    }

    /// Forgets one thing; for kinds that change a database in the middle of their work.
    pub(super) fn forget_package_state(&self) {
        self.forget(&Effect::Everything);
    }
}
