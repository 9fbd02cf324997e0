//! `command` at work: guards to read, a program to run.

mod interpreter;

use super::Act;
use super::fault::{failure, hinted, unmade, unread};
use super::node::Node;
use super::secret_value::value_of;
use crate::engine::ApplyContext;
use crate::host::child::{Finished, Identity, PATH, Program};
use crate::host::{Entry, EntryKind, Operation, OsError, Rival, WorkingDirectory, Writing, aside_path};
use ostler_roles::catalog::Action;
use ostler_roles::outcome::{Failure, FailureKind};
use ostler_roles::resource::command::{Change, Desired, Observed};
use ostler_roles::words::{AbsPath, Bytes, Secret, SecretRef, Sensitive};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A guard asks a question: what takes longer does work.
const GUARD: Duration = Duration::from_secs(60);

/// Where root's programs write: directories that may have file systems of their own.
pub(super) const ROOTS_PROGRAMS: [&str; 7] = ["/", "/boot", "/boot/efi", "/etc", "/opt", "/usr", "/var"];

impl Act for Desired {
    fn observe(&self, node: &Node) -> Result<Observed, Failure> {
        let created = match &self.creates {
            Some(path) => Some(node.host.look(path.as_path()).map_err(unread)?.is_some()),
            None => None,
        };
        // A missing file decides already; and a question that needs no answer is not asked.
        let unless_holds = match self.unless.as_ref().filter(|_| created != Some(false)) {
            Some(unless) => Some(holds(self, node, unless)?),
            None => None,
        };
        // What is refused in its turn is refused in the plan.
        if created != Some(true) && unless_holds != Some(true) {
            prepared(self, node, &self.run, None)?;
        }
        Ok(Observed { created, unless_holds })
    }

    fn apply(&self, node: &Node, changes: Vec<Change>, work: &ApplyContext<'_>) -> Result<Vec<String>, Failure> {
        if !changes.is_empty() {
            run(self, node, work)?;
        }
        Ok(Vec::new())
    }

    fn act(&self, node: &Node, _action: Action, work: &ApplyContext<'_>) -> Result<bool, Failure> {
        run(self, node, work).map(|()| true)
    }

    /// A program writes what it likes.
    fn to_write(&self, _node: &Node, changes: &[Change]) -> Option<Bytes> {
        changes.is_empty().then_some(Bytes(0))
    }
}

/// Whether the guard exits 0. One whose program, user or directory is not there yet does not hold.
fn holds(desired: &Desired, node: &Node, unless: &[String]) -> Result<bool, Failure> {
    let Prepared::Ready(mut program) = prepared(desired, node, unless, None)? else { return Ok(false) };
    program.environment = plain(&desired.environment);
    match program.run_to_end(Instant::now() + GUARD) {
        Ok(finished) if finished.exit_code().is_some() => Ok(finished.is_good()),
        Ok(finished) => Err(Failure { kind: FailureKind::Observe, ..finished.failure(&format!("ask `{}`", unless.join(" "))) }),
        Err(error) if error.operation == Operation::Start && error.source.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(unread(error)),
    }
}

/// A program, or what it lacks.
pub(super) enum Prepared {
    Ready(Box<Program>),
    /// Its account is not there.
    NoAccount,
    /// Its directory is not there.
    NoDirectory(OsError),
}

/// A program with the rights and the place of the command. `other` is whose rights it has where the command names nobody; ours where none.
pub(super) fn prepared(desired: &Desired, node: &Node, argv: &[String], other: Option<Identity>) -> Result<Prepared, Failure> {
    let mut program = Program::new(argv.iter().cloned());
    program.identity = other;
    if let Some(name) = &desired.run_as {
        if node.accounts()?.account(&node.host, name.as_str()).map_err(unread)?.is_none() {
            return Ok(Prepared::NoAccount);
        }
        program.identity = node.foreign_identity(name.as_str())?;
    }
    let own = argv.first().map(Path::new).filter(|path| path.is_absolute());
    for path in desired.directory.as_ref().map(|path| path.as_path()).into_iter().chain(own) {
        // The child would wait there between its start and its first word, and we for that word.
        if let Some(away) = node.host.look(path).err().filter(OsError::is_unreachable) {
            return Err(unread(away));
        }
    }
    let directory = desired.directory.as_ref().map_or(Path::new("/"), |path| path.as_path());
    program.directory = node.host.outside(directory);
    if program.identity.is_none() {
        match node.host.enter(directory) {
            Ok(WorkingDirectory::Ours(opened)) => program.entered = Some(opened),
            Ok(WorkingDirectory::Foreign { directory: by, rival }) => {
                let begins = format!("root's command would begin in {}", directory.display());
                return Err(replaced(node, &begins, (&by, rival), "leave its `directory` out"));
            }
            Err(error) if error.source.kind() == ErrorKind::NotFound => return Ok(Prepared::NoDirectory(error)),
            Err(error) => return Err(unread(error)),
        }
    }
    if program.identity.is_none() {
        program.path = Some(roots_own(node, argv, search_path(desired), directory)?);
    }
    Ok(Prepared::Ready(Box::new(program)))
}

