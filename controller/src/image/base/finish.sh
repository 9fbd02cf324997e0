set -e
cd "$1"
find var/cache/apt/archives -maxdepth 1 -name '*.deb' -links 1 -exec cp -aln --target-directory="$PACKAGES" {} +
find var/cache/apt/archives -maxdepth 1 -name '*.deb' -delete
rm -f var/cache/apt/*.bin var/cache/apt/archives/lock etc/resolv.conf etc/hostname etc/apt/apt.conf.d/99mmdebstrap etc/dpkg/dpkg.cfg.d/99mmdebstrap
