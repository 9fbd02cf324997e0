//! `git_cache`, with real repositories over HTTP, git:// and files.

use super::server::{Server, head};
use super::*;
use ostler_roles::outcome::FailureKind;
use ostler_roles::resource::git_cache::{self, Source};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

fn git(directory: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.current_dir(directory).args(["-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main"]).args(arguments);
    let output = command.env("GIT_CONFIG_GLOBAL", "/dev/null").output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn commit(repository: &Path, file: &str) {
    let bytes: String = (0..2000).map(|number| format!("{file} {number}\n")).collect();
    std::fs::write(repository.join(file), bytes).unwrap();
    git(repository, &["add", "."]);
    git(repository, &["commit", "--quiet", "-m", file]);
}

/// Origins with some commits, a branch and a tag each, served over HTTP from their directory.
struct Origins {
    directory: tempfile::TempDir,
    server: Server,
}

impl Origins {
    fn new(names: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in names {
            let path = directory.path().join(name);
            std::fs::create_dir_all(&path).unwrap();
            git(&path, &["init", "--quiet"]);
            commit(&path, "one");
            git(&path, &["branch", "stable"]);
            git(&path, &["tag", "-m", "v1", "v1"]);
        }
        let root = directory.path().to_owned();
        let server = Server::new(move |asked, _, stream| {
            let Some((path, service)) =
                asked.path.trim_start_matches('/').rsplit_once("/info/refs").or(asked.path[1..].rsplit_once("/git-upload"))
            else {
                return head(stream, "404 Not Found", "Content-Length: 0\r\n");
            };
            let repository = root.join(path).join(".git");
            if !repository.is_dir() {
                return head(stream, "404 Not Found", "Content-Length: 0\r\n");
            }
            let advertises = service.contains("service=");
            let mut pack = Command::new("git");
            pack.args(["-c", "safe.directory=*", "upload-pack", "--stateless-rpc"]).args(advertises.then_some("--advertise-refs"));
            let mut child = pack.arg(&repository).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            let mut input = child.stdin.take().unwrap();
            let body = asked.body.clone();
            let feeder = std::thread::spawn(move || input.write_all(&body));
            let output = child.wait_with_output().unwrap();
            let _ = feeder.join().unwrap();
            let kind = if advertises { "advertisement" } else { "result" };
            head(stream, "200 OK", &format!("Content-Type: application/x-git-upload-pack-{kind}\r\n"))?;
            if advertises {
                stream.write_all(b"001e# service=git-upload-pack\n0000")?;
            }
            stream.write_all(&output.stdout)
        });
        Self { directory, server }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn source(&self, name: &str) -> (String, Source) {
        (name.to_owned(), Source { urls: vec![self.server.url(&format!("/{name}"))] })
    }
}

fn fixture() -> Fixture {
    let fixture = Fixture::new();
    let public: std::fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(fixture.tree.path(), public).unwrap();
    fixture
}

fn owner() -> &'static str {
    if rustix::process::geteuid().is_root() { "ci" } else { "root" }
}

fn cache(repositories: impl IntoIterator<Item = (String, Source)>) -> git_cache::Desired {
    git_cache::Desired {
        root: at("/opt/git"),
        repositories: repositories.into_iter().collect::<BTreeMap<_, _>>(),
        owner: account(owner()),
        required: Default::default(),
        workers: 4,
    }
}

fn mirror(fixture: &Fixture, name: &str) -> PathBuf {
    fixture.path("/opt/git").join(name)
}

/// References of a repository, as git itself lists them.
fn references(repository: &Path) -> String {
    git(repository, &["-c", "safe.directory=*", "for-each-ref", "--format=%(objectname) %(refname)"])
}

#[test]
fn mirrors_are_filled_by_workers_and_the_second_run_changes_nothing() {
    let fixture = fixture();
    let origins = Origins::new(&["openstack/nova", "openstack/cinder", "x/y"]);
    let desired = cache(["openstack/nova", "openstack/cinder", "x/y"].map(|name| origins.source(name)));
    let changes = fixture.twice(&Desired::GitCache(desired));
    assert_eq!(fields(&changes), ["openstack/cinder", "openstack/nova", "x/y"]);
    for name in ["openstack/nova", "openstack/cinder", "x/y"] {
        assert_eq!(references(&mirror(&fixture, name)), references(&origins.path(name)), "{name}");
    }
    let entries = std::fs::read_dir(fixture.path("/opt/git/openstack")).unwrap().count();
    assert_eq!(entries, 2, "nothing is left beside the mirrors");
    let told = fixture.told.lock().unwrap();
    assert!(told.iter().any(|event| matches!(event, Event::Progress { items: Some((3, 3)), .. })), "{told:?}");
}

#[test]
fn the_job_user_owns_the_mirrors_and_clones_from_them() {
    if !crate::host::tests::proves_as_root("the job user owns the mirrors and clones from them") {
        return;
    }
    let fixture = fixture();
    let origins = Origins::new(&["a"]);
    fixture.twice(&Desired::GitCache(cache([origins.source("a")])));
    let work = fixture.path("/home/ci");
    std::fs::create_dir(&work).unwrap();
    std::os::unix::fs::chown(&work, Some(1001), Some(1001)).unwrap();
    let mut program = crate::host::child::Program::new(["git", "clone", "--quiet", &mirror(&fixture, "a").display().to_string(), "clone"]);
    program.directory = work.clone();
    let identity =
        crate::host::child::Identity { name: "ci".to_owned(), home: work.display().to_string(), uid: 1001, gid: 1001, groups: vec![] };
    program.identity = Some(identity);
    program.run(Instant::now() + Duration::from_secs(60), &|| false).unwrap().good("clone").unwrap();
    assert!(work.join("clone/one").exists());
}

#[test]
fn new_commits_are_fetched_and_gone_branches_go() {
    let fixture = fixture();
    let origins = Origins::new(&["a"]);
    let desired = Desired::GitCache(cache([origins.source("a")]));
    fixture.twice(&desired);
    commit(&origins.path("a"), "two");
    git(&origins.path("a"), &["branch", "--quiet", "-D", "stable"]);
    git(&origins.path("a"), &["checkout", "--quiet", "-b", "trunk"]);
    // main moved, stable went, trunk came, and HEAD is on trunk.
    assert_eq!(fixture.twice(&desired), [Shown::new("a", "4 references behind", "fresh").resting_on(Basis::Beyond)]);
    assert_eq!(references(&mirror(&fixture, "a")), references(&origins.path("a")));
    assert_eq!(std::fs::read_to_string(mirror(&fixture, "a").join("HEAD")).unwrap().trim(), "ref: refs/heads/trunk");
}

#[test]
fn one_bad_repository_is_reported_and_the_rest_is_done() {
    let fixture = fixture();
    let origins = Origins::new(&["good"]);
    let desired = cache([origins.source("good"), origins.source("none")]);
    let applied = fixture.apply(&Desired::GitCache(desired.clone())).unwrap();
    assert_eq!(fields(&applied.changes), ["good"]);
    let again = fixture.provider.examine(&Desired::GitCache(desired.clone())).unwrap();
    assert_eq!((again.changes.as_slice(), again.why.as_str()), (&[][..], "1 mirrors are fresh, 1 could not be reached"));
    let [note] = again.notes.as_slice() else { panic!("{:?}", again.notes) };
    assert!(note.starts_with("none: no usable mirror is there; cannot ask http://127.0.0.1") && note.contains("404"), "{note}");
    let required = git_cache::Desired { required: ["none".to_owned()].into(), ..desired };
    let failed = fixture.apply(&Desired::GitCache(required)).unwrap_err();
    assert_eq!(failed.kind, FailureKind::Contradiction);
    assert!(failed.message.contains("none: cannot ask") && failed.message.contains("404"), "{}", failed.message);
}

#[test]
fn a_broken_mirror_is_filled_anew_and_swapped_in() {
    let fixture = fixture();
    let origins = Origins::new(&["a"]);
    let desired = Desired::GitCache(cache([origins.source("a")]));
    fixture.twice(&desired);
    let place = mirror(&fixture, "a");
    let why = || fixture.provider.examine(&desired).unwrap().changes[0].from.clone();

    let id = git(&origins.path("a"), &["rev-parse", "main"]);
    let object = place.join("objects").join(&id[..2]).join(&id[2..]);
    std::fs::remove_file(object).unwrap();
    assert!(why().contains("lacks the object of refs/"), "{}", why());
    assert_eq!(fields(&fixture.twice(&desired)), ["a"]);

    std::fs::write(place.join("shallow"), git(&origins.path("a"), &["rev-parse", "HEAD"]) + "\n").unwrap();
    assert_eq!(why(), "is shallow");
    fixture.twice(&desired);

    std::fs::remove_dir_all(place.join("objects")).unwrap();
    assert!(why().starts_with("is no usable repository"), "{}", why());
    fixture.twice(&desired);

    git(&place, &["-c", "safe.directory=*", "config", "remote.origin.url", "http://elsewhere/a"]);
    assert_eq!(why(), "comes from http://elsewhere/a");
    fixture.twice(&desired);

    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&place, Some(0), Some(0)).unwrap();
        assert_eq!(why(), "belongs to uid 0, not to ci");
        fixture.twice(&desired);
    }
    std::fs::remove_dir_all(&place).unwrap();
    std::fs::write(&place, "a file").unwrap();
    assert_eq!(why(), "is a file");
    fixture.twice(&desired);
}

