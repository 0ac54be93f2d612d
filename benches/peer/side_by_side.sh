#!/usr/bin/env bash
# side_by_side.sh BENCH_DIR PEER_HOME TURNS [client arguments]
#
# One run, the same caller, stub LLM, speech and machine: Pipecat (PROFILES, default "tuned"), then this build of tieline.
# BENCH_DIR holds twilio_client.py, stub_llm.py and run_peer.sh; PEER_HOME was filled by setup_peer.sh. Results: $OUT/*.json.
set -euo pipefail
bench=$1 peer=$2 turns=$3
shift 3
repo=$(cd "$(dirname "$0")/../.." && pwd)
out=${OUT:-/tmp/side-by-side}
profiles=${PROFILES-tuned}
speech=${SPEECH:-$bench/../speech/manifest.tsv}
label=${LABEL:-run}
text="${TEXT:-Sure, I can help you with that today. We are open from nine to five.}"
mkdir -p "$out"
python=$peer/venv/bin/python
for profile in $profiles; do
  BENCH_HOME=$peer PROFILE=$profile MODEL=models/ct2-tiny TEXT=$text SPEECH=$speech "$bench/run_peer.sh" "$label-$profile" "$turns" "$@" >/dev/null || true
  cp "$peer/results/$label-$profile.json" "$out/"
  cp "$peer/results/$label-$profile.turns" "$out/"
done
cd "$repo"
"$python" "$bench/stub_llm.py" --port 8099 --ttft-ms 100 --itl-ms 20 --text "$text" >"$out/stub.log" 2>&1 &
stub=$!
TWILIO_VERIFY=off DATA_DIR=$out/data BIND=127.0.0.1:8090 LLM_BASE_URL=http://127.0.0.1:8099/v1 LLM_MODEL=stub STT_MODEL=tiny.en LOG_TRANSCRIPTS=true \
  target/release/tieline serve >"$out/$label-tieline.log" 2>&1 &
server=$!
trap 'kill $server $stub 2>/dev/null; wait' EXIT
until grep -q '^ready' "$out/$label-tieline.log"; do
  kill -0 $server || { tail -1 "$out/$label-tieline.log"; exit 1; }
  sleep 0.2
done
client() {
  "$python" "$bench/twilio_client.py" --webhook http://127.0.0.1:8090/voice/incoming --stats-url http://127.0.0.1:8099/stats \
    --manifest "$speech" --match-text '^[A-Z][^.]*[.]$' --min-words 4 --max-pause-ms 180 --min-s 1.2 --max-s 5 --pick 12 --seed 3 "$@"
}
client "$@" --turns 1 >/dev/null 2>&1 || true
client --turns "$turns" --pid $server --own-pid $stub --label "$label-tieline" --json "$out/$label-tieline.json" -v "$@" \
  >/dev/null 2>"$out/$label-tieline.turns"
python3 - "$out" "$label" $profiles tieline <<'PY'
import json, sys
out, label, *names = sys.argv[1:]
print(f"{'':10} {'n':>3} {'cut in':>6} {'split':>5} {'v2v p50':>8} {'p95':>6} {'min':>6} {'max':>6} {'clear p50':>9} {'WER %':>6} {'CPU s/min':>9} {'foreign':>7}")
for name in names:
    r = json.load(open(f"{out}/{label}-{name}.json"))["summary"]
    v, b, a = r.get("v2v_ms") or {}, (r.get("barge") or {}).get("clear_ms") or {}, r.get("asr") or {}
    s = r.get("server") or {}
    cell = lambda x: "-" if x is None else x
    print(f"{name:10} {cell(v.get('n')):>3} {cell(r.get('cut_in')):>6} {cell(a.get('turns_with_more_than_one_llm_request')):>5} "
          f"{cell(v.get('p50')):>8} {cell(v.get('p95')):>6} {cell(v.get('min')):>6} {cell(v.get('max')):>6} {cell(b.get('p50')):>9} "
          f"{cell(a.get('wer_pct')):>6} {cell(s.get('cpu_s_per_call_min')):>9} {cell(r.get('foreign_load_cores')):>7}")
PY
