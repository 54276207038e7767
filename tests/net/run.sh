#!/bin/sh
# The network suite: seven daemons in network namespaces of their own, with weather, partitions, slow readers and floods. It needs root,
# namespaces, nftables, iptables and NFQUEUE; all traffic stays in the namespaces it makes. Arguments: the parts to run (suite.py).
cd "$(dirname "$0")/../.." || exit 1
for tool in ip nft iptables; do
    command -v $tool >/dev/null || { echo "FAILED net: $tool is not installed (apt install iproute2 nftables iptables)"; exit 1; }
done
B=build/release
make -s MODE=release all $B/tests/e2e/hostile || { echo "FAILED net: it does not build"; exit 1; }
mkdir -p $B/tests/net
${CC:-gcc} -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -o $B/tests/net/delay tests/net/delay.c -lnetfilter_queue ||
    { echo "FAILED net: the delayer does not build (apt install libnetfilter-queue-dev)"; exit 1; }
FIELDMESH=$PWD/$B/fieldmesh exec python3 tests/net/suite.py "$@"
