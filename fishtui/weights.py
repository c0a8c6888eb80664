"""Checkpoint files: read without pickled code, and laid into a module with every fault named."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from fishtui.errors import CheckpointError

MOST_NAMED = 5
# What a pickle would have called, as torch names it.
CODE = re.compile(r"GLOBAL ([\w.]+)")


def read_tensors(path: Path, prefix: str = "") -> dict[str, Tensor]:
    """The tensors of a `torch.save` file, memory-mapped, unwrapped from `{"state_dict": …}`, `prefix` stripped.

    Raises CheckpointError if the file is missing, is no such file, or would need pickled code to load.
    """
    content = read_file(path)
    content = content.get("state_dict", content)
    named = content.items() if isinstance(content, dict) else ()
    tensors: dict[str, Tensor] = {}
    for name, value in named:
        plain = str(name).removeprefix(prefix)
        if plain in tensors:
            raise CheckpointError(f"{path} holds {plain} with {prefix} and without", "Take the one that is right.")
        if isinstance(value, Tensor):
            tensors[plain] = value
    if not tensors:
        raise CheckpointError(f"{path} holds no tensors", "It is not a checkpoint of this model; download it again.")
    return tensors


def read_file(path: Path) -> dict:
    """The dictionary in a `torch.save` file, tensors memory-mapped where the format allows; never runs pickled code.

    Raises CheckpointError.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist", "Fetch the checkpoint with `fishtui download`.")
    try:
        content = _torch_load(path)
    except Exception as error:
        # Damaged bytes lead torch's reader into errors of any kind.
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        if isinstance(error, pickle.UnpicklingError):
            if code := CODE.search(str(error)):
                raise CheckpointError(
                    f"{path} was not loaded: it holds more than tensors ({code[1]})",
                    "A checkpoint of this model never needs code to load; get it from where it was published.",
                ) from error
            # torch's own words advise to load it all the same.
            reason = "it is no file of tensors"
        raise CheckpointError(
            f"{path} can't be read: {reason}",
            "It may be cut short: get it again, or take an earlier checkpoint of the training.",
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a {type(content).__name__}, not tensors by name", "Download it again.")
    return content


def _torch_load(path: Path):
    with path.open("rb") as file:
        zipped = file.read(4) == b"PK\x03\x04"
    # Files older than torch 1.6 are no zip archives and can't be mapped.
    return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)


def assign_tensors(
    module: nn.Module, tensors: Mapping[str, Tensor], path: Path, ignored: Callable[[str], bool] = lambda name: False
) -> None:
    """Make `tensors` the parameters of `module` (built on the meta device), without a copy.

    `ignored` names tensors of the file that the module computes itself. Raises CheckpointError that names
    what is missing, unexpected or of another shape.
    """
    shapes = {name: value.shape for name, value in module.state_dict().items()}
    check_tensors(shapes, tensors, path, ignored)
    module.load_state_dict({name: tensors[name] for name in shapes}, assign=True)


def check_tensors(
    shapes: Mapping[str, torch.Size],
    tensors: Mapping[str, Tensor],
    path: Path,
    ignored: Callable[[str], bool] = lambda name: False,
) -> None:
    """Raise CheckpointError unless `tensors`, those `ignored` left out, have just the names and shapes of `shapes`."""
    missing = [name for name in shapes if name not in tensors]
    unexpected = [name for name in tensors if name not in shapes and not ignored(name)]
    misshapen = [
        f"{name} {tuple(tensors[name].shape)} for {tuple(shape)}"
        for name, shape in shapes.items()
        if name in tensors and tensors[name].shape != shape
    ]
    faults = [
        f"{what}: {', '.join(names[:MOST_NAMED])}"
        + (f" and {len(names) - MOST_NAMED} more" * (len(names) > MOST_NAMED))
        for what, names in (("missing", missing), ("unexpected", unexpected), ("of another shape", misshapen))
        if names
    ]
    if faults:
        raise CheckpointError(
            f"{path} does not fit the model: {'; '.join(faults)}",
            "Check that it and the config beside it come from one and the same model.",
        )
