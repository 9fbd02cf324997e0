//! Root trees: what is in them, and that nothing is left of them.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use ostler::image::ImageError;
use ostler::image::root::{Bind, Root};
use ostler::mask::RunMask;
use ostler::session::{AgentFile, Identity, Password, meet};
use ostler::transport::{CommandLine, Exit, Placement, place_file, read_bounded};
use ostler_roles::words::{NodeName, Secret};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::ground::{Stage, below, commands, debian, ran, said, wait_for};

#[test]
fn a_root_that_was_left_leaves_what_was_written_and_nothing_else() {
    let stage = Stage::new().bound("/var/lib/ostler").bound("/opt/not/there").bound("/var/cache/apt/archives");
    let root = stage.enter();
    assert!(!commands("image-root").is_empty(), "the look at processes sees none at all");
    said(
        &root,
        "echo x >/var/lib/ostler/x; echo y >/opt/not/there/y; echo z >/tmp/z; echo r >/run/r; cat /etc/dpkg/dpkg.cfg.d/ostler-image",
    );
    assert_eq!(root.leave().expect("left"), Vec::<String>::new());
    assert_eq!(stage.written(), Vec::<String>::new(), "what was mounted stays in nobody's tree");
    assert_eq!(fs::read_to_string(stage.dir.path().join("bind-1/y")).expect("there"), "y\n");
    stage.assert_over();

    let root = stage.enter();
    said(&root, "mkdir /srv/made; echo x >/srv/made/file; rm /etc/debian_version");
    drop(root);
    assert_eq!(stage.written(), ["etc", "etc/debian_version", "srv", "srv/made", "srv/made/file"]);
    stage.assert_over();
}

#[test]
fn what_still_runs_is_named_and_ended() {
    let stage = Stage::new();
    let root = stage.enter();
    let mark = format!("1{:06}", std::process::id());
    said(&root, &format!("setsid sleep {mark} >/dev/null 2>&1 & (trap '' TERM INT HUP; exec -a daemon sleep {mark}) >/dev/null 2>&1 &"));
    wait_for("both run", || commands(&mark).iter().filter(|line| !line.contains("bash")).count() == 2);
    assert_eq!(root.leave().expect("left"), ["sleep", "sleep"]);
    assert_eq!(commands(&mark), Vec::<String>::new());
    stage.assert_over();
}

#[test]
fn a_program_that_is_late_is_ended_with_all_that_it_started() {
    let stage = Stage::new();
    let root = stage.enter();
    let mark = format!("2{:06}", std::process::id());
    let begin = Instant::now();
    let script = format!("sleep {mark} & sleep {mark}");
    let late = root.run_within(&["/bin/sh", "-c", &script], &[], Duration::from_millis(300)).expect_err("late");
    assert!(matches!(late, ImageError::Deadline { .. }) && begin.elapsed() < Duration::from_secs(10), "{late}");
    wait_for("all have ended", || commands(&mark).is_empty());
    // What it leaves behind holds nobody up, though it has the output.
    let begin = Instant::now();
    assert_eq!(said(&root, "sleep 600 & echo said"), "said");
    assert!(begin.elapsed() < Duration::from_secs(20));
    let ended = ran(&root, "echo out; echo err >&2; exit 7");
    assert_eq!((ended.status.code(), &ended.stdout[..], &ended.stderr[..]), (Some(7), &b"out\n"[..], &b"err\n"[..]));
    let missing = root.run(&["/no/such/program"], &[]).expect_err("missing").to_string();
    assert_eq!(missing, "start `/no/such/program (in the root tree)`");
    root.leave().expect("left");
}

#[test]
fn what_a_tree_finds_is_its_own_and_nothing_of_this_machine_can_be_set() {
    let before = fs::metadata("/dev/null").expect("there");
    let names = below(Path::new("/dev"));
    let stage = Stage::new();
    let root = stage.enter();
    assert_eq!(said(&root, "echo $SYSTEMD_OFFLINE $PPID; hostname; pwd; umask; ls /dev | tr '\\n' ' '"), {
        "1 1\nlocalhost\n/run/ostler-build\n0022\nfd full null ptmx pts random shm stderr stdin stdout tty urandom zero"
    });
    said(
        &root,
        "rm /dev/zero; chmod 600 /dev/null; mknod /dev/sda b 8 0; echo x >/dev/shm/x; test -c /dev/pts/ptmx; script -qc true /dev/null",
    );
    for refused in ["echo 1 >/proc/sys/vm/drop_caches", "echo 0 >/proc/sys/net/ipv4/ip_forward", "mkdir /sys/x", "date -s 2001-01-01"] {
        assert!(!ran(&root, refused).status.success(), "{refused}");
    }
    assert_eq!(ran(&root, "/usr/sbin/policy-rc.d ssh start").status.code(), Some(101), "no service is started");
    assert_eq!(
        said(&root, "cat /proc/1/comm; grep -zcl 'image[-]' /proc/[0-9]*/cmdline"),
        "ostler\n/proc/1/cmdline",
        "this test is not seen"
    );
    root.leave().expect("left");
    let after = fs::metadata("/dev/null").expect("there");
    assert_eq!((before.rdev(), before.mode(), before.ino()), (after.rdev(), after.mode(), after.ino()));
    assert_eq!(below(Path::new("/dev")).len(), names.len());
    assert_eq!(stage.written(), Vec::<String>::new());
}

