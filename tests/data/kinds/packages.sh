# Packages of our own, from an archive in a directory: kinds-app needs kinds-lib, and kinds-rival conflicts with kinds-lib.
set -e
mkdir -p /srv/archive && cd /srv/archive
make() {
  mkdir -p "$1/DEBIAN"
  printf 'Package: %s\nVersion: 1\nArchitecture: all\nMaintainer: A <a@b.invalid>\nDescription: one\n%s' "$1" "$2" > "$1/DEBIAN/control"
  dpkg-deb --build "$1" > /dev/null
}
make kinds-lib ''
make kinds-app 'Depends: kinds-lib
'
make kinds-rival 'Conflicts: kinds-lib
'
for deb in *.deb; do
  dpkg-deb --field "$deb"
  printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$deb" "$(stat -c %s "$deb")" "$(sha256sum "$deb" | cut -d' ' -f1)"
done > Packages
echo 'deb [trusted=yes] file:/srv/archive ./' > /etc/apt/sources.list.d/archive.list
apt-get update -qq -o Dir::Etc::SourceList=/dev/null > /dev/null
apt-get install -qq -y kinds-app > /dev/null
