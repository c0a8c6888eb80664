"""Facts of the published checkpoint: its revision, its files and its licence."""

from __future__ import annotations

from fishtui.families.family import Licence

REVISION = "1de9996b6be38b745688de084d87a5633f714e4e"
# SHA-256 of the files whose content is known.
HASHES = {
    "config.json": "261b519a2a9576710fc8533a77297fae007f0e7b3aa28a217f8352b7f32fe993",
    "model-00001-of-00002.safetensors": "c4218e8ac93be83b35eee30b4f94cb2e9b5ecff40f3e21611438d2f4f8804aad",
    "model-00002-of-00002.safetensors": "76738d23465deaac431433232c0762908cc99a6eddc3d49f67307d92680827be",
    "model.safetensors.index.json": "c8cb9974d3d17663a95dba1d6c3ea531fc42d377c0dff946f3a01a0ec48d45a3",
    "codec.pth": "74fc41c5a7151c6f350af8bd7e5d6e3accfcc7f3dfbfac23afd35af07052bb2f",
    "tokenizer.json": "f24e08099d45a8adf3f52f5f0b03276e433bb9d689bb15fcbcc48ce58744588b",
    "tokenizer_config.json": "b8d149343ae425b0da67e6708686aceb51be7815d9792f265fc12ff04d5e9856",
}
LICENCE = Licence(
    "Fish Audio Research License",
    "https://huggingface.co/fishaudio/s2-pro/blob/main/LICENSE.md",
    (
        "Research and use that is not commercial are free.",
        "Any commercial use, inside a company too, needs a separate written licence (business@fish.audio).",
        "Fine-tuned models and adapters are yours, under these terms.",
        "If you pass on weights, derived models or a service with them, include the agreement and the Notice file, and"
        ' show "Built with Fish Audio".',
        "Weights and outputs must not be used to create or improve other foundational generative models.",
        "The licence ends on a breach; delete the model then.",
    ),
    must_be_accepted=True,
)
NOTICES = {
    "Notice": "This model is licensed under the Fish Audio Research License, Copyright © 39 AI, INC. "
    "All Rights Reserved.\n\nThis is a changed version of the model: {changes}\n"
}
