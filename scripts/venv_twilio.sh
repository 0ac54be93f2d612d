#!/usr/bin/env bash
# Twilio's own Python library in .cache/venv-twilio, against which the tests hold our signatures, TwiML and REST requests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly VENV=.cache/venv-twilio VERSION=9.13.0

if [[ "$("$VENV/bin/python" -c 'import twilio; print(twilio.__version__)' 2>/dev/null)" == "$VERSION" ]]; then
    exit 0
fi
python3 -m venv "$VENV"
"$VENV/bin/python" -m pip install --quiet --disable-pip-version-check "twilio==$VERSION"
