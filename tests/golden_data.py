"""The folders of the golden data: tiny checkpoints, inputs, and what the published models make of them."""

import os
from pathlib import Path

HERE = Path(__file__).parent
GOLDEN = Path(os.environ.get("FISHTUI_GOLDEN", HERE / "golden"))
GOLDEN_S2 = Path(os.environ.get("FISHTUI_GOLDEN_S2", HERE / "golden_s2"))
# The published sizes, the same for every set of golden data.
MANIFESTS = HERE / "golden"
OFFICIAL_S2 = HERE / "golden_s2" / "official"
MANIFEST_S2 = HERE / "golden_s2" / "manifest.json"
