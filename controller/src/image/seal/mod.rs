//! What makes an image nobody in particular: identity, logs and traces of the build taken out, and looked for.

mod builder;
mod check;
mod first_boot;
mod rules;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;

use rustix::fs::FileType;

use super::error::ImageError;
use super::tree::Tree;

pub use super::remains::Remains;
pub use builder::Builder;
pub use check::check;

/// Whether something stays in the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stay {
    /// It is taken out.
    #[default]
    Drop,
    /// It stays.
    Keep,
}

/// What an image says of its sealing, and what is to be looked for.
#[derive(Clone, Default)]
pub struct SealOptions {
    /// The machine that builds.
    pub builder: Builder,
    /// Lists of apt's.
    pub apt_lists: Stay,
    /// Packages in apt's cache.
    pub apt_archives: Stay,
    /// More paths to take out; `*` stands for any part of one name.
    pub paths: Vec<String>,
    /// Values that must be nowhere: the site's secrets, and what the build alone used (the address of its proxy).
    pub secrets: Vec<Vec<u8>>,
    /// Whether private keys of ssh may be baked.
    pub private_keys: Stay,
}

impl fmt::Debug for SealOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealOptions {{ paths: {:?}, {} secrets, .. }}", self.paths, self.secrets.len())
    }
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sealed {
    /// Paths taken out.
    pub removed: Vec<String>,
    /// Logs emptied.
    pub emptied: usize,
    /// Secrets too short to be looked for: any tree has them somewhere.
    pub unsearched: usize,
}

/// Of `/etc/hosts`, where the tree has none or the builder's: what debian-installer writes, without the machine's own line.
const HOSTS: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";
/// Where open-iscsi finds that the initiator has no name yet, and makes one when it starts (its `startup-checks.sh`).
const INITIATOR: &str = "/etc/iscsi/initiatorname.iscsi";
const UNNAMED: &[u8] = b"GenerateName=yes\n";

/// Takes out what must not be in an image, writes what makes a machine's own at its first boot, and looks whether something remains.
///
/// # Errors
/// When something cannot be taken out, or something remains, which is told.
pub fn seal(tree: &Path, options: &SealOptions) -> Result<Sealed, ImageError> {
    let opened = Tree::open(tree)?;
    let mut sealed = Sealed::default();
    remove(&opened, options, &mut sealed)?;
    machine_id(&opened)?;
    network(&opened, &options.builder, &mut sealed)?;
    certificates(&opened, &mut sealed)?;
    if opened.stat(INITIATOR)?.is_some() {
        opened.write(INITIATOR, UNNAMED, 0o600)?;
    }
    sealed.emptied = logs(&opened, &mut sealed.removed)?;
    first_boot::write(&opened)?;
    sealed.unsearched = check::unsearched(&options.secrets);
    let remains = check(tree, options)?;
    if remains.is_empty() { Ok(sealed) } else { Err(ImageError::Remains(remains)) }
}

fn remove(tree: &Tree, options: &SealOptions, sealed: &mut Sealed) -> Result<(), ImageError> {
    let fixed = rules::gone(options.apt_lists == Stay::Drop, options.apt_archives == Stay::Drop).map(|(pattern, _)| pattern);
    for pattern in fixed.chain(options.paths.iter().map(String::as_str)) {
        for path in rules::expand(tree, pattern)? {
            tree.remove(&path)?;
            sealed.removed.push(path);
        }
    }
    Ok(())
}

/// There and empty: systemd makes one at each first boot. Where the file says `uninitialized`, or is missing, it would preset units and
/// ask questions besides (machine-id(5)).
fn machine_id(tree: &Tree) -> Result<(), ImageError> {
    tree.write("/etc/machine-id", b"", 0o444)?;
    if tree.has("/var/lib/dbus") {
        tree.link("/var/lib/dbus/machine-id", "/etc/machine-id")?;
    }
    Ok(())
}

fn network(tree: &Tree, builder: &Builder, sealed: &mut Sealed) -> Result<(), ImageError> {
    let hosts = tree.read("/etc/hosts")?;
    if hosts.is_none_or(|hosts| builder.owns_hosts(&hosts)) {
        tree.write("/etc/hosts", HOSTS.as_bytes(), 0o644)?;
    }
    let plain = tree.stat("/etc/resolv.conf")?.is_some_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
    if plain && builder.owns_resolver(&tree.read("/etc/resolv.conf")?.unwrap_or_default()) {
        tree.remove("/etc/resolv.conf")?;
        sealed.removed.push("/etc/resolv.conf".into());
    }
    Ok(())
}

/// Links that c_rehash made to a certificate that is gone.
fn certificates(tree: &Tree, sealed: &mut Sealed) -> Result<(), ImageError> {
    for path in rules::expand(tree, "/etc/ssl/certs/*.*")? {
        if tree.target(&path)?.is_some_and(|target| Path::new(&target).ends_with("ssl-cert-snakeoil.pem")) {
            tree.remove(&path)?;
            sealed.removed.push(path);
        }
    }
    Ok(())
}

/// Empties logs, which keep their owners and modes, and takes out those that were set aside.
fn logs(tree: &Tree, removed: &mut Vec<String>) -> Result<usize, ImageError> {
    let (mut full, mut aside) = (Vec::new(), Vec::new());
    tree.walk("/var/log", &mut |visit| {
        if visit.kind() == FileType::RegularFile
            && let Some(path) = visit.path.to_str()
        {
            let end = path.rsplit('.').next().unwrap_or_default();
            let rotated = ["gz", "xz", "zst", "bz2", "old"].contains(&end)
                || (path.contains('.') && !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_digit()));
            if rotated {
                aside.push(format!("/{path}"));
            } else if visit.stat.st_size > 0 {
                full.push(format!("/{path}"));
            }
        }
        Ok(())
    })?;
    for path in aside {
        tree.remove(&path)?;
        removed.push(path);
    }
    full.iter().try_for_each(|path| tree.empty(path))?;
    Ok(full.len())
}