#[test]
fn a_mirror_is_fresh_only_while_its_objects_are_the_proved_ones() {
    let fixture = fixture();
    let origins = Origins::new(&["a"]);
    let path = origins.path("a");
    let desired = Desired::GitCache(cache([origins.source("a")]));
    fixture.twice(&desired);
    let place = mirror(&fixture, "a");
    let whole = || git(&place, &["-c", "safe.directory=*", "rev-list", "--objects", "--all"]).lines().count();
    let objects = whole();
    let proves = |why: &str| {
        let changes = fixture.twice(&desired);
        assert_eq!(changes, [Shown::new("a", why, "proved and fresh, or mirrored from scratch").resting_on(Basis::Beyond)]);
        assert_eq!(whole(), objects);
    };
    let changed = "has other object files than were proved to be whole";
    // Neither a reference nor what it names lacks anything: what lies below does.
    let tree = git(&path, &["rev-parse", "main^{tree}"]);
    let loose = place.join("objects").join(&tree[..2]).join(&tree[2..]);
    assert!(loose.exists(), "a directory of loose objects is served as it is");
    std::fs::remove_file(&loose).unwrap();
    proves(changed);
    // As one of an older release, or one that a power cut kept from being remembered.
    std::fs::remove_file(place.join("ostler-proved")).unwrap();
    proves("was never proved to be whole");
    // Torn: of the length that it has is more than is there.
    let blob = git(&path, &["rev-parse", "main:one"]);
    let loose = place.join("objects").join(&blob[..2]).join(&blob[2..]);
    std::fs::set_permissions(&loose, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    std::fs::write(&loose, "").unwrap();
    proves(changed);
    // Packed by somebody: other files, nothing lost, and nothing filled anew.
    git(&place, &["-c", "safe.directory=*", "-c", "gc.auto=0", "repack", "-adq"]);
    if rustix::process::geteuid().is_root() {
        crate::host::child::Program::new(["chown", "-R", "1001:1001", &place.display().to_string()])
            .run_to_end(Instant::now() + Duration::from_secs(20))
            .unwrap();
    }
    std::fs::write(place.join("stays"), "").unwrap();
    proves(changed);
    assert!(place.join("stays").exists(), "a mirror that is whole is kept");
}

#[test]
fn what_an_origin_that_is_away_leaves_old_is_told_in_every_run_with_its_date() {
    let fixture = fixture();
    let origins = Origins::new(&["a"]);
    let desired = Desired::GitCache(cache([origins.source("a")]));
    fixture.twice(&desired);
    std::fs::rename(origins.path("a"), origins.path("away")).unwrap();
    let record = std::fs::File::options().write(true).open(mirror(&fixture, "a").join("ostler-proved")).unwrap();
    record.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1_795_950_000)).unwrap();
    for _ in 0..2 {
        let found = fixture.provider.examine(&desired).unwrap();
        assert!(found.changes.is_empty());
        let [note] = found.notes.as_slice() else { panic!("{:?}", found.notes) };
        assert!(note.starts_with("a: what is there was fetched 2026-11-29 11:00 UTC; cannot ask http://127.0.0.1"), "{note}");
        fixture.apply(&desired).unwrap();
    }
}

