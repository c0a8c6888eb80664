"""Checkpoint files: read without pickled code, and assigned to a module; an error names every faulty tensor."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from fishtui.errors import CheckpointError
from fishtui.files import writing_by_library
from fishtui.memory import release_mapped
from fishtui.wording import missing_checkpoint_file, reason_of

DOWNLOAD = "It is not a checkpoint of this model; download it again."
MOST_NAMED = 5
# The callable that a pickle asks for, in torch's message.
CODE = re.compile(r"GLOBAL ([\w.]+)")


def read_tensors(path: Path, prefix: str = "") -> dict[str, Tensor]:
    """Return the tensors of a `torch.save` file, memory-mapped, unwrapped from `{"state_dict": …}`, `prefix` removed.

    Raises CheckpointError if the file is missing, is not such a file, or needs pickled code to load.
    """
    content = read_file(path)
    content = content.get("state_dict", content)
    named = content.items() if isinstance(content, dict) else ()
    tensors: dict[str, Tensor] = {}
    for name, value in named:
        plain = str(name).removeprefix(prefix)
        if plain in tensors:
            raise CheckpointError(
                f"{path}: both {prefix}{plain} and {plain} are in the file",
                "Remove one of them.",
                code="ambiguous-tensor",
            )
        if isinstance(value, Tensor):
            tensors[plain] = value
    if not tensors:
        raise CheckpointError(f"{path}: no tensors in the file", DOWNLOAD, code="no-tensors")
    return tensors


def read_file(path: Path) -> dict:
    """Return the dictionary in a `torch.save` file, tensors memory-mapped where the format allows.

    Pickled code is never run. Raises CheckpointError.
    """
    if not path.is_file():
        raise missing_checkpoint_file(path)
    try:
        content = _torch_load(path)
    except Exception as error:
        # Damaged bytes lead torch's reader into errors of any kind.
        raise _unreadable(path, error) from error
    if not isinstance(content, dict):
        raise CheckpointError(
            f"{path}: a {type(content).__name__} instead of tensors by name", DOWNLOAD, code="no-tensors"
        )
    return content


def write_file(content: Mapping[str, Any], path: Path) -> None:
    """Write a `torch.save` file, in place. Raises OSError, also where torch raises RuntimeError for a full disk."""
    with writing_by_library(path) as file:
        torch.save(content, file)


def _unreadable(path: Path, error: Exception) -> CheckpointError:
    reason = reason_of(error)
    if isinstance(error, pickle.UnpicklingError):
        if code := CODE.search(str(error)):
            return CheckpointError(
                f"{path}: not loaded, because it contains code ({code[1]})",
                "A checkpoint of this model needs no code to load; download it from its publisher.",
                code="pickled-code",
            )
        # torch's own message advises to load the file without the safety check.
        reason = "not a file of tensors"
    return CheckpointError(
        f"{path}: cannot read: {reason}",
        "It may be incomplete: download it again, or use an earlier checkpoint of the training.",
        code="damaged-checkpoint",
    )


def _torch_load(path: Path):
    with path.open("rb") as file:
        zipped = file.read(4) == b"PK\x03\x04"
    # Only zip archives, written since torch 1.6, can be memory-mapped.
    with warnings.catch_warnings():
        # torch asks to report files of unusual pickle protocols to it.
        warnings.simplefilter("ignore", UserWarning)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)


class _Unfilled(TorchFunctionMode):
    """Skips the functions that fill parameters with random numbers."""

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options = kwargs or {}
        if getattr(function, "__module__", None) == nn.init.__name__:
            return options["tensor"] if "tensor" in options else args[0]
        return function(*args, **options)


@contextmanager
def without_values() -> Iterator[None]:
    """Build the modules of the body on the meta device: shapes and types without values."""
    # To draw random numbers on this device, torch imports its compiler, which takes longer than loading a model.
    with torch.device("meta"), _Unfilled():
        yield


def assign_tensors(module: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Make `tensors`, read from `path`, the parameters of `module` (built `without_values`), without a copy.

    Raises CheckpointError that names each tensor that is missing, unexpected or of another shape.
    """
    shapes = {name: value.shape for name, value in module.state_dict().items()}
    check_tensors(shapes, tensors, path)
    module.load_state_dict({name: tensors[name] for name in shapes}, assign=True)


def release(*tensors: Tensor) -> None:
    """Free the memory of memory-mapped tensors that were read and not changed; others stay as they are."""
    for tensor in tensors:
        if tensor.device.type == "cpu" and tensor.is_contiguous():
            release_mapped(tensor.data_ptr(), tensor.nbytes)


def is_plain(value: object) -> bool:
    """Return True if a value is a dense tensor of floating-point numbers, as all weights are."""
    return isinstance(value, Tensor) and value.layout == torch.strided and value.is_floating_point()


def check_tensors(
    shapes: Mapping[str, torch.Size],
    tensors: Mapping[str, Tensor],
    path: Path,
    ignored: Callable[[str], bool] = lambda name: False,
) -> None:
    """Raise CheckpointError unless `tensors`, without the `ignored` ones, have the names and shapes of `shapes`."""
    missing = [name for name in shapes if name not in tensors]
    unexpected = [name for name in tensors if name not in shapes and not ignored(name)]
    misshapen = [
        f"{name} {tuple(tensors[name].shape)} for {tuple(shape)}"
        for name, shape in shapes.items()
        if name in tensors and tensors[name].shape != shape
    ]
    unfit = [f"{name} ({tensors[name].dtype})" for name in shapes if name in tensors and not is_plain(tensors[name])]
    faults = [
        f"{fault}: {', '.join(names[:MOST_NAMED])}"
        + (f" and {len(names) - MOST_NAMED} more" * (len(names) > MOST_NAMED))
        for fault, names in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape", misshapen),
            ("not of floating-point numbers", unfit),
        )
        if names
    ]
    if faults:
        raise CheckpointError(
            f"{path}: the tensors do not fit the model; {'; '.join(faults)}",
            "Check that the weights and the config come from the same model.",
            code="wrong-tensors",
        )
