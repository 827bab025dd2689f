#!/usr/bin/env bash
# The test of the Debian package, run by ops/deb-test.sh on a throw-away system. Never run it by hand: it installs,
# purges and stops whatever is called zonecast.
set -euo pipefail

[ -e /deb-test/old.deb ] && [ "$(cat /proc/1/comm)" = systemd ] || exit 2
exec 3>&1
trap 'failed "$BASH_COMMAND"' ERR

failed() {
    echo "deb-test: FAILED: $*" >&3
    systemctl status --no-pager --full --lines 20 zonecast-core zonecast-edge >&3 2>&1 || true
    exit 1
}

step() { echo "deb-test: $*"; }

# check WHAT COMMAND...
check() {
    local what="$1"
    shift
    local said
    said="$("$@" 2>&1)" || failed "$what ($*): $said"
    echo "    $what"
}

refuted() { ! "$@"; }

# is EXPECTED COMMAND...: what the command says.
is() {
    local expected="$1" said
    shift
    said="$("$@" 2>&1 || true)"
    [ "$said" = "$expected" ] || { echo "$said, not $expected"; return 1; }
}

# within SECONDS COMMAND...: waits until it succeeds.
within() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" > /dev/null 2>&1; do
        [ "$SECONDS" -lt "$deadline" ] || { "$@"; return 1; }
        sleep 0.1
    done
}

property() { systemctl show --value --property "$2" "zonecast-$1"; }
process() { sed -n "s/^$2:\s*//p" "/proc/$(property "$1" MainPID)/status" | tr '\t' ' '; }
ask() { dig +short +tries=1 +time=3 "$@"; }
says() { zonecast status | grep -e "$1" > /dev/null; }
fills_the_disk() {
    for number in $(seq 40); do
        zonecast zone import /deb-test/large.zone --zone "large-$number" || return 0
    done
    return 1
}
ended_well() { journalctl --output cat --lines 3 --unit "zonecast-$1" | grep -qF "zonecast-$1.service: Deactivated successfully."; }
install_package() { dpkg --install "$1" > /deb-test/dpkg.log 2>&1 || failed "dpkg: $(cat /deb-test/dpkg.log)"; }

systemctl log-target journal # so that what it says of a unit can be read there
dpkg --purge zonecast > /dev/null 2>&1 || true # of whoever has it installed: this is a copy

step "install"
install_package /deb-test/old.deb
check "the user is a system user without a shell" grep -qE '^zonecast:x:[0-9]{1,3}:[0-9]+:[^:]*:/var/lib/zonecast:/usr/sbin/nologin$' /etc/passwd
check "configuration is root's, and readable for the services" is "750 root zonecast" stat -c '%a %U %G' /etc/zonecast
check "data is theirs alone" is "700 zonecast zonecast" stat -c '%a %U %G' /var/lib/zonecast
check "nothing in /etc/zonecast is active" is "" ls -A /etc/zonecast
for role in core edge; do
    check "the $role is not enabled" is disabled systemctl is-enabled "zonecast-$role"
    check "the $role is not running" is inactive systemctl is-active "zonecast-$role"
    check "the $role's unit is understood by systemd" is "" systemd-analyze verify "zonecast-$role.service"
    check "the $role without a configuration does not start" refuted systemctl start "zonecast-$role"
    check "nor is it tried again" is inactive systemctl is-active "zonecast-$role"
done
check "completions for bash" bash -n /usr/share/bash-completion/completions/zonecast
check "completions for zsh" test -s /usr/share/zsh/vendor-completions/_zonecast
check "completions for fish" test -s /usr/share/fish/vendor_completions.d/zonecast.fish

step "configure and start, as docs/operations.md says"
cp /usr/share/doc/zonecast/examples/core.toml /etc/zonecast/core.toml
sed 's/192\.0\.2\.1:8054/127.0.0.1:8054/' /usr/share/doc/zonecast/examples/edge.toml > /etc/zonecast/edge.toml
zonecast ca init /etc/zonecast/ca > /dev/null
zonecast ca issue /etc/zonecast/ca --role core --name core-1 --out /etc/zonecast/core-identity > /dev/null
zonecast ca issue /etc/zonecast/ca --role edge --name edge-1 --out /etc/zonecast/edge-identity > /dev/null
chown -R zonecast: /etc/zonecast/core-identity /etc/zonecast/edge-identity
check "the CA's key is root's alone" is "600 root" stat -c '%a %U' /etc/zonecast/ca/ca.key
check "core.toml is right" zonecast config check /etc/zonecast/core.toml
check "edge.toml is right" zonecast config check /etc/zonecast/edge.toml
check "the core starts and is ready" systemctl enable --now zonecast-core
check "the edge starts and is ready" systemctl enable --now zonecast-edge
cat > /deb-test/example.zone << 'END'
$TTL 60
@ IN SOA ns.example. host.example. 1 3600 600 86400 60
@ IN NS ns.example.
ns IN A 192.0.2.53
www IN A 192.0.2.80
END
check "a zone is imported and live on the edge" zonecast zone import /deb-test/example.zone --zone example --wait all
answers() {
    check "UDP over IPv4 answers" is 192.0.2.80 ask @127.0.0.1 www.example A
    check "TCP over IPv4 answers" is 192.0.2.80 ask +tcp @127.0.0.1 www.example A
    [ -e /proc/net/if_inet6 ] || return 0
    check "UDP over IPv6 answers" is 192.0.2.80 ask @::1 www.example A
    check "TCP over IPv6 answers" is 192.0.2.80 ask +tcp @::1 www.example A
}
answers

