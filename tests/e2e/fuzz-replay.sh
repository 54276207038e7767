#!/bin/sh
# Every committed fuzz seed, and every input that ever broke something, through its target once.
exec sh "$(dirname "$0")/../fuzz/run.sh" replay
