//! Bases: from an archive of packages, from trees.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ostler::environment::Environment;
use ostler::image::ImageError;
use ostler::image::base::{Base, ensure};
use ostler::image::layers::{Layer, Store};
use ostler_roles::words::Digest;

use super::ground::{below, debian, kept_store};

fn made(store: &Store, base: &Base) -> Result<Vec<Layer>, ImageError> {
    ensure(store, base, &Environment::read(), &|_| {})
}

fn scratch() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("base-").tempdir_in(kept_store().dir()).expect("a directory")
}

/// An archive that passes on what this machine's own has, over http, counts packages, and is gone after so many.
struct Archive {
    address: SocketAddr,
    packages: Arc<AtomicUsize>,
}

impl Archive {
    fn new(upstream: &str, most: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = listener.local_addr().expect("bound");
        let packages = Arc::new(AtomicUsize::new(0));
        let (host, count) = (upstream.to_owned(), Arc::clone(&packages));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (host, count) = (host.clone(), Arc::clone(&count));
                // A client that goes early is apt's affair.
                std::thread::spawn(move || drop(pass(&stream, &host, &count, most)));
            }
        });
        Self { address, packages }
    }
}

/// Passes one request on.
fn pass(client: &TcpStream, host: &str, packages: &AtomicUsize, most: usize) -> std::io::Result<()> {
    let (mut reader, mut head) = (BufReader::new(client), String::new());
    while reader.read_line(&mut head)? > 2 {}
    let is_package = head.lines().next().is_some_and(|line| line.contains(".deb "));
    if is_package && packages.fetch_add(1, Ordering::SeqCst) >= most || packages.load(Ordering::SeqCst) > most {
        return client.shutdown(Shutdown::Both);
    }
    let kept = head.lines().filter(|line| !line.is_empty() && !line.to_ascii_lowercase().starts_with("host:"));
    let kept = kept.filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    let asked = kept.map(|line| format!("{line}\r\n")).collect::<String>() + &format!("Host: {host}\r\nConnection: close\r\n\r\n");
    let port = if host.contains(':') { "" } else { ":80" };
    let mut outer = TcpStream::connect(format!("{host}{port}"))?;
    outer.write_all(asked.as_bytes())?;
    let (mut out, mut bytes) = (client, vec![0; 64 << 10]);
    loop {
        match outer.read(&mut bytes)? {
            0 => return client.shutdown(Shutdown::Both),
            count => out.write_all(&bytes[..count])?,
        }
    }
}

/// Host and path of the archive that this machine uses.
fn upstream() -> (String, String) {
    let sources = fs::read_to_string(debian().tree.join("etc/apt/sources.list")).expect("a base names its archive");
    let address = sources.split_whitespace().find(|word| word.contains("://")).expect("an address").to_owned();
    let rest = address.split_once("://").expect("an address").1;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    (host.to_owned(), path.to_owned())
}

fn from(archive: &Archive, path: &str) -> Base {
    let mirrors = vec![format!("http://{}/{path}", archive.address)];
    Base::Debootstrap { suite: "bookworm".to_owned(), mirrors, components: Vec::new(), head: None }
}

