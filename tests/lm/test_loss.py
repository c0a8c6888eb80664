import json

import peft
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

from fishtui.lm.loss import TOP, LabelCounts, losses, sequence_losses, summed_cross_entropy
from fishtui.load import load_model
from fishtui.training.lora import attach, trainable
from fishtui.training.preset import parse_preset
from tests.golden_data import GOLDEN
from tests.lm.curve import accuracy, follow_curve
from tests.lm.tiny import tiny_labels, tiny_model, tiny_tokens


@pytest.fixture(scope="module")
def batch():
    io = load_file(GOLDEN / "llama_io.safetensors")
    return io["inputs"].long(), io["labels"].long(), (~io["attention_masks"].bool()).long()


@pytest.fixture(scope="module")
def notes():
    return json.loads((GOLDEN / "llama_io.json").read_text())


def test_golden_losses_and_gradients(batch, notes):
    model = load_model(GOLDEN / "checkpoint")
    found = losses(model, *batch)
    wanted = notes["eval"]
    assert found.total.item() == pytest.approx(wanted["val/loss"], rel=1e-6)
    assert found.base.item() == pytest.approx(wanted["val/base_loss"], rel=1e-6)
    assert found.semantic.item() == pytest.approx(wanted["val/semantic_loss"], rel=1e-6)
    assert accuracy(found) == pytest.approx(wanted["val/top_5_accuracy"], abs=1e-6)

    found.total.backward()
    norms = {name: value.grad.norm().item() for name, value in model.named_parameters() if value.grad is not None}
    assert norms == pytest.approx(notes["grad_norms"], rel=1e-4)
    assert set(notes["params_without_grad"]) == {name for name, _ in model.named_parameters()} - set(norms)
    assert torch.tensor(list(norms.values())).norm().item() == pytest.approx(notes["grad_global_norm"], rel=1e-5)


def test_golden_training_steps(batch, notes):
    follow_curve(load_model(GOLDEN / "checkpoint"), batch, notes["curve"])


def plain_head() -> torch.nn.Linear:
    torch.manual_seed(0)
    return torch.nn.Linear(8, 50, bias=False)


def adapted_head() -> torch.nn.Module:
    wrapped = peft.inject_adapter_in_model(
        peft.LoraConfig(r=2, target_modules=["0"], init_lora_weights=False), torch.nn.Sequential(plain_head())
    )
    return wrapped[0]


def frozen_head() -> torch.nn.Linear:
    return plain_head().requires_grad_(False)


@pytest.mark.parametrize("make_head", [plain_head, adapted_head, frozen_head])
@pytest.mark.parametrize("rows", [0, 3, 100])
def test_the_loss_equals_plain_cross_entropy(make_head, rows):
    head = make_head()
    random = torch.Generator().manual_seed(1)
    start = torch.randn(11, 8, generator=random)
    targets = torch.randint(0, 50, (11,), generator=random)
    results = []
    for ours in (True, False):
        head.zero_grad()
        states = start.clone().requires_grad_()
        if ours:
            total, hits = summed_cross_entropy(
                lambda some, _: head(some).unsqueeze(1), [head], states, targets[:, None], rows=rows, top=TOP
            )
            hits = hits[:, 0]
        else:
            logits = head(states)
            total = functional.cross_entropy(logits, targets, reduction="sum")
            hits = (logits.topk(TOP).indices == targets[:, None]).any(1)
        (total * 3).backward()
        gradients = {name: value.grad for name, value in head.named_parameters()}
        results.append((total, hits, states.grad, gradients))
    (total, hits, gradient, gradients), (plain_total, plain_hits, plain_gradient, plain_gradients) = results
    assert torch.equal(hits, plain_hits)
    torch.testing.assert_close(total, plain_total)
    torch.testing.assert_close(gradient, plain_gradient)
    assert {name for name, value in gradients.items() if value is None} == {
        name for name, value in plain_gradients.items() if value is None
    }
    for name, value in gradients.items():
        if value is not None:
            torch.testing.assert_close(value, plain_gradients[name])


def test_the_value_does_not_depend_on_the_rows_in_a_block():
    head = plain_head()
    states = torch.randn(64, 8)
    targets = torch.randint(0, 50, (64, 1))

    def value(rows: int) -> float:
        return summed_cross_entropy(lambda some, _: head(some).unsqueeze(1), [head], states, targets, rows=rows)[
            0
        ].item()

    assert [value(rows) for rows in (1, 7, 64)] == pytest.approx([value(64)] * 3, rel=1e-6)
    assert value(7) == value(7)