/// Where the command's programs are looked for.
fn search_path(desired: &Desired) -> &str {
    let own = desired.environment.iter().find_map(|(name, value)| match value {
        Sensitive::Plain(path) if name == "PATH" => Some(path.as_str()),
        Sensitive::Plain(_) | Sensitive::Secret(_) => None,
    });
    own.unwrap_or(PATH)
}

/// Refuses a program that root is to start and another account could replace, by its path or by a name, and a script that it is to read.
/// Gives of a search path what root's program, which begins in `begins`, is left: no directory in which another account could put a name.
pub(super) fn roots_own(node: &Node, argv: &[String], path: &str, begins: &Path) -> Result<String, Failure> {
    let mut sought: Vec<&str> = path.split(':').collect();
    sought.retain(|directory| directory.starts_with('/') && node.host.look(Path::new(directory)).is_ok());
    let (names, script) = interpreter::started(argv);
    let mut all: Vec<PathBuf> = script.into_iter().map(|script| begins.join(script)).collect();
    for name in names {
        let starts = |path: &PathBuf| {
            let entry = node.host.look_through(path).ok().flatten();
            entry.is_some_and(|entry| entry.kind == EntryKind::File && entry.mode & 0o111 != 0)
        };
        let found = sought.iter().map(|directory| Path::new(directory).join(name)).find(starts);
        all.extend(if name.contains('/') { Some(begins.join(name)) } else { found });
    }
    let mut kept: Vec<&str> = Vec::new();
    for directory in sought {
        match node.host.enter(Path::new(directory)) {
            Ok(WorkingDirectory::Ours(_)) => kept.push(directory),
            // Nobody but root makes it either.
            Err(error) if error.source.kind() == ErrorKind::NotFound => kept.push(directory),
            Ok(WorkingDirectory::Foreign { .. }) | Err(_) => {}
        }
    }
    for started in all {
        let (by, rival) = match node.host.replaceable(&started) {
            Ok(Some(found)) => found,
            Ok(None) => continue,
            // No file has such a name.
            Err(error) if error.source.kind() == ErrorKind::InvalidFilename => continue,
            Err(error) => return Err(unread(error)),
        };
        let starts = format!("root would start {}", started.display());
        return Err(replaced(node, &starts, (&by, rival), "take a program that only root may write"));
    }
    // An empty one would be the directory in which it begins.
    Ok(if kept.is_empty() { "/nonexistent".to_owned() } else { kept.join(":") })
}

/// Something of root's would come from where another account may put something else.
fn replaced(node: &Node, doing: &str, (by, rival): (&Path, Rival), otherwise: &str) -> Failure {
    let by = by.display();
    let user =
        |uid: u32| node.accounts().and_then(|all| all.user_name(&node.host, uid).map_err(unread)).unwrap_or_else(|_| uid.to_string());
    let group =
        |gid: u32| node.accounts().and_then(|all| all.group_name(&node.host, gid).map_err(unread)).unwrap_or_else(|_| gid.to_string());
    let (message, hint) = match rival {
        Rival::Everybody => (
            format!("{doing}, and everybody may put something else in its place: all may write in {by}"),
            format!("on the node: chmod o-w {by}, or for a directory chmod +t {by}"),
        ),
        Rival::Owner(uid) => {
            let name = user(uid);
            let message = format!("{doing}, and {name}, who owns {by}, can put something else in its place");
            (message, format!("add `as: {name}` to the command, or {otherwise}"))
        }
        Rival::Named(uid) => {
            let name = user(uid);
            let message = format!("{doing}, and {name}, whom the ACL of {by} lets write there, can put something else in its place");
            (message, format!("on the node: setfacl -x u:{name} {by}; or {otherwise}"))
        }
        Rival::Group(gid) => {
            let name = group(gid);
            let message = format!("{doing}, and members of {name}, who may write in {by}, can put something else in its place");
            (message, format!("on the node: `getent group {name}` names them; chmod g-w {by}; or {otherwise}"))
        }
    };
    hinted(FailureKind::Contradiction, message, hint)
}

/// Variables that may be shown; a guard never sees a secret.
pub(super) fn plain(environment: &[(String, Sensitive)]) -> Vec<(String, String)> {
    let shown = |(name, value): &(String, Sensitive)| match value {
        Sensitive::Plain(text) => Some((name.clone(), text.clone())),
        Sensitive::Secret(_) => None,
    };
    environment.iter().filter_map(shown).collect()
}

