"""A GPU without a GPU: tensors on the CPU are real, those on `cuda` have shapes and types but no values.

An operation that mixes devices fails as it would on a GPU, and so does one whose shape depends on values there. Copies
between the devices are counted; what arrives on the CPU is zeros.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.autograd.function import BackwardCFunction
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

CUDA = torch.device("cuda", 0)
MEMORY = 100 << 30
# Operations that only reserve memory.
EMPTY = {"empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided"}
# Operations that read as much of their first tensor as they return, and those that change as much as they are given.
SELECTIONS = {"embedding", "index", "index_select", "gather"}
ADDITIONS = {"scatter_add_", "scatter_", "index_put_", "index_add_"}


class Gpu(TorchDispatchMode):
    """Counts what happens on the GPU; see the module."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels: Counter[str] = Counter()
        """Operations that launch at least one kernel, by name."""
        self.waits: Counter[str] = Counter()
        """Operations for which the CPU waits for the GPU, by name."""
        self.uploads = 0
        """Copies from the CPU."""
        self.bytes: Counter[str] = Counter()
        """Bytes that the kernels read and write, by name, if each operation is one kernel."""
        self.generators = _Generators()
        self._captured = False
        self._pinned: dict[int, torch.UntypedStorage] = {}

    def pin(self, tensor: Tensor) -> Tensor:
        """Return a copy of a tensor of the CPU from which a GPU copies by itself."""
        with unset_fake_temporarily():
            pinned = tensor.clone()
        storage = pinned.untyped_storage()
        self._pinned[storage.data_ptr()] = storage
        return pinned

    @contextmanager
    def capturing(self) -> Iterator[None]:
        """Forbid what a CUDA graph cannot contain: copies to and from the CPU."""
        self._captured = True
        try:
            yield
        finally:
            self._captured = False

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [each for each in tree_iter((args, kwargs)) if isinstance(each, Tensor)]
        inside = [isinstance(each, FakeTensor) for each in tensors]
        name = function._schema.name.removeprefix("aten::")
        # In inference mode, `to` arrives here whole.
        is_copy = name in ("_to_copy", "to")
        target = _first(torch.device, args, kwargs)
        target = target.type if target else None
        if not any(inside) and target != "cuda":
            with unset_fake_temporarily():
                return function(*args, **kwargs)
        if name == "_local_scalar_dense" or (is_copy and target == "cpu" and any(inside)) or _leaves(name, inside):
            return self._download(name, args, kwargs)
        if outside := [each for each, is_inside in zip(tensors, inside, strict=True) if not is_inside and each.ndim]:
            assert not self._captured, f"{name} reads {len(outside)} tensors of the CPU inside of a graph"
            assert is_copy or name == "copy_", f"{name} on the GPU reads tensors of the CPU"
            self.uploads += 1
            if any(each.untyped_storage().data_ptr() not in self._pinned for each in outside):
                self.waits["copy from memory that is not pinned"] += 1
            if is_copy:
                # Not as the fake mode does it, which keeps the values of small tensors.
                return torch.empty(args[0].shape, dtype=_first(torch.dtype, args, kwargs) or args[0].dtype, device=CUDA)
        generator = kwargs.get("generator")
        assert generator is None or self.generators.is_there(generator), f"{name} with a generator of the CPU"
        if generator is not None:
            self._count(name, tensors, args[0])
            return args[0]
        result = function(*args, **kwargs)
        self._count(name, tensors, result)
        return result

    def _count(self, name: str, tensors: Sequence[Tensor], result: Any) -> None:
        """Count a kernel, and what it reads and writes; views and other operations that launch nothing are left out."""
        made = [each for each in tree_iter(result) if isinstance(each, Tensor)]
        known = {each.untyped_storage()._cdata for each in tensors}
        is_view = not name.endswith("_") and all(each.untyped_storage()._cdata in known for each in made)
        if name in EMPTY or is_view:
            return
        self.kernels[name] += 1
        if name in ADDITIONS:
            made = tensors[-1:]
        read = [*made, *tensors[1:]] if name in SELECTIONS | ADDITIONS else tensors
        self.bytes[name] += sum(min(each.nbytes, each.untyped_storage().nbytes()) for each in (*read, *made))

    def _download(self, name: str, args: Any, kwargs: Any) -> Any:
        assert not self._captured, f"{name} waits for the GPU inside of a graph"
        self.waits["copy" if name in ("_to_copy", "to") else name] += 1
        if name == "_local_scalar_dense":
            return 1.0 if args[0].is_floating_point() else args[0].dtype != torch.bool
        if name == "copy_":
            return args[0].zero_()
        with unset_fake_temporarily():
            return torch.zeros(args[0].shape, dtype=_first(torch.dtype, args, kwargs) or args[0].dtype)


