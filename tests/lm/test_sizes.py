"""Networks of any sizes and flags: trained, generated with, batched and merged alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fishtui.families.registry import FAMILIES
from fishtui.lm.generate import Batch, Continuation, generate
from fishtui.lm.model import DualAR
from fishtui.training.lora import attach, trainable
from fishtui.training.preset import LoraSpec, parse_preset
from tests.lm import reference
from tests.lm.agreement import agree
from tests.lm.tiny import IM_END, SEMANTIC_BEGIN, tiny_model, tiny_tokens

FLAGS = (
    *("scale_codebook_embeddings", "tie_word_embeddings", "norm_fastlayer_input"),
    *(f"{part}attention_{flag}" for part in ("", "fast_") for flag in ("qkv_bias", "o_bias", "qk_norm")),
)


def blocks(prefix: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return the sizes of a transformer's blocks."""
    sizes = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 8), st.integers(3, 40), st.integers(1, 3))
    layers = "n_layer" if not prefix else "n_fast_layer"
    return sizes.map(
        lambda drawn: {
            f"{prefix}n_local_heads": drawn[0],
            f"{prefix}n_head": drawn[0] * drawn[1],
            f"{prefix}head_dim": 2 * drawn[2],
            f"{prefix}intermediate_size": drawn[3],
            layers: drawn[4],
        }
    )


@st.composite
def networks(draw: st.DrawFn) -> DualAR:
    """Return a random network in float64, so that rounding changes no choice."""
    codes = draw(st.integers(4, 50))
    changes = draw(blocks("")) | draw(blocks("fast_")) | {flag: draw(st.booleans()) for flag in FLAGS}
    dim = draw(st.integers(4, 40))
    changes |= {
        "dim": dim,
        "fast_dim": dim if draw(st.booleans()) else draw(st.integers(4, 40)),
        "num_codebooks": draw(st.integers(1, 12)),
        "codebook_size": codes,
        "vocab_size": SEMANTIC_BEGIN + codes + draw(st.integers(0, 5)),
        "rope_base": draw(st.sampled_from([100, 10_000, 1_000_000])),
        "norm_eps": draw(st.sampled_from([1e-6, 1e-3])),
    }
    return tiny_model(seed=draw(st.integers(0, 99)), **changes).double()


def rules() -> st.SearchStrategy[Any]:
    return st.sampled_from([replace(each.sampling(), temperature=0.9) for each in FAMILIES.values()])


@torch.no_grad()
def logits(model: DualAR, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the logits of tokens and of codes at each position of one sequence, given the codes that follow."""
    hidden = model.slow(tokens[None, :, :-1])[0]
    return model.token_logits(hidden), model.codebook_logits(hidden, tokens[1:, 1:].T)


@settings(max_examples=10)
@given(model=networks())
def test_the_network_is_that_of_the_reference(model: DualAR) -> None:
    tokens = tiny_tokens(model.config, 6)
    found = logits(model, tokens)
    wanted = reference.token_and_codebook_logits(
        model.state_dict(), model.config, SEMANTIC_BEGIN, tokens[:, :-1], tokens[1:, 1:].T
    )
    for one, other in zip(found, wanted, strict=True):
        agree(one, other, 1e-5)


@settings(max_examples=10)
@given(model=networks(), length=st.integers(1, 20))
def test_steps_agree_with_the_whole_sequence_at_once(model: DualAR, length: int) -> None:
    prompt = tiny_tokens(model.config, length)
    rule = replace(FAMILIES["fish_qwen3_omni"].sampling(), temperature=0, repetition_aware=None)
    frames = list(generate(model, prompt, rule, max_frames=9))
    if not frames:
        return
    whole = torch.cat([prompt, torch.stack(frames, dim=1)], dim=1)
    tokens, codes = (each[length - 1 :] for each in logits(model, whole))
    allowed = torch.tensor([*range(SEMANTIC_BEGIN, SEMANTIC_BEGIN + model.config.codebook_size), IM_END])
    assert torch.equal(allowed[tokens[:, allowed].argmax(1)], whole[0, length:])
    assert torch.equal(codes[:, 1:].argmax(-1), whole[2:, length:].T)


@settings(max_examples=10)
@given(model=networks(), rule=rules(), lengths=st.lists(st.integers(1, 30), min_size=2, max_size=4))
def test_a_batch_gives_what_each_gives_alone(model: DualAR, rule: Any, lengths: list[int]) -> None:
    def begun(length: int) -> Continuation:
        return Continuation(tiny_tokens(model.config, length, length), 9, torch.Generator().manual_seed(length))

    batch, together = Batch(model, rule, rows=len(lengths)), [begun(length) for length in lengths]
    for each in together:
        batch.add(each)
        batch.step()
    while batch.live:
        batch.step()
    for each, length in zip(together, lengths, strict=True):
        one = begun(length)
        alone = list(generate(model, one.prompt, rule, max_frames=9, generator=one.generator))
        assert [frame.tolist() for frame in each.frames] == [frame.tolist() for frame in alone]


@settings(max_examples=10)
@given(model=networks(), spec=st.sampled_from(["r_3_alpha_5", "r_2_alpha_8_fast"]).map(parse_preset))
def test_base_and_adapter_are_the_merged_model(model: DualAR, spec: LoraSpec) -> None:
    tokens = tiny_tokens(model.config, 12)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    attach(model, spec)
    for parameter in trainable(model).values():
        torch.nn.init.normal_(parameter, std=0.1)
    model.double()
    found = logits(model, tokens)
    deltas: dict[str, torch.Tensor] = {}
    for name, module in model.named_modules():
        if hasattr(module, "base_layer"):
            embedding = len(module.lora_embedding_A) > 0
            a = module.lora_embedding_A["default"] if embedding else module.lora_A["default"].weight
            b = module.lora_embedding_B["default"] if embedding else module.lora_B["default"].weight
            deltas[f"{name}.weight"] = spec.scaling * ((b @ a).T if embedding else b @ a).detach()
    assert deltas
    merged = DualAR(model.config, semantic_begin=SEMANTIC_BEGIN, im_end=IM_END).double().eval()
    merged.load_state_dict({name: value + deltas.get(name, 0) for name, value in weights.items()})
    for one, other in zip(found, logits(merged, tokens), strict=True):
        agree(one, other, 1e-6)
