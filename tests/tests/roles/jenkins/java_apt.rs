//! Java from an apt source of its own, which is signed by a key that no node has.

use super::*;
use std::path::Path;
use std::process::Command;

/// Makes a signed archive in `java`, with a package whose program says a version, and the armored key that signed it beside it.
const ARCHIVE: &str = r#"
mkdir -m 700 home; export GNUPGHOME=$PWD/home
trap 'gpgconf --kill all' EXIT
gpg --batch --quiet --passphrase '' --quick-gen-key 'Java <java@test.invalid>' ed25519 sign never 2>/dev/null
gpg --armor --export > key
mkdir -p tree/DEBIAN tree/usr/bin java/pool java/dists/stable/main/binary-amd64
printf 'Package: test-jre\nVersion: 21.1\nArchitecture: all\nMaintainer: A <a@b.invalid>\nDescription: stands in for Java\n' > tree/DEBIAN/control
printf '#!/bin/sh\necho openjdk version 21 >&2\n' > tree/usr/bin/java; chmod 755 tree/usr/bin/java
dpkg-deb --root-owner-group --build tree java/pool/test-jre_21.1_all.deb >/dev/null
cd java
apt-ftparchive packages pool > dists/stable/main/binary-amd64/Packages
apt-ftparchive -o APT::FTPArchive::Release::Suite=stable -o APT::FTPArchive::Release::Components=main \
  -o APT::FTPArchive::Release::Architectures=amd64 release dists/stable > ../Release
gpg --batch --quiet --clearsign --output dists/stable/InRelease ../Release
"#;

fn archive(directory: &Path) -> String {
    let made = Command::new("sh").args(["-euc", ARCHIVE]).current_dir(directory).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    std::fs::read_to_string(directory.join("key")).unwrap()
}

#[test]
fn a_jenkins_agent_has_its_java_from_a_signed_source_of_its_own() {
    let made = tempfile::tempdir().unwrap();
    let key: String = archive(made.path()).lines().map(|line| format!("        {line}\n")).collect();
    let vars = format!(
        "vars:
  job-user: {{authorized_keys: [\"{{{{ secret.launch | public_half }}}}\"]}}
  jenkins-agent:
    master: ci
    credential: launch-key
    labels: [debian]
    java_version: 21
    java_apt:
      uri: \"http://10.78.0.1:8088/java\"
      suite: stable
      package: test-jre
      key: |
{key}"
    );
    let nodes = "nodes:\n  n1: {host: 10.78.0.11, roles: [jenkins-agent]}\n";
    let site = Site::up(&format!("{SSH}{JENKINS}{vars}"), nodes, [node("n1", 11)]);
    let served = Command::new("cp").arg("-r").args([made.path().join("java"), site.lab().www().to_owned()]).status().unwrap();
    assert!(served.success());
    // The lab's gateway for packages knows no archive of ours.
    site.sh("n1", "echo 'Acquire::http::Proxy::10.78.0.1 \"DIRECT\";' > /etc/apt/apt.conf.d/90direct");
    let (model, _door) = jenkins(&site);
    model.state().hosts[0].java = 21;
    let first = site.apply();
    first.good();
    let own = [
        &launch_key(&site),
        "directory /etc/apt/keyrings",
        "file /etc/apt/keyrings/jenkins-agent-java.asc",
        "file /etc/apt/sources.list.d/jenkins-agent-java.sources",
        "package test-jre",
        "directory /home/jenkins/workspaces",
    ];
    let changed = first.changed("n1");
    let missing: Vec<_> = own[2..].iter().filter(|wanted| !changed.iter().any(|one| one == *wanted)).collect();
    assert!(missing.is_empty() && changed.contains(&own[0].to_owned()), "{missing:?}: {}", first.told());
    assert_eq!(first.proofs("n1"), ["login jenkins", "command java-runs"]);
    assert_eq!(
        site.sh("n1", "runuser -u jenkins -- java -version 2>&1; dpkg-query -W -f '${Version}' test-jre"),
        "openjdk version 21\n21.1"
    );
    assert_eq!(model.state().nodes["n1"].label, "debian");
    site.apply().nothing_to_do();
    // Signed by another key it is no source, also within the second in which the lists were read last.
    let other = tempfile::tempdir().unwrap();
    archive(other.path());
    site.sh("n1", "apt-get remove -qq -y test-jre >/dev/null 2>&1; rm -r /var/lib/apt/lists/*java* /etc/apt/sources.list.d/jenkins-agent-java.sources");
    std::fs::copy(other.path().join("java/dists/stable/InRelease"), site.lab().www().join("java/dists/stable/InRelease")).unwrap();
    let refused = site.apply();
    // What kept apt from finding it is told, and not its name alone.
    let why: String = refused.failed("n1").into_iter().map(|(_, why)| why).collect();
    assert!(refused.exit == 1 && why.contains("the package lists could not be read anew"), "{}", refused.told());
    assert_eq!(site.sh("n1", "dpkg-query -W -f '${db:Status-Abbrev}' test-jre 2>/dev/null | grep -c ii || true"), "0");
}
