#!/usr/bin/env bash
# Compares our signatures, TwiML and REST requests with those of Twilio's own Python library. The first use creates .cache/venv-twilio; later uses need
# no network. Wants the built tests (`make test` runs it after them).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly venv=.cache/venv-twilio
readonly package='twilio==9.13.0'
readonly installed="$venv/.installed"

if [[ "$(cat "$installed" 2>/dev/null || true)" != "$package" ]] || ! "$venv/bin/python" -c '' 2>/dev/null; then
    echo "oracle: installing $package into $venv (once, about 20 MB)"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: "$package"
    echo "$package" >"$installed" # last, so that an interrupted installation starts again
fi

[[ "${1:-}" != --install ]] || exit 0
echo 'oracle: comparing with Twilio'"'"'s library'
exec cargo test --release --locked --test server --test carrier -- --ignored --nocapture --test-threads=1 oracle::
