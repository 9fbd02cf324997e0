#!/bin/bash
# prepare.sh STATE: what goes into the image, the same bytes each time: STATE/work.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
work=$1/work
mkdir -p "$work/repositories"
cp "$here/customise" "$work/"
echo 'jenkins ALL=(ALL) NOPASSWD:ALL' > "$work/sudoers"
echo early > "$work/late"
printf '%s\n' linux-image-amd64 systemd-sysv openssh-server sudo git wget openssl ssl-cert ca-certificates default-jre-headless > "$work/packages"
# Bytes that do not become smaller.
noise() { openssl enc -aes-128-ctr -nosalt -K "$(printf '%032x' "$1")" -iv 0 < /dev/zero 2>/dev/null | head -c "$2" || true; }
noise 1 100000000 > "$work/large"
export GIT_AUTHOR_NAME=bench GIT_AUTHOR_EMAIL=bench@example.org GIT_COMMITTER_NAME=bench GIT_COMMITTER_EMAIL=bench@example.org
export GIT_AUTHOR_DATE='2026-01-01T00:00:00Z' GIT_COMMITTER_DATE='2026-01-01T00:00:00Z' HOME=$1
for number in $(seq 10); do
    tree=$1/tree-$number
    git init -q -b main "$tree"
    for file in $(seq 100); do
        noise $((number * 1000 + file)) 20000 | base64 > "$tree/$file"
    done
    git -C "$tree" add . && git -C "$tree" commit -q -m 'All of it'
    git clone -q --bare "$tree" "$work/repositories/$number.git"
    rm -rf "$tree"
done
