"""Tests of loading a codec: names, both forms of weight norm, and errors that name every fault."""

from __future__ import annotations

import json

import msgspec
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from fishtui.codec.config import OFFICIAL, read_config
from fishtui.codec.load import load_codec, stored_shapes
from fishtui.codec.model import Codec
from fishtui.errors import CheckpointError
from tests.codec.builders import TINY, noise, stored_tensors, write_codec
from tests.expecting import failing
from tests.golden_data import MANIFESTS

NORMED = "encoder.block.1.block.0.block.1.conv"


def test_names_and_shapes_are_the_published_ones():
    manifest = json.loads((MANIFESTS / "manifest_codec.json").read_text())["keys"]
    with torch.device("meta"):
        shapes = stored_shapes(Codec(OFFICIAL))
    published = {name: tuple(entry["shape"]) for name, entry in manifest.items() if entry["kind"] == "param"}
    assert {name: tuple(shape) for name, shape in shapes.items()} == published


@pytest.mark.parametrize(
    ("weight", "magnitude", "direction"),
    [
        (NORMED, "parametrizations.weight.original0", "parametrizations.weight.original1"),
        ("decoder.model.1.block.1.conv", "parametrizations.weight.original0", "parametrizations.weight.original1"),
        ("quantizer.quantizer.quantizers.1.in_proj", "weight_g", "weight_v"),
    ],
)
def test_weight_norm_is_folded_as_torch_computes_it(tmp_path, weight, magnitude, direction):
    tensors = stored_tensors()
    codec = load_codec(write_codec(tmp_path, tensors))
    layer = codec.get_submodule(weight)
    reference = type(layer)(layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride)
    reference = parametrizations.weight_norm(reference, dim=0)
    reference.parametrizations.weight.original0 = nn.Parameter(tensors[f"{weight}.{magnitude}"])
    reference.parametrizations.weight.original1 = nn.Parameter(tensors[f"{weight}.{direction}"])
    torch.testing.assert_close(layer.weight, reference.weight.detach(), rtol=1e-6, atol=1e-7)


def test_no_parameter_is_trainable(tmp_path):
    codec = load_codec(write_codec(tmp_path, stored_tensors()))
    assert not codec.training
    assert not any(parameter.requires_grad for parameter in codec.parameters())


def test_a_codec_that_only_encodes_has_the_same_codes_and_fewer_weights(tmp_path):
    audio = noise(1, 1, 10 * TINY.frame_length)
    path = write_codec(tmp_path, stored_tensors())
    whole, encoder = load_codec(path), load_codec(path, decodes=False)
    assert torch.equal(encoder.encode(audio), whole.encode(audio))
    dropped = {name.split(".")[0] for name in whole.state_dict().keys() - encoder.state_dict().keys()}
    assert dropped == {"decoder", "quantizer"}
    assert not any("post_module" in name or "upsample" in name for name in encoder.state_dict())


@pytest.mark.parametrize("wrap", [lambda t: {"state_dict": t}, lambda t: {f"generator.{n}": v for n, v in t.items()}])
def test_wrapped_and_prefixed_files_hold_the_same_codec(tmp_path, wrap):
    audio = noise(1, 1, 10 * TINY.frame_length)
    expected = load_codec(write_codec(tmp_path, stored_tensors())).encode(audio)
    assert torch.equal(load_codec(write_codec(tmp_path, wrap(stored_tensors()))).encode(audio), expected)


@pytest.mark.parametrize(
    "name",
    [
        "encoder.block.0.conv.bias",
        f"{NORMED}.parametrizations.weight.original1",
        "quantizer.semantic_quantizer.quantizers.0.out_proj.weight_g",
        "quantizer.pre_module.norm.weight",
    ],
)
def test_missing_and_misshapen_tensors_are_named(tmp_path, name):
    tensors = stored_tensors()
    value = tensors.pop(name)
    with failing("wrong-tensors", CheckpointError) as fault:
        load_codec(write_codec(tmp_path, tensors))
    assert f"missing: {name}" in fault.value.problem
    tensors[name] = torch.cat([value, value])
    with failing("wrong-tensors", CheckpointError) as fault:
        load_codec(write_codec(tmp_path, tensors))
    assert f"of another shape: {name}" in fault.value.problem


def test_unexpected_tensors_are_named(tmp_path):
    with failing("wrong-tensors", CheckpointError) as fault:
        load_codec(write_codec(tmp_path, stored_tensors() | {"decoder.model.9.bias": torch.zeros(1)}))
    assert "unexpected: decoder.model.9.bias" in fault.value.problem


def test_without_a_file_of_sizes_the_published_ones_apply(tmp_path):
    path = write_codec(tmp_path, stored_tensors())
    (tmp_path / "codec.json").unlink()
    assert read_config(tmp_path / "codec.json") == OFFICIAL
    with failing("wrong-tensors", CheckpointError) as fault:
        load_codec(path)
    assert "of another shape" in fault.value.problem


def sizes(**changes) -> dict:
    return json.loads(msgspec.json.encode(TINY)) | changes


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (json.dumps({k: v for k, v in sizes().items() if k != "latent_dim"}), "latent_dim"),
        (json.dumps(sizes(hop=512)), "hop"),
        (json.dumps(sizes(sample_rate=0)), "sample_rate"),
        (json.dumps(sizes(downsample=[2, "2"])), "downsample"),
        (json.dumps(sizes(decoder_rates=[4, 4])), "decoder_rates"),
        (json.dumps(sizes(encoder_rates=[2, 2, 2])), "encoder_rates"),
        (json.dumps(sizes(latent_dim=13)), "latent_dim"),
        ("{", "codec.json"),
    ],
)
def test_faults_of_a_config_are_named(tmp_path, content, named):
    path = tmp_path / "codec.json"
    path.write_text(content)
    with failing("wrong-codec-sizes", CheckpointError) as fault:
        read_config(path)
    assert named in fault.value.problem.replace(str(tmp_path), "")
    assert "\n" not in fault.value.problem
