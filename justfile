# `just` lists what there is to do.

prefix := env('HOME') / '.local'
musl := arch() + '-unknown-linux-musl'

_list:
    @just --list --unsorted

# Everything that must hold before a release, in a clean clone of the last commit
ci:
    .ci/run

# The release binary: musl where that target is installed, else static glibc. Prints its path
build:
    #!/usr/bin/env bash
    set -euo pipefail
    if [ -d "$(rustc --print target-libdir --target {{ musl }})" ]; then
        cargo build --locked --release --target {{ musl }}
        echo "${CARGO_TARGET_DIR:-target}/{{ musl }}/release/procctl"
    else
        echo 'not installed: {{ musl }} (rustup target add {{ musl }}); building static glibc' >&2
        cargo build --locked --release
        echo "${CARGO_TARGET_DIR:-target}/release/procctl"
    fi

# Binary, completions and man pages to PREFIX
install PREFIX=prefix:
    #!/usr/bin/env bash
    set -euo pipefail
    binary=$({{ just_executable() }} --justfile '{{ justfile() }}' build | tail -n 1)
    install -D -m 755 "$binary" '{{ PREFIX }}/bin/procctl'
    install -D -m 644 completions/procctl.bash '{{ PREFIX }}/share/bash-completion/completions/procctl'
    install -D -m 644 completions/_procctl '{{ PREFIX }}/share/zsh/site-functions/_procctl'
    install -D -m 644 completions/procctl.fish '{{ PREFIX }}/share/fish/vendor_completions.d/procctl.fish'
    install -d '{{ PREFIX }}/share/man/man1'
    install -m 644 man/*.1 '{{ PREFIX }}/share/man/man1'

# Tests, lints and format of the work tree
check:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings
    cargo test

# Completions, man pages and the README's help text anew, and the API documentation
docs:
    PROCCTL_UPDATE=1 cargo test -q generated
    RUSTDOCFLAGS='-D warnings' cargo doc --no-deps

# Random operations and random kills for so many minutes, against a model of what must be true, on the release binary
stress MINUTES='10':
    PROCCTL_SOAK_MINUTES={{ MINUTES }} cargo test --release --locked --test it -- --ignored --nocapture a_long_soak

# The tests again and again for so many minutes, with 1 to 8 test threads, until one fails
repeat MINUTES='10':
    #!/usr/bin/env bash
    set -euo pipefail
    cargo test --no-run
    end=$((SECONDS + {{ MINUTES }} * 60)) round=0
    while [ "$SECONDS" -lt "$end" ]; do
        round=$((round + 1)) threads=$((round % 8 + 1))
        echo "round $round, $threads threads"
        cargo test -q -- --test-threads="$threads"
    done
    echo "$round rounds, no failure"

# What procctl costs, as ratios to a C program that does the least
bench *ARGS:
    #!/usr/bin/env bash
    set -euo pipefail
    binary=$({{ just_executable() }} --justfile '{{ justfile() }}' build | tail -n 1)
    benches/run {{ ARGS }} "$binary"
