#!/usr/bin/env bash
# A local llama.cpp server: scripts/llm_server.sh models/<file>.gguf --port 8090 [--alias name]
# The first use, or scripts/llm_server.sh --install alone, creates .cache/venv with the prebuilt package; later uses need
# no network.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv="$root/.cache/venv"
package='xllamacpp==2026.10.11549'
installed="$venv/.installed"

if [[ "$(cat "$installed" 2>/dev/null || true)" != "$package" ]] || ! "$venv/bin/python" -c '' 2>/dev/null; then
    echo "llm_server: installing $package into .cache/venv (once, about 130 MB)" >&2
    rm -rf "$venv"
    python3 -m venv "$venv"
    if ! "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: "$package" >&2; then
        echo "llm_server: $package has no build for this machine or could not be downloaded." >&2
        echo "llm_server: point tieline at any OpenAI-compatible server instead: LLM_BASE_URL=http://…/v1 LLM_MODEL=… in .env" >&2
        exit 1
    fi
    echo "$package" >"$installed" # last, so that an interrupted installation starts again
fi

[[ "${1:-}" != --install ]] || exit 0
# exec: the server's parent is then the caller of this script, whose end it watches for.
exec "$venv/bin/python" "$root/scripts/llm_server.py" "$@"
