import json

import pytest
import torch

from fishtui.errors import CheckpointError
from fishtui.load import load_model
from tests.expecting import failing
from tests.lm.tiny import KINDS, tiny_model, tiny_tokens, write_checkpoint, write_tokenizer


@pytest.fixture(params=["plain", "tied", "biases"])
def model(request):
    return tiny_model(request.param)


def same(folder, model) -> bool:
    tokens = tiny_tokens(model.config, 9)[None]
    loaded = load_model(folder)
    with torch.no_grad():
        return torch.equal(
            loaded.token_logits(loaded.slow(tokens)), model.token_logits(model.slow(tokens))
        ) and loaded.im_end == model.im_end and loaded.semantic_begin == model.semantic_begin  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_gives_its_model(tmp_path, kind):
    model = tiny_model(kind)
    write_checkpoint(tmp_path, model)
    assert same(tmp_path, model)
    assert not load_model(tmp_path).training


def split(tensors):
    config = tiny_model().config
    apart = {}
    for name, value in tensors.items():
        if ".wqkv." in name:
            heads = (config.n_head, config.n_local_heads, config.head_dim)
            if name.startswith("fast_"):
                heads = (config.fast_n_head, config.fast_n_local_heads, config.fast_head_dim)
            query, key, size = heads
            for letter, part in zip("qkv", value.split([query * size, key * size, key * size]), strict=True):
                apart[name.replace("wqkv", f"w{letter}")] = part.clone()
        else:
            apart[name] = value
    return apart


FORMS = {
    "wrapped": lambda tensors: {"state_dict": tensors},
    "prefixed": lambda tensors: {f"model.{name}": value for name, value in tensors.items()},
    "both": lambda tensors: {"state_dict": {f"model.{name}": value for name, value in tensors.items()}},
    "split": split,
    "split and both": lambda tensors: {"state_dict": {f"model.{n}": value for n, value in split(tensors).items()}},
}


@pytest.mark.parametrize("form", FORMS)
def test_other_forms_of_the_file_are_read(tmp_path, model, form):
    write_checkpoint(tmp_path, model)
    torch.save(FORMS[form](model.state_dict()), tmp_path / "model.pth")
    assert same(tmp_path, model)


def test_an_output_layer_next_to_tied_embeddings_is_ignored(tmp_path):
    model = tiny_model("tied")
    write_checkpoint(tmp_path, model)
    extra = torch.randn(model.config.vocab_size, model.config.dim)
    torch.save(model.state_dict() | {"output.weight": extra}, tmp_path / "model.pth")
    assert same(tmp_path, model)


def test_weights_are_converted_to_the_requested_type(tmp_path):
    write_checkpoint(tmp_path, tiny_model())
    assert {value.dtype for value in load_model(tmp_path, dtype=torch.bfloat16).parameters()} == {torch.bfloat16}


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (lambda tensors: tensors.pop("norm.weight"), "wrong-tensors", "missing: norm.weight"),
        (lambda tensors: tensors.update(extra=torch.ones(1)), "wrong-tensors", "unexpected: extra"),
        (lambda tensors: tensors.update({"norm.weight": torch.ones(3)}), "wrong-tensors", "norm.weight"),
        (
            lambda tensors: tensors.update(
                {"layers.0.attention.wq.weight": tensors.pop("layers.0.attention.wqkv.weight")}
            ),
            "missing-tensor",
            "layers.0.attention.wk.weight",
        ),
    ],
    ids=["missing", "unexpected", "misshapen", "half split"],
)
def test_a_tensor_that_does_not_fit_is_named(tmp_path, change, code, words):
    model = tiny_model()
    write_checkpoint(tmp_path, model)
    tensors = dict(model.state_dict())
    change(tensors)
    torch.save(tensors, tmp_path / "model.pth")
    with failing(code, CheckpointError) as caught:
        load_model(tmp_path)
    assert str(tmp_path / "model.pth") in caught.value.problem
    assert words in caught.value.problem


@pytest.mark.parametrize("name", ["config.json", "model.pth", "tokenizer.tiktoken", "special_tokens.json"])
def test_a_missing_file_is_named(tmp_path, name):
    write_checkpoint(tmp_path, tiny_model())
    (tmp_path / name).unlink()
    with failing("no-checkpoint-file", CheckpointError) as caught:
        load_model(tmp_path)
    assert name in caught.value.problem


def test_a_tokenizer_of_another_model_is_an_error(tmp_path):
    write_checkpoint(tmp_path, tiny_model())
    write_tokenizer(tmp_path, codebook_size=16)
    with failing("semantic-tokens-mismatch", CheckpointError):
        load_model(tmp_path)
    write_checkpoint(tmp_path, tiny_model(vocab_size=280))
    with failing("vocabulary-mismatch", CheckpointError):
        load_model(tmp_path)


def test_a_special_token_beyond_the_vocabulary_is_an_error(tmp_path):
    write_checkpoint(tmp_path, tiny_model())
    path = tmp_path / "special_tokens.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"<|voice|>": 10_000}))
    with failing("vocabulary-mismatch", CheckpointError):
        load_model(tmp_path)
