"""Stored measurements made up for tests: every number in a report can be worked out by hand from them."""

from peers.records import empty

KIND = {"threads": 1, "batch": 8, "here": False, "backend": "tensorflow"}
LINEAR = ("tensorflow-vix-performer-softmax", "tensorflow-vix-linformer", "torch-performer-pytorch-softmax")


def record(case, tokens, medians, mode="train", group="attention", number=0, **more):
    blocks = [{"round": i, "steps": 1, "median": value, "cores_used": 1.0} for i, value in enumerate(medians)]
    facts = {"status": "done", "blocks": blocks, "parameters": 66048, "moved_bytes": 1000, "multiply_adds": None,
             "first_seconds": 1.0, "memory_bytes": 2**20 * tokens}
    return {"set": number, "group": group, "case": case, "tokens": tokens, "mode": mode, **facts, **more}


def measurements(records):
    sets = [{"set": 0, "group": "attention", "mode": "train", "rounds": 3, "seconds": 1.0,
             "background": [{"load_average": 1.0, "busy_percent": 5.0}] * 3}]
    about = {"tensorflow": {"packages": {"keras": "3.15.1"}, "device": "cpu", "cores": 1, "threads": 1}}
    settings = {"rounds": 3, "limit": 12.0, "block": 0.2, "most_steps": 50, "budget": 100.0}
    return empty(KIND) | {"records": list(records), "sets": sets, "environments": about, "settings": settings,
                          "commands": ["python benchmarks/peers/run.py"], "machine": {"cpu": "some CPU", "cores": 2}}


def attention():
    """At 64 tokens exact attention takes 10 ms and linear kernels 40 ms; they grow with the square and with the tokens."""
    made = []
    for tokens in (64, 256, 1024):
        share = tokens / 64
        made.append(record("tensorflow-mha", tokens, [0.010 * share**2] * 3))
        made += [record(case, tokens, [0.040 * share] * 3) for case in LINEAR]
    return made
