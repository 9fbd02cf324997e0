//! Key pairs of the lab: one for its user, one for each node, and the known_hosts that names them.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::{Ed25519Keypair, PrivateKey};

use super::error::LabError;
use super::paths::{LabPaths, write_private};
use super::spec::LabSpec;

/// Writes a fresh key pair: `path` (0600, OpenSSH format) and `path.pub`. Returns the public line.
pub(crate) fn generate(path: &Path, comment: &str) -> Result<String, LabError> {
    let broken = |error: russh::keys::ssh_key::Error| LabError::Spec(format!("make key {}: {error}", path.display()));
    let random = Path::new("/dev/urandom");
    let mut seed = [0; 32];
    File::open(random).and_then(|mut source| source.read_exact(&mut seed)).map_err(LabError::file("read", random))?;
    let key = PrivateKey::new(Ed25519Keypair::from_seed(&seed).into(), comment).map_err(broken)?;
    let public = key.public_key().to_openssh().map_err(broken)?;
    write_private(path, key.to_openssh(LineEnding::LF).map_err(broken)?.as_bytes())?;
    let public_path = path.with_extension("pub");
    std::fs::write(&public_path, format!("{public}\n")).map_err(LabError::file("write", &public_path))?;
    Ok(public)
}

/// Returns a path as one word of ssh_config(5), where `%` begins a token. Quotes have no place in a state directory's path.
fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display().to_string().replace('%', "%%"))
}

/// Writes every key of a lab, its `known_hosts` and its `ssh_config`.
pub(crate) fn write_all(place: &LabPaths, spec: &LabSpec) -> Result<(), LabError> {
    generate(&place.private_key(), "lab")?;
    let mut known = String::new();
    let mut config = format!(
        "Host *\n  IdentityFile {}\n  IdentitiesOnly yes\n  UserKnownHostsFile {}\n  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n",
        quoted(&place.private_key()),
        quoted(&place.known_hosts())
    );
    for node in &spec.nodes {
        let line = generate(&place.host_key(&node.name), &node.name)?;
        let bare = line.split(' ').take(2).collect::<Vec<_>>().join(" ");
        known.push_str(&format!("{},{} {bare}\n", node.name, node.address));
        config.push_str(&format!("Host {}\n  HostName {}\n  User admin\n  HostKeyAlias {}\n", node.name, node.address, node.name));
    }
    let (known_path, config_path) = (place.known_hosts(), place.ssh_config());
    std::fs::write(&known_path, known).map_err(LabError::file("write", &known_path))?;
    std::fs::write(&config_path, config).map_err(LabError::file("write", &config_path))
}
