#!/bin/sh
# The arrows of DESIGN.md section 2, from include lines and from the undefined symbols of the core's objects.
#   node -> store -> replication; crypto is a leaf (it sees replication's ports and types); nothing points outward.
cd "$(dirname "$0")/.." || exit 1
bad=0
fail() { echo "layers: $*"; bad=1; }
forbid() { # ROOM PATTERN: no file of ROOM may include PATTERN
    found=$(grep -nE "#include [\"<]($2)" $(ls "$1"/*.[ch] | grep -v /banned.h) /dev/null) && fail "$1 must not include $2:
$found"
}
forbid replication '(crypto|store|node|tests)/|sodium|lmdb|zmq|zstd|jansson|microhttpd|stdio|time\.h|unistd|sys/|errno|pthread|fcntl'
forbid crypto '(store|node|tests)/|lmdb|zmq|zstd|jansson|microhttpd'
forbid store '(crypto|node|tests)/|sodium|zmq|jansson|microhttpd'
forbid node 'tests/|lmdb'
# The core's outside symbols: memory, strings, sorting, assertions, and nothing else.
MAKEFLAGS= make -s MODE=release $(ls replication/*.c | sed 's|^\(.*\)\.c$|build/release/\1.o|') || exit 1
allowed='^(mem(cpy|move|set|cmp|chr)|__mem(cpy|move|set)_chk|str(len|cmp|ncmp)|malloc|calloc|realloc|free|qsort|bsearch|__assert_fail|__stack_chk_fail|__stack_chk_guard|_GLOBAL_OFFSET_TABLE_|__snprintf_chk|snprintf|__vsnprintf_chk|vsnprintf)$'
objects=$(ls replication/*.c | sed 's|^\(.*\)\.c$|build/release/\1.o|')
own=$(nm -g --defined-only $objects | awk 'NF==3{print $3}' | sort -u)
outside=$(nm -u $objects | awk '/ U /{print $2}' | sort -u | grep -vE "$allowed")
for s in $outside; do
    echo "$own" | grep -qx "$s" || fail "replication calls $s, which is neither its own nor a memory or string function"
done
[ $bad -eq 0 ] && echo "layers: arrows point inward, the core calls memory and string functions only"
exit $bad
