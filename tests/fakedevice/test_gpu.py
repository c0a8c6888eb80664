"""The fake GPU fails where a GPU would, and computes where it would."""

from __future__ import annotations

import pytest
import torch

from tests.fakedevice.gpu import CUDA, fake_gpu


def test_devices_do_not_mix_and_values_stay_on_the_gpu() -> None:
    with fake_gpu() as gpu:
        there, here = torch.ones(2, 3, device="cuda"), torch.ones(2, 3)
        with pytest.raises(AssertionError):
            _ = there + here
        with pytest.raises(RuntimeError):
            there.numpy()
        with pytest.raises(RuntimeError):
            there.nonzero()
        with pytest.raises(AssertionError):
            there.uniform_(generator=torch.Generator())
        there.uniform_(generator=torch.Generator(CUDA))
        assert not gpu.waits
        assert there.cpu().numpy().sum() == 0
        assert here.tolist() == [[1.0] * 3] * 2
        assert gpu.waits == {"copy": 1}
        with gpu.capturing():
            with pytest.raises(AssertionError):
                here.to(CUDA)
            with pytest.raises(AssertionError):
                there.sum().item()


def test_gradients_have_the_devices_and_types_of_their_tensors() -> None:
    with fake_gpu():
        weight = torch.nn.Parameter(torch.ones(3, 3, device="cuda"))
        with torch.autocast("cuda", torch.bfloat16):
            product = torch.ones(2, 3, device="cuda") @ weight
        assert product.dtype == torch.bfloat16
        product.float().sum().backward()
        assert weight.grad is not None
        assert (weight.grad.device, weight.grad.dtype) == (CUDA, torch.float32)
