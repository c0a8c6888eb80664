import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from fishtui.families.s1_mini.config import read_config
from fishtui.lm.attention import Packing, is_packed
from fishtui.lm.loss import losses
from fishtui.lm.model import DualAR
from fishtui.load import load_model
from fishtui.nn import rotary_table, rotate
from tests.golden_data import GOLDEN, MANIFESTS
from tests.lm import reference
from tests.lm.agreement import agree, every
from tests.lm.tiny import IM_END, KINDS, SEMANTIC_BEGIN, tiny_labels, tiny_model, tiny_tokens


@pytest.fixture(scope="module")
def golden():
    return load_file(GOLDEN / "llama_io.safetensors"), json.loads((GOLDEN / "llama_io.json").read_text())


@pytest.fixture(scope="module")
def golden_model():
    return load_model(GOLDEN / "checkpoint")


def test_official_tensors_have_their_published_names_and_shapes():
    config = read_config(Path(__file__).parent / "config-s1-mini.json")
    with torch.device("meta"):
        model = DualAR(config, semantic_begin=151658, im_end=151647)
    manifest = json.loads((MANIFESTS / "manifest_llama.json").read_text())
    assert {name: list(value.shape) for name, value in model.state_dict().items()} == {
        name: entry["shape"] for name, entry in manifest["keys"].items()
    }
    assert sum(parameter.numel() for parameter in model.parameters()) == manifest["info"]["n_params"]


def test_golden_logits(golden, golden_model):
    io, notes = golden
    tokens, labels, padded = io["inputs"].long(), io["labels"].long(), io["attention_masks"].bool()
    with torch.no_grad():
        hidden = golden_model.slow(tokens, (~padded).long())
        logits = golden_model.token_logits(hidden)
        frames = golden_model.is_semantic(labels[:, 0])
        codes = labels.transpose(1, 2)[frames][:, 1:]
        codebooks = golden_model.codebook_logits(hidden[frames], codes)
    assert list(logits.shape) == notes["full_shapes"]["token_logits"]
    assert list(codebooks.shape) == notes["full_shapes"]["codebook_logits"]
    real = ~padded
    some, step = every(io, "token_logits")
    agree(logits[:, ::step][real[:, ::step]], some[real[:, ::step]])
    agree(logits.double().logsumexp(-1)[real], io["token_logits_lse"][real])
    assert torch.equal(logits.argmax(-1)[real], io["token_logits_argmax"].long()[real])
    some, step = every(io, "codebook_logits")
    agree(codebooks[::step], some)
    agree(codebooks.double().logsumexp(-1), io["codebook_logits_lse"])
    assert torch.equal(codebooks.argmax(-1), io["codebook_logits_argmax"].long())


def test_golden_prefill(golden_model):
    io = load_file(GOLDEN / "forward_generate_io.safetensors")
    with torch.no_grad():
        hidden = golden_model.slow(io["inp"].long()[None])[:, -1:]
        agree(golden_model.token_logits(hidden), io["logits_last"])
        agree(golden_model.fast_input(hidden), io["hidden_last_after_fast_project_in"])


@pytest.mark.parametrize("kind", KINDS)
def test_every_flag_agrees_with_the_reference(kind):
    model = tiny_model(kind)
    tokens = tiny_tokens(model.config, 6)
    targets = torch.randint(0, model.config.codebook_size, (6, model.config.num_codebooks))
    with torch.no_grad():
        hidden = model.slow(tokens[None])
        found = model.token_logits(hidden)[0], model.codebook_logits(hidden[0], targets)
    wanted = reference.token_and_codebook_logits(model.state_dict(), model.config, SEMANTIC_BEGIN, tokens, targets)
    agree(found[0], wanted[0], 1e-5)
    agree(found[1], wanted[1], 1e-5)


@pytest.mark.parametrize("first", [SEMANTIC_BEGIN - 1, SEMANTIC_BEGIN + 32])
def test_codes_below_text_have_no_effect(first):
    model = tiny_model()
    tokens = torch.full((1, 5, 1), 3)
    tokens[:, 0] = first
    assert torch.equal(model.embed(tokens)[0, 0], model.embeddings.weight[first])


def packed_example(lengths: list[list[int]], width: int, seed: int = 0):
    """Return rows of sequences of these lengths, and each sequence as (row, start, tokens)."""
    config = tiny_model().config
    rows = torch.zeros(len(lengths), 1 + config.num_codebooks, width, dtype=torch.long)
    labels = torch.full_like(rows, -100)
    segments = torch.zeros(len(lengths), width, dtype=torch.long)
    alone = []
    for row, row_lengths in enumerate(lengths):
        start = 0
        for number, length in enumerate(row_lengths, start=1):
            tokens = tiny_tokens(config, length, seed=seed + 100 * row + number)
            rows[row, :, start : start + length] = tokens
            labels[row, :, start : start + length] = tiny_labels(tokens)
            segments[row, start : start + length] = number
            alone.append((row, start, tokens))
            start += length
    return rows, labels, segments, alone


