"""Training in several processes under Lightning: with copies of the model (DDP), or with sharded blocks (FSDP)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import lightning
import torch
from lightning.pytorch.plugins.environments import ClusterEnvironment
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from fishtui.distributed import Place
from fishtui.lm.model import DualAR


class JoinedProcesses(ClusterEnvironment):
    """The processes of a training, already started and connected, each with one device of its own.

    To Lightning each process is a separate machine, because a process may see only its own GPU, and machines may have
    different numbers of GPUs.
    """

    def __init__(self, place: Place) -> None:
        super().__init__()
        self._place = place

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        raise RuntimeError("the processes are joined before Lightning starts")

    @property
    def main_port(self) -> int:
        raise RuntimeError("the processes are joined before Lightning starts")

    @staticmethod
    def detect() -> bool:
        return False

    def world_size(self) -> int:
        return self._place.world

    def set_world_size(self, size: int) -> None:
        """Do nothing: the launcher has set it."""

    def global_rank(self) -> int:
        return self._place.rank

    def set_global_rank(self, rank: int) -> None:
        """Do nothing: the launcher has set it."""

    def local_rank(self) -> int:
        return 0

    def node_rank(self) -> int:
        return self._place.rank


def parallel_options(strategy: Literal["ddp", "fsdp"], place: Place, precision: torch.dtype) -> dict[str, Any]:
    """Return the arguments of `lightning.Trainer` for training in several processes."""
    chosen = ShardedStrategy(precision) if strategy == "fsdp" else DDPStrategy(find_unused_parameters=False)
    # Blocks that are first gathered in inference mode cannot be trained afterwards.
    return {"strategy": chosen, "num_nodes": place.world, "inference_mode": strategy != "fsdp"}


class ShardedStrategy(DDPStrategy):
    """Shards the slow transformer's blocks: weights, gradients and optimizer states (FSDP2).

    A block is whole only while it computes. Every process holds the rest of the model, because the loss computes the
    gradients of the heads and of the fast transformer itself. Checkpoints hold whole tensors, as without sharding.
    `FineTuning` averages the gradients of the parameters that are not sharded (`clip_gradients`).
    """

    def __init__(self, precision: torch.dtype) -> None:
        super().__init__()
        narrow = precision if precision.itemsize < 4 else None
        # Blocks are gathered in the type they compute in; otherwise autocast would keep a copy of every block.
        self._policy = MixedPrecisionPolicy(
            param_dtype=narrow, reduce_dtype=torch.float32 if narrow else None, cast_forward_inputs=False
        )
        self._sharded = False

    def setup(self, trainer: lightning.Trainer) -> None:
        assert self.accelerator is not None
        assert self.lightning_module is not None
        self.accelerator.setup(trainer)
        self.precision_plugin.convert_module(self.lightning_module)
        if not self._sharded:
            self.model_to_device()
            module: Any = self.lightning_module
            shard_blocks(module.model, self.root_device, self._policy)
            self._sharded = True
        if trainer.state.fn == TrainerFn.FITTING:
            self.setup_optimizers(trainer)
        self.setup_precision_plugin()

    def teardown(self) -> None:
        """Leave the model on its device: sharded blocks stay there between validation and training."""
        assert self.accelerator is not None
        self.precision_plugin.teardown()
        self.accelerator.teardown()
        self.checkpoint_io.teardown()

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """Return the trained parameters as whole tensors; the others are in the base."""
        assert self.lightning_module is not None
        named = self.lightning_module.named_parameters()
        return {name: full_tensor(value.detach()) for name, value in named if value.requires_grad}

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """Return the state as without sharding: whole tensors, parameters numbered in their order."""
        content: dict[str, Any] = super().optimizer_state(optimizer)
        content["state"] = {
            number: {name: full_tensor(value) for name, value in state.items()}
            for number, state in content["state"].items()
        }
        return content

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Shard the states like their parameters."""
        for optimizer, content in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            optimizer.load_state_dict({**content, "state": {}})
            for group, saved in zip(optimizer.param_groups, content["param_groups"], strict=True):
                for parameter, number in zip(group["params"], saved["params"], strict=True):
                    state = content["state"].get(number, {})
                    optimizer.state[parameter] = {name: shard_like(parameter, value) for name, value in state.items()}


def shard_blocks(model: DualAR, device: torch.device, policy: MixedPrecisionPolicy) -> None:
    """Shard the blocks of the slow transformer over the processes; `model` must be on `device`."""
    mesh = init_device_mesh(device.type, (distributed.get_world_size(),))
    inside = {parameter for block in model.layers for parameter in block.parameters()}
    for block in model.layers:
        fully_shard(block, mesh=mesh, mp_policy=policy)
    # With the model as their root, a block is gathered while the previous block computes.
    fully_shard(model, mesh=mesh, mp_policy=policy, ignored_params=set(model.parameters()) - inside)
    register_fsdp_forward_method(model, "slow")


def full_tensor(value: Any) -> Any:
    """Gather a sharded tensor on the CPU; all processes must call it. Other values are returned unchanged."""
    return value.full_tensor().cpu() if isinstance(value, DTensor) else value


def shard_like(parameter: Parameter, value: Any) -> Any:
    """Return an optimizer state sharded like its parameter; single numbers are returned unchanged."""
    if not isinstance(value, Tensor) or value.shape != parameter.shape:
        return value
    value = value.to(parameter.device)
    if not isinstance(parameter, DTensor):
        return value
    # Every process has read the whole tensor, so nothing is sent.
    return distribute_tensor(value, parameter.device_mesh, parameter.placements, src_data_rank=None)


def clip_gradients(parameters: Iterable[Parameter], limit: float) -> float:
    """Clip the norm of all gradients at `limit`, some of them sharded, and return the norm before clipping.

    Gradients that are not sharded are averaged over the processes first.
    """
    trained = list(parameters)
    squares = torch.zeros(2, dtype=torch.float64, device=trained[0].device)
    for parameter in trained:
        if isinstance(parameter, DTensor):
            if isinstance(parameter.grad, DTensor):
                squares[0] += parameter.grad.to_local().double().square().sum()
            continue
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        distributed.all_reduce(parameter.grad)
        parameter.grad /= distributed.get_world_size()
        squares[1] += parameter.grad.double().square().sum()
    distributed.all_reduce(squares[0])
    norm = float(squares.sum().sqrt())
    factor = min(limit / (norm + 1e-6), 1.0)
    for parameter in trained:
        if parameter.grad is not None:
            parameter.grad.mul_(factor)
    return norm
