# `just` lists what there is to do.

prefix := env('HOME') / '.local'

_list:
    @just --list --unsorted

# Everything that must hold before a release, in a clean clone of the last commit
ci:
    .ci/run

# The release binary: musl where that target is installed, else static glibc. Prints its path
build:
    @tools/build

# Binary, completions and man pages to PREFIX
install PREFIX=prefix:
    @tools/install '{{ PREFIX }}'

# The Debian package, with cargo-deb
deb *ARGS:
    @tools/deb {{ ARGS }}

# Tests, lints and format of the work tree
check:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings
    cargo test

# Man pages and the README's help text anew, and the API documentation
docs:
    PROCCTL_UPDATE=1 cargo test -q generated
    RUSTDOCFLAGS='-D warnings' cargo doc --no-deps

# The picture in the README anew: what `status` of the release binary prints
picture:
    #!/usr/bin/env bash
    set -euo pipefail
    binary=$({{ just_executable() }} --justfile '{{ justfile() }}' build | tail -n 1)
    tools/picture "$binary"

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

# procctl killed, and failing in five ways, at every single step
faults *ARGS:
    PROCCTL_TEST_ALL_FAULTS=1 CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/faults" \
        cargo test --features faults --test faults -- {{ ARGS }}

# Every parser with what a fuzzer thinks of, so many seconds each. What it finds: fuzz/corpus, fuzz/artifacts
fuzz SECONDS='60':
    #!/usr/bin/env bash
    set -euo pipefail
    cd fuzz
    target=$(rustc -vV | sed -n 's/^host: //p')
    coverage='-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4'
    for part in inline-8bit-counters pc-table trace-compares; do
        coverage+=" -Cllvm-args=-sanitizer-coverage-$part"
    done
    # Stable rustc comes with all of it, and keeps the option for the sanitizer to nightly.
    RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address $coverage -Ccodegen-units=1 --cfg fuzzing" \
        cargo build --locked --release --target "$target"
    mkdir -p artifacts
    for file in fuzz_targets/*.rs; do
        name=$(basename "$file" .rs)
        mkdir -p "corpus/$name"
        echo "== $name"
        "target/$target/release/$name" "corpus/$name" "../tests/data/corpus/$name" -max_total_time={{ SECONDS }} \
            -max_len=4096 -timeout=10 -dict=record.dict -artifact_prefix="artifacts/$name-" -print_final_stats=1 2>&1 |
            grep -vE '^#|^"|^INFO|^Dictionary'
    done

# The unit tests, and tests of the program where memory is shared with children, under AddressSanitizer
sanitize *TESTS='start:: run:: launch:: join:: dead_monitor:: hostile::':
    #!/usr/bin/env bash
    set -euo pipefail
    target=$(rustc -vV | sed -n 's/^host: //p')
    # Without the wrapper: a static program has no place for the sanitizer.
    export RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address --cfg procctl_sanitize" RUSTC_WORKSPACE_WRAPPER=
    export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/sanitize"
    # What a command still holds when it ends is no leak, nor is what tests of the heap do not give back; and looking for leaks
    # needs SIGCHLD, which some callers ignore.
    export ASAN_OPTIONS=detect_leaks=0
    cargo test --locked --lib --target "$target"
    cargo test --locked --test it --target "$target" -- corpus:: {{ TESTS }}

# What procctl costs, next to a C program that does the least and to what else is installed: benches/run --help
bench *ARGS:
    #!/usr/bin/env bash
    set -euo pipefail
    binary=$(tools/build)
    benches/run {{ ARGS }} "$binary"

# docs/performance.md and its picture anew, of the last `just bench`
publish:
    benches/publish

# System calls and instructions of the main commands, compared with benches/costs.json; --update records them
costs *ARGS:
    #!/usr/bin/env bash
    set -euo pipefail
    binary=$(tools/build)
    benches/costs {{ ARGS }} "$binary"
