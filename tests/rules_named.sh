#!/bin/sh
# Each numbered rule of the engine is named where the code keeps it ("rule 14" in a comment) and has a vector of its own.
# 26 and 27 (media) are not built yet; 36-49 do not exist.
cd "$(dirname "$0")/.." || exit 1
bad=0
# "rule 7", "rules 11, 22" and "rules 8 and 9" name their numbers; a range names none: it would prove nothing.
named=$(grep -rhoiE 'rules? [0-9]+((, | and )[0-9]+)*[-0-9]*' replication/*.[ch] store/*.[ch] node/*.[ch] |
        grep -vE -- '-' | grep -oE '[0-9]+' | sort -nu)
vectors=$(grep -hoE '"rule": [0-9]+' tests/vectors/rules/rule-*.json | grep -oE '[0-9]+' | sort -nu)
for rule in $(seq 1 25) $(seq 30 35) $(seq 50 57); do
    where=
    echo "$named" | grep -qx "$rule" || where=" in the code"
    echo "$vectors" | grep -qx "$rule" || where="$where${where:+,} in a vector"
    if [ -z "$where" ]; then
        echo "ok rule $rule is named in the code and in a vector"
    else
        echo "FAILED rule $rule is not named$where"
        bad=1
    fi
done
exit $bad
