"""A llama.cpp server on the loopback interface, for `make demo` and for trying tieline without an LLM of your own.

Started by scripts/llm_server.sh, which sets the environment up. Prints `llm ready http://…` on standard output when it
answers, logs to standard error, and ends on SIGTERM, on Ctrl-C, or when the process that started it is gone.
"""

import argparse
import os
import pathlib
import signal
import sys
import threading
import time
import urllib.request

PARENT_POLL_S = 0.5
READY_DEADLINE_S = 120
LLAMA_LOG_WARNINGS = 2


def main() -> None:
    args = parse_args()
    # The default actions end the process at once, also while the model is loading inside C++.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=end_with_parent, args=(os.getppid(),), daemon=True).start()

    import xllamacpp  # here, so that `--help` and bad arguments need no package

    try:
        server = xllamacpp.Server(server_params(xllamacpp, args))
    except RuntimeError:
        sys.exit(
            f"llm_server: llama.cpp could not serve {args.gguf} on port {args.port} (its own reason is above): "
            "check the file with `target/release/tieline models verify`, and that the port is free"
        )
    wait_until_healthy(server.listening_address)
    print(f"llm ready {server.listening_address}/v1 model {args.alias}", flush=True)
    while True:
        signal.pause()


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("gguf", type=pathlib.Path, help="model file")
    parser.add_argument("--port", type=int, required=True, help="loopback port; 0 takes a free one")
    parser.add_argument("--alias", help="model name in the API (default: the file name without .gguf)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--context", type=int, default=2048, help="tokens")
    args = parser.parse_args()
    if not args.gguf.is_file():
        sys.exit(f"llm_server: no model file {args.gguf}; get it with: target/release/tieline models pull smollm2-135m")
    args.alias = args.alias or args.gguf.stem
    return args


def server_params(xllamacpp, args: argparse.Namespace):
    params = xllamacpp.CommonParams()
    params.model.path = str(args.gguf)
    params.model_alias = {args.alias}
    params.hostnames = ["127.0.0.1"]
    params.port = args.port
    params.n_ctx = args.context
    params.n_parallel = 1
    params.cpuparams.n_threads = args.threads
    params.cpuparams_batch.n_threads = args.threads
    # One small model and one short conversation: the slot's own prompt cache is enough.
    params.cache_ram_mib = 0
    # Nothing that would show what callers said: no web page, no slot inspection, no other origin's scripts.
    params.ui = False
    params.endpoint_slots = False
    params.cors_origins = "http://127.0.0.1"
    params.warmup = True
    params.verbosity = LLAMA_LOG_WARNINGS
    return params


def end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_POLL_S)
    os._exit(0)


def wait_until_healthy(address: str) -> None:
    deadline = time.monotonic() + READY_DEADLINE_S
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            with opener.open(f"{address}/health", timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError as error:
            if time.monotonic() > deadline:
                sys.exit(f"llm_server: {address} did not answer within {READY_DEADLINE_S} s: {error}")
        time.sleep(0.05)


main()
