#!/bin/bash
# dib.sh STATE OUT: the same work by diskimage-builder: `debian-minimal` with elements for the rest. STATE/cache is what it keeps itself.
# Beside what a script needs: apt-get install debootstrap kpartx.
set -euo pipefail
state=$1 out=$2
work=$state/work elements=$state/elements the=the-work
mkdir -p "$elements/$the/pre-install.d" "$elements/$the/install.d" "$elements/$the/extra-data.d" "$state/tmp"
if dmsetup version >/dev/null 2>&1; then
    printf '%s\n' debian-minimal vm block-device-mbr package-installs > "$elements/$the/element-deps"
else
    # Its partitions need a device mapper, which some kernels have not: one file system on the whole disk then, and no boot loader.
    printf '%s\n' debian-minimal package-installs > "$elements/$the/element-deps"
    export DIB_BLOCK_DEVICE_CONFIG='[{local_loop: {name: image0}}, {mkfs: {name: mkfs_root, base: image0, type: ext4, mount: {mount_point: /, fstab: {options: defaults, fsck-passno: 1}}}}]'
fi
# What the distribution's element brings by itself need not be asked for.
sed 's/.*/&:/' "$work/packages" > "$elements/$the/package-installs.yaml"
cat > "$elements/$the/extra-data.d/50-work" <<'HOOK'
#!/bin/bash
set -eu
sudo mkdir -p "$TMP_HOOKS_PATH/the-work"
sudo cp -a "$WORK/." "$TMP_HOOKS_PATH/the-work/"
HOOK
cat > "$elements/$the/install.d/60-work" <<'HOOK'
#!/bin/bash
set -eu
/tmp/in_target.d/the-work/customise /
HOOK
chmod +x "$elements"/"$the"/*.d/*
rm -f "$out.qcow2" "$out.qcow2.md5" "$out.qcow2.sha256"
export WORK=$work ELEMENTS_PATH=$elements DIB_RELEASE=bookworm DIB_DISTRIBUTION_MIRROR=$MIRROR DIB_IMAGE_CACHE=$state/cache TMPDIR=$state/tmp
# The main archive alone, as the others have it.
export DIB_APT_SOURCES_CONF="default:deb $MIRROR bookworm main"
export DIB_LOCKFILES=$state/locks DIB_APT_MINIMAL_CREATE_INTERFACES=0 HOME=$state
exec disk-image-create -t qcow2 --checksum --no-tmpfs -o "$out" work
