#!/bin/bash
# script.sh STATE OUT: the work by hand, as somebody would who knows: mmdebstrap, its packages kept as a tar as long as the list is the same,
# mke2fs -d, GRUB's two parts, qemu-img convert, sums. STATE holds what the next build may use, `work/` what goes in.
set -euo pipefail
state=$1 out=$2
work=$state/work
scratch=$(mktemp -d "$state/build-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
packages=$(tr '\n' ',' < "$work/packages")
key=$(echo "$packages $MIRROR" | sha256sum | cut -c1-16)
layer=$state/packages-$key.tar

if [ ! -e "$layer" ]; then
    rm -f "$state"/packages-*.tar
    mkdir -p "$state/archives"
    # The .deb files are kept between builds: packages that are there already are not fetched again.
    mmdebstrap --quiet --variant=apt --include="$packages" --skip=cleanup/apt/cache,download/empty,essential/unlink \
        --setup-hook='mkdir -p "$1"/var/cache/apt/archives' --setup-hook="cp -a '$state'/archives/. \"\$1\"/var/cache/apt/archives/" \
        --customize-hook="cp -an \"\$1\"/var/cache/apt/archives/*.deb '$state'/archives/" --customize-hook='rm -f "$1"/var/cache/apt/archives/*.deb' \
        bookworm "$scratch/layer.tar" "deb $MIRROR bookworm main"
    mv "$scratch/layer.tar" "$layer"
fi

root=$scratch/root
mkdir "$root"
tar -C "$root" --xattrs --xattrs-include='*' -xpf "$layer"
"$work/customise" "$root"

# What makes each machine its own, and what belongs to this one.
: > "$root/etc/machine-id"
rm -f "$root"/etc/ssh/ssh_host_* "$root"/var/lib/systemd/random-seed "$root"/etc/apt/apt.conf.d/99mmdebstrap "$root"/var/lib/apt/lists/*_*

kernel=$(basename "$root"/boot/vmlinuz-*)
initrd=$(basename "$root"/boot/initrd.img-*)
mkdir -p "$root/boot/grub"
echo '/dev/vda1 / ext4 defaults 0 1' > "$root/etc/fstab"
cat > "$root/boot/grub/grub.cfg" <<GRUB
set timeout=0
menuentry Linux { linux /boot/$kernel root=/dev/vda1 ro console=ttyS0; initrd /boot/$initrd }
GRUB
raw=$scratch/disk.raw
truncate -s 8G "$raw"
echo 'start=2048,type=83,bootable' | sfdisk -q "$raw"
mke2fs -q -t ext4 -m 0 -E offset=1048576 -O ^metadata_csum_seed -d "$root" "$raw" 8387584k
grub-mkimage -O i386-pc -o "$scratch/core.img" -p '(hd0,msdos1)/boot/grub' biosdisk part_msdos ext2 normal linux serial terminal echo configfile boot
dd if=/usr/lib/grub/i386-pc/boot.img of="$raw" bs=440 count=1 conv=notrunc status=none
dd if="$scratch/core.img" of="$raw" bs=512 seek=1 conv=notrunc status=none
qemu-img convert -c -O qcow2 -o compression_type="${COMPRESSION:-zlib}" "$raw" "$scratch/disk.qcow2"
(cd "$scratch" && md5sum disk.qcow2 > "$out.qcow2.md5" && sha256sum disk.qcow2 > "$out.qcow2.sha256")
mv "$scratch/disk.qcow2" "$out.qcow2"
