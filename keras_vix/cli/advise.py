"""`keras-vix advise`: which mixer is fastest on this machine at so many tokens?"""

from typing import Annotated

import typer

from .options import AsJson

Shape = Annotated[str, typer.Option("--input-shape", metavar="H,W,C", help="Of an image, in pixels: 224,224,3.")]
Patch = Annotated[int | None, typer.Option(min=1, help="Side of a patch. [default: 16, or less for small images]")]
Device = Annotated[str | None, typer.Option(help="cpu or gpu:0. [default: the backend's choice]")]
Width = Annotated[int, typer.Option("--dim", min=1, help="Width of a token.")]
Heads = Annotated[int, typer.Option("--num-heads", min=1, help="Heads, which divide the width.")]
Batch = Annotated[int, typer.Option("--batch-size", min=1, help="Images in a step.")]
Rank = Annotated[int, typer.Option("--m", min=1, help="Features, landmarks or projected tokens of the approximations.")]
Seconds = Annotated[float, typer.Option(help="How long to measure, after compiling.")]
Memory = Annotated[bool, typer.Option("--memory", help="Weigh each one too, in a process of its own.")]


def advise_command(
    input_shape: Shape = "224,224,3", patch: Patch = None, device: Device = None, dim: Width = 192, num_heads: Heads = 3,
    batch_size: Batch = 8, m: Rank = 64, seconds: Seconds = 10.0, memory: Memory = False, as_json: AsJson = False,
) -> None:
    """Measure the mixers on this machine, and say which is fastest."""
    from ..bench import store
    from ..bench.advise import advise

    sizes = input_shape.replace("x", ",").split(",")
    if len(sizes) != 3 or not all(size.strip().isdigit() for size in sizes):
        raise ValueError(f"--input-shape is height, width and channels. Received: {input_shape!r}; write 224,224,3.")
    advice = advise(
        [int(size) for size in sizes], patch, device, dim=dim, num_heads=num_heads, batch_size=batch_size, m=m, seconds=seconds,
        memory=memory,
    )  # fmt: skip
    print(store.to_json(advice.to_dict()) if as_json else advice)
    if advice.best.problem:
        raise typer.Exit(1)