def _first(kind: type, args: Any, kwargs: Any) -> Any:
    """Return the first of the arguments that is of a kind, None without one."""
    return next((each for each in (*args, *kwargs.values()) if isinstance(each, kind)), None)


def _leaves(name: str, inside: Sequence[bool]) -> bool:
    """Return True if a tensor of the CPU is filled from one of the GPU."""
    return name == "copy_" and inside == [False, True]


class _Generators:
    """Makes generators of the CPU, and knows which of them replace generators of the GPU."""

    def __init__(self) -> None:
        self._make = torch.Generator
        self._there: list[torch.Generator] = []

    def __call__(self, device: torch.device | str = "cpu") -> torch.Generator:
        made = self._make()
        if torch.device(device).type == "cuda":
            self._there.append(made)
        return made

    def __or__(self, other: Any) -> Any:
        # In annotations of modules that are imported now.
        return self._make | other

    def is_there(self, generator: torch.Generator) -> bool:
        """Return True for a generator of the GPU."""
        return any(generator._cdata == each._cdata for each in self._there)


@contextmanager
def fake_gpu() -> Iterator[Gpu]:
    """Give torch a GPU while the body runs."""
    gpu = Gpu()
    changes: dict[str, Any] = {
        "torch._subclasses.fake_tensor.init_gpu_context": lambda device: None,
        "torch._subclasses.fake_tensor.FakeTensorMode.avoid_device_init": True,
        "torch.cuda.is_available": lambda: True,
        "torch.cuda.device_count": lambda: 1,
        "torch.cuda.is_bf16_supported": lambda *args, **options: True,
        "torch.cuda.mem_get_info": lambda *args: (MEMORY, MEMORY),
        "torch.cuda.max_memory_allocated": lambda *args: 0,
        "torch.cuda.is_current_stream_capturing": lambda: False,
        "torch.cuda.empty_cache": lambda: None,
        "torch.cuda.device": lambda device: ExitStack(),
        "torch.Generator": gpu.generators,
        "torch.nn.functional.scaled_dot_product_attention": _attention(functional.scaled_dot_product_attention),
        # All values at once, as from a GPU.
        "torch._subclasses.fake_tensor.FakeTensor.tolist": lambda tensor: tensor.cpu().tolist(),
        "torch.Tensor.pin_memory": lambda tensor: gpu.pin(tensor),
        "torch.cuda.amp.common.amp_definitely_not_available": lambda: False,
        "torch.nn.utils.clip_grad._has_foreach_support": lambda tensors, device: True,
        "torch.autograd.backward": _backward,
        "torch.autograd.grad": _grad,
    }
    with ExitStack() as stack:
        for name, stand_in in changes.items():
            stack.enter_context(mock.patch(name, stand_in))
        stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        yield stack.enter_context(gpu)


