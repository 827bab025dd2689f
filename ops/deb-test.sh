#!/usr/bin/env bash
# Installs, starts, upgrades, removes and purges the Debian package for real: `ops/deb-test.sh BINARY`.
#
# What it runs on is a throw-away copy of this system: an overlay over /, writing to memory, with a systemd, a network,
# processes and cgroups of its own. Nothing of it is left, and the system itself is never written to:
#
#   here ─ unshare ─▶ namespace A: memory, overlay, a cgroup ─ unshare ─▶ namespace B: systemd is process 1
#                          │                                                  ▲
#                          └─ nsenter: ops/deb-test-steps.sh, the test itself ┘
#
# Where that cannot be had it says so and succeeds: no root, or a container that may not mount. In CI (`CI` is set) it
# fails.
set -euo pipefail

here="$(cd "$(dirname "$0")" && pwd)"
# How long systemd may take to start, in seconds.
boot_deadline=60

skip() {
    echo "deb-test: SKIPPED, the package is not tested here: $*" >&2
    [ -z "${ZONECAST_SKIPPED:-}" ] || echo "deb-test: $*" >> "$ZONECAST_SKIPPED"
    [ -z "${CI:-}" ] || exit 1
    exit 0
}

outside() {
    local binary="${1:?usage: ops/deb-test.sh BINARY}" version
    [ "$(id -u)" = 0 ] || skip "it needs root"
    [ -x /lib/systemd/systemd ] || skip "no systemd is installed"
    command -v adduser > /dev/null || skip "no adduser is installed"
    unshare --mount --pid --net --uts --ipc --cgroup --fork true 2> /dev/null || skip "no namespaces for us here"
    folder="$(mktemp -d)"
    trap 'rm -rf "$folder"' EXIT
    mkdir "$folder/work"
    unshare --mount "$0" --probe "$folder/work" 2> /dev/null || skip "no overlay over / or no cgroup can be mounted here"
    version="$("$binary" --version | cut -d ' ' -f 2)"
    echo "deb-test: packing $version and an upgrade of it"
    "$here/deb.sh" "$binary" "$version-1" --fast --output "$folder/old.deb" > /dev/null
    "$here/deb.sh" "$binary" "$version-2" --fast --output "$folder/new.deb" > /dev/null
    if command -v lintian > /dev/null; then
        lintian --allow-root --fail-on error "$folder/old.deb"
    fi
    unshare --mount "$0" --in-a "$folder/work" "$folder/old.deb" "$folder/new.deb"
}

# Mounts what a throw-away root needs below a folder: everything goes with the mount namespace.
mount_parts() {
    local work="$1"
    mount -t tmpfs -o mode=755 tmpfs "$work"
    mkdir "$work/upper" "$work/scratch" "$work/copy" "$work/cgroup"
    mount -t overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/scratch" overlay "$work/copy"
    mount -t cgroup2 cgroup2 "$work/cgroup"
}

# Ends process 1, and everything with it, and gives the cgroup back.
end() {
    [ -z "$init" ] || kill -KILL "$init" 2> /dev/null || true
    wait
    echo $$ > "$own/cgroup.procs"
    # The processes are gone; the kernel may take a moment to see it.
    for _ in $(seq 50); do
        find "$group" -depth -type d -exec rmdir {} + 2> /dev/null && break
        sleep 0.1
    done
}

in_a() {
    work="$1" init=
    mount_parts "$work"
    mkdir "$work/copy/deb-test"
    cp "$2" "$work/copy/deb-test/old.deb"
    cp "$3" "$work/copy/deb-test/new.deb"
    cp "$here/deb-test-steps.sh" "$work/copy/deb-test/steps.sh"
    own="$work/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)"
    group="$own/zonecast-deb-test-$$"
    mkdir "$group"
    trap end EXIT
    trap 'exit 1' HUP INT TERM
    echo $$ > "$group/cgroup.procs"
    # However this process ends, process 1 ends with it.
    setpriv --pdeathsig KILL unshare --mount --pid --net --uts --ipc --cgroup --fork --kill-child=KILL \
        "$0" --in-b "$work/copy" > "$work/boot.log" 2>&1 < /dev/null &
    local unshare=$! inside
    for _ in $(seq $((boot_deadline * 5))); do
        kill -0 "$unshare" 2> /dev/null || break
        init="$(pgrep -P "$unshare" || true)"
        inside="nsenter --target ${init:-0} --mount --pid --net --uts --ipc --cgroup"
        [ -n "$init" ] && $inside systemctl is-active --quiet deb-test.target 2> /dev/null && break
        init=
        sleep 0.2
    done
    if [ -z "$init" ]; then
        cat "$work/boot.log" >&2
        echo "deb-test: FAILED: systemd did not start within $boot_deadline s" >&2
        exit 1
    fi
    $inside env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 bash /deb-test/steps.sh
    # Whatever was written and is still there; a deleted file of the system below is a device 0, 0.
    local left
    left="$(find "$work/upper" -iname '*zonecast*' ! -type c -printf '/%P\n')"
    if [ -n "$left" ]; then
        printf 'deb-test: FAILED: left after the purge:\n%s\n' "$left" >&2
        exit 1
    fi
    echo "deb-test: nothing is left; all is well"
}

# Becomes process 1 of a system of its own, which starts nothing but what the test asks for.
in_b() {
    local root="$1" node
    mount -t proc proc "$root/proc"
    # Settings of the kernel are the one thing that namespaces do not keep apart.
    mount --bind "$root/proc/sys" "$root/proc/sys"
    mount -o remount,bind,ro "$root/proc/sys"
    mount -t sysfs -o ro sysfs "$root/sys"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
    mount -t tmpfs -o mode=755 tmpfs "$root/dev"
    for node in null zero full random urandom tty; do
        touch "$root/dev/$node"
        mount --bind "/dev/$node" "$root/dev/$node"
    done
    # PrivateDevices= copies these from here.
    mkdir "$root/dev/shm" "$root/dev/pts"
    mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"
    mount -t tmpfs tmpfs "$root/dev/shm"
    mount -t tmpfs -o mode=755 tmpfs "$root/run"
    mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
    rm -rf "$root"/{etc,lib,usr/lib}/systemd/system/*.target.wants "$root/usr/sbin/policy-rc.d" "$root/etc/fstab"
    printf '[Unit]\nDescription=test of a package\nRequires=basic.target systemd-journald.service\nAfter=basic.target\n' \
        > "$root/etc/systemd/system/deb-test.target"
    mkdir "$root/old"
    cd "$root"
    pivot_root . old
    umount --lazy /old
    exec env -i container=deb-test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        /lib/systemd/systemd --unit=deb-test.target --log-target=console
}

case "${1:-}" in
    --probe) mount_parts "$2" ;;
    --in-a) in_a "${@:2}" ;;
    --in-b) in_b "$2" ;;
    *) outside "$@" ;;
esac
