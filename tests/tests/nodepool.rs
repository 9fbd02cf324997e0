//! Image builds by a real nodepool-builder 11 with a real ZooKeeper over TLS; the provider is nodepool's own fake.

use ostler_tests::nodepool::{DiskImage, Rig};

/// Every file of a build in the formats qcow2 and raw.
fn files_of(image: &str, id: &str) -> Vec<String> {
    ["d", "qcow2", "qcow2.md5", "qcow2.sha256", "raw", "raw.md5", "raw.sha256"].map(|suffix| format!("{image}-{id}.{suffix}")).to_vec()
}

#[test]
fn a_script_that_keeps_the_contract_is_all_that_nodepool_wants() {
    let rig = Rig::start(&[DiskImage::new("noble").with("release: noble")], true);
    let build = rig.first("noble", "ready", Some("ready"));
    assert_eq!(build.formats, ["qcow2", "raw"]);
    assert_eq!(build.uploads[0].format.as_deref(), Some("qcow2"));
    assert_eq!(rig.files(), files_of("noble", &build.id));
    let log = rig.log_of("noble", &build);
    assert_eq!(log, "building noble, release 'noble', for noble\nExit code: 0\n");
    assert!(rig.log().contains("-x -t "), "{}", rig.log());
    let listed = rig.nodepool(&["image-list"]);
    assert!(listed.contains(&build.id) && listed.contains("ready"), "{listed}");
}
