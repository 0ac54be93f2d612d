#!/usr/bin/env bash
# Twenty whole calls by voice, with real models, a recording of each, and a log of everything; then whatever was said, heard or looked up is
# looked for in all that was written: database, write-ahead log, recordings, temporary files, log. Nothing of it may be there in plain.
#
# Wants the release build and the models. Five minutes. Prints what was looked for in how many bytes; exit code 1 if anything was found.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tieline=$(realpath "${CARGO_TARGET_DIR:-target}/release/tieline")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/temporary"
touch "$work/none.env"
# Every agent tells that it records.
cp -r agents "$work/agents"
for agent in "$work"/agents/*.toml; do
    printf '\n[recording]\nnotice = "This call is recorded."\n' >>"$agent"
done

# Half of them about insurance, half about repairs.
only=()
while read -r name; do
    only+=(--only "$name")
done < <(sed -n 's/^name = "\([a-z-]*\)"$/\1/p' tests/calls/calls.toml | awk '/^customer-by/ { service = 1 } ++n[service + 0] <= 10')

echo "$((${#only[@]} / 2)) calls, 4 at once"
env -i PATH="$PATH" HOME="$work" TMPDIR="$work/temporary" MODELS_DIR=models AGENTS_DIR="$work/agents" DATA_DIR="$work/data" \
    STT_MODEL="${STT_MODEL:-tiny.en}" RECORDING="${RECORDING:-on}" LOG=trace \
    "$tieline" bench calls --env-file "$work/none.env" --guided --parallel 4 --min 0 --all \
    --keep "$work/data" --json "$work/calls.json" "${only[@]}" >"$work/table.txt" 2>"$work/log.txt" ||
    { tail -n 20 "$work/log.txt" >&2; exit 1; }
tail -n 3 "$work/table.txt"

scripts/leaks.py "$work/calls.json" "$work/data" "$work/temporary" "$work/log.txt"
# What people are shown does have it: else nothing would be found anywhere.
if scripts/leaks.py "$work/calls.json" "$work/table.txt" "$work/data" >/dev/null; then
    echo 'leak_test: the search finds nothing where there is something' >&2
    exit 1
fi
