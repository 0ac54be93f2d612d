#!/usr/bin/env bash
# One simulated call through the real pipeline, on a server of its own: it does not touch a running `make run`, and takes nothing from .env but
# the models and the LLM.
# Without an LLM in the configuration the guided dialog of the eligibility agent answers, from the test patients of the database;
# DEMO=llm starts a local llama.cpp server for the front desk instead. Wants the built binary (`make demo` builds it).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tieline="${CARGO_TARGET_DIR:-target}/release/tieline"

readonly OUT=data/demo-call.wav
readonly SERVER_LOG=data/demo-server.log
readonly LLM_LOG=data/demo-llm.log
readonly LLM_MODEL_NAME=smollm2-135m
readonly LLM_FILE_PATTERN='*[Ss]mol[Ll][Mm]2-135[Mm]*.gguf'
readonly READY_DEADLINE_S=120
readonly STOP_DEADLINE_S=10
# Where the models are and run, which LLM there is and whether it may be contacted.
readonly OF_THE_SITE='MODELS_DIR|HF_ENDPOINT|LLM_[A-Z_]+|OPENAI_API_KEY|PRIVACY|EGRESS_ALLOW|(STT|TTS)_(MODEL|URL|API_KEY|VOICE|WORKERS|THREADS)'

env_file=''
server_pid=''
llm_pid=''
call_pid=''

main() {
    [[ -x "$tieline" ]] || die "no $tieline; run: make demo"
    mkdir -p data
    : >"$SERVER_LOG"
    : >"$LLM_LOG"
    trap stop_all EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM

    # Only its owner reads it: it may hold the LLM's key.
    env_file=$(mktemp)
    if [[ -f .env ]]; then
        { grep -E "^[[:space:]]*(export[[:space:]]+)?($OF_THE_SITE)[[:space:]]*=" .env || true; } >"$env_file"
    fi
    "$tieline" --env-file "$env_file" models pull
    local says=(--say 'Hello, what are your opening hours?' --say 'Thank you. Where are you located?')
    # A key that lies in the environment for other programs means OpenAI, which the server does not contact unless it is told to.
    if [[ "$(setting PRIVACY on-prem)" != cloud-llm ]] && ! is_set LLM_BASE_URL; then
        unset LLM_API_KEY OPENAI_API_KEY
    fi
    if is_set LLM_BASE_URL || is_set LLM_API_KEY || is_set OPENAI_API_KEY; then
        echo 'demo: using the LLM of your configuration'
    elif [[ "${DEMO:-}" == llm ]]; then
        start_local_llm
    else
        echo 'demo: no LLM configured, the guided dialog answers (agent: eligibility; DEMO=llm shows a small local LLM)'
        export AGENT=eligibility
        says=(--say 'Hello, is an MRI covered?' --say 'My member id is M B 1 2 3 4 5 6.' --say 'March 15th, 1985.'
            --say 'Yes, that is right.' --say 'No, thank you. Goodbye.')
    fi
    start_server

    echo 'demo: calling'
    local code=0
    "$tieline" --env-file "$env_file" call --webhook "$PUBLIC_URL/voice/incoming" "${says[@]}" --out "$OUT" &
    call_pid=$! # in the background, so that a signal to this script ends the call at once
    wait "$call_pid" || code=$?
    if ((code == 0)); then
        echo "demo: the call, caller left and agent right, is in $PWD/$OUT"
    else
        show_log "$SERVER_LOG"
    fi
    return "$code"
}

start_local_llm() {
    "$tieline" --env-file "$env_file" models pull "$LLM_MODEL_NAME"
    local gguf
    gguf=$(find "$(setting MODELS_DIR models)/" -name "$LLM_FILE_PATTERN" -print -quit)
    [[ -n "$gguf" ]] || die "'models pull $LLM_MODEL_NAME' left no $LLM_FILE_PATTERN in $(setting MODELS_DIR models)"
    echo "demo: no LLM configured, starting llama.cpp with $LLM_MODEL_NAME (too small to be clever; it shows the path)"
    scripts/llm_server.sh --install
    scripts/llm_server.sh "$gguf" --port 0 --alias "$LLM_MODEL_NAME" >>"$LLM_LOG" 2>&1 </dev/null &
    llm_pid=$!
    wait_for '^llm ready ' "$LLM_LOG" "$llm_pid" 'the llama.cpp server'
    LLM_BASE_URL=$(awk '/^llm ready / {print $3; exit}' "$LLM_LOG")
    export LLM_BASE_URL LLM_MODEL="$LLM_MODEL_NAME"
}

start_server() {
    local port
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    # Its own address and data, whatever the environment says. The webhook is signed in the demo too.
    export BIND="127.0.0.1:$port" PUBLIC_URL="http://127.0.0.1:$port" DATA_DIR=data/demo DATABASE_URL=sqlite:data/demo/tieline.db
    export TWILIO_AUTH_TOKEN="demo-$port-$$-$RANDOM$RANDOM"
    mkdir -p "$DATA_DIR"
    echo "demo: starting the server on $BIND"
    "$tieline" --env-file "$env_file" serve >>"$SERVER_LOG" 2>&1 </dev/null &
    server_pid=$!
    wait_for '^ready http' "$SERVER_LOG" "$server_pid" 'the server'
}

# wait_for <pattern> <log> <pid> <name>
wait_for() {
    local deadline=$((SECONDS + READY_DEADLINE_S))
    until grep -q "$1" "$2"; do
        if ! kill -0 "$3" 2>/dev/null; then
            show_log "$2"
            die "$4 ended before it was ready"
        fi
        if ((SECONDS >= deadline)); then
            show_log "$2"
            die "$4 was not ready within $READY_DEADLINE_S s"
        fi
        sleep 0.1
    done
}

# setting <key> <default>: the environment, else the file, else the default. Only for what this script itself must know.
setting() {
    local value=${!1:-}
    if [[ -z "$value" ]]; then
        value=$(sed -n "s/^[[:space:]]*\(export[[:space:]]\{1,\}\)\{0,1\}$1[[:space:]]*=[[:space:]]*//p" "$env_file" | tail -n 1 |
            sed "s/[[:space:]]\{1,\}#.*//; s/^#.*//; s/[[:space:]]*\$//; s/^\"\(.*\)\"\$/\1/; s/^'\(.*\)'\$/\1/")
    fi
    printf '%s' "${value:-$2}"
}

is_set() { [[ -n "$(setting "$1" '')" ]]; }

stop_all() {
    rm -f "$env_file"
    local pid
    for pid in $call_pid $server_pid $llm_pid; do
        kill "$pid" 2>/dev/null || continue
        local deadline=$((SECONDS + STOP_DEADLINE_S))
        while kill -0 "$pid" 2>/dev/null && ((SECONDS < deadline)); do sleep 0.1; done
        kill -9 "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
}

show_log() {
    echo "demo: end of $1:" >&2
    tail -n 30 "$1" >&2
}

die() {
    echo "demo: $*" >&2
    exit 1
}

main
