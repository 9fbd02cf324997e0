//! Worker files as resources of the master's node: the generated part of a registration.

use super::file::WorkerFile;
use ostler_roles::catalog::Step;
use ostler_roles::resource::{Desired, Ownership, command, file};
use ostler_roles::words::{AbsPath, AccountName, Blob, Content, Mode, Origin, PathError, RoleName, Span, UnitName};

/// The program of the role `buildbot-master` that reloads the master and waits until it shows what it has loaded.
const RELOAD: &str = "/usr/local/lib/buildbot/reload-master";
/// What it may take: the reload itself, then up to 30 s.
const RELOAD_DEADLINE: Span = Span::seconds(60);
/// One small file.
const FILE_DEADLINE: Span = Span::seconds(30);

/// Where a master keeps its files on its node: the parameters of the role `buildbot-master`, or what the site says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasterPaths {
    /// The directory with `master.cfg` and `workers.d/`.
    pub directory: AbsPath,
    /// The group that may read worker files.
    pub group: AccountName,
    /// The unit to reload.
    pub service: UnitName,
    /// The role that set it up; named in plans and reports.
    pub role: RoleName,
}

/// Steps for the master's node (their blobs are the files' bytes): every file, then one reload which is asked for by what the master has
/// loaded, not by whether a file was written; so a run that was cut in between is finished by the next.
///
/// # Errors
/// When a worker's file has no path below the directory; a worker's name always has.
pub fn steps(files: &[WorkerFile], place: &MasterPaths) -> Result<Vec<Step>, PathError> {
    let step = |desired, within| Step {
        desired,
        role: place.role.clone(),
        origin: Origin::generated("registration"),
        within,
        watches: Vec::new(),
        together: None,
        while_busy: true, // what a worker runs goes on; only what starts next is decided anew
    };
    let mut steps = Vec::new();
    for worker in files {
        let present = file::Present {
            content: Content::Blob(Blob::of(&worker.bytes)),
            ownership: Ownership { owner: root(), group: Some(place.group.clone()), mode: Mode::from_bits(0o640) },
            validate: None,
        };
        let desired = file::Desired { path: place.directory.join(&worker.path)?, present: worker.stage.map(|_| present) };
        steps.push(step(Desired::File(desired), FILE_DEADLINE));
    }
    let named: Vec<String> = files.iter().map(WorkerFile::pair).collect();
    let line = |check: Option<&str>| {
        let words = [Some(RELOAD), check, Some(place.directory.as_str()), Some(place.service.as_str())];
        words.into_iter().flatten().map(str::to_owned).chain(named.iter().cloned()).collect::<Vec<String>>()
    };
    let reload = command::Desired {
        name: format!("reload-{}", place.service),
        run: line(None),
        creates: None,
        unless: Some(line(Some("--check"))),
        environment: Vec::new(),
        run_as: None,
        directory: None,
        stdin: None,
        accept: Vec::new(),
        stdout_to: None,
    };
    steps.push(step(Desired::Command(reload), RELOAD_DEADLINE));
    Ok(steps)
}

fn root() -> AccountName {
    #[expect(clippy::expect_used, reason = "a constant name")]
    AccountName::parse("root").expect("`root` is an account's name")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::masters::buildbot::Worker;
    use ostler_roles::master::Stage;
    use ostler_roles::words::Digest;
    use std::collections::BTreeSet;

    #[test]
    fn a_batch_is_its_files_and_one_reload() {
        let file =
            |name| Worker::new(name, 1, BTreeSet::new(), Worker::SHARED_PASSWORD, Vec::new(), "/run/x").unwrap().file(Stage::Labelled);
        let place = MasterPaths {
            directory: AbsPath::parse("/var/lib/buildbot/master").unwrap(),
            group: AccountName::parse("buildbot").unwrap(),
            service: UnitName::parse_service("buildbot-master").unwrap(),
            role: RoleName::parse("buildbot-master").unwrap(),
        };
        let files = [file("node-1"), file("node-2")];
        let steps = steps(&files, &place).unwrap();
        let ids: Vec<String> = steps.iter().map(|step| step.id().to_string()).collect();
        assert_eq!(
            ids,
            [
                "file /var/lib/buildbot/master/workers.d/node-1.json",
                "file /var/lib/buildbot/master/workers.d/node-2.json",
                "command reload-buildbot-master.service"
            ]
        );
        let Desired::Command(reload) = &steps[2].desired else { panic!("{:?}", steps[2]) };
        let digest = |file: &WorkerFile| Digest::of(&file.bytes);
        let pairs = [format!("node-1={}", digest(&files[0])), format!("node-2={}", digest(&files[1]))];
        let rest = ["/var/lib/buildbot/master".to_owned(), "buildbot-master.service".to_owned()];
        assert_eq!(reload.run, [vec![RELOAD.to_owned()], rest.to_vec(), pairs.to_vec()].concat());
        assert_eq!(reload.unless, Some([vec![RELOAD.to_owned(), "--check".to_owned()], rest.to_vec(), pairs.to_vec()].concat()));
    }
}
