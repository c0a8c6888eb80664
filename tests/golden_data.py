"""The folder of the golden data: a tiny checkpoint with inputs and the published model's outputs (see its README)."""

import os
from pathlib import Path

GOLDEN = Path(os.environ.get("FISHTUI_GOLDEN", Path(__file__).parent / "golden"))
