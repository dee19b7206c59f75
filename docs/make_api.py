"""Write `docs/api/`, which is not kept: a page for each public module, from its `__all__`; `make docs` runs this first."""

import importlib
import inspect
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

MODULES = {
    "keras_vix": "The front door", "keras_vix.layers": "Layers", "keras_vix.kernels": "Kernels", "keras_vix.train": "Training",
    "keras_vix.callbacks": "Callbacks", "keras_vix.data": "Images", "keras_vix.interop": "Weights in and out",
    "keras_vix.interpret": "Looking inside", "keras_vix.tune": "Searching",
}  # fmt: skip


def main() -> None:
    """Write the pages and their index."""
    out = HERE / "api"
    out.mkdir(exist_ok=True)
    told: dict = {}
    lines = ["# All public names", "", "Made from the docstrings by `python docs/make_api.py`.", ""]
    for name, title in MODULES.items():
        (out / f"{name}.md").write_text(page(name, title, told), encoding="utf-8")
        lines.append(f"- [`{name}`]({name}.md): {title[0].lower()}{title[1:]}")
    toctree = ["", "```{toctree}", ":hidden:", "", *MODULES, "```", ""]
    (out / "index.md").write_text("\n".join(lines + toctree), encoding="utf-8")


def page(name: str, title: str, told: dict) -> str:
    """One module: what it says of itself, then each public thing that it names, unless `told` has it on another page."""
    module = importlib.import_module(name)
    lines = [f"# `{name}`: {title[0].lower()}{title[1:]}", "", "```{eval-rst}", f".. automodule:: {name}", "   :no-members:", ""]
    for word in module.__all__:
        thing = getattr(module, word)
        if inspect.ismodule(thing) or not callable(thing):
            continue
        if thing in told:  # a name may stand on two shelves, and is explained on the first
            lines += [f"`{word}`: see :doc:`{told[thing]}`.", ""]
            continue
        told[thing] = name
        kind = "class" if inspect.isclass(thing) else "function"
        lines.append(f".. auto{kind}:: {name}.{word}")
        if kind == "class":
            own = [one for one, value in vars(thing).items() if public(one, value)]
            lines += [f"   :members: {', '.join(own)}"] if own else []
        lines.append("")
    return "\n".join([*lines, "```", ""])


def public(name: str, value) -> bool:
    """Whether a name of a class belongs on its page: with a docstring, and not of the machinery that every layer has."""
    machinery = ("build", "call", "get_config", "from_config", "compute_output_shape", "compute_mask")
    return not name.startswith("_") and name not in machinery and bool(getattr(value, "__doc__", None)) and callable(value)


if __name__ == "__main__":
    main()
