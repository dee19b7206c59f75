"""What is looked at before the first unit runs: whether every model can be built, and whether the data are whole."""

import os
from collections.abc import Sequence
from typing import Any

from ..base import seed_kept
from ..checks import near
from .unit import Unit

SIZE_ADVICE = "give --set input_shape=[height,width,channels], for example [96,96,3]"


def check(units: Sequence[Unit]) -> list[tuple[Any, Any]]:
    """Find every mistake that can be found before anything is run.

    Returns:
        The recipe and the description of each unit.

    Raises:
        ValueError, TypeError: an unknown preset, data set, profile or option, or one out of range.
    """
    from .. import describe
    from ..data import POLICIES
    from ..train import recipe
    from ..train.devices import check as check_devices

    found, known = [], {}
    for unit in units:
        images = unit.dataset, unit.image_size
        if images not in known:
            known[images] = facts_of(*images)
        facts = known[images]
        plan = recipe(unit.preset, facts, unit.profile, **unit.of_recipe)
        if plan.augment not in ("default", *POLICIES):
            raise ValueError(
                f"augment must be default or one of {', '.join(POLICIES)}. Received: augment={plan.augment!r} for "
                f"{unit.label}.{near(plan.augment, POLICIES)}"
            )
        check_devices(unit.devices, plan.batch_size, unit.backend)
        with seed_kept():
            description = describe(unit.preset, dataset=facts, profile=unit.profile, **unit.of_model)
        found.append((plan, description))
    return found


def facts_of(dataset: str, size: tuple[int, int] | None) -> Any:
    """The facts of a data set, resized if so asked.

    Raises:
        ValueError: there is no such set, or its images cannot be used.
        OSError, ImportError: it is not on this machine, and not to be had.
    """
    from .. import data
    from ..facts import DATASETS

    try:
        return data.facts_of(dataset, image_size=size)
    except data.DatasetUnavailable:
        raise
    except (ValueError, OSError) as error:
        advice = "" if dataset in DATASETS or os.path.exists(dataset) else near(dataset, DATASETS)
        raise ValueError(
            f"dataset must be one of {', '.join(DATASETS)}, another of TensorFlow Datasets, or a folder of images. "
            f"Received: dataset={dataset!r}: {str(error).replace('give image_size=(height, width)', SIZE_ADVICE)}{advice}"
        ) from None


def check_data(units: Sequence[Unit]) -> None:
    """Look for damage in the data sets of some units before anything is run; what is not there yet is left to be downloaded.

    Raises:
        ValueError: a set is damaged; the message says where, and what to do.
    """
    from ..data import verify

    for name in dict.fromkeys(unit.dataset for unit in units):
        problems = verify(name, full=False).problems
        if problems:
            more = f" ({len(problems)} problems; keras-vix doctor --data {name} prints all.)" if len(problems) > 1 else ""
            raise ValueError(f"The data set {name!r} is damaged. {problems[0]}{more}")