#[test]
fn a_lock_that_a_crash_left_does_not_stop_the_mirror_for_ever() {
    let fixture = fixture();
    let origins = Origins::new(&["a"]);
    let desired = Desired::GitCache(cache([origins.source("a")]));
    fixture.twice(&desired);
    commit(&origins.path("a"), "two");
    std::fs::create_dir_all(mirror(&fixture, "a").join("refs/heads")).unwrap();
    std::fs::write(mirror(&fixture, "a").join("refs/heads/main.lock"), "").unwrap();
    fixture.twice(&desired);
    assert_eq!(references(&mirror(&fixture, "a")), references(&origins.path("a")));
}

#[test]
fn a_nearer_source_is_tried_first_and_the_origin_is_the_last() {
    let fixture = fixture();
    let origins = Origins::new(&["a"]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = format!("git://127.0.0.1:{}/a", listener.local_addr().unwrap().port());
    drop(listener);
    let near = origins.server.url("/a");
    let far = "http://origin.invalid/a".to_owned();
    fixture.twice(&Desired::GitCache(cache([("a".to_owned(), Source { urls: vec![closed, near, far.clone()] })])));
    assert_eq!(git(&mirror(&fixture, "a"), &["-c", "safe.directory=*", "config", "remote.origin.url"]), far);
}

#[test]
fn files_and_git_daemons_are_sources_too() {
    let fixture = fixture();
    let origins = Origins::new(&["a", "b"]);
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let base = origins.directory.path().display().to_string();
    // The daemon itself: `git daemon` would leave it behind when it is killed.
    let mut daemon = Command::new(Path::new(&git(Path::new("/"), &["--exec-path"])).join("git-daemon"))
        .args(["--export-all", "--listen=127.0.0.1", "--reuseaddr"])
        .args([format!("--port={port}"), format!("--base-path={base}"), base])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() && Instant::now() < until {
        std::thread::yield_now();
    }
    let sources = [
        ("a".to_owned(), Source { urls: vec![format!("git://127.0.0.1:{port}/a/.git")] }),
        ("b".to_owned(), Source { urls: vec![format!("file://{}/.git", origins.path("b").display())] }),
    ];
    // A file's repository must belong to who reads it (git's safe.directory): here root does.
    let desired = Desired::GitCache(git_cache::Desired { owner: account("root"), ..cache(sources) });
    fixture.twice(&desired);
    commit(&origins.path("a"), "two");
    commit(&origins.path("b"), "two");
    fixture.twice(&desired);
    for name in ["a", "b"] {
        assert_eq!(references(&mirror(&fixture, name)), references(&origins.path(name)), "{name}");
    }
    daemon.kill().unwrap();
    daemon.wait().unwrap();
}

#[test]
fn cancelling_keeps_what_is_filled() {
    let fixture = fixture();
    let origins = Origins::new(&["a"]);
    let desired = Desired::GitCache(cache([origins.source("a")]));
    let failed = fixture.apply_until(&desired, Instant::now() + Duration::from_secs(60), &|| true).unwrap_err();
    assert_eq!(failed.kind, FailureKind::Cancelled);
    assert!(!mirror(&fixture, "a").exists() && !fixture.path("/opt/git/.a.ostler-new").exists());
    fixture.twice(&desired);
}

#[test]
fn a_server_that_hangs_is_given_up_at_the_deadline() {
    let fixture = fixture();
    let server = Server::new(|_, _, stream| {
        let mut byte = [0u8; 1];
        std::io::Read::read(stream, &mut byte).map(drop)
    });
    let asking = crate::host::git::Asking {
        http: &crate::host::http::Http::new(&crate::host::Host::running().unwrap()).unwrap(),
        deadline: Instant::now() + Duration::from_millis(400),
        account: None,
    };
    let started = Instant::now();
    let error = crate::host::git::advertised(&server.url("/a"), asking).unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(5), "{error:?}");
    drop(fixture);
}

