"""The folders of the golden data: tiny checkpoints, inputs, and what the published models make of them."""

import os
from pathlib import Path

GOLDEN = Path(os.environ.get("FISHTUI_GOLDEN", Path(__file__).parent / "golden"))
GOLDEN_S2 = Path(os.environ.get("FISHTUI_GOLDEN_S2", Path(__file__).parent / "golden_s2"))
