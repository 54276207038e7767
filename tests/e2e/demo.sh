#!/bin/sh
# The demo checks itself: digests, the people, what is at the hub, conflicts.
python3 "$(dirname "$0")/../demo/play.py" --once && echo "ok the demo comes to its end and adds up"
