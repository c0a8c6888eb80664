"""Merging into S2-Pro: the base's own layout, its companions byte for byte, the notice, and the golden tensors."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from fishtui.checkpoint import CheckpointFolder
from fishtui.families.s2_pro.layout import flat_name
from fishtui.load import load_model
from fishtui.runs.reporter import Reporter
from fishtui.stages.merge import merge
from fishtui.tensorfiles.content import read_folder, read_headers
from fishtui.tensorfiles.names import INDEX
from fishtui.training.adapter import read_adapter
from fishtui.training.lowrank import apply_adapter
from fishtui.training.preset import LoraSpec
from tests.builders import project
from tests.golden_data import GOLDEN_S2

LORA = GOLDEN_S2 / "lora"
ADAPTER = next(LORA.glob("step_*.ckpt"))
DESCRIBED = json.loads((LORA / "lora.json").read_text(encoding="utf-8"))
PRESET = LoraSpec(DESCRIBED["r"], DESCRIBED["lora_alpha"], ())
COMPANIONS = {"LICENSE.md": "Agreement.", "chat_template.jinja": "{{ messages }}"}


class Notes(Reporter):
    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[str]]:
    """The base, the merged folder, and the notes of the merge."""
    root = tmp_path_factory.mktemp("s2")
    base = root / "s2-pro"
    shutil.copytree(GOLDEN_S2 / "checkpoint", base, copy_function=shutil.copyfile)
    for name, text in COMPANIONS.items():
        (base / name).write_text(text)
    torch.save({"encoder.weight": torch.ones(3)}, base / "codec.pth")
    reporter = Notes()
    merge(project(root), reporter, base=base, adapter=ADAPTER, output=root / "merged", preset=PRESET, template=None)
    return base, root / "merged", reporter.notes


def test_names_files_and_index_are_those_of_the_base(merged: tuple[Path, Path, list[str]]) -> None:
    base, output, _ = merged
    for (path, header), (other, written) in zip(read_headers(base).items(), read_headers(output).items(), strict=True):
        assert (path.name, header.content) == (other.name, written.content)
    names = {path.name for path in base.iterdir()}
    assert {path.name for path in output.iterdir()} == {*names, "Notice", "merge.json"}
    for name in names:
        assert name.startswith("model-0") or (output / name).read_bytes() == (base / name).read_bytes()


def test_the_notice_and_the_record_name_the_change(merged: tuple[Path, Path, list[str]]) -> None:
    _, output, notes = merged
    notice = (output / "Notice").read_text(encoding="utf-8")
    assert notice.startswith(
        "This model is licensed under the Fish Audio Research License, Copyright © 39 AI, INC. All Rights Reserved."
    )
    assert "LoRA" in notice
    folder = CheckpointFolder(output)
    assert folder.template() == folder.family.older_template
    shown = " ".join(notes)
    assert f"vllm serve {output} --omni" in shown
    assert f"--model-path {output}" in shown
    assert "<|speaker:0|>" in shown


def test_merged_tensors_are_the_golden_ones_rounded_once(merged: tuple[Path, Path, list[str]]) -> None:
    base, output, _ = merged
    found = read_folder(output)
    for stored, wanted in load_file(LORA / "merged_fp32.safetensors").items():
        name, _, step = stored.partition("@rows::")
        value = found[name][:: int(step)] if step else found[name]
        assert torch.equal(value, wanted.bfloat16()) or (value.float() - wanted).abs().max() < 1e-2 * wanted.abs().max()
    changed = {flat_name(name) for name, value in read_folder(base).items() if not torch.equal(value, found[name])}
    assert changed == {f"{name}.weight" for name in read_adapter(ADAPTER, PRESET).low_rank}


@torch.no_grad()
def test_base_and_adapter_have_the_logits_of_the_merged_tensors(merged: tuple[Path, Path, list[str]]) -> None:
    base, output, _ = merged
    io = load_file(GOLDEN_S2 / "model_io.safetensors")
    tokens = io["inputs"].long()[:1, :, :60]
    change = read_adapter(ADAPTER, PRESET)
    separate, plain, together = load_model(base), load_model(base), load_model(output)
    apply_adapter(separate, change)
    for name, low_rank in change.low_rank.items():
        plain.get_submodule(name).weight.data = low_rank.add_to(plain.get_submodule(name).weight.data)
    wanted = plain.token_logits(plain.slow(tokens))
    found = separate.token_logits(separate.slow(tokens))
    assert (found - wanted).abs().max() < 1e-4 * wanted.abs().max()
    rounded = together.token_logits(together.slow(tokens))
    assert (rounded - wanted).abs().max() < 5e-2 * wanted.abs().max()


# The keys of config.json that the servers read, in both sections.
READ = (
    "vocab_size", "dim", "intermediate_size", "n_layer", "n_head", "n_local_heads", "head_dim", "rope_base",
    "max_seq_len", "norm_eps", "attention_qk_norm", "tie_word_embeddings",
)  # fmt: skip


def shapes_of(section: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor of a transformer's blocks and ends, by its name without a prefix."""
    dim, inner, head = section["dim"], section["intermediate_size"], section["head_dim"]
    query, key = section["n_head"] * head, section["n_local_heads"] * head
    shapes: dict[str, tuple[int, ...]] = {"embeddings.weight": (section["vocab_size"], dim), "norm.weight": (dim,)}
    for layer in range(section["n_layer"]):
        block = {
            "attention.wqkv": (query + 2 * key, dim),
            "attention.wo": (dim, query),
            "feed_forward.w1": (inner, dim),
            "feed_forward.w2": (dim, inner),
            "feed_forward.w3": (inner, dim),
            "attention_norm": (dim,),
            "ffn_norm": (dim,),
            **{f"attention.{each}_norm": (head,) for each in "qk" if section["attention_qk_norm"]},
        }
        shapes |= {f"layers.{layer}.{name}.weight": shape for name, shape in block.items()}
    if not section["tie_word_embeddings"]:
        shapes["output.weight"] = (section["vocab_size"], dim)
    return shapes


