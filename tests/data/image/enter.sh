# Enters a root tree on which nothing runs, in namespaces of its own, and runs its arguments there: enter.sh ROOT NETNS STATE AGENT PROGRAM...
# What it mounts is gone with its processes.
set -eu
[ "${inside-}" ] || exec env inside=1 nsenter --net="$2" unshare --mount --pid --ipc --uts --fork --kill-child --propagation private -- sh -eu "$0" "$@"
root=$1 state=$3 agent=$4
shift 4
mount -t proc proc "$root/proc"
mount -o bind,ro "$root/proc/sys" "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 none "$root/run"
mount -t tmpfs -o mode=755 none "$root/dev"
mkdir "$root/dev/shm" "$root/run/tool" "$root/run/lock"
mount -t tmpfs -o mode=1777 none "$root/dev/shm"
for node in 'null 1 3' 'zero 1 5' 'full 1 7' 'random 1 8' 'urandom 1 9'; do
    set -- $node "$@"
    mknod -m 666 "$root/dev/$1" c "$2" "$3"
    shift 3
done
ln -s /proc/self/fd "$root/dev/fd"
mkdir -p "$state" "$root/var/lib/ostler"
mount --bind "$state" "$root/var/lib/ostler"
install -m 755 "$agent" "$root/run/tool/agent"
printf '#!/bin/sh\nexit 101\n' > "$root/run/tool/policy-rc.d"
chmod 755 "$root/run/tool/policy-rc.d"
touch "$root/usr/sbin/policy-rc.d"
mount --bind "$root/run/tool/policy-rc.d" "$root/usr/sbin/policy-rc.d"
# No `exec`: what is process 1 here is none of the tree's programs, and waits for all that is left behind.
chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin SYSTEMD_OFFLINE=1 "$@"
