//! Cases.

use super::*;
use crate::environment::Variables;
use std::process::Command;

fn variables(all: &[(&str, &str)]) -> Variables {
    all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn asked(formats: &[&str], out: &Path, elements: &[&str]) -> Asked {
    let words = |all: &[&str]| all.iter().map(|word| (*word).to_owned()).collect();
    Asked { formats: words(formats), out: Some(out.to_owned()), elements: words(elements), ..Asked::default() }
}

fn refused(asked: &Asked, all: &[(&str, &str)]) -> (String, String) {
    match DibRequest::read(asked, &variables(all)) {
        Err(ImageError::Refused { what, hint }) => (what, hint),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_the_builder_asks_for_is_read_whole() {
    let asked = Asked {
        trace: 1,
        has_checksum: true,
        qemu_img_options: Some("compat=0.10".to_owned()),
        ..asked(&["raw", "qcow2", "raw"], Path::new("/srv/images/noble-0f.1"), &["noble"])
    };
    let environment = variables(&[
        ("DIB_RELEASE", "noble"),
        ("DIB_IMAGE_NAME", "ubuntu-noble"),
        ("DIB_IMAGE_FILENAME", "/srv/images/noble-0f.1"),
        ("DIB_IMAGE_CACHE", "/opt/cache"),
        ("DIB_CLOUD_IMAGES", "https://images.example.org"),
        ("TMPDIR", "/opt/tmp"),
    ]);
    let request = DibRequest::read(&asked, &environment).unwrap();
    let wanted = DibRequest {
        image: "noble".to_owned(),
        formats: vec![Format::Qcow2, Format::Raw],
        out: "/srv/images/noble-0f.1".into(),
        has_checksum: true,
        compat: Compat::Old,
        is_compressed: true,
        release: Some("noble".to_owned()),
        known_as: Some("ubuntu-noble".to_owned()),
        cache: Some("/opt/cache".into()),
        trace: 1,
        unread: vec!["DIB_CLOUD_IMAGES".to_owned()],
    };
    assert_eq!(request, wanted);
    let suffixes = ["qcow2", "qcow2.md5", "qcow2.sha256", "raw", "raw.md5", "raw.sha256"];
    assert_eq!(request.files(), suffixes.map(|suffix| PathBuf::from(format!("/srv/images/noble-0f.1.{suffix}"))));
    assert_eq!(request.part(), Path::new("/srv/images/noble-0f.1.part"));
}

#[test]
fn without_a_word_more_it_is_as_with_disk_image_create() {
    let request = DibRequest::read(&asked(&[], Path::new("image.qcow2"), &["noble"]), &variables(&[("DIB_RELEASE", "")])).unwrap();
    let here = std::env::current_dir().unwrap();
    assert_eq!((request.formats.as_slice(), request.out.clone()), (&[Format::Qcow2][..], here.join("image")));
    assert_eq!((request.release.clone(), request.compat, request.has_checksum), (None, Compat::New, false));
    assert_eq!(request.files(), [here.join("image.qcow2")]);
    let both = DibRequest::read(&asked(&["raw", "tar"], Path::new("image.raw"), &["noble"]), &variables(&[("DIB_CHECKSUM", "1")])).unwrap();
    assert_eq!((both.image(Format::Tar), both.has_checksum), (here.join("image.raw.tar"), true));
}

#[test]
fn what_is_not_done_is_refused_by_name_all_at_once() {
    let mut wrong = asked(&["vhd", "qcow2", "vmdk"], Path::new("/srv/noble"), &["vm", "ubuntu-minimal"]);
    wrong.refused = vec!["-p", "--mkfs-options"];
    wrong.architecture = Some("s390x".to_owned());
    wrong.qemu_img_options = Some("compat=0.10,preallocation=full".to_owned());
    let (what, hint) = refused(&wrong, &[("DIB_OFFLINE", "1"), ("DIB_IMAGE_SIZE", "0")]);
    assert_eq!(
        what,
        format!(
            "`-p` is not for image builds; `--mkfs-options` is not for image builds; `DIB_OFFLINE` is not for image builds; \
             `-a s390x`: this machine builds {} alone; format `vhd` is not made; format `vmdk` is not made; \
             `--qemu-img-options preallocation=full` is not for image builds; `vm`, `ubuntu-minimal` are several elements",
            if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" }
        )
    );
    assert!(hint.contains("`- package: {install: [git]}`") && hint.contains("qemu-img convert -O vpc"), "{hint}");
    assert_eq!(refused(&asked(&[], Path::new("x"), &[]), &[]).0, "no image is named");
    assert_eq!(refused(&asked(&[], Path::new("x"), &["elements/vm"]), &[]).0, "`elements/vm` is no name of an image");
    assert_eq!(refused(&asked(&[], Path::new("/srv/images/"), &["noble"]), &[]).0, "`-o /srv/images/` names no file");
}

/// What `disk-image-create --help` of 3.43 lists; `--image-extra-size` and `--mkfs-journal-size` it refuses all the same.
const DOCUMENTED: &str = "-a -o -t -x -u -c --logfile --checksum --image-size --image-extra-size --image-cache --max-online-resize --min-tmpfs \
    --mkfs-journal-size --mkfs-options --no-tmpfs --offline --qemu-img-options --root-label --ramdisk-element --install-type --docker-target -n \
    -p -h --help --version";

#[test]
fn every_option_of_disk_image_create_is_of_one_kind() {
    let known: Vec<&str> = [HONOURED, REFUSED, HARMLESS].concat().iter().map(|(name, _)| *name).collect();
    let each: std::collections::BTreeSet<&str> = known.iter().copied().collect();
    assert_eq!(each.len(), known.len());
    let options: std::collections::BTreeSet<&str> = each.into_iter().filter(|name| name.starts_with('-')).collect();
    assert_eq!(options, DOCUMENTED.split_whitespace().collect());
}

#[test]
fn every_option_of_disk_image_create_is_an_argument() {
    use clap::CommandFactory as _;
    let ostler = crate::cli::Cli::command();
    let dib = ostler.find_subcommand("image").and_then(|image| image.find_subcommand("dib")).unwrap();
    let names: Vec<String> = dib
        .get_arguments()
        .flat_map(|argument| {
            let long = argument.get_long().map(|long| format!("--{long}"));
            [argument.get_short().map(|short| format!("-{short}")), long].into_iter().flatten()
        })
        .collect();
    // The last three are clap's own.
    for option in DOCUMENTED.split_whitespace().filter(|option| !["-h", "--help", "--version"].contains(option)) {
        assert!(names.iter().any(|name| name == option), "{option}");
    }
}

#[test]
fn the_site_is_the_first_directory_of_elements_that_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let [elements, one, two] = ["elements", "one", "two"].map(|name| dir.path().join(name));
    for path in [&elements, &one, &two] {
        fs::create_dir(path).unwrap();
    }
    let path = std::env::join_paths([&elements, &one, &two]).unwrap().into_string().unwrap();
    assert_eq!(site(&variables(&[("ELEMENTS_PATH", &path)])), None);
    fs::write(two.join("ostler.yaml"), "").unwrap();
    assert_eq!(site(&variables(&[("ELEMENTS_PATH", &path)])), Some(two.clone()));
    fs::write(one.join("ostler.yaml"), "").unwrap();
    assert_eq!(site(&variables(&[("ELEMENTS_PATH", &path)])), Some(one));
}

/// A request for qcow2 and raw with their sums, below this directory.
fn request(directory: &Path) -> DibRequest {
    let asked = Asked { has_checksum: true, ..asked(&["qcow2", "raw"], &directory.join("noble-0f"), &["noble"]) };
    DibRequest::read(&asked, &Variables::default()).unwrap()
}

/// Runs a real child that makes files.
fn child(request: &DibRequest, script: &str) -> Result<(), ImageError> {
    let mut shell = Command::new("sh");
    let status = shell.args(["-euc", script]).env("out", &request.out).status().map_err(ImageError::system("run sh"))?;
    if status.success() { Ok(()) } else { Err(ImageError::refused("the steps of base did not come through", "look at them")) }
}

const WHOLE: &str = r#"for format in qcow2 raw; do
    echo data >"$out.part"; mv "$out.part" "$out.$format"
    md5sum "$out.$format" >"$out.$format.md5"; sha256sum "$out.$format" >"$out.$format.sha256"
done
mkdir "$out.d"; echo manifest >"$out.d/packages""#;

fn left(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn files_that_are_all_there_are_the_builders() {
    let dir = tempfile::tempdir().unwrap();
    let request = request(dir.path());
    let is_root = rustix::process::geteuid().is_root();
    let owner = if is_root { 23_456 } else { fs::metadata(dir.path()).unwrap().uid() };
    if is_root {
        lchown(dir.path(), Some(owner), Some(owner)).unwrap();
    }
    assert_eq!(deliver(&request, |request| child(request, WHOLE)).unwrap(), request.files());
    for path in request.files().iter().chain([&request.manifests(), &request.manifests().join("packages")]) {
        assert_eq!(fs::symlink_metadata(path).unwrap().uid(), owner, "{}", path.display());
    }
}

#[test]
fn a_build_that_failed_leaves_nothing_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let request = request(dir.path());
    fs::write(dir.path().join("noble-0e.raw"), "another build's").unwrap();
    for end in ["exit 1", "echo half >\"$out.part\"; exit 1"] {
        let failed = deliver(&request, |request| child(request, &format!("{WHOLE}\n{end}"))).unwrap_err();
        assert_eq!(failed.to_string(), "the steps of base did not come through");
        assert_eq!(left(dir.path()), ["noble-0e.raw"]);
    }
}

#[test]
fn a_build_that_owes_a_file_has_failed_however_it_ended() {
    let dir = tempfile::tempdir().unwrap();
    let request = request(dir.path());
    for (spoilt, why) in [
        ("rm \"$out.raw\"", "find what the build owes, "),
        ("rm \"$out.qcow2.sha256\"", "find what the build owes, "),
        (": >\"$out.raw.md5\"", "is empty, or no file"),
        ("ln -sf /dev/zero \"$out.raw\"", "is empty, or no file"),
    ] {
        let failed = deliver(&request, |request| child(request, &format!("{WHOLE}\n{spoilt}"))).unwrap_err();
        assert!(failed.to_string().contains(why), "{spoilt}: {failed}");
        assert_eq!(left(dir.path()), [""; 0], "{spoilt}");
    }
}

#[test]
fn a_file_that_is_there_already_stays_and_nothing_is_built() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("noble-0f.raw"), "somebody's").unwrap();
    let unbaked = |_: &DibRequest| -> Result<(), ImageError> { panic!("it was baked") };
    let refused = deliver(&request(dir.path()), unbaked).unwrap_err();
    assert!(refused.to_string().ends_with("/noble-0f.raw is there already"), "{refused}");
    assert_eq!(fs::read_to_string(dir.path().join("noble-0f.raw")).unwrap(), "somebody's");
}

