"""The report of a folder: one Markdown page, one CSV, and figures, all made anew from the stored measurements."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import records, summary, tables
from .case import MODES
from .cases import find
from .results import Results

METHOD = """\
Batch {batch}, 4 heads of 32 (width 128), float32, no dropout; 64 random features, projected tokens or landmarks. Inputs
and cotangents are fixed random numbers; the backward pass gives the gradient of each trainable weight and the input.

Every contender has a process of its own; while one runs, all others wait for a message and use no processor time.
{threads} The contenders of a set (one number of tokens, one mode) take turns: a block each, in an order that turns
round from one round to the next. A block has as many steps as fill {block:g} s, from 1 to {most}, and counts as its
median step. The first call, which traces and compiles, and a warm-up come before and do not count. Figures are medians
over the blocks with the 10th to 90th percentile; speed-ups are medians of the ratio *within each round*, so that drift
of the machine falls out. **Compare figures of one run only.** A step of more than the limit ends a contender's part:
its cell says `> limit`. Memory is the peak of the process (on a GPU: of the allocator) in the first block, over what it
held before the first call; at small sizes that is compiled code more than tensors.
"""


def write(folder: Path) -> list[Path]:
    """Write everything; the paths of what was written."""
    from keras_vix.bench.store import write_bytes, write_text

    from .figures import figures

    results = Results(records.load(folder))
    drawn = figures(results)
    texts = {"report.md": page(results, sorted(drawn)), "measurements.csv": to_csv(results)}
    for name, text in texts.items():
        write_text(folder / name, text)
    for name, content in drawn.items():
        write_bytes(folder / name, content)
    return [folder / name for name in (*texts, *drawn)]


def page(results: Results, pictures: list[str]) -> str:
    """The whole report."""
    parts = [f"# Side by side: {title(results)}\n", opening(results)]
    parts += [f"![{name[:-4]} against the number of tokens]({name})\n" for name in pictures if name.endswith(".png")]
    parts += attention(results) + rest(results) + [surroundings(results), troubles(results)]
    return "\n".join(part for part in parts if part)


def title(results: Results) -> str:
    """What was compared, where."""
    threads = results.measurements["kind"]["threads"]
    words = {None: "threads as the frameworks choose", 1: "one thread"}.get(threads, f"{threads} threads")
    return f"attention layers, {words}"


def opening(results: Results) -> str:
    """Command and method."""
    settings = results.measurements["settings"]
    threads = results.measurements["kind"]["threads"]
    how = {1: "All run on one core with one thread.", None: "Threads are left to the frameworks."}
    method = METHOD.format(
        batch=results.measurements["kind"]["batch"], block=settings["block"], most=settings["most_steps"],
        threads=how.get(threads, f"All run on {threads} threads, not pinned."),
    )
    commands = "\n".join(f"    {command}" for command in results.measurements["commands"])
    return f"{commands}\n\n{method}"


def section(head: str, text: str) -> list[str]:
    """A heading and its text."""
    return [f"\n## {head}\n", text]


def attention(results: Results) -> list[str]:
    """The group of attention layers: speed-ups, times, break-even, memory, floors."""
    parts = []
    for mode, words in MODES.items():
        if results.tokens("attention", mode):
            head = f"Attention, {words}: times faster than the first row"
            parts += section(head, tables.speed_ups(results, "attention", mode))
    for mode, words in MODES.items():
        if results.tokens("attention", mode):
            parts += section(f"Attention, {words}: milliseconds", tables.milliseconds(results, "attention", mode))
            parts += section(f"Break-even, {words}: tokens", tables.break_evens(results, mode))
    if results.tokens("attention", "train"):
        parts += section("Memory, forward + backward: MiB", tables.memory(results))
    return parts


def rest(results: Results) -> list[str]:
    """Doubling, windows, models, and floors."""
    parts = []
    if results.cases("doubling"):
        parts += section("Doubling the tokens, forward + backward", tables.doubling(results))
    for mode, words in MODES.items():
        if results.tokens("windows", mode):
            grids = "N = 1,024 is a 32 x 32 grid in 4 x 4 windows, N = 3,136 a 56 x 56 grid in 7 x 7 windows.\n\n"
            parts += section(f"Windows, {words}: times faster than the first row",
                             grids + tables.speed_ups(results, "windows", mode))
            parts += section(f"Windows, {words}: milliseconds", tables.milliseconds(results, "windows", mode))
    if results.cases("models"):
        text = ("Each pixel of a square image is a token; width 128, 4 blocks, MLP of 256, 10 classes; a training step "
                "with Adam and a prediction, each the framework's usual way.\n\n")
        parts += section("Whole models", text + tables.models(results))
    return parts + floors(results)


def floors(results: Results) -> list[str]:
    """What the machine gives, and how far above it the layers are."""
    if not results.cases("floors"):
        return []
    parts = section("What the machine gives", tables.machine(results))
    for mode, words in MODES.items():
        if results.tokens("attention", mode):
            text = ("The floor is the longer of its products at the framework's best rate above (three times as many "
                    "with the backward pass) and its inputs, outputs and weights at the memory's.\n\n")
            parts += section(f"Time over floor, {words}", text + tables.over_floors(results, mode))
    return parts


def surroundings(results: Results) -> str:
    """Machine, versions, background load, and whether the threads were as asked."""
    machine, lines = results.measurements["machine"], []
    shown = ("utc", "cpu", "gpu", "cores", "system", "python", "commit", "load_average", "busy_percent")
    lines += [f"- {key.replace('_', ' ')}: {machine[key]}" for key in shown if machine.get(key) is not None]
    for name, about in results.measurements["environments"].items():
        packages = ", ".join(f"{package} {version}" for package, version in about["packages"].items())
        lines.append(f"- environment {name}: {packages}; device {about['device']}, {about['cores']} cores")
    return "\n".join(["\n## Environment\n", *lines, *load_lines(results)]) + "\n"


def load_lines(results: Results) -> list[str]:
    """Background load before the rounds, and the cores that blocks used."""
    busy = [load["busy_percent"] for one in results.measurements["sets"] for load in one["background"]
            if load.get("busy_percent") is not None]
    used = [block["cores_used"] for record in results.measurements["records"] for block in record["blocks"]
            if block.get("cores_used") is not None]
    lines = []
    if busy:
        value = summary.spread(busy)
        lines.append(f"- cores busy with something else before a round: median {value.median:.0f} %, "
                     f"10 to 90 % of rounds {value.low:.0f} to {value.high:.0f} %, most {max(busy):.0f} %")
    if used:
        lines.append(f"- cores that a block used, processor time over wall time: {min(used):.2f} to {max(used):.2f}")
    return lines


def troubles(results: Results) -> str:
    """Every contender without a figure: where, and why."""
    places: dict[tuple[str, str], list[str]] = {}
    for record in results.measurements["records"]:
        if record["status"] != "done":
            reason = " ".join(str(record.get("reason", "")).split())[:200].replace("|", "\\|").replace("<", "&lt;")
            where = f"{record['group']} {MODES[record['mode']]}"
            where += f" N = {record['tokens']:,}" if record["tokens"] else ""
            places.setdefault((find(record["case"]).label, f"{record['status']} – {reason}"), []).append(where)
    lines = [f"- {label}: {why} ({'; '.join(where)})" for (label, why), where in places.items()]
    return "\n".join(["\n## Without a figure\n", *lines]) + "\n" if lines else ""


def to_csv(results: Results) -> str:
    """A line for each record, times in seconds."""
    text = io.StringIO()
    heads = ("group", "mode", "case", "label", "environment", "tokens", "status", "median_seconds", "p10_seconds",
             "p90_seconds", "speed_up", "p10_speed_up", "p90_speed_up", "memory_bytes", "parameters", "multiply_adds",
             "over_floor", "first_call_seconds", "blocks", "set")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heads)
    for record in results.measurements["records"]:
        writer.writerow(["" if value is None else value for value in line(results, record)])
    return text.getvalue()


def line(results: Results, record: Mapping[str, Any]) -> list[Any]:
    """The figures of one record in the order of the CSV's heads."""
    case = find(record["case"])
    nothing = (None, None, None)
    return [
        record["group"], record["mode"], case.name, case.label, case.environment, record["tokens"], record["status"],
        *(summary.seconds(record) or nothing), *(results.speed_up(record) or nothing), record.get("memory_bytes"),
        record.get("parameters"), record.get("multiply_adds"), results.over_floor(case, record),
        record.get("first_seconds"), len(record["blocks"]), record["set"],
    ]
