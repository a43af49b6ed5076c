#!/usr/bin/env bash
# A family of processes: a service that starts helpers of its own, and what becomes of them when it dies.
# Needs procctl and what is on every machine.
set -euo pipefail

work=$(mktemp -d)
export PROCCTL_RUN_DIR=$work/run
clean_up() {
    procctl --quiet terminate --all --kill-after 5 || true
    rm -rf "$work"
}
trap clean_up EXIT

title() { printf '\n== %s\n' "$*"; }

title 'A service with two children: a daemonic one and one that must finish its work'
mkfifo "$work/orders"
: >"$work/journal"
# The service. Inside a managed process @self and @parent are known, and what it starts are its children.
cat >"$work/service" <<'END'
set -eu
procctl start --daemon --name shipper -- tail -n +1 -f "$1/journal"
procctl start --name export --stdout "$1/sorted" -- sort "$1/orders"
echo "I am $(procctl get @self name), my parent is pid $(procctl get @parent pid)"
procctl status --children
echo ready
procctl join # the children: it never comes to that, the service is killed first
END
procctl start --name service -- bash "$work/service" "$work" >/dev/null
procctl logs -f service | grep -q -m 1 '^ready'
procctl logs service

title 'SIGKILL for the service: it can clean up nothing'
procctl kill service --wait
procctl join shipper || echo "shipper, daemonic: join exits with $?, ended by $(procctl get shipper ended_by.action)"
procctl is-alive export && echo 'export, not daemonic: alive'

title 'The one that was left does its work to the end'
printf '%s\n' pear apple fig >"$work/orders"
procctl join export --timeout 60
tr '\n' ' ' <"$work/sorted"
echo
echo "its parent was $(procctl get export parent.name)"

title 'A daemonic process may not have children'
procctl start --daemon --name lonely -- sh -c 'procctl start -- true; echo "refused with $?"' >/dev/null
procctl join lonely
procctl logs lonely

title 'run: a main process ends when its children have ended'
cat >"$work/main" <<'END'
set -eu
procctl start --daemon --name ticker -- tail -f /dev/null >/dev/null
procctl start --name worker -- sh -c 'echo worked' >/dev/null
echo 'the main program is through'
exit 3
END
procctl run --name main -- bash "$work/main" || echo "run exits with $?, as the main program did"
echo "worker: $(procctl get worker exitcode), ticker: $(procctl get ticker exitcode)"
