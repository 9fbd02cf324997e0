# What stands in a tree before anything is made so there: a unit that is masked, one that nothing starts at boot, an init script, two kernels,
# and a place for the host keys, which are made at first boot.
set -e
unit() { printf "[Service]\nExecStart=/bin/sleep infinity\n$2" > "/usr/lib/systemd/system/$1.service"; }
unit masked '[Install]\nWantedBy=multi-user.target\n'
unit late ''
ln -s /dev/null /etc/systemd/system/masked.service
printf '#!/bin/sh\n### BEGIN INIT INFO\n# Provides: old\n# Required-Start:\n# Required-Stop:\n# Default-Start: 2 3 4 5\n# Default-Stop: 0 1 6\n### END INIT INFO\nexit 0\n' > /etc/init.d/old
chmod 755 /etc/init.d/old
mkdir -p /lib/modules/6.1.0-99-amd64 /lib/modules/6.1.0-9-amd64 /root/keys
printf 'kernel/fs/overlayfs/overlay.ko:\nkernel/drivers/block/floppy.ko:\n' > /lib/modules/6.1.0-99-amd64/modules.dep
printf 'kernel/fs/older.ko:\n' > /lib/modules/6.1.0-9-amd64/modules.dep
systemctl disable -q ssh

# Pages of programs are not unpacked, as in small images, and there is no directory for them: a package whose script links to one of its own.
echo 'path-exclude=/usr/share/man/*' > /etc/dpkg/dpkg.cfg.d/pages
rm -r /usr/share/man/man1
mkdir -p /srv/archive/linked/DEBIAN /srv/archive/linked/usr/lib/linked /srv/archive/linked/etc/init.d
cd /srv/archive
printf '#!/bin/sh\nexec sleep infinity\n' | tee linked/usr/lib/linked/linked > linked/usr/lib/linked/linked.1
printf '#!/bin/sh\n### BEGIN INIT INFO\n# Provides: linked\n# Required-Start:\n# Required-Stop:\n# Default-Start: 2 3 4 5\n# Default-Stop: 0 1 6\n### END INIT INFO\n/usr/lib/linked/linked &\n' > linked/etc/init.d/linked
printf 'Package: linked\nVersion: 1\nArchitecture: all\nMaintainer: A <a@b.invalid>\nDescription: one\n' > linked/DEBIAN/control
# What debhelper writes for an init script.
cat > linked/DEBIAN/postinst <<'POSTINST'
#!/bin/sh
set -e
update-alternatives --install /usr/bin/linked linked /usr/lib/linked/linked 1 --slave /usr/share/man/man1/linked.1 linked.1 /usr/lib/linked/linked.1
update-rc.d linked defaults
invoke-rc.d linked start
POSTINST
chmod 755 linked/DEBIAN/postinst linked/etc/init.d/linked linked/usr/lib/linked/linked
dpkg-deb --root-owner-group --build linked linked.deb > /dev/null
{ dpkg-deb --field linked.deb; printf 'Filename: ./linked.deb\nSize: %s\nSHA256: %s\n\n' "$(stat -c %s linked.deb)" "$(sha256sum linked.deb | cut -d' ' -f1)"; } > Packages
echo 'deb [trusted=yes] file:/srv/archive ./' > /etc/apt/sources.list.d/archive.list
