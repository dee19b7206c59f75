"""Checkpoints by their name on the Hugging Face hub, at a pinned revision and with a known hash."""

import functools
import pathlib
import re
import tomllib

from .. import checks

PREFIX = "hf:"
NAME = re.compile(r"hf:(?P<repository>[\w.-]+/[\w.-]+)(?:/(?P<file>[\w.-]+(?:/[\w.-]+)*))?")
REVISION, HASH = re.compile("[0-9a-f]{40}"), re.compile("[0-9a-fA-F]{64}")
FILE = "model.safetensors"
ENDS = (".safetensors", ".npz")


@functools.cache
def checkpoints() -> dict[str, dict[str, str]]:
    """Known checkpoints by hub name: `preset`, `file`, and, where they are known, `revision` and `sha256`.

    >>> [name for name, one in keras_vix.interop.checkpoints().items() if one["preset"] == "vit_b16"]
    ['google/vit-base-patch16-224', 'timm/vit_base_patch16_224.augreg_in21k_ft_in1k']
    """
    return tomllib.loads((pathlib.Path(__file__).parent / "checkpoints.toml").read_text(encoding="utf-8"))


def fetch(source: str, revision: str | None = None, sha256: str | None = None) -> tuple[pathlib.Path, str]:
    """A file of a hub repository, from the local cache or fetched into it: its path and the SHA-256 it must have.

    Args:
        source: `"hf:owner/name"`, its `model.safetensors` if `checkpoints` does not say otherwise, or `"hf:owner/name/file"`.
        revision: the full commit, 40 hexadecimal digits, since a branch moves; default that of `checkpoints`.
        sha256: of the file, 64 hexadecimal digits; default that of `checkpoints`.

    Raises:
        ValueError: for another name, a file of another kind, or without a revision and a hash.
        FileNotFoundError: it cannot be fetched; the message says what to fetch by other means and what to do with it.
        ImportError: `huggingface_hub` is missing.
    """
    match = NAME.fullmatch(source)
    if not match or ".." in source:
        raise ValueError(f"A hub name is {PREFIX}owner/name or {PREFIX}owner/name/file. Received: source={source!r}.")
    known = checkpoints().get(match["repository"], {})
    file = match["file"] or known.get("file", FILE)
    if not file.endswith(ENDS):
        raise ValueError(f"A checkpoint ends in {' or '.join(ENDS)}. Received: source={source!r}; no pickle is ever fetched.")
    pinned = known if file == known.get("file", FILE) else {}
    revision, sha256 = revision or pinned.get("revision"), sha256 or pinned.get("sha256")
    if not REVISION.fullmatch(revision or "") or not HASH.fullmatch(sha256 or ""):
        raise ValueError(
            f"A hub name needs `revision`, a commit of 40 hexadecimal digits, and `sha256`, 64, of {file}. "
            f"Received: source={source!r}, revision={revision!r}, sha256={sha256!r}; both stand on the page of the file, "
            f"https://huggingface.co/{match['repository']}/blob/main/{file}."
        )
    hub = checks.package("huggingface_hub", "A hub name")
    address = f"https://huggingface.co/{match['repository']}/resolve/{revision}/{file}"
    try:
        return pathlib.Path(hub.hf_hub_download(match["repository"], file, revision=revision)), sha256
    except Exception as error:  # of the network, the disk or the hub: the file is not there in any case
        raise FileNotFoundError(
            f"{source} must be in the local cache or within reach. Received: {type(error).__name__}; fetch {address} elsewhere, "
            f"put it anywhere on this machine and give its path in place of the name, with sha256={sha256!r}."
        ) from error
