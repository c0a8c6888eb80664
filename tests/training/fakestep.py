"""The memory of a training step, counted while it runs on fake tensors, which have sizes but no values."""

from __future__ import annotations

import weakref
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from fishtui.lm import loss
from fishtui.lm.model import DualAR
from fishtui.training.lora import trainable


class Memory(TorchDispatchMode):
    """Counts the bytes of all tensors that exist at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._sizes: dict[int, int] = {}

    def note(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if (key := storage._cdata) not in self._sizes:
            self._sizes[key] = storage.nbytes()
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        self.now -= self._sizes.pop(key)

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for value in tree_iter(result):
            if isinstance(value, Tensor):
                self.note(value)
        return result


def peak_of_step(model: DualAR, rows: int, length: int, precision: torch.dtype) -> int:
    """Return the most bytes that a step of a model on the meta device has at once, all positions being frames.

    The blocks of the loss are as large as on a GPU.
    """
    with FakeTensorMode():
        for module in model.modules():
            for name, given in list(module._parameters.items()):
                if given is not None:
                    empty = torch.empty(given.shape, dtype=given.dtype)
                    module._parameters[name] = nn.Parameter(empty, requires_grad=given.requires_grad)
        parameters = list(trainable(model).values())
        tokens = torch.zeros(rows, 1 + model.config.num_codebooks, length, dtype=torch.long)
        memory = Memory()
        moments = [torch.empty(2 * parameter.numel()) for parameter in parameters]
        for tensor in (*model.parameters(), *moments):
            memory.note(tensor)
        cuda = torch.device("cuda")
        blocks = loss.block_logits
        with (
            memory,
            # Which positions have labels depends on values, which do not exist.
            mock.patch.object(Tensor, "nonzero", lambda mask: torch.arange(mask.numel()).unsqueeze(1)),
            mock.patch.object(loss, "block_logits", lambda device, short: blocks(cuda, short)),
        ):
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
                total = loss.losses(model, tokens, torch.zeros_like(tokens)).total
            total.backward()
    return memory.peak