#[test]
fn an_archive_that_vanishes_is_told_and_the_next_build_fetches_only_the_rest() {
    let (dir, (host, path)) = (scratch(), upstream());
    let store = Store::open(&dir.path().join("store")).expect("opened");
    let gone = Archive::new(&host, 20);
    let error = made(&store, &from(&gone, &path)).expect_err("it is gone").to_string();
    assert!(error.contains("mmdebstrap bookworm") && error.contains(&gone.address.to_string()), "its own words: {error}");
    assert_eq!((below(&dir.path().join("store/layers")), store.list().len()), (Vec::new(), 0));
    // What an earlier build fetched is not fetched again.
    for package in fs::read_dir(kept_store().packages()).expect("there").flatten() {
        fs::hard_link(package.path(), store.packages().join(package.file_name())).expect("linked");
    }
    let archive = Archive::new(&host, usize::MAX);
    let layers = made(&store, &from(&archive, &path)).expect("made");
    assert_eq!(archive.packages.load(Ordering::SeqCst), 0, "no package comes a second time");
    let tree = &layers[0].tree;
    let sources = fs::read_to_string(tree.join("etc/apt/sources.list")).expect("there");
    assert_eq!(sources.trim(), format!("deb http://{}/{path} bookworm main", archive.address));
    for of_the_machine in ["etc/resolv.conf", "etc/hostname", "etc/hosts"] {
        assert!(!tree.join(of_the_machine).exists(), "{of_the_machine}");
    }
    assert_eq!(below(&tree.join("var/cache/apt")), ["archives", "archives/partial"]);
    assert_eq!(fs::metadata(tree.join("etc/machine-id")).expect("there").len(), 0);
    // A package of the cache is not changed by what is installed from it.
    assert_eq!(below(&store.packages()).len(), below(&kept_store().packages()).len());
    let again = made(&store, &from(&archive, &path)).expect("there");
    assert_eq!(again[0].key, layers[0].key);
}

#[test]
fn an_archive_that_does_not_answer_and_one_that_has_moved_on_are_refused() {
    let dir = scratch();
    let store = Store::open(&dir.path().join("store")).expect("opened");
    let closed = TcpListener::bind("127.0.0.1:0").expect("bound").local_addr().expect("bound");
    let base =
        |mirror: String, head| Base::Debootstrap { suite: "bookworm".to_owned(), mirrors: vec![mirror], components: Vec::new(), head };
    let refused = made(&store, &base(format!("http://{closed}/debian"), None)).expect_err("nobody is there");
    let ImageError::Refused { what, hint } = &refused else { panic!("{refused}") };
    assert!(what.starts_with("the archives of the base cannot be read: ") && hint.contains(&closed.to_string()), "{what}: {hint}");
    let (host, path) = upstream();
    let moved = made(&store, &base(format!("http://{host}/{path}"), Some(Digest::of(b"then")))).expect_err("moved on").to_string();
    assert!(moved.starts_with("the archives of bookworm are not as they were locked: "), "{moved}");
    assert_eq!(below(&dir.path().join("store/layers")), Vec::<String>::new());
}

/// A system in small, with what a copy may lose.
fn small(at: &Path) {
    for dir in ["etc", "usr/bin", "srv/deep", "proc/1"] {
        fs::create_dir_all(at.join(dir)).expect("made");
    }
    for (file, text) in [("etc/os-release", "ID=debian\n"), ("usr/bin/dpkg", ""), ("srv/a", "text"), ("proc/1/comm", "x")] {
        fs::write(at.join(file), text).expect("written");
    }
    fs::hard_link(at.join("srv/a"), at.join("srv/deep/b")).expect("linked");
    symlink("/etc/os-release", at.join("srv/link")).expect("linked");
    chown(at.join("srv/deep"), Some(1234), Some(4321)).expect("given away");
    let script = "import os,sys; os.setxattr(sys.argv[1]+'/srv/a','security.capability',bytes.fromhex('0100000200200000000000000000000000000000')); \
                  os.setxattr(sys.argv[1]+'/srv','trusted.overlay.opaque',b'y')";
    assert!(Command::new("python3").args(["-c", script]).arg(at).status().expect("python").success());
}

fn assert_small(tree: &Path) {
    let (a, b) = (fs::metadata(tree.join("srv/a")).expect("there"), fs::metadata(tree.join("srv/deep/b")).expect("there"));
    assert_eq!((a.ino(), a.nlink()), (b.ino(), 2));
    let deep = fs::metadata(tree.join("srv/deep")).expect("there");
    assert_eq!((deep.uid(), deep.gid()), (1234, 4321));
    assert_eq!(fs::read_link(tree.join("srv/link")).expect("a link"), Path::new("/etc/os-release"));
    let script = "import os,sys; print(os.listxattr(sys.argv[1]+'/srv/a'), os.listxattr(sys.argv[1]+'/srv'))";
    let printed = Command::new("python3").args(["-c", script]).arg(tree).output().expect("python").stdout;
    assert_eq!(String::from_utf8_lossy(&printed).trim(), "['security.capability'] []", "and no mark of overlayfs");
    assert_eq!(below(&tree.join("proc")), Vec::<String>::new());
}