#[test]
fn without_its_directory_nothing_is_built() {
    let dir = tempfile::tempdir().unwrap();
    let unbaked = |_: &DibRequest| -> Result<(), ImageError> { panic!("it was baked") };
    let missing = deliver(&request(&dir.path().join("missing")), unbaked).unwrap_err();
    assert!(missing.to_string().starts_with("look at the directory of images "), "{missing}");
    fs::write(dir.path().join("file"), "").unwrap();
    let file = deliver(&request(&dir.path().join("file")), unbaked).unwrap_err();
    assert!(file.to_string().ends_with("/file is no directory"), "{file}");
}

#[test]
fn a_log_is_unread_once_its_reader_or_the_sudo_before_us_is_gone() {
    use std::os::fd::AsFd as _;
    let (read, write) = rustix::pipe::pipe().unwrap();
    let (told, heard) = std::sync::mpsc::channel();
    let watcher = std::thread::spawn(move || told.send(is_unread(write.as_fd(), None)));
    assert_eq!(heard.recv_timeout(std::time::Duration::from_millis(200)), Err(std::sync::mpsc::RecvTimeoutError::Timeout));
    drop(read);
    assert_eq!(heard.recv_timeout(std::time::Duration::from_secs(10)), Ok(true));
    watcher.join().unwrap().unwrap();
    assert!(!is_unread(tempfile::tempfile().unwrap().as_fd(), None), "a file is read whenever somebody likes");
    // Its pipe stays open, and it is gone.
    let mut sudo = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    let pid = rustix::process::Pid::from_child(&sudo);
    let process = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
    let (_read, write) = rustix::pipe::pipe().unwrap();
    sudo.kill().unwrap();
    assert!(is_unread(write.as_fd(), Some(process.as_fd())));
    sudo.wait().unwrap();
}
