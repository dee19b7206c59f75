"""`python -m tests.mutants.run`: makes each mistake of the table in a copy of the package, and sees whether its tests notice.

A mistake is killed if a test fails, and survives if all pass. One that the package has no place for any more is stale, and one with
which the tests cannot even be collected, or do not end, is broken: neither says anything of the suite.
"""

import argparse
import concurrent.futures
import datetime
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from .mutants import MUTANTS, Mutant

ROOT = pathlib.Path(__file__).parents[2]
RESULTS = pathlib.Path(__file__).with_name("results.json")
COPIED = ("keras_vix", "tests", "setup.cfg", "pyproject.toml")
WANTED = 28  # killed
PYTEST = (sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--tb=no", "-rfE")
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)


def copy(folder: pathlib.Path) -> pathlib.Path:
    """The package and its tests, in a new folder."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


def mutate(folder: pathlib.Path, mutant: Mutant) -> bool:
    """Make a mistake in a copy; whether there is a place for it."""
    path = folder / "keras_vix" / mutant.file
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    if text.count(mutant.old) != 1:
        return False
    path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    return True


def call(folder: pathlib.Path, words, limit: float) -> tuple[int | None, str]:
    """The exit code of a program in a copy, None if it took too long, and what it printed."""
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    process = subprocess.Popen(
        words, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        text, _ = process.communicate(timeout=limit)
        return process.returncode, text
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return None, process.communicate()[0]


def verdict(mutant: Mutant, limit: float) -> dict:
    """What has become of one mistake."""
    begin = time.perf_counter()
    found = {"name": mutant.name, "file": mutant.file, "harm": mutant.harm}
    with tempfile.TemporaryDirectory(prefix="keras_vix-mutant-") as place:
        folder = copy(pathlib.Path(place))
        if not mutate(folder, mutant):
            return found | {"verdict": "stale", "by": None}
        code, text = call(folder, [*PYTEST, *mutant.tests], limit)
    by = FAILED.search(text)
    if code == 1 and by:
        found |= {"verdict": "killed", "by": by[1]}
    elif code == 0:
        found |= {"verdict": "survived", "by": None, "reason": mutant.survives}
    else:
        found |= {"verdict": "broken", "by": None, "reason": " ".join(text.split())[-300:] or "it took too long"}
    return found | {"seconds": round(time.perf_counter() - begin, 1)}


def sound(mutants, limit: float) -> str:
    """Why the tests say nothing: what fails without any mistake; nothing if all pass in a copy, with the copy's package."""
    with tempfile.TemporaryDirectory(prefix="keras_vix-mutant-") as place:
        folder = copy(pathlib.Path(place))
        _, text = call(folder, [sys.executable, "-c", "import keras_vix; print(keras_vix.__file__)"], limit)
        if not text.strip().endswith(str(folder / "keras_vix" / "__init__.py")):
            return f"the package of a copy is not the one that is imported: {text[-500:]}"
        plain = dict.fromkeys(word for mutant in mutants if "-k" not in mutant.tests for word in mutant.tests)
        chosen = dict.fromkeys(mutant.tests for mutant in mutants if "-k" in mutant.tests)
        for words in (tuple(plain), *chosen):
            code, text = call(folder, [*PYTEST, *words], 10 * limit) if words else (0, "")
            if code != 0:
                return f"exit code {code} without any mistake: {text[-1000:]}"
    return ""


def write(found: list[dict]) -> None:
    """Store verdicts beside those of other mistakes that are still in the table, whole or not at all."""
    import keras

    import keras_vix

    versions = {"python": platform.python_version(), "keras": keras.__version__, "backend": keras.config.backend()}
    versions |= {"keras_vix": keras_vix.__version__, "date": datetime.date.today().isoformat()}
    kept = json.loads(RESULTS.read_text(encoding="utf-8"))["mutants"] if RESULTS.exists() else []
    known = {one["name"]: one for one in [*kept, *(one | versions for one in found)]}
    every = [known[mutant.name] for mutant in MUTANTS if mutant.name in known]
    record = {"killed": sum(one["verdict"] == "killed" for one in every), "of": len(MUTANTS), "mutants": every}
    temporary = RESULTS.with_name(f".{RESULTS.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(temporary, RESULTS)


def fine(found: list[dict], wanted: int) -> bool:
    """Whether enough were killed, none is stale or broken, and there is a reason for each that survived."""
    killed = sum(one["verdict"] == "killed" for one in found)
    others = [one for one in found if one["verdict"] != "killed"]
    return killed >= wanted and all(one["verdict"] == "survived" and one["reason"] for one in others)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="mistakes to make; all of them if none is named")
    parser.add_argument("--jobs", type=int, default=2, help="how many at once")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds that the tests of one may take")
    given = parser.parse_args()
    if unknown := set(given.names) - {mutant.name for mutant in MUTANTS}:
        parser.error(f"no such mistake: {', '.join(sorted(unknown))}")
    chosen = [mutant for mutant in MUTANTS if mutant.name in given.names or not given.names]
    begin = time.perf_counter()
    if reason := sound(chosen, given.limit):
        print(reason)
        return 1
    print(f"{len(chosen)} mistakes; without any, their tests pass ({time.perf_counter() - begin:.0f} s)", flush=True)
    found = []
    with concurrent.futures.ThreadPoolExecutor(given.jobs) as pool:
        for one in pool.map(lambda mutant: verdict(mutant, given.limit), chosen):
            found.append(one)
            why = one["by"] or one.get("reason") or "no test noticed"
            print(f"{one['verdict']:9} {one['name']:36} {one.get('seconds', 0):6.1f} s  {why}", flush=True)
    killed = sum(one["verdict"] == "killed" for one in found)
    print(f"{killed} of {len(found)} killed in {time.perf_counter() - begin:.0f} s")
    write(found)
    return 0 if fine(found, min(WANTED, len(chosen))) else 1


if __name__ == "__main__":
    sys.exit(main())
