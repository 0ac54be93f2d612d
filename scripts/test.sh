#!/usr/bin/env bash
# Everything that must hold before a change lands; stops at the first failure. `make test` and .ci/run call this.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-auto}"
tieline="${CARGO_TARGET_DIR:-target}/release/tieline"

# What the tests load. Every other model is tested through small stand-ins.
readonly TEST_MODELS=(tiny.en en_US-joe-medium smart-turn-v3.2 silero-vad onnxruntime)

current='start'
report_failure() {
    local code=$?
    ((code == 0)) || echo "FAILED in step \"$current\" after ${SECONDS} s (exit code $code)" >&2
}
trap report_failure EXIT

step() {
    current=$1
    shift
    local began=$SECONDS
    echo "== $current"
    "$@"
    echo "== $current: ok, $((SECONDS - began)) s (total ${SECONDS} s)"
}

documentation() { RUSTDOCFLAGS='-D warnings' cargo doc --release --no-deps --locked; }

# In test mode a bench runs each measurement once: it keeps them compiling and honest, it measures nothing.
benches_once() {
    if compgen -G 'benches/*.rs' >/dev/null; then
        cargo test --release --locked --bench '*'
    else
        echo 'no benches yet'
    fi
}

step 'system packages' scripts/bootstrap.sh --tests
step 'format' cargo fmt --check
step 'build' cargo build --release --locked
step 'lint' cargo clippy --release --all-targets --locked -- -D warnings
step 'documentation' documentation
step 'dependencies' scripts/audit.sh
step 'bill of materials' scripts/sbom.sh
step 'models' "$tieline" models pull "${TEST_MODELS[@]}"
step 'tests' cargo test --release --locked
step 'calls in a network namespace' scripts/namespace_test.sh
step 'safeguards' scripts/safeguards.py
step 'the API against its document' scripts/api_check.sh
step "Twilio's library as the oracle" scripts/twilio_oracle.sh
step 'benches, once each' benches_once
echo "ALL TESTS PASSED in ${SECONDS} s"
