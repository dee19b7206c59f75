"""Published recipes as data, keyed by the name that a user or a family of the zoo asks for."""

from types import MappingProxyType

IMAGENET = 1_281_167  # training images of ImageNet-1k

DEIT = dict(
    epochs=300, batch_size=1024, weight_decay=0.05, optimizer_epsilon=1e-8, schedule="cosine", warmup=5 / 300,
    warmup_rate=1e-6, final_rate=1e-5, label_smoothing=0.1, augment="deit", repeats=3,
)  # fmt: skip
SWIN = DEIT | dict(warmup=20 / 300, warmup_rate=5e-7, final_rate=5e-6, clip_norm=5.0, repeats=1)

# Steiner et al. 2021, arXiv:2106.10270: training from scratch. Its 10,000 steps of warm-up are a share of 300 epochs of ImageNet.
AUGREG = dict(
    epochs=300, batch_size=4096, learning_rate=1e-3, weight_decay=0.1, optimizer_epsilon=1e-8, schedule="cosine",
    warmup=10_000 / (300 * IMAGENET / 4096), clip_norm=1.0, loss="sigmoid", augment="medium2",
)  # fmt: skip

SOURCES = {
    "augreg": AUGREG,
    # Fine-tuning, 10,000 steps on CIFAR; the rate is one of the four that are swept.
    "augreg_finetune": dict(
        epochs=100, batch_size=512, optimizer="sgd", learning_rate=1e-2, weight_decay=0.0, schedule="cosine", clip_norm=1.0,
        augment="inception",
    ),
    # Touvron et al. 2020, arXiv:2012.12877, table 9; at 384 pixels, 30 more epochs.
    "deit": DEIT,
    "deit_finetune": DEIT | dict(
        epochs=30, batch_size=512, learning_rate=5e-6, weight_decay=1e-8, schedule="constant", warmup=0.0, warmup_rate=0.0,
        final_rate=0.0,
    ),
    # Efficient attention in a trained model: the rate is that of what is new; old weights take a part of it, see `finetune`.
    "finetune": dict(
        epochs=30, batch_size=512, weight_decay=0.05, optimizer_epsilon=1e-8, schedule="cosine", warmup=5 / 30,
        label_smoothing=0.1, augment="light1",
    ),
    # Touvron et al. 2021, arXiv:2103.17239.
    "cait": DEIT | dict(epochs=400, warmup=5 / 400),
    # Liu et al. 2021, arXiv:2103.14030.
    "swin_imagenet": SWIN,
    # Lee et al. 2021, arXiv:2112.13492.
    "small_data": dict(
        epochs=100, batch_size=128, learning_rate=1e-3, weight_decay=0.05, decay_all=True, optimizer_epsilon=1e-8,
        schedule="cosine", warmup=0.1, warmup_rate=1e-6, final_rate=1e-6, label_smoothing=0.1, augment="small", repeats=3,
        repeat_all=True,
    ),
    # Yuan et al. 2021, arXiv:2101.11986.
    "t2t": DEIT | dict(epochs=310, batch_size=512, warmup=10 / 310, repeats=1),
    # Le and Li 2023, arXiv:2306.16678; its loss is that of a teacher alone.
    "binary": dict(
        epochs=300, batch_size=512, weight_decay=0.0, optimizer_epsilon=1e-8, schedule="cosine", final_rate=1e-5,
        augment="crop",
    ),
}  # fmt: skip

# Families of the zoo that follow the recipe of another name.
BY_FAMILY = MappingProxyType(
    {
        "pit_imagenet": "deit",
        **{family: "augreg" for family in ("r_root", "r_stages")},
        **{family: "binary" for family in ("binary_deit", "binary_vit")},
        **{family: "small_data" for family in ("sl_vit", "sl_cait", "sl_pit", "sl_swin", "sl_t2t")},
    }
)

# Peak rate an image of the batch, where the source has such a rule: 5e-4 for 512, or for T2T-ViT 5e-4 at its one batch size.
PER_IMAGE = MappingProxyType(
    {name: 5e-4 / 512 for name in ("deit", "cait", "swin_imagenet", "t2t", "binary")} | {"finetune": 1e-4 / 512}
)

# By data set where a source changes its augmentation.
AUGMENT = MappingProxyType({"small_data": {"svhn_cropped": "small_svhn", "tiny_imagenet": "small_imagenet"}})

# The level that AugReg recommends, by the data it trains on and the size.
LEVELS = MappingProxyType(
    {
        "imagenet": {"ti16": "light1", "s32": "medium1", "s16": "medium2", "b32": "medium2", "b16": "medium2", "l16": "medium2"},
        "imagenet21k": {
            "ti16": "inception", "s32": "inception", "s16": "light1", "b32": "light2", "b16": "light2", "l16": "medium2",
        },
    }
)  # fmt: skip


def source_of(family: str) -> str | None:
    """The published recipe of a family, if there is one."""
    return family if family in SOURCES else BY_FAMILY.get(family)


def published(name: str, dataset: str, batch_size: int | None = None, accumulate: int = 1) -> dict:
    """The fields of a published recipe; its peak rate follows the images of an update where the source says so."""
    fields = dict(SOURCES[name])
    if name in PER_IMAGE:
        peak = fields["learning_rate"] = PER_IMAGE[name] * (batch_size or fields["batch_size"]) * accumulate
        fields |= {key: min(fields.get(key, 0.0), peak) for key in ("warmup_rate", "final_rate")}
    if dataset in AUGMENT.get(name, {}):
        fields["augment"] = AUGMENT[name][dataset]
    return fields
