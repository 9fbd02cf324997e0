//! What makes a machine's own keys when it boots for the first time: two units of systemd, written where their programs are.

use super::super::error::ImageError;
use super::super::tree::Tree;

/// Host keys, before anything listens: of all kinds that the package would have made. Only where there are none.
const HOST_KEYS: &str = "\
[Unit]
Description=Host keys of this machine
Documentation=man:ssh-keygen(1)
DefaultDependencies=no
Conflicts=shutdown.target
After=systemd-remount-fs.service
Before=ssh.service ssh.socket sshd.service shutdown.target
ConditionPathExistsGlob=!/etc/ssh/ssh_host_*_key

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/ssh-keygen -A
# A key must not be half there after a power cut.
ExecStart=/usr/bin/sync --file-system /etc/ssh

[Install]
WantedBy=multi-user.target
";

/// The certificate that ssl-cert makes when it is installed, before the services that use it (all start after the network).
const CERTIFICATE: &str = "\
[Unit]
Description=Self-signed certificate of this machine
Documentation=man:make-ssl-cert(8)
After=local-fs.target cloud-init.service
Before=network.target
ConditionPathExists=!/etc/ssl/private/ssl-cert-snakeoil.key

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/make-ssl-cert generate-default-snakeoil
ExecStart=/usr/bin/sync --file-system /etc/ssl/private

[Install]
WantedBy=multi-user.target
";

/// A unit, its text, and the programs without which it is not wanted.
const UNITS: &[(&str, &str, &[&str])] = &[
    ("ostler-host-keys.service", HOST_KEYS, &["/usr/sbin/sshd", "/usr/bin/ssh-keygen"]),
    ("ostler-certificate.service", CERTIFICATE, &["/usr/sbin/make-ssl-cert"]),
];

/// Writes and enables the units.
pub(super) fn write(tree: &Tree) -> Result<(), ImageError> {
    for (unit, text, programs) in UNITS {
        if programs.iter().all(|program| tree.has(program)) {
            let path = format!("/etc/systemd/system/{unit}");
            tree.write(&path, text.as_bytes(), 0o644)?;
            tree.link(&format!("/etc/systemd/system/multi-user.target.wants/{unit}"), &path)?;
        }
    }
    Ok(())
}
