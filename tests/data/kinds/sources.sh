# An archive in a directory that no source names yet. kinds-old is installed from its file; dpkg is killed in the postinst of what follows it,
# as long as /srv/kill is there. kinds-one is provided by kinds-real, kinds-two by kinds-a and kinds-b.
set -e
mkdir -p /srv/archive && cd /srv/archive
make() {
  mkdir -p "$1-$2/DEBIAN"
  printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: A <a@b.invalid>\nDescription: one\n%s' "$1" "$2" "$3" > "$1-$2/DEBIAN/control"
  printf '#!/bin/sh\nif [ -e /srv/kill ]; then kill -9 $PPID; sleep 1; fi\n' > "$1-$2/DEBIAN/postinst"
  chmod 755 "$1-$2/DEBIAN/postinst"
  dpkg-deb --build "$1-$2" > /dev/null
}
make kinds-old 1 ''
make kinds-old 2 ''
make kinds-new 1 ''
make kinds-real 1 'Provides: kinds-one (= 1)
'
make kinds-a 1 'Provides: kinds-two
'
make kinds-b 1 'Provides: kinds-two
'
mkdir offered && mv kinds-real-1.deb kinds-a-1.deb kinds-b-1.deb offered && cd offered
for deb in *.deb; do
  dpkg-deb --field "$deb"
  printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$deb" "$(stat -c %s "$deb")" "$(sha256sum "$deb" | cut -d' ' -f1)"
done > Packages
dpkg -i /srv/archive/kinds-old-1.deb > /dev/null