#[test]
fn a_tree_is_copied_whole_from_a_directory_and_from_archives_of_each_kind() {
    let dir = scratch();
    let store = Store::open(&dir.path().join("store")).expect("opened");
    let tree = dir.path().join("tree");
    small(&tree);
    let base = Base::Tree { path: tree.clone(), sha256: None };
    let first = made(&store, &base).expect("copied").remove(0);
    assert_small(&first.tree);
    assert_eq!(made(&store, &base).expect("there")[0].key, first.key);
    fs::write(tree.join("srv/new"), "x").expect("written");
    assert_ne!(made(&store, &base).expect("copied")[0].key, first.key, "a changed directory is another base");
    for packer in ["--gzip", "--xz", "--zstd", "--sparse"] {
        let archive = dir.path().join(format!("archive{packer}"));
        let mut tar = Command::new("tar");
        tar.args(["--create", packer, "--xattrs", "--xattrs-include=*", "--file"]).arg(&archive).arg("--directory").arg(&tree).arg(".");
        assert!(tar.status().expect("tar").success());
        let digest = Digest::of(&fs::read(&archive).expect("read"));
        let base = |sha256| Base::Tree { path: archive.clone(), sha256: Some(sha256) };
        let before = store.list().len();
        let wrong = made(&store, &base(Digest::of(b"wrong"))).expect_err("refused");
        let ImageError::Refused { what, .. } = &wrong else { panic!("{wrong}") };
        assert!(what.contains(&digest.to_string()) && store.list().len() == before, "{what}");
        assert_small(&made(&store, &base(digest)).expect("unpacked")[0].tree);
    }
    let kept = Base::Image { layers: vec![first.key] };
    assert_eq!(made(&store, &kept).expect("there")[0].tree, first.tree);
    let lost = made(&store, &Base::Image { layers: vec![Digest::of(b"none")] }).expect_err("lost").to_string();
    assert!(lost.contains("is not there any more"), "{lost}");
}

#[test]
fn what_is_no_base_is_refused_with_what_to_do_and_leaves_nothing() {
    let dir = scratch();
    let store = Store::open(&dir.path().join("store")).expect("opened");
    let refused = |change: &dyn Fn(&Path)| {
        let tree = dir.path().join("tree");
        small(&tree);
        change(&tree);
        let error = made(&store, &Base::Tree { path: tree.clone(), sha256: None }).expect_err("refused");
        fs::remove_dir_all(&tree).expect("removed");
        assert_eq!(below(&dir.path().join("store/layers")), Vec::<String>::new());
        error.to_string()
    };
    assert!(
        refused(&|tree| fs::remove_file(tree.join("etc/os-release")).expect("removed"))
            .ends_with("is no system: it has no /etc/os-release")
    );
    assert!(refused(&|tree| fs::remove_file(tree.join("usr/bin/dpkg")).expect("removed")).contains("neither Debian nor Ubuntu"));
    let labelled = |tree: &Path| {
        fs::create_dir_all(tree.join("etc/selinux")).expect("made");
        fs::write(tree.join("etc/selinux/config"), "SELINUX=enforcing\n").expect("written");
    };
    assert!(refused(&labelled).contains("uses SELinux"));
    let cut = dir.path().join("cut.tar.gz");
    fs::write(&cut, [0x1f, 0x8b, 8, 0, 0, 0]).expect("written");
    let error = made(&store, &Base::Tree { path: cut, sha256: None }).expect_err("cut").to_string();
    assert!(error.contains("unexpected end of file"), "{error}");
    assert_eq!(below(&dir.path().join("store/layers")), Vec::<String>::new());
}
