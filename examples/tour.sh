#!/usr/bin/env bash
# The main job: real programs are started under names, joined with a timeout, signalled, and the script branches on
# how they ended. A second shell, which knows nothing but the run directory, sees and signals them too.
# Needs procctl in PATH, and what is on every machine: find, sort, gzip, sha256sum, tail.
set -euo pipefail

# A run directory of its own: what runs here does not mix with what you run.
work=$(mktemp -d)
export PROCCTL_RUN_DIR=$work/run
clean_up() {
    procctl --quiet terminate --all --kill-after 5 || true
    rm -rf "$work"
}
trap clean_up EXIT

title() { printf '\n== %s\n' "$*"; }

# expect WHAT WANTED GOT: a tour that only prints proves nothing.
expect() {
    if [ "$2" != "$3" ]; then
        printf 'tour.sh: %s: wanted %s, got %s\n' "$1" "$2" "$3" >&2
        exit 1
    fi
    printf '%-44s %s\n' "$1" "$3"
}

# exit_of COMMAND...: its exit status, as text.
exit_of() {
    local status=0
    "$@" || status=$?
    echo "$status"
}

title 'The life of one process'
procctl create --name p -- sleep 1000 >/dev/null
expect 'created: state' initial "$(procctl get p state)"
expect 'created: is-alive exits' 1 "$(exit_of procctl is-alive p)"
procctl start p >/dev/null
expect 'started: state' started "$(procctl get p state)"
expect 'started: is-alive exits' 0 "$(exit_of procctl is-alive p)"
procctl terminate p
expect 'terminated: join exits with 128+15' 143 "$(exit_of procctl join p)"
expect 'terminated: exitcode, as in Python' -15 "$(procctl get p exitcode)"
procctl status p

title 'Jobs side by side, and one that fails'
procctl start --name list --stdout "$work/list" -- find /usr/bin -type f >/dev/null
expect 'list: join --timeout 60 exits' 0 "$(exit_of procctl join list --timeout 60)"

# shellcheck disable=SC2016 # it is the started shell that expands it
procctl start --name sums --stdout "$work/sums" -- \
    sh -c 'sort "$1" | head -n 50 | xargs -d "\n" sha256sum' sums "$work/list" >/dev/null
procctl start --name pack --stdout "$work/list.gz" -- gzip -c "$work/list" >/dev/null
echo 'not packed at all' >"$work/broken.gz"
procctl start --name check -- gzip -t "$work/broken.gz" >/dev/null

# The status of a join of several is that of the first that failed, in the order given.
status=$(exit_of procctl join sums pack check --timeout 60)
case $status in
0) echo 'all three succeeded' ;;
124) echo 'not in time' ;;
*)
    echo "one failed with status $status:"
    for name in sums pack check; do
        code=$(procctl get "$name" exitcode)
        if [ "$code" != 0 ]; then
            echo "  $name: exit code $code: $(procctl logs -n 1 "$name")"
        fi
    done
    ;;
esac
expect 'sums: exit code' 0 "$(procctl get sums exitcode)"
expect 'pack: exit code' 0 "$(procctl get pack exitcode)"
expect 'check: exit code' 1 "$(procctl get check exitcode)"
expect 'what was packed is what was listed' same \
    "$(gzip -dc "$work/list.gz" | cmp -s - "$work/list" && echo same || echo different)"

title 'One that does not end by itself'
: >"$work/journal"
procctl start --name watch -- tail -n 0 -f "$work/journal" >/dev/null
expect 'watch: join --timeout 0.2 exits' 124 "$(exit_of procctl join watch --timeout 0.2)"
expect 'watch: still alive' 0 "$(exit_of procctl is-alive watch)"

title 'A second shell, which shares only the run directory'
# shellcheck disable=SC2016 # it is the second shell that expands it
env -i PATH="$PATH" PROCCTL_RUN_DIR="$PROCCTL_RUN_DIR" sh -euc '
    procctl status --alive
    procctl interrupt watch
'
expect 'watch: join exits with 128+2' 130 "$(exit_of procctl join watch --timeout 60)"
expect 'watch: who ended it' interrupt "$(procctl get watch ended_by.action)"

title 'One that does not want to end'
procctl start --name deaf -- sh -c 'trap "" TERM; echo ready; exec tail -f /dev/null' >/dev/null
procctl logs -f deaf | grep -q -m 1 ready
procctl terminate deaf --kill-after 0.2
expect 'deaf: join exits with 128+9' 137 "$(exit_of procctl join deaf)"
expect 'deaf: exit code' -9 "$(procctl get deaf exitcode)"

title 'What is left'
procctl status
procctl close --all
expect 'records after close --all' '[]' "$(procctl status --json)"