def _attention(plain: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return torch's function for attention, which on the fake GPU does the operation of a real one.

    Without a GPU, torch takes attention apart.
    """
    aten = torch.ops.aten

    def attend(
        q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, attn_mask: Tensor | None = None, **options: Any
    ) -> Tensor:
        if q.device.type != "cuda":
            return plain(q, k, v, mask if mask is not None else attn_mask, **options)
        assert q.dtype == k.dtype == v.dtype, f"attention of {q.dtype}, {k.dtype} and {v.dtype}"
        bias, is_causal = mask if mask is not None else attn_mask, options.get("is_causal", False)
        if bias is None and q.dtype != torch.float32:
            return aten._scaled_dot_product_flash_attention(q, k, v, 0.0, is_causal)[0]
        if bias is not None and bias.dtype == torch.bool:
            bias = torch.zeros_like(bias, dtype=q.dtype).masked_fill_(bias.logical_not(), -torch.inf)
        if bias is not None:
            bias = bias.expand(*q.shape[:2], q.shape[2], k.shape[2])
        return aten._scaled_dot_product_efficient_attention(q, k, v, bias, q.requires_grad, 0.0, is_causal)[0]

    return attend


# torch's own engine asks the driver for the streams of the GPU, so the nodes of a graph are called here one by one.


def _backward(tensors: Any, grad_tensors: Any = None, *args: Any, **options: Any) -> None:
    _run(_listed(tensors), _listed(grad_tensors), None)


def _grad(outputs: Any, inputs: Any, grad_outputs: Any = None, **options: Any) -> tuple[Tensor | None, ...]:
    return tuple(_run(_listed(outputs), _listed(grad_outputs), _listed(inputs)))


def _listed(given: Any) -> list[Any]:
    return list(given) if isinstance(given, Sequence) else [given]


def _edge(tensor: Tensor) -> tuple[Any, int]:
    edge = torch.autograd.graph.get_gradient_edge(tensor)
    return edge.node, edge.output_nr


def _run(outputs: Sequence[Tensor], gradients: Sequence[Tensor | None], wanted: Sequence[Tensor] | None) -> list[Any]:
    """Run the backward pass; return the gradients of `wanted`, or without it accumulate those of the leaves."""
    waiting: dict[Any, dict[int, Tensor]] = defaultdict(dict)

    def pass_on(node: Any, place: int, gradient: Tensor | None) -> None:
        if node is not None and gradient is not None:
            known = waiting[node].get(place)
            waiting[node][place] = gradient if known is None else known + gradient

    targets: dict[Any, dict[int, int]] = defaultdict(dict)
    for number, tensor in enumerate(wanted or ()):
        node, place = _edge(tensor)
        targets[node][place] = number
    found: list[Tensor | None] = [None] * len(wanted or ())
    for output, gradient in zip(outputs, gradients, strict=True):
        pass_on(*_edge(output), torch.ones_like(output) if gradient is None else gradient)
    # Gradient checkpointing computes a block once for each number of a backward pass.
    number = _run.count = getattr(_run, "count", 0) + 1  # type: ignore[attr-defined]
    with mock.patch.object(torch._C, "_current_graph_task_id", return_value=number), torch.no_grad():
        for node in _ordered([_edge(output)[0] for output in outputs]):
            got = waiting.pop(node, {})
            _fit(node, got)
            for place, index in targets.get(node, {}).items():
                found[index] = got.get(place)
            if got and (wanted is None or node.next_functions):
                for (following, place), gradient in zip(node.next_functions, _call(node, got), strict=False):
                    pass_on(following, place, gradient)
    return found


def _fit(node: Any, got: dict[int, Tensor]) -> None:
    """Give the gradients of a node's outputs their types and shapes, and check their devices, as torch does."""
    for place, gradient in got.items():
        wanted = node._input_metadata[place]
        assert gradient.device == wanted.device, f"{node}: a gradient on {gradient.device}, not {wanted.device}"
        got[place] = gradient.to(wanted.dtype).sum_to_size(tuple(wanted.shape))


def _call(node: Any, got: dict[int, Tensor]) -> tuple[Tensor | None, ...]:
    """Return the gradients of the node's inputs that have nodes."""
    given = [got.get(place) for place in range(len(node._input_metadata))]
    is_python = isinstance(node, BackwardCFunction)
    results = node.apply(*given) if is_python else node(*given)
    results = results if isinstance(results, tuple) else (results,)
    if not is_python:
        return results
    # A result belongs to each argument of a function in Python, but only tensors have nodes.
    wanted = iter([each for each, is_needed in zip(results, node.needs_input_grad, strict=True) if is_needed])
    return tuple(None if following is None else next(wanted) for following, _ in node.next_functions)


def _ordered(roots: Sequence[Any]) -> list[Any]:
    """Return all nodes of a graph, each before those that it passes gradients to."""
    seen, ordered = set(), []
    stack = [(root, False) for root in roots]
    while stack:
        node, is_done = stack.pop()
        if is_done:
            ordered.append(node)
        elif node is not None and node not in seen:
            seen.add(node)
            stack += [(node, True), *((following, False) for following, _ in node.next_functions)]
    return ordered[::-1]
