#!/bin/sh
# image-run: runs an image root (image-root.sh) as a container engine with its strictest settings would, where there
# is none: alone in its root, which is read-only but for the volume, as user 65532, with no way to become another. Needs
# root.
# usage: deploy/image-run.sh ROOT CONFIG-DIRECTORY DATA-DIRECTORY PROGRAM [ARGUMENT...]
set -eu

[ $# -ge 4 ] || { sed -n 's/^# usage/usage/p' "$0" >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "image-run: only root can change its root" >&2; exit 2; }

# In a mount namespace of its own nothing has to be cleaned up: what is mounted there ends with it.
exec unshare --mount --propagation private sh -eu -c '
    root=$(realpath "$1") config=$2 data=$3
    shift 3
    # Places for what an engine adds to every container: names of hosts, devices, /proc.
    mkdir -p "$root/proc" "$root/dev" "$root/etc/obsagent"
    touch "$root/dev/null" "$root/dev/urandom" "$root/etc/hosts" "$root/etc/resolv.conf"
    mount --bind "$root" "$root"
    for file in dev/null dev/urandom etc/hosts etc/resolv.conf; do
        [ ! -e "/$file" ] || mount --bind "/$file" "$root/$file"
    done
    mount --rbind /proc "$root/proc"
    mount --bind "$config" "$root/etc/obsagent"
    mount --bind "$data" "$root/var/lib/obsagent"
    mount -o remount,bind,ro "$root/etc/obsagent"
    mount -o remount,bind,ro "$root"
    cd "$root"
    exec setpriv --no-new-privs chroot --userspec=65532:65532 --groups= "$root" "$@"
' image-run "$@"
