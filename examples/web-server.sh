#!/usr/bin/env bash
# A service for as long as a script runs: start it, wait until it is ready, use it, and be sure that it ends.
# Serves a small site over HTTP, fetches every file of it and compares.
# Needs procctl, python3 and curl.
set -euo pipefail

work=$(mktemp -d)
export PROCCTL_RUN_DIR=$work/run
clean_up() {
    procctl --quiet terminate --all --kill-after 5 || true
    rm -rf "$work"
}
trap clean_up EXIT

site=$work/site
mkdir -p "$site/notes"
echo '<h1>Hello</h1>' >"$site/index.html"
seq 100000 >"$site/notes/numbers.txt"
head -c 300000 /dev/urandom >"$site/notes/noise.bin"

# --daemon: it gets SIGTERM when this shell ends, also when that was by SIGKILL and the trap above never ran.
# Port 0: the kernel picks a free one, so that two runs do not collide.
procctl start --daemon --name web --cwd "$site" -- \
    python3 -u -m http.server --bind 127.0.0.1 0 >/dev/null

# No sleep and no retries: `logs -f` ends with the line that says "ready", or with the server.
if ! procctl logs -f web | grep -q -m 1 '^Serving HTTP'; then
    echo "web-server.sh: the server ended before it was ready, exit code $(procctl get web exitcode):" >&2
    procctl logs web >&2
    exit 1
fi
port=$(procctl logs web | sed -n 's/^Serving HTTP on .* port \([0-9]*\) .*/\1/p')
echo "web is ready, pid $(procctl get web pid)"

count=0
while IFS= read -r -d '' file; do
    path=${file#"$site"/}
    curl --silent --show-error --fail --max-time 20 --output "$work/fetched" "http://127.0.0.1:$port/$path"
    cmp "$work/fetched" "$file"
    count=$((count + 1))
done < <(find "$site" -type f -print0)
echo "$count files fetched, all the same"
echo "requests in the log: $(procctl logs web | grep -c '"GET ')"

# A clean end: SIGINT is how http.server wants to be stopped, and it answers with exit 0.
procctl interrupt web --wait
echo "web ended with $(procctl get web exitcode)"
