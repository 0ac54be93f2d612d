#!/usr/bin/env bash
# Runs the OpenAPI document against a live server: schemathesis from PyPI asks every operation what its schema allows and what it
# does not, and no answer may be a 5xx or differ from the document. Needs the release build and the tests' models.
# The first use creates .cache/schemathesis; later uses need no network.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv="$root/.cache/schemathesis"
package='schemathesis==4.32.5'
installed="$venv/.installed"
tieline="${CARGO_TARGET_DIR:-$root/target}/release/tieline"

if [[ "$(cat "$installed" 2>/dev/null || true)" != "$package" ]] || ! "$venv/bin/python" -c '' 2>/dev/null; then
    echo "api_check: installing $package into .cache/schemathesis (once)" >&2
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$package" >&2
    echo "$package" >"$installed" # last, so that an interrupted installation starts again
fi
[[ "${1:-}" != --install ]] || exit 0

work=$(mktemp -d)
server=''
finish() {
    [[ -z "$server" ]] || kill "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

export DATABASE_URL="sqlite:$work/tieline.db" DATA_DIR="$work" SEED_DATA=on BIND=127.0.0.1:0 LOG=warn PUBLIC_URL='' LLM_BASE_URL=''
export API_RATE_PER_KEY=1000000 API_RATE_PER_ADDRESS=1000000
touch "$work/none.env" # whatever .env says is not asked
key=$("$tieline" --env-file "$work/none.env" keys create --quiet --name schemathesis --scopes read,operate,admin,phi,audit,break-glass)
# What the examples of the document name, beside the seed data.
"$venv/bin/python" - "$work/tieline.db" <<'PYTHON'
import sqlite3, sys, time
now = int(time.time() * 1000)  # by hand: this SQLite may be too old for the tables' own default
with sqlite3.connect(sys.argv[1]) as database:
    sid = "CA00000000000000000000000000000001"
    database.execute("INSERT INTO calls (call_sid, from_number, agent, started_at_ms) VALUES (?, '+12125550101', 'front-desk', ?)", (sid, now))
    database.execute("INSERT INTO turns (call_sid, number, said, heard, outcome, ledger, saved_at_ms)"
                     " VALUES (?, 1, 'hi', 'hello', 'completed', '{}', ?)", (sid, now))
    database.execute("INSERT INTO tool_calls (call_sid, turn_number, tool, args, outcome, duration_ms, saved_at_ms)"
                     " VALUES (?, 1, 'find', '{}', 'found', 3, ?)", (sid, now))
    database.execute("INSERT INTO task_orders (order_number, customer_number, service_type, description, location, urgency,"
                     " idempotency_key, created_at_ms) VALUES ('1000001', '482615', 'plumbing', 'a leak', 'kitchen', 'high', 'check', ?)", (now,))
PYTHON

cd "$root"
"$tieline" --env-file "$work/none.env" serve >"$work/out" 2>"$work/log" &
server=$!
url=''
for _ in $(seq 600); do
    url=$(sed -n 's/^ready //p' "$work/out")
    [[ -z "$url" ]] || break
    kill -0 "$server" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
    sleep 0.1
done
[[ -n "$url" ]] || { echo 'api_check: the server was not ready within a minute' >&2; exit 1; }

# It keeps a folder of its own where it runs.
cd "$work"
# The stream of events does not end by itself, and a key that is revoked ends the check; tests/api does both.
"$venv/bin/schemathesis" --no-color run "$url/api/openapi.json" --header "Authorization: Bearer $key" --exclude-path /api/events \
    --exclude-path '/api/keys/{id}/revoke' \
    --phases examples,coverage,fuzzing --max-examples "${API_CHECK_EXAMPLES:-15}" --seed 1 --suppress-health-check all \
    --request-timeout 10 --exclude-checks positive_data_acceptance "$@"
if grep -E 'panicked|ERROR' "$work/log"; then
    echo 'api_check: the server logged a fault' >&2
    exit 1
fi