#[test]
fn forty_layers_of_any_name_lie_on_one_another() {
    let mut stage = Stage::new();
    for number in 0..40 {
        let layer = stage.dir.path().join(format!("a layer, with: {}\\ {number}", "long-".repeat(30)));
        fs::create_dir_all(layer.join("srv")).expect("made");
        fs::write(layer.join("srv/top"), number.to_string()).expect("written");
        fs::write(layer.join(format!("srv/{number}")), "").expect("written");
        stage.spec.layers.push(layer);
    }
    let root = stage.enter();
    assert_eq!(said(&root, "cat /srv/top; echo; ls /srv | wc -l"), "39\n41");
    root.leave().expect("left");
    stage.spec.upper = None;
    let root = stage.enter();
    assert_eq!(said(&root, "cat /srv/top"), "39");
    assert!(!ran(&root, "echo x >/srv/top").status.success(), "it can only be read");
    root.leave().expect("left");
    stage.assert_over();
}

#[test]
fn hard_links_survive_that_one_of_them_is_written_also_in_the_next_layer() {
    let mut stage = Stage::new();
    let below = stage.dir.path().join("below");
    fs::create_dir_all(below.join("srv/deep/er")).expect("made");
    fs::write(below.join("srv/a"), "old").expect("written");
    for name in ["srv/b", "srv/deep/er/c"] {
        fs::hard_link(below.join("srv/a"), below.join(name)).expect("linked");
    }
    fs::write(below.join("srv/other"), "x").expect("written");
    fs::hard_link(below.join("srv/other"), below.join("srv/another")).expect("linked");
    stage.spec.layers.push(below);
    let root = stage.enter();
    said(&root, "echo new >/srv/deep/er/c");
    assert_eq!(said(&root, "cat /srv/a; stat -c %h /srv/b"), "new\n3");
    root.leave().expect("left");
    assert_eq!(stage.written(), ["srv", "srv/a", "srv/b", "srv/deep", "srv/deep/er", "srv/deep/er/c"], "and no other file");
    // As the next build sees it.
    let mut next = Stage::new();
    next.spec.layers = stage.spec.layers.clone();
    next.spec.layers.push(stage.dir.path().join("upper"));
    let root = next.enter();
    let same = "cat /srv/a /srv/b; test /srv/a -ef /srv/b; echo newer >/srv/a; cat /srv/deep/er/c";
    assert_eq!(said(&root, same), "new\nnew\nnewer");
    root.leave().expect("left");
}

#[test]
fn a_bare_root_is_its_layers_and_nothing_else() {
    let mut stage = Stage::new();
    stage.spec.bare = true;
    let root = stage.enter();
    assert_eq!(said(&root, "ls /proc /sys /run | wc -w; ls /usr/sbin/policy-rc.d 2>/dev/null; pwd"), "4\n/");
    let seen = root.tree();
    assert_eq!(fs::read(seen.join("etc/os-release")).expect("seen"), fs::read(debian().tree.join("etc/os-release")).expect("there"));
    assert!(!seen.join("etc/dpkg/dpkg.cfg.d/ostler-image").exists());
    root.leave().expect("left");
    stage.assert_over();
}