step "what the processes may do"
user="$(id -u zonecast)"
for role in core edge; do
    check "the $role runs as its user" is "$user $user $user $user" process "$role" Uid
    check "the $role cannot gain privileges" is 1 process "$role" NoNewPrivs
    check "the $role's system calls are filtered" is 2 process "$role" Seccomp
    check "the $role's folder is its own" is "700 zonecast" stat -c '%a %U' "/var/lib/zonecast/$role"
done
check "the core has no capability" is 0000000000000000 process core CapEff
check "the edge may bind port 53 and nothing else" is 0000000000000400 process edge CapBnd

step "a crash, and a configuration that makes no sense"
crashed="$(property edge MainPID)"
kill -KILL "$crashed"
check "a killed edge is started again" within 30 is 1 property edge NRestarts
check "it is ready" within 30 is active systemctl is-active zonecast-edge
answers
cp /etc/zonecast/edge.toml /deb-test/edge.toml
echo 'no_such_key = 1' > /etc/zonecast/edge.toml
check "a wrong configuration is refused" refuted systemctl restart zonecast-edge
check "by its exit code" is 2 property edge ExecMainStatus
check "and not tried again" is failed systemctl is-active zonecast-edge
cp /deb-test/edge.toml /etc/zonecast/edge.toml
check "the right one starts" systemctl start zonecast-edge

step "a full disk"
systemctl stop zonecast-core
mkdir /deb-test/disk
# Without the filler there is room for what the logs hold: that much it takes to go on.
mount -t tmpfs -o size=448m,mode=700,uid=zonecast,gid=zonecast tmpfs /deb-test/disk
cp --archive /var/lib/zonecast/core/. /deb-test/disk
mount --bind /deb-test/disk /var/lib/zonecast/core
systemctl start zonecast-core
before="$(property core MainPID)"
cat /dev/zero > /deb-test/disk/filler 2> /dev/null || true
long="$(printf ' "%0250d"' $(seq 200))"
{
    cat /deb-test/example.zone
    seq 200 | sed "s/.*/n& IN TXT $long/"
} > /deb-test/large.zone
check "zones of 10 MB each are imported until one does not fit" fills_the_disk
check "the core says why" within 30 says "^fault"
rm /deb-test/disk/filler
check "with room again, a change is live by itself" within 60 zonecast record set example room A 60 192.0.2.82 --wait all
check "in the same process" is "$before" property core MainPID
check "which systemd leaves alone" is running property core SubState
systemctl stop zonecast-core
umount /var/lib/zonecast/core
cp --archive --no-target-directory /deb-test/disk /var/lib/zonecast/core
umount /deb-test/disk
systemctl start zonecast-core

step "upgrade"
store="$(zonecast status | sed -n 's/^store *//p')"
core="$(property core MainPID)" edge="$(property edge MainPID)"
install_package /deb-test/new.deb
check "the core is another process" refuted is "$core" property core MainPID
check "the edge is another process" refuted is "$edge" property edge MainPID
check "the core is ready" within 30 is active systemctl is-active zonecast-core
check "the edge is ready" within 30 is active systemctl is-active zonecast-edge
check "the core has the store that it had" says "$store"
answers
check "a change after the upgrade is live" zonecast record set example new A 60 192.0.2.81 --wait all
check "the edge answers with it" is 192.0.2.81 ask @127.0.0.1 new.example A
check "configuration was not touched" cmp /deb-test/edge.toml /etc/zonecast/edge.toml

step "stop by SIGTERM"
for role in edge core; do
    check "the $role stops" systemctl stop "zonecast-$role"
    # systemd forgets a unit that is stopped, but not what it said of it: otherwise "Failed with result ...".
    check "the $role ended by itself, with exit code 0" within 10 ended_well "$role"
done
check "both start again" systemctl start zonecast-core zonecast-edge
check "the edge answers with the change" within 30 is 192.0.2.81 ask @127.0.0.1 new.example A

step "remove"
dpkg --remove zonecast > /dev/null 2>&1
for role in core edge; do
    check "the $role is stopped" refuted pgrep --full "^/usr/bin/zonecast $role"
done
check "the program is gone" refuted test -e /usr/bin/zonecast
check "configuration is kept" test -e /etc/zonecast/ca/ca.key
check "data is kept" test -d /var/lib/zonecast/core

step "install again on what was kept"
install_package /deb-test/new.deb
check "nothing starts by itself" is inactive systemctl is-active zonecast-core
check "both start" systemctl start zonecast-core zonecast-edge
check "the edge answers with the change" within 30 is 192.0.2.81 ask @127.0.0.1 new.example A

step "purge, while they run"
dpkg --purge zonecast > /dev/null 2>&1
check "no process is left" refuted pgrep --full '^/usr/bin/zonecast'
check "no user is left" refuted getent passwd zonecast
check "no group is left" refuted getent group zonecast
for folder in /etc/zonecast /var/lib/zonecast; do
    check "no $folder is left" refuted test -e "$folder"
done
check "dpkg knows nothing of it" refuted dpkg-query --status zonecast
rm -rf /deb-test
