"""A program that stands in for the measuring child: it does what the preset's name says, without Keras, and logs it.

The log, `STAND_IN_LOG`, has a line `begin FINGERPRINT` for every start and `end FINGERPRINT` once a row is written.
"""

import ctypes
import hashlib
import json
import os
import resource
import signal
import sys
import threading
import time

text = sys.stdin.read()
unit = json.loads(text)
fingerprint = hashlib.sha256(json.dumps(unit, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:10]
options = unit["overrides"]
what = unit["preset"]
batch = unit["batch_size"] or 64


def log(word):
    handle = os.open(os.environ["STAND_IN_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, f"{word} {fingerprint}\n".encode())
    os.close(handle)


def say(**event):
    print(json.dumps(event), flush=True)


def end_with_parent(handle):
    os.read(handle, 1)
    os._exit(1)


if "KERAS_VIX_PARENT" in os.environ:
    threading.Thread(target=end_with_parent, args=(int(os.environ["KERAS_VIX_PARENT"]),), daemon=True).start()
log("begin")
say(event="started", epochs=2, steps=3, batch_size=batch)
time.sleep(options.get("seconds", 0))
logs = {"accuracy": 0.25, "loss": 2.0, "val_accuracy": 0.5, "val_loss": 1.0}
say(event="epoch", epoch=1, epochs=2, val_accuracy=0.5, epoch_seconds=0.1, elapsed=0.1, logs=logs)

match what:
    case "crash":
        os._exit(3)
    case "segfault":
        ctypes.string_at(0)
    case "shot":
        os.kill(os.getpid(), signal.SIGKILL)
    case "raise":
        raise RuntimeError("no such thing")
    case "hang":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(3600)
    case "orphan":
        if os.fork() == 0:
            time.sleep(3600)
        os._exit(3)
    case "memory":
        raise MemoryError
    case "limit":
        size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + 10**8, size + 10**8))
        bytearray(10**9)
    case "exhausted":
        raise RuntimeError("ResourceExhaustedError: OOM when allocating tensor with shape[512,1024]")
    case "abort":
        print("terminate called after throwing an instance of 'std::bad_alloc'", file=sys.stderr, flush=True)
        os.abort()
    case "large" if batch > 32:
        raise MemoryError

row = {
    "schema": 1, "status": "nan" if what == "diverge" else "done", "message": "", "fingerprint": fingerprint, "unit": unit,
    "label": " ".join([what, *(f"{key}={value}" for key, value in options.items())]), "preset": what,
    "dataset": unit["dataset"], "profile": unit["profile"], "seed": unit["seed"], "m": None, "batch_size": batch,
    "test_accuracy": 0.5, "val_accuracy": 0.5, "epochs": 2, "epoch_seconds": time.perf_counter(), "pid": os.getpid(),
}
if what == "diverge":
    row["history"] = {"loss": [2.0, None], "val_accuracy": [0.5, None]}
row["bulk"] = "x" * options.get("bulk", 0)
try:
    with open(sys.argv[-1] + ".part", "w") as file:
        json.dump(row, file)
    os.replace(sys.argv[-1] + ".part", sys.argv[-1])
except OSError as error:
    os.remove(sys.argv[-1] + ".part")
    say(event="unwritten", message=f"{error}; 0 bytes free")
    print("another library cannot write either, and says so at its end", file=sys.stderr)
    sys.exit(1)
log("end")
say(event="done", status=row["status"])