@pytest.mark.parametrize("kind", ["plain", "tied", "projected"])
@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("adapted", [False, True])
def test_losses_equal_the_definition(kind, autocast, adapted, monkeypatch):
    # Blocks of few rows, so that the batch takes several.
    monkeypatch.setattr("fishtui.lm.loss.BLOCK", 1000)
    model = tiny_model(kind)
    if adapted:
        attach(model, parse_preset("r_2_alpha_6"))
        for parameter in trainable(model).values():
            torch.nn.init.normal_(parameter, std=0.1)
    tokens = torch.stack([tiny_tokens(model.config, 20, seed) for seed in range(2)])
    labels = tiny_labels(tokens)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        found = losses(model, tokens, labels)
        hidden = model.slow(tokens)
        base = functional.cross_entropy(model.token_logits(hidden).float().flatten(0, 1), labels[:, 0].flatten())
        frames = model.is_semantic(labels[:, 0])
        codes = labels.transpose(1, 2)[frames][:, 1:]
        logits = model.codebook_logits(hidden[frames], codes).float()
        semantic = functional.cross_entropy(logits.flatten(0, 1), codes.flatten())
    torch.testing.assert_close(found.base, base.detach())
    torch.testing.assert_close(found.semantic, semantic.detach())
    counted = codes != 0
    hits = ((logits.topk(TOP).indices == codes[..., None]).any(-1) & counted).sum()
    # Logits in bfloat16 are often equal, and which of them are among the five is open.
    assert abs(found.top5_hits - hits) <= (2 if autocast else 0)
    assert found.top5_codes == counted.sum()
    assert (found.tokens, found.codes) == (frames.sum(), codes.numel())

    names, parameters = zip(*trainable(model).items(), strict=True)
    ours = torch.autograd.grad(found.total, parameters)
    plain = torch.autograd.grad(base + semantic, parameters)
    for name, a, b in zip(names, ours, plain, strict=True):
        tolerance = 5e-2 if autocast else 1e-5
        assert (a - b).norm() <= tolerance * b.norm(), name


def test_parts_of_a_batch_add_up_to_its_loss_and_gradients():
    model = tiny_model()
    # The first part has more text than frames, so that the two losses need different weights.
    tokens = torch.stack([tiny_tokens(model.config, 20, seed) for seed in range(3)])
    labels = tiny_labels(tokens)
    labels[0, 0, :9] = 7
    parameters = list(model.parameters())
    whole = losses(model, tokens, labels)
    wanted = torch.autograd.grad(whole.total, parameters)
    counts = LabelCounts(int(whole.tokens), int(whole.codes))
    totals, found = [], None
    for part in (slice(0, 1), slice(1, 3)):
        share = losses(model, tokens[part], labels[part], whole=counts)
        alone = losses(model, tokens[part], labels[part])
        for name in ("base", "semantic", "tokens", "codes", "top5_hits"):
            torch.testing.assert_close(getattr(share, name), getattr(alone, name))
        totals.append(share.total)
        gradients = torch.autograd.grad(share.total, parameters)
        found = gradients if found is None else [a + b for a, b in zip(found, gradients, strict=True)]
    torch.testing.assert_close(sum(totals), whole.total)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_the_loss_of_each_sequence_is_that_of_it_alone():
    model = tiny_model()
    tokens = torch.stack([tiny_tokens(model.config, 20, seed) for seed in range(3)])
    labels = tiny_labels(tokens)
    # One sequence with a single label, and one without any.
    one = (labels[1, 0] != -100).nonzero()[0, 0] + 1
    labels[1, :, one:] = -100
    labels[2] = -100
    found = sequence_losses(model, tokens, labels)
    wanted = [losses(model, tokens[row, None], labels[row, None]).total.detach() for row in range(3)]
    torch.testing.assert_close(found.clone(), torch.stack(wanted))
    assert wanted[2] == 0


def test_without_gradients_only_values_are_computed():
    model = tiny_model()
    tokens = tiny_tokens(model.config, 20)[None]
    with torch.no_grad():
        found = losses(model, tokens, tiny_labels(tokens))
    assert not found.total.requires_grad
    torch.testing.assert_close(found.total, losses(model, tokens, tiny_labels(tokens)).total.detach())


def test_a_batch_without_labels_has_no_loss():
    model = tiny_model()
    tokens = tiny_tokens(model.config, 6)[None]
    found = losses(model, tokens, torch.full_like(tokens, -100))
    found.total.backward()
    assert found.total == 0
    assert all(parameter.grad is None or not parameter.grad.any() for parameter in model.parameters())