#[test]
fn what_cannot_be_entered_leaves_nothing() {
    let told = |change: &dyn Fn(&mut Stage)| {
        let mut stage = Stage::new();
        change(&mut stage);
        let error = Root::enter(&stage.spec, &stage.setup()).expect_err("refused").to_string();
        stage.assert_over();
        assert_eq!(stage.written(), Vec::<String>::new());
        error
    };
    let bind = |from: &str, to: &str| Bind { from: from.into(), to: to.into(), read_only: true };
    assert!(told(&|stage| stage.spec.layers.push("/no/such/layer".into())).starts_with("set up the root tree: mount the layers on "));
    // After all else has been mounted: a directory on a file of the tree.
    let late = told(&|stage| stage.spec.binds.push(bind("/etc", "/etc/os-release")));
    assert!(late.starts_with("set up the root tree: bind over /etc/os-release"), "{late}");
    assert!(told(&|stage| stage.spec.binds.push(bind("/etc", "/a/../../etc"))).starts_with("nothing can be bound over"));
    assert_eq!(told(&|stage| stage.spec.binds.push(bind("/no/such", "/srv"))), "bind /no/such");
    assert_eq!(told(&|stage| stage.spec.layers.clear()), "a root tree without a layer");
    let stage = Stage::new();
    let setup = ostler::image::root::RootSetup { program: "/bin/false".into(), ..stage.setup() };
    let ended = Root::enter(&stage.spec, &setup).expect_err("no first process").to_string();
    assert!(ended.starts_with("the root tree is not there any more"), "{ended}");
    stage.assert_over();
}

#[tokio::test]
async fn a_link_carries_commands_files_and_their_ends() {
    let stage = Stage::new();
    let root = stage.enter();
    let link = root.link();
    let shell = |script: &str| CommandLine::from_words(["sh", "-c", script]).expect("words");
    let mut exec = link.exec(&shell("cat; echo late >&2; exit 7")).await.expect("started");
    let sent = vec![b'x'; 3 << 20];
    let (input, output) = (&mut exec.stdin, &mut exec.stdout);
    let write = async {
        input.write_all(&sent).await.expect("taken");
        input.shutdown().await.expect("its end is said");
    };
    let ((), got) = tokio::join!(write, async { read_bounded(output, 8 << 20).await.expect("read") });
    assert!(got == sent, "{} bytes", got.len());
    let ended = exec.ended.await;
    assert_eq!((ended.exit, ended.stderr.text()), (Exit::Status(7), "late\n".to_owned()));
    for (script, exit) in [("kill -9 $PPID", Exit::Signal("KILL".to_owned())), ("/no/such", Exit::Status(127))] {
        let exec = link.exec(&shell(script)).await.expect("started");
        assert_eq!(exec.ended.await.exit, exit, "{script}");
    }
    place_file(&*link, &Placement { path: ".cache/x/file", bytes: &sent, packed: None, mode: 0o700 }).await.expect("placed");
    let mut exec = link.exec(&shell("wc -c <.cache/x/file")).await.expect("started");
    let mut said = String::new();
    exec.stdout.read_to_string(&mut said).await.expect("read");
    assert_eq!(said.trim(), sent.len().to_string());
    // A command that goes on when the root is left is cut, and the link with it.
    let exec = link.exec(&shell("sleep 1000")).await.expect("started");
    tokio::task::spawn_blocking(move || root.leave()).await.expect("joined").expect("left");
    assert!(matches!(exec.ended.await.exit, Exit::Cut(_) | Exit::Signal(_)));
    assert!(link.exec(&shell("true")).await.is_err());
    assert_eq!(stage.written(), Vec::<String>::new());
}

#[tokio::test]
async fn the_agent_is_met_in_a_root_and_stays_in_none() {
    let stage = Stage::new().bound("/var/lib/ostler");
    let root = stage.enter();
    let agent = AgentFile::embedded().expect("built with its agent");
    let identity = Identity { node: NodeName::parse("image").expect("a name"), login: "root".to_owned(), r#become: None };
    let password = Password::new(Some(Secret::new(String::new())), Box::new(|_, _| Box::pin(std::future::ready(None))));
    for placed in [true, false] {
        let met = meet(&*root.link(), agent, &identity, &[], &password, &RunMask::default()).await.expect("met");
        assert_eq!(met.placed, placed);
    }
    tokio::task::spawn_blocking(move || root.leave()).await.expect("joined").expect("left");
    assert_eq!(stage.written(), Vec::<String>::new());
    stage.assert_over();
}

#[test]
fn a_resolver_or_hosts_file_of_the_tree_is_the_roles_to_write() {
    let mut stage = Stage::new();
    let layer = stage.dir.path().join("linked");
    fs::create_dir_all(layer.join("etc")).expect("made");
    symlink("../run/systemd/resolve/stub-resolv.conf", layer.join("etc/resolv.conf")).expect("linked");
    stage.spec.layers.push(layer);
    let root = stage.enter();
    let script =
        "echo 127.0.0.1 me >/etc/hosts.new; mv /etc/hosts.new /etc/hosts; echo nameserver 10.0.0.1 >/etc/r; mv /etc/r /etc/resolv.conf";
    said(&root, script);
    root.leave().expect("left");
    assert_eq!(stage.written(), ["etc", "etc/hosts", "etc/resolv.conf"]);
}
