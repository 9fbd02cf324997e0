#!/bin/sh
# Stands for grub-probe and grub-mkrelpath: answers for the disk that is being made, where they would look at the overlay they run in.
target=fs
path=
while [ $# -gt 0 ]; do
	case $1 in
		--target=*) target=${1#*=} ;;
		-t | --target) target=$2; shift ;;
		-*) ;;
		*) path=$1 ;;
	esac
	shift
done
case ${0##*/} in
	grub-mkrelpath) echo "$path"; exit ;;
esac
case $target in
	device) echo "UUID=@ROOT@" ;;
	fs) echo ext2 ;;
	fs_uuid) echo "@ROOT@" ;;
	partmap) echo gpt ;;
	drive) echo "(hd0,gpt1)" ;;
	hints_string) echo "--hint-bios=hd0,gpt1 --hint-efi=hd0,gpt1" ;;
esac
