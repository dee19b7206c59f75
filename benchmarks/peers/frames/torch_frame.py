"""Steps under torch, eager, as its users run them; the home of its own modules and of Keras layers on torch."""

from typing import Any

import torch

from ..place import Job, Part, Place, images, layer_job, tensors


def limit_threads(threads: int) -> None:
    """Let torch use so many threads for one operation and none beside it."""
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)


def device() -> str:
    """Where tensors live."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def synchronise() -> None:
    """Wait for the GPU; on a CPU a call returns when its work is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def job(part: Part, place: Place, mode: str, jit: bool) -> Job:
    """One step of a module: forward, or forward and the gradient of the input and every trainable weight."""
    x, cotangent = (torch.from_numpy(array).to(device()) for array in tensors(place))
    x.requires_grad_(mode == "train")
    module = part.layer.to(device()).train(mode == "train")
    weights = [w for w in module.parameters() if w.requires_grad]

    def forward() -> None:
        with torch.no_grad():
            module(*(x,) * part.copies)
        synchronise()

    def train() -> None:
        torch.autograd.grad(module(*(x,) * part.copies), [x, *weights], cotangent)
        synchronise()

    step = forward if mode == "forward" else train
    return layer_job(step, part, [w.numel() for w in weights], place, mode)


def model_job(part: Part, place: Place, mode: str, jit: bool) -> Job:
    """One training step with Adam, or one prediction; a Keras model goes the way of Keras."""
    if hasattr(part.layer, "train_on_batch"):
        from . import keras_models

        return keras_models.model_job(part, place, mode, jit)
    pixels, labels = (torch.from_numpy(array).to(device()) for array in images(place))
    pixels = pixels.permute(0, 3, 1, 2).contiguous() / 127.5 - 1.0
    model = part.layer.to(device()).train(mode == "train")
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    step = training(model, optimizer, pixels, labels.long()) if mode == "train" else prediction(model, pixels)
    parameters = sum(w.numel() for w in model.parameters() if w.requires_grad)
    return Job(step, parameters, None, 4 * parameters)


def training(model: Any, optimizer: Any, pixels: Any, labels: Any) -> Any:
    """The usual loop's body; reading the loss waits for the device, as `train_on_batch` does."""
    def step() -> None:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(pixels), labels)
        loss.backward()
        optimizer.step()
        loss.item()
        synchronise()

    return step


def prediction(model: Any, pixels: Any) -> Any:
    """Logits of one batch, brought to the host, as `predict_on_batch` does."""
    def step() -> None:
        with torch.no_grad():
            model(pixels).cpu()

    return step


def probe(kind: str, sizes: tuple[int, ...]) -> Any:
    """One product of matrices `(rows, inner) (inner, columns)`, or one `a += b` of `sizes[0]` floats."""
    shapes = (sizes[:2], sizes[1:]) if kind == "product" else (sizes, sizes)
    a, b = (torch.ones(shape, device=device()) for shape in shapes)

    def step() -> None:
        torch.matmul(a, b) if kind == "product" else a.add_(b)
        synchronise()

    return step


def device_bytes(reset: bool = False) -> tuple[int, int] | None:
    """Bytes in use on the GPU and their peak since the last reset; None on a CPU."""
    if not torch.cuda.is_available():
        return None
    if reset:
        torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated(), torch.cuda.max_memory_allocated()


def describe() -> dict[str, Any]:
    """The device and the threads that the framework says it uses."""
    return {"device": device(), "threads": torch.get_num_threads()}