#[test]
fn an_owner_that_kills_what_reads_its_mirrors_is_told_and_harms_nobody_else() {
    if !crate::host::tests::proves_as_root("an owner that kills what reads its mirrors harms nobody else") {
        return;
    }
    let fixture = fixture();
    let uid = 200_000 + rustix::process::getpid().as_raw_nonzero().get().unsigned_abs() % 100_000;
    std::fs::write(fixture.path("/etc/passwd"), format!("root:x:0:0::/root:/bin/sh\njob:x:{uid}:{uid}::/:/bin/sh\n")).unwrap();
    let server = Server::new(|_, _, stream| {
        // It hangs until whoever asks has gone.
        let mut byte = [0u8; 1];
        std::io::Read::read(stream, &mut byte).map(drop)
    });
    let source = Source { urls: vec![server.url("/a")] };
    let desired = git_cache::Desired { owner: account("job"), ..cache([("a".to_owned(), source)]) };
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let failed = std::thread::scope(|scope| {
        scope.spawn(move || {
            // Again and again: it is not there yet at first.
            while matches!(stopped.try_recv(), Err(std::sync::mpsc::TryRecvError::Empty)) {
                let mut command = Command::new("/bin/sh");
                std::os::unix::process::CommandExt::uid(command.args(["-c", "kill -9 -1"]), uid).status().unwrap();
            }
        });
        let failed = fixture.provider.examine(&Desired::GitCache(desired)).unwrap_err();
        drop(stop);
        failed
    });
    assert_eq!(failed.message, "cannot finish what is done as job: git-cache as job: ended by signal 9");
}

