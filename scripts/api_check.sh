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

export DATABASE_URL="sqlite:$work/tieline.db" DATA_DIR="$work" SEED_DATA=on BIND=127.0.0.1:0 LOG=warn TWILIO_VERIFY=off PUBLIC_URL='' LLM_BASE_URL=''
export API_RATE_PER_KEY=1000000 API_RATE_PER_ADDRESS=1000000
touch "$work/none.env" # whatever .env says is not asked
key=$("$tieline" --env-file "$work/none.env" keys create --quiet --name schemathesis --scopes read,operate,admin,phi,audit,break-glass)
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

# What the examples of the document name, beside the seed data: a call, and an order. Both have numbers of their own.
"$tieline" --env-file "$work/none.env" call --webhook "$url/voice/incoming" --say 'Hello, what are your opening hours?' >"$work/call" 2>&1 ||
    { tail -n 20 "$work/call" "$work/log" >&2; exit 1; }
"$venv/bin/python" - "$url" "$key" "$work/openapi.json" <<'PYTHON'
import json, sys, urllib.request
url, key, path = sys.argv[1:]

def ask(what, body=None):
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(url + what, headers=headers, data=json.dumps(body).encode() if body else None)
    return json.load(urllib.request.urlopen(request))

call = ask("/api/calls")["items"][0]["call_sid"]
order = {"service_type": "plumbing", "description": "a leak", "location": "kitchen", "urgency": "high"}
order = ask("/api/task-orders", {"customer_number": "482615", **order})["order_number"]
document = json.dumps(ask("/api/openapi.json"))
for example, real in (("CA00000000000000000000000000000001", call), ("1000001", order)):
    assert f'"{example}"' in document, example
    document = document.replace(f'"{example}"', f'"{real}"')
open(path, "w").write(document)
PYTHON

# It keeps a folder of its own where it runs.
cd "$work"
# The stream of events does not end by itself, and a key that is revoked ends the check; tests/api does both.
"$venv/bin/schemathesis" --no-color run "$work/openapi.json" --url "$url" --header "Authorization: Bearer $key" --exclude-path /api/events \
    --exclude-path '/api/keys/{id}/revoke' \
    --phases examples,coverage,fuzzing --max-examples "${API_CHECK_EXAMPLES:-15}" --seed 1 --suppress-health-check all \
    --request-timeout 10 --exclude-checks positive_data_acceptance "$@"
if grep -E 'panicked|ERROR' "$work/log"; then
    echo 'api_check: the server logged a fault' >&2
    exit 1
fi
