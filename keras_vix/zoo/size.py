"""The "Size (MB)" of the 2022 hybrid paper: an estimate for one image, after what a summary of its PyTorch modules sees.

    size = 4 bytes * (input + 2 * outputs + parameters) / 2**20

`outputs` are the output scalars of every module that is called, wrappers included: a block counts what its parts have counted.
What is computed without a module (products of matrices, some softmax and activations) is unseen. So it is neither the
size of a file nor memory that was measured; it is here to compare with the published tables.

Source: Jeevan and Sethi 2022, Resource-efficient Hybrid X-formers for Vision, tables 1 to 5, and the module structure of the code
they build on.
"""

import math

from .config import Config

FAMILIES = ("vix", "levix", "ccx", "cvx", "pix")


def published_megabytes(config: Config, family: str, parameters: int) -> float | None:
    """The estimate in MiB for a model of one of `FAMILIES` with a count of `parameters` by modules; otherwise `None`."""
    if family not in FAMILIES or config.mixer not in ("attention", "conv_attention", "levit", "fourier", "token_mlp"):
        return None
    outputs = _embedding(config, family) + _blocks(config, family) + _head(config, family)
    return 4 * (math.prod(config.input_shape) + 2 * outputs + parameters) / 2**20


def _tokens(config: Config) -> list[int]:
    """Tokens of each stage, without those in front."""
    rows, columns, _ = config.input_shape
    step = math.prod(config.options["strides"]) if config.embed == "conv" else config.options["patch"]
    shrink = config.options.get("reduce_stride", 2)
    grids = [(rows // step, columns // step)]
    for _ in config.dim[1:]:
        grids.append(tuple(-(-side // shrink) for side in grids[-1]))
    return [high * wide for high, wide in grids]


def _embedding(config, family) -> int:
    n, dim = _tokens(config)[0], config.dim[0]
    if config.embed == "conv":
        total = _stem(config, n, dim, family)
    else:  # patches are cut, by two modules in `pix`, and mapped
        total = n * (config.options["patch"] ** 2 * config.input_shape[2] * (2 if family == "pix" else 1) + dim)
    if config.position != "none" or config.prefix:  # the dropout of embedded tokens
        total += (n + config.prefix) * dim
    if config.position == "rope":  # the table of angles
        total += _padded(config, n + config.prefix) * _width(config.at(0))
    return total


def _stem(config, n, dim, family) -> int:
    """Convolutions; what follows each of them; the map as tokens, in a module of its own or, in `ccx`, two."""
    steps, total = 1, 0
    whole = math.prod(config.options["strides"]) ** 2 * n
    for filters, stride in zip((*config.options.get("filters", (32, 64)), dim), config.options["strides"]):
        steps *= stride
        total += whole // steps**2 * filters * (3 if family == "ccx" else 2 if family == "cvx" else 1)
    return total + n * dim * {"vix": 1, "pix": 1, "ccx": 2}.get(family, 0)


def _blocks(config, family) -> int:
    total = 0
    for stage, (n, depth) in enumerate(zip(_tokens(config), config.depth)):
        sizes, places = config.at(stage), n + config.prefix
        dim = sizes["dim"]
        if stage and family == "pix":  # the class token, two convolutions, their module, the whole
            total += config.prefix * dim + 3 * n * dim + places * dim
        elif stage:  # convolution and normalisation
            total += 2 * n * dim
        total += depth * _block(config, family, places, sizes)
        if family != "ccx" and config.mixer != "token_mlp":  # the stack of blocks
            total += places * dim
    return total


def _block(config, family, n, sizes) -> int:
    dim, hidden = sizes["dim"], sizes["mlp_dim"]
    if config.mixer == "token_mlp":  # norm, dense, activation, dropout, dense, dropout, wrapper; over tokens, then channels
        over = config.options.get("token_dim", n)
        return dim * (4 * n + 3 * over) + n * (4 * dim + 3 * hidden)
    attention = _attention(config, family, n, sizes) + n * dim  # and its wrapper
    if family == "ccx":  # two norms, two dropped paths, the block; activation and wrappers unseen
        return attention + 5 * n * dim + 2 * n * (hidden + dim)
    wrappers = 0 if family == "levix" else 4 * n * dim  # a norm and a wrapper for each half
    return attention + wrappers + 3 * n * (hidden + dim)


def _width(sizes) -> int:
    return sizes["key_dim"] or sizes["dim"] // sizes["num_heads"]


def _attention(config, family, n, sizes) -> int:
    dim, heads = sizes["dim"], sizes["num_heads"]
    inner = heads * _width(sizes)
    reshape = 2 * n * dim if family in ("levix", "cvx") and config.mixer == "attention" else 0  # from the map and back
    if config.mixer == "fourier":
        return 0
    if config.mixer == "conv_attention":  # two depth-wise projections of four modules; heads in the batch axis of the map
        return 4 * n * dim + 6 * n * inner + n * n + 2 * n * dim
    if config.mixer == "levit":  # three projections with norms, map, activation, projection with norm, dropout
        return 7 * n * inner + heads * n * n + 3 * n * dim
    if config.kernel == "performer":
        return reshape + 4 * n * inner + 2 * n * dim
    if config.kernel == "linformer":  # no dropout of the output
        keys = inner * (config.options.get("kv_heads") or heads) // heads
        return reshape + n * (inner + keys) + heads * n * config.options["m"] + n * dim
    if config.kernel == "nystrom":  # everything on padded tokens
        return reshape + _padded(config, n) * (4 * inner + 2 * dim)
    return reshape + 3 * n * inner + heads * n * n + 2 * n * dim


def _padded(config, n) -> int:
    if config.kernel != "nystrom":
        return n
    return -(-n // config.options["m"]) * config.options["m"]


def _head(config, family) -> int:
    dim, n = config.dim[-1], _tokens(config)[-1]
    if config.mixer == "token_mlp":  # a norm of all tokens, their mean
        return n * dim + dim + config.classes
    if family == "ccx":  # a norm of all tokens, their weights, logits twice
        return n * dim + n + 2 * config.classes
    return (dim if family == "pix" else 2 * dim) + config.classes
