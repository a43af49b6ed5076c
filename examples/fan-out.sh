#!/usr/bin/env bash
# Fan-out over files: compresses each FILE into OUT, at most N at once, and tells which ones failed and why.
# usage: fan-out.sh [-j N] OUT FILE...
# Exit status: 0 if all went well, 1 if a file failed. Needs procctl and gzip.
set -euo pipefail

usage() {
    sed -n 's/^# usage: /usage: /p' "$0" >&2
    exit 2
}
at_once=$(nproc)
if [ "${1:-}" = -j ]; then
    [ $# -ge 2 ] || usage
    at_once=$2
    shift 2
fi
[ $# -ge 2 ] || usage
out=$1
shift
mkdir -p "$out"

work=$(mktemp -d)
export PROCCTL_RUN_DIR=$work/run
clean_up() {
    procctl --quiet terminate --all --kill-after 5 || true
    rm -rf "$work"
}
trap clean_up EXIT

declare -A running=() # id → file
done_count=0
failed=0

# Waits until at least one has ended and settles those that have.
settle() {
    local ended id code
    # The exit status tells of a failed job, which is looked at below; no ids at all means that join itself failed.
    ended=$(procctl join --any "${!running[@]}") || [ -n "$ended" ] || exit
    for id in $ended; do
        code=$(procctl get "$id" exitcode)
        if [ "$code" = 0 ]; then
            done_count=$((done_count + 1))
        else
            failed=$((failed + 1))
            printf 'failed (%s): %s: %s\n' "$code" "${running[$id]}" "$(procctl logs -n 1 "$id")" >&2
        fi
        unset "running[$id]"
    done
}

for file; do
    while [ "${#running[@]}" -ge "$at_once" ]; do
        settle
    done
    packed=$out/${file//\//_}.gz
    rm -f "$packed" # --stdout appends
    # --daemon: none goes on when this script is killed.
    id=$(procctl start --daemon --stdout "$packed" -- gzip -9 -c -- "$file")
    running[$id]=$file
done
while [ "${#running[@]}" -gt 0 ]; do
    settle
done

echo "$done_count compressed, $failed failed"
[ "$failed" -eq 0 ]