@pytest.mark.parametrize(
    "lengths", [[[5, 9], [14]], [[1, 1, 12], [3]], [[14], [2, 3, 4, 5]], [[7], [14]], [[], [6, 2]]]
)
def test_sequences_in_one_row_are_independent(lengths):
    model = tiny_model()
    rows, _, segments, alone = packed_example(lengths, 14)
    with torch.no_grad():
        together = model.slow(rows, segments)
        for row, start, tokens in alone:
            agree(together[row, start : start + tokens.shape[1]], model.slow(tokens[None])[0], 1e-6)


def test_packing_keeps_losses_and_gradients():
    lengths = [[5, 9], [14], [3, 4, 6]]
    rows, labels, segments, alone = packed_example(lengths, 14)
    gradients = []
    for packed in (True, False):
        model = tiny_model().double()
        if packed:
            losses(model, rows, labels, segments).total.backward()
        else:
            width = max(tokens.shape[1] for *_, tokens in alone)
            tokens = torch.stack([torch.nn.functional.pad(t, (0, width - t.shape[1])) for *_, t in alone])
            marks = torch.stack([torch.nn.functional.pad(tiny_labels(t), (0, width - t.shape[1]), value=-100)
                                 for *_, t in alone])  # fmt: skip
            losses(model, tokens, marks).total.backward()
        gradients.append({name: parameter.grad for name, parameter in model.named_parameters()})
    for name, gradient in gradients[0].items():
        agree(gradient, gradients[1][name], 1e-5)


def test_packing_wastes_less_than_half():
    lengths = [[100, 3, 3, 3, 17, 1, 1], [40, 40, 40]]
    segments = torch.zeros(2, 128, dtype=torch.long)
    for row, row_lengths in enumerate(lengths):
        segments[row, : sum(row_lengths)] = torch.arange(1, 8)[: len(row_lengths)].repeat_interleave(
            torch.tensor(row_lengths)
        )
    packing = Packing(segments, torch.device("cpu"))
    assert sum(batch.numel() for batch in packing.batches[0]) < 2 * sum(map(sum, lengths))


@pytest.mark.parametrize(
    ("segments", "packed"),
    [
        ([[1, 1, 1], [1, 1, 0]], False),
        ([[0, 0, 0]], False),
        ([[1, 2, 2]], True),
        ([[0, 1, 1]], True),
        ([[1, 0, 1]], True),
        ([[2, 1, 0]], True),
    ],
)
def test_only_rows_with_several_sequences_are_packed(segments, packed):
    assert is_packed(torch.tensor(segments)) is packed


def test_gradient_checkpointing_changes_no_gradient():
    tokens = tiny_tokens(tiny_model().config, 12)[None]
    gradients = []
    for checkpointing in (False, True):
        model = tiny_model("projected")
        model.gradient_checkpointing = checkpointing
        losses(model, tokens, tiny_labels(tokens)).total.backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    for plain, checkpointed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, checkpointed)


@pytest.mark.parametrize("part", ["", "fast_"])
@pytest.mark.parametrize(
    ("flag", "tensors"),
    [
        ("qkv_bias", ["wqkv.bias"]),
        ("o_bias", ["wo.bias"]),
        ("qk_norm", ["q_norm.weight", "k_norm.weight"]),
    ],
)
def test_each_flag_of_attention_adds_its_tensors(part, flag, tensors):
    with_flag, without = (set(tiny_model(**{f"{part}attention_{flag}": value}).state_dict()) for value in (True, False))
    assert with_flag - without == {f"{part}layers.{layer}.attention.{name}" for layer in range(2) for name in tensors}


def test_half_precision_keeps_its_type():
    model = tiny_model("projected").bfloat16()
    assert model.im_end == IM_END
    with torch.no_grad():
        hidden = model.slow(tiny_tokens(model.config, 6)[None])
        assert hidden.dtype == model.token_logits(hidden).dtype == torch.bfloat16


def test_the_rotation_runs_in_float32_and_rounds_once():
    x = torch.randn(2, 40, 3, 16, generator=torch.Generator().manual_seed(0)).bfloat16()
    table = rotary_table(40, 16, 1e6)
    turned = rotate(x, table)
    assert turned.dtype == torch.bfloat16
    assert torch.equal(turned, rotate(x.float(), table).bfloat16())