#[test]
fn a_mirror_that_could_not_be_filled_is_told_and_is_no_change() {
    let fixture = fixture();
    let origins = Origins::new(&["good", "torn"]);
    // It tells what it has, and has it no more.
    let objects = origins.path("torn").join(".git/objects");
    let directories = std::fs::read_dir(&objects).unwrap().flatten().filter(|entry| entry.file_name() != "info");
    directories.for_each(|entry| std::fs::remove_dir_all(entry.path()).unwrap());
    let desired = Desired::GitCache(cache([origins.source("good"), origins.source("torn")]));
    assert_eq!(fields(&fixture.provider.examine(&desired).unwrap().changes), ["good", "torn"]);
    let applied = fixture.apply(&desired).unwrap();
    assert_eq!(fields(&applied.changes), ["good"], "{:?}", applied.notes);
    assert!(applied.notes.iter().any(|note| note.starts_with("torn: ")), "{:?}", applied.notes);
}

#[test]
fn while_its_owner_is_not_there_root_opens_no_mirror_and_asks_no_origin_itself() {
    if !crate::host::tests::proves_as_root("root opens no mirror of an account's") {
        return;
    }
    let fixture = fixture();
    let origins = Origins::new(&["a", "b"]);
    // What only root may read: it is asked with nobody's rights, as the owner would be the one who asks.
    let private: std::fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(origins.directory.path(), private).unwrap();
    let roots = ("b".to_owned(), Source { urls: vec![origins.path("b").display().to_string()] });
    let place = mirror(&fixture, "a");
    std::fs::create_dir_all(fixture.path("/opt/git")).unwrap();
    git(fixture.tree.path(), &["init", "--quiet", "--bare", &place.display().to_string()]);
    // Whoever reads it waits for somebody to write.
    let config = place.join("config");
    std::fs::remove_file(&config).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &config, rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o644), 0).unwrap();
    std::os::unix::fs::chown(&place, Some(1001), Some(1001)).unwrap();
    let desired = git_cache::Desired { owner: account("gone"), ..cache([origins.source("a"), roots]) };
    std::thread::scope(|scope| {
        let (tell, told) = std::sync::mpsc::channel();
        let (fixture, desired) = (&fixture, &desired);
        scope.spawn(move || {
            // Nobody listens any more where it was waited for in vain: then that is what fails.
            let _ = tell.send(fixture.provider.examine(&Desired::GitCache(desired.clone())).unwrap());
        });
        let examined = told.recv_timeout(Duration::from_secs(60));
        // Whoever still waits there goes on.
        let _ = std::fs::File::options().read(true).write(true).open(&config).map(|mut fifo| fifo.write_all(b"["));
        let examined = examined.expect("nobody opened it");
        let shown = |shown: &Shown| (shown.field.clone(), shown.from.clone());
        assert_eq!(examined.changes.iter().map(shown).collect::<Vec<_>>(), [("a".to_owned(), "its owner is not there".to_owned())]);
        assert!(examined.notes.concat().starts_with("b: no usable mirror is there; cannot ask "), "{:?}", examined.notes);
    });
}

