# archive.sh DIRECTORY APP [FIELD]: an archive of kinds-keep, kinds-rival and kinds-app of version APP, which may have a field more.
set -e
rm -rf "$1" && mkdir -p "$1" && cd "$1"
make() {
  mkdir -p "$1-$2/DEBIAN"
  printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: A <a@b.invalid>\nDescription: one\n%s' "$1" "$2" "$3" > "$1-$2/DEBIAN/control"
  dpkg-deb --root-owner-group --build "$1-$2" > /dev/null
}
make kinds-keep 1 ''
make kinds-rival 1 ''
make kinds-app "$2" "${3:+$3
}"
for deb in *.deb; do
  dpkg-deb --field "$deb"
  printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$deb" "$(stat -c %s "$deb")" "$(sha256sum "$deb" | cut -d' ' -f1)"
done > Packages
