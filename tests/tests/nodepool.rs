//! Image builds by a real nodepool-builder 11 with a real ZooKeeper over TLS; the provider is nodepool's own fake.

#[path = "nodepool/real.rs"]
mod real;
#[path = "nodepool/zuul.rs"]
mod zuul;

use ostler_tests::nodepool::{DiskImage, Rig, data, processes_of};
use ostler_tests::program::ostler;

/// Every file of a build in the formats qcow2 and raw.
fn files_of(image: &str, id: &str) -> Vec<String> {
    ["d", "qcow2", "qcow2.md5", "qcow2.sha256", "raw", "raw.md5", "raw.sha256"].map(|suffix| format!("{image}-{id}.{suffix}")).to_vec()
}

#[test]
fn a_script_that_keeps_the_contract_is_all_that_the_stanza_of_the_page_wants() {
    let script = data("dib-cmd").display().to_string();
    let rig = Rig::start(&[DiskImage::of_page("docs/guide/images-nodepool.md", "ubuntu-noble", &script)], true);
    let build = rig.first("ubuntu-noble", "ready", Some("ready"));
    assert_eq!(build.formats, ["qcow2", "raw"]);
    assert_eq!(build.uploads[0].format.as_deref(), Some("qcow2"));
    assert_eq!(rig.files(), files_of("ubuntu-noble", &build.id));
    let log = rig.log_of("ubuntu-noble", &build);
    assert_eq!(log, "building noble, release 'noble', for ubuntu-noble\nExit code: 0\n");
    let ran = rig.log().lines().find_map(|line| Some(line.split_once("Running ")?.1.to_owned())).unwrap_or_default();
    let out = rig.images().join(format!("ubuntu-noble-{}", build.id));
    let words = |formats: &str| {
        format!("{script} -x -t {formats} --checksum --no-tmpfs --qemu-img-options 'compat=0.10' -o {} noble", out.display())
    };
    assert!([words("qcow2,raw"), words("raw,qcow2")].contains(&ran), "{ran}");
    let listed = rig.nodepool(&["image-list"]);
    assert!(listed.contains(&build.id) && listed.contains("ready"), "{listed}");
}

#[test]
fn a_build_that_failed_is_failed_with_its_card_in_the_log_and_nothing_is_left() {
    // No cleanup: what is not there was never there.
    let rig = Rig::start(&[DiskImage::new("noble").by(&format!("{} image dib", ostler().display())).formats(&["vhd"])], false);
    let build = rig.first("noble", "failed", None);
    rig.pause("noble");
    let log = rig.log_of("noble", &build);
    assert_eq!(
        log,
        "error: format `vhd` is not made\n  try: ask for raw, and let `qemu-img convert -O vpc` follow\nExit code: 2\n",
        "{}",
        rig.log()
    );
    assert_eq!(rig.files(), [""; 0]);
}

#[test]
fn a_build_that_ran_into_its_timeout_is_failed_and_what_it_left_goes() {
    let rig = Rig::start(&[DiskImage::new("endless").with("build-timeout: 1")], true);
    let build = rig.first("endless", "failed", None);
    rig.pause("endless");
    assert!(!rig.log_of("endless", &build).contains("Exit code"), "{}", rig.log_of("endless", &build));
    assert!(rig.log().contains(&format!("Build timeout for image endless, build {} ", build.id)), "{}", rig.log());
    // A killed build takes nothing back; its one file, `NAME-ID.part`, has a name that the builder's cleanup knows.
    rig.until("endless", "its files are gone, and its processes", |builds| {
        builds.is_empty() && rig.files().is_empty() && processes_of(&rig.images()).is_empty()
    });
}

#[test]
fn two_builds_are_kept_and_an_old_one_goes_with_all_its_files() {
    let rig = Rig::start(&[DiskImage::new("noble")], true);
    let first = rig.first("noble", "ready", Some("ready"));
    let mut ready = vec![first.id.clone()];
    while ready.len() < 3 {
        rig.request("noble");
        let all = rig.until("noble", "another build is ready, and uploaded", |builds| {
            let new = builds.iter().find(|build| !ready.contains(&build.id) && build.state == "ready");
            new.is_some_and(|build| build.uploads.iter().any(|upload| upload.state == "ready"))
        });
        ready.extend(all.iter().map(|build| build.id.clone()).filter(|id| !ready.contains(id)).collect::<Vec<_>>());
    }
    rig.until("noble", "the first build is forgotten", |builds| builds.iter().all(|build| build.id != first.id));
    rig.until("noble", "its files are gone", |_| rig.files().iter().all(|name| !name.contains(&first.id)));
    let mut kept: Vec<String> = ready[1..].iter().flat_map(|id| files_of("noble", id)).collect();
    kept.sort();
    assert_eq!(rig.files(), kept);
}