/// Runs it to a good end.
fn run(desired: &Desired, node: &Node, work: &ApplyContext<'_>) -> Result<(), Failure> {
    if let Some(name) = &desired.run_as {
        node.account(name.as_str())?;
    }
    let mut program = match prepared(desired, node, &desired.run, None)? {
        Prepared::Ready(program) => program,
        Prepared::NoDirectory(error) => return Err(unmade(error)),
        // Made sure of above.
        Prepared::NoAccount => return Ok(()),
    };
    for (name, value) in &desired.environment {
        let value = match value {
            Sensitive::Plain(text) => text.clone(),
            Sensitive::Secret(secret) => text_of(secret, work)?,
        };
        program.environment.push((name.clone(), value));
    }
    program.stdin = match &desired.stdin {
        None => None,
        Some(Sensitive::Plain(text)) => Some(Secret::new(text.clone().into_bytes())),
        Some(Sensitive::Secret(secret)) => Some(Secret::new(text_of(secret, work)?.into_bytes())),
    };
    let home = program.identity.as_ref().map(|identity| identity.home.clone());
    let hint = passed_by(search_path(desired), program.path.as_deref());
    let Some(path) = &desired.stdout_to else {
        let finished = program.run_to_end(work.deadline).map_err(unmade)?;
        touched(desired, node, home.as_deref(), work);
        return accepted(desired, finished, hint);
    };
    node.make_parents(path)?;
    let mut values = desired.environment.iter().map(|(_, value)| value).chain(&desired.stdin);
    let secret = values.any(|value| matches!(value, Sensitive::Secret(_)));
    let aside = aside_path(path.as_path());
    program.stdout_to = Some(node.host.create_private(&aside).map_err(unmade)?);
    let done = program.run_to_end(work.deadline).map_err(unmade).and_then(|finished| accepted(desired, finished, hint));
    touched(desired, node, home.as_deref(), work);
    let placed = done.and_then(|()| {
        // An output keeps the owner and mode of the file it replaces, where whoever put it there had to be let; a new one that may tell a
        // secret is private, and none is opened to whom the one before was closed.
        // The bits of a link that stands there say nothing: they are all set (symlink(7)).
        let writing = match node.host.look(path.as_path()).map_err(unmade)?.filter(|entry| entry.kind == EntryKind::File) {
            Some(entry) if is_meant(node, path, &entry) => Writing { user: entry.user, group: entry.group, mode: entry.mode },
            other => {
                let (user, group) = node.host.default_owner();
                let most = if secret { 0o600 } else { 0o644 };
                Writing { user, group, mode: other.map_or(most, |entry| most & (entry.mode | 0o600)) }
            }
        };
        node.host.put_in_place(&aside, path.as_path(), writing).map_err(unmade)
    });
    if placed.is_err() {
        // The failure is told; what was written aside is of no use.
        let _ = node.host.remove(&aside);
    }
    placed
}

fn text_of(secret: &SecretRef, work: &ApplyContext<'_>) -> Result<String, Failure> {
    String::from_utf8(value_of(secret, work)?).map_err(|_| failure(FailureKind::Apply, format!("the secret {} is no text", secret.name)))
}

/// Whether a file has its owner by root's will: it is root's, or stands where nobody else makes names.
fn is_meant(node: &Node, path: &AbsPath, entry: &Entry) -> bool {
    let ours = |user: u32| user == 0 || user == node.host.default_owner().0;
    let alone = |above: AbsPath| {
        let own = matches!(node.host.enter(above.as_path()), Ok(WorkingDirectory::Ours(_)));
        // In a sticky one everybody makes names, and keeps them.
        own && node.host.look_through(above.as_path()).ok().flatten().is_some_and(|above| above.mode & 0o022 == 0)
    };
    ours(entry.user) || path.parent().is_some_and(alone)
}

/// Remembers where it may have written: where it says so, and wherever programs of root's write what a node goes by, or those of an account
/// what they keep.
fn touched(desired: &Desired, node: &Node, home: Option<&str>, work: &ApplyContext<'_>) {
    let above = desired.creates.as_ref().and_then(AbsPath::parent);
    for place in desired.directory.iter().chain(&above) {
        node.host.touched_below(place.as_path());
    }
    let anywhere = home.map(|home| [home, "/", "/var"]);
    node.may_have_written(anywhere.as_ref().map_or(ROOTS_PROGRAMS.as_slice(), |places| places), &desired.name, work);
}

impl Node {
    /// Remembers where a program may have written. What cannot be opened there is told: it holds nothing up of which nobody says that it
    /// was written to.
    pub(super) fn may_have_written(&self, anywhere: &[&str], name: &str, work: &ApplyContext<'_>) {
        for place in anywhere {
            if let Err(error) = self.host.may_be_touched_below(Path::new(place)) {
                super::note(work, format!("what {name} may have written there could not be made durable: {error}: {}", error.source));
            }
        }
    }
}

/// Told where a program fails that may have missed another.
fn passed_by(all: &str, kept: Option<&str>) -> Option<String> {
    let kept: Vec<&str> = kept?.split(':').collect();
    let left: Vec<&str> = all.split(':').filter(|directory| !kept.contains(directory)).collect();
    (!left.is_empty()).then(|| format!("it was looked for no program in {}: another account may put one there", left.join(", ")))
}

fn accepted(desired: &Desired, finished: Finished, hint: Option<String>) -> Result<(), Failure> {
    let good = match finished.exit_code() {
        Some(code) if desired.accept.is_empty() => code == 0,
        Some(code) => desired.accept.contains(&code),
        None => false,
    };
    if good { Ok(()) } else { Err(Failure { hint, ..finished.failure(&format!("run {}", desired.name)) }) }
}