#[test]
fn how_deep_an_account_nests_directories_stops_no_refill() {
    // With what a process has where nobody says otherwise (getrlimit(2)), and alone: the limit is the whole process's.
    let nested = std::process::Command::new("sh")
        .args(["-c", "ulimit -n 1024; exec \"$0\" --ignored --exact resource::tests::git::refilled_with_few_descriptors"])
        .arg(std::env::current_exe().unwrap())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&nested.stdout).into_owned();
    assert!(nested.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "run by the test above, with few descriptors"]
fn refilled_with_few_descriptors() {
    let fixture = fixture();
    let origins = Origins::new(&["a"]);
    let desired = Desired::GitCache(cache([origins.source("a")]));
    fixture.twice(&desired);
    let nest = |top: &Path| {
        let deep = top.join(["d"; 1100].join("/"));
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(deep.join("file"), "").unwrap();
        std::os::unix::fs::symlink("/etc", top.join("d/link")).unwrap();
        std::fs::write(top.join(".1"), "").unwrap();
    };
    // In the place where one is filled, and in that of the mirror itself.
    nest(&fixture.path("/opt/git/.a.ostler-new"));
    std::fs::remove_dir_all(mirror(&fixture, "a").join("objects")).unwrap();
    nest(&mirror(&fixture, "a"));
    assert_eq!(fields(&fixture.twice(&desired)), ["a"]);
    let left: Vec<_> = std::fs::read_dir(fixture.path("/opt/git")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["a"], "{left:?}");
}

#[test]
fn a_cancelled_run_waits_for_no_removal() {
    let fixture = fixture();
    let origins = Origins::new(&["a"]);
    let aside = fixture.path("/opt/git/.a.ostler-new");
    std::fs::create_dir_all(aside.join("d/d")).unwrap();
    let desired = Desired::GitCache(cache([origins.source("a")]));
    let (now, later) = (std::time::Instant::now(), std::time::Instant::now() + Duration::from_secs(60));
    for (deadline, cancelled, kind) in [(later, true, FailureKind::Cancelled), (now, false, FailureKind::Deadline)] {
        let failed = fixture.apply_until(&desired, deadline, &|| cancelled).unwrap_err();
        assert_eq!((failed.kind, aside.join("d/d").exists()), (kind, true), "{failed:?}");
    }
    fixture.twice(&desired);
    assert!(!aside.exists());
}
