#!/bin/bash
# dib.sh STATE OUT: the same work by diskimage-builder: `debian-minimal` with elements for the rest. STATE/cache is what it keeps itself.
set -euo pipefail
state=$1 out=$2
work=$state/work elements=$state/elements
mkdir -p "$elements/work/pre-install.d" "$elements/work/install.d" "$elements/work/extra-data.d" "$state/tmp"
printf '%s\n' debian-minimal vm block-device-mbr package-installs > "$elements/work/element-deps"
# What the distribution's element brings by itself need not be asked for.
sed 's/.*/&:/' "$work/packages" > "$elements/work/package-installs.yaml"
cat > "$elements/work/extra-data.d/50-work" <<'HOOK'
#!/bin/bash
set -eu
sudo mkdir -p "$TMP_HOOKS_PATH/work"
sudo cp -a "$WORK/." "$TMP_HOOKS_PATH/work/"
HOOK
cat > "$elements/work/install.d/60-work" <<'HOOK'
#!/bin/bash
set -eu
/tmp/in_target.d/work/customise /
HOOK
chmod +x "$elements"/work/*.d/*
rm -f "$out.qcow2" "$out.qcow2.md5" "$out.qcow2.sha256"
export WORK=$work ELEMENTS_PATH=$elements DIB_RELEASE=bookworm DIB_DISTRIBUTION_MIRROR=$MIRROR DIB_IMAGE_CACHE=$state/cache TMPDIR=$state/tmp
# The main archive alone, as the others have it.
export DIB_APT_SOURCES_CONF="default:deb $MIRROR bookworm main"
export DIB_LOCKFILES=$state/locks DIB_APT_MINIMAL_CREATE_INTERFACES=0 HOME=$state
exec disk-image-create -t qcow2 --checksum --no-tmpfs -o "$out" work