def test_servers_find_their_tensors_tokenizer_and_codec(merged: tuple[Path, Path, list[str]]) -> None:
    """As SGLang-Omni and vLLM-Omni load a folder: the index, the names of both models, and transformers' tokenizer."""
    _, output, _ = merged
    config = json.loads((output / "config.json").read_text())
    text, audio = config["text_config"], config["audio_decoder_config"]
    assert config["model_type"] == "fish_qwen3_omni"
    assert {*READ} <= text.keys() & audio.keys()
    files = json.loads((output / INDEX).read_text())["weight_map"]
    tensors = {}
    for name, file in files.items():
        with safe_open(output / file, framework="pt") as opened:
            assert opened.metadata() == {"format": "pt"}
            tensors[name] = opened.get_tensor(name)
    wanted = {f"text_model.model.{name}": shape for name, shape in shapes_of(text).items()}
    wanted |= {f"audio_decoder.{name}": shape for name, shape in shapes_of(audio).items()}
    rows = audio["num_codebooks"] * audio["vocab_size"]
    wanted["audio_decoder.codebook_embeddings.weight"] = (rows, audio["text_dim"])
    assert {name: tuple(value.shape) for name, value in tensors.items()} == wanted
    assert {value.dtype for value in tensors.values()} == {torch.bfloat16}
    assert torch.load(output / "codec.pth", weights_only=True).keys() == {"encoder.weight"}

    prompt = "<|im_start|>user\nHello, you.<|im_end|>\n<|im_start|>assistant\n<|voice|><|semantic:7|>"
    known = Tokenizer.from_file(str(output / "tokenizer.json")).encode(prompt).ids
    for tokenizer in (PreTrainedTokenizerFast.from_pretrained(output), AutoTokenizer.from_pretrained(output)):
        assert tokenizer.encode(prompt) == known
        assert tokenizer.convert_tokens_to_ids("<|im_end|>") == config["eos_token_id"]
        assert tokenizer.convert_tokens_to_ids("<|audio_pad|>") == config["audio_pad_token_id"]
        for code, token in ((0, "semantic_start_token_id"), (audio["vocab_size"] - 1, "semantic_end_token_id")):
            assert tokenizer.convert_tokens_to_ids(f"<|semantic:{code}|>") == config[token]
