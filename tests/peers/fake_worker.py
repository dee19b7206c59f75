"""A worker that behaves as its case's name says; it knows the protocol and nothing else."""

import json
import sys
import time


def main() -> None:
    manner = ""
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "start":
            manner = sys.argv[1]
            print(json.dumps({"event": "ok", "packages": {}, "device": "cpu", "cores": 1, "threads": 1}), flush=True)
        elif request["do"] == "prepare":
            prepare(manner)
        else:
            block(manner, request["steps"])


def prepare(manner: str) -> None:
    if manner == "crash":
        print("the last words", file=sys.stderr, flush=True)
        sys.exit(3)
    if manner == "garbage":
        print("not JSON\n[1, 2]\n{\"event\": 5}\nnull", flush=True)
    if manner == "missing":
        print(json.dumps({"event": "not installed", "reason": "ModuleNotFoundError: No module named 'x'"}), flush=True)
        return
    facts = {"first_seconds": 0.5, "parameters": 7, "multiply_adds": None, "moved_bytes": 8}
    print(json.dumps({"event": "ok", **facts}), flush=True)


def block(manner: str, steps: int) -> None:
    if manner == "slow":
        time.sleep(60)
    seconds = 99.0 if manner == "admits" else 0.25
    facts = {"memory_bytes": 123, "resident_bytes": 2**40 if manner == "heavy" else 100, "cores_used": 1.0}
    print(json.dumps({"event": "ok", "seconds": [seconds] * steps, **facts}), flush=True)


main()
