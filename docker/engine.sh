#!/bin/sh
# A Docker engine where none is installed: for proving the stack, on Linux as root, without touching the host's network.
#
#   docker/engine.sh ROOT FOLDER...     ROOT: a root file system with docker.io, docker-compose, docker-buildx, iptables and
#                                       iproute2 (debootstrap trixie ROOT; apt-get install them in it)
#                                       FOLDER: what the engine must see at its own path, such as this repository
#
# Runs in the foreground; the engine ends with it. Its socket is ROOT/var/lib/engine/docker.sock:
#
#   export DOCKER_HOST=unix://ROOT/var/lib/engine/docker.sock
set -eu

inside() {
    root=$1
    shift
    ip link set lo up
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount --rbind /sys "$root/sys"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs tmpfs "$root/run"
    for folder in "$@"; do
        mkdir -p "$root$folder"
        mount --bind "$folder" "$root$folder"
    done
    mkdir -p "$root/var/lib/engine" "$root/.old"
    cd "$root"
    # Not chroot: what the engine executes in a container enters the mount namespace anew and must land here.
    pivot_root . .old
    umount -l /.old
    rm -f /var/lib/engine/docker.sock
    exec dockerd -H unix:///var/lib/engine/docker.sock --data-root /var/lib/engine/data --exec-root /run/engine \
        --pidfile /run/engine.pid
}

if [ "${1:-}" = --inside ]; then
    shift
    inside "$@"
fi
[ "$#" -ge 1 ] || {
    sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
    exit 2
}
root=$(CDPATH='' cd -- "$1" && pwd -P)
shift
self=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)/$(basename -- "$0")
exec unshare --mount --net --pid --fork --kill-child --propagation private sh "$self" --inside "$root" "$@"
