#!/bin/sh
# Installs through apt what this machine lacks; says what it would need if it may not. docs/DEPENDENCIES.md says why each is there.
#   setup.sh         to build, and for the demo
#   setup.sh check   for the tests and the proof, too
need="gcc libc6-dev make pkg-config libzmq3-dev liblmdb-dev libmsgpack-dev libsodium-dev libjansson-dev libzstd-dev libcmocka-dev python3 procps"
[ "$1" != check ] || need="$need patch strace valgrind cppcheck clang-tidy sparse clang libclang-rt-14-dev clang-19 llvm-19 libclang-rt-19-dev
    iproute2 nftables iptables libnetfilter-queue-dev"
lacking=
for p in $need; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || lacking="$lacking $p"
done
[ -n "$lacking" ] || exit 0
as=
[ "$(id -u)" = 0 ] || as=sudo
if [ -n "$as" ] && ! command -v sudo >/dev/null; then
    echo "fieldmesh needs these packages; as root run:" >&2
    echo "  apt-get install --no-install-recommends$lacking" >&2
    exit 1
fi
echo "installing:$lacking" >&2
log=$(mktemp)
if ! { $as apt-get update -qq && DEBIAN_FRONTEND=noninteractive $as apt-get install -y -qq --no-install-recommends $lacking; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "fieldmesh: the packages could not be installed; the whole log is in $log" >&2
    exit 1
fi
rm -f "$log"
