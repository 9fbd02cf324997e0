#!/bin/sh
# Makes a fresh root tree ($1) into a lab node without identity: what is the same for every node of a suite.
# Part of the tree's recipe: a change here builds new trees.
set -eu
root=$1

# The login user. '*' and not '!': sshd without PAM takes '!' for a locked account.
chroot "$root" useradd --create-home --uid 1000 --shell /bin/bash --password '*' admin
install -d -m 0700 -o 1000 -g 1000 "$root/home/admin/.ssh"
install -d -m 0700 "$root/root/.ssh"

# Identity comes with the node.
: > "$root/etc/machine-id"
rm -f "$root"/etc/ssh/ssh_host_* "$root/etc/hostname" "$root/etc/resolv.conf" "$root/var/lib/dbus/machine-id"

mkdir -p "$root/etc/ssh/sshd_config.d" "$root/etc/systemd/journald.conf.d"
cat > "$root/etc/ssh/sshd_config.d/lab.conf" <<SSHD
HostKey /etc/ssh/ssh_host_ed25519_key
UseDNS no
MaxStartups 200:30:400
MaxSessions 100
SSHD
printf '[Journal]\nStorage=volatile\n' > "$root/etc/systemd/journald.conf.d/lab.conf"

# The lab owns the network and the clock; timers of a throw-away node only make noise.
for unit in getty@tty1.service console-getty.service container-getty@.service systemd-networkd.service \
    systemd-networkd.socket systemd-networkd-wait-online.service systemd-resolved.service systemd-timesyncd.service \
    systemd-hwdb-update.service systemd-journal-flush.service systemd-update-utmp.service systemd-firstboot.service \
    ldconfig.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
    fstrim.timer; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
