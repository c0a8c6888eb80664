"""The page that lists and plays the served recordings: one file without external resources."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from html import escape

from fishtui.sanitize import harmless
from fishtui.wording import counted

STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.2rem; }
ol { padding: 0; list-style: none; }
li { padding: .5rem 0; border-top: 1px solid #8884; }
bdi { display: block; overflow-wrap: anywhere; }
audio { width: 100%; height: 2.2rem; }
p { color: #888; }
"""
# Plays recordings as they are chosen in the terminal, one at a time.
SCRIPT = """
addEventListener("play", event => {
  for (const each of document.querySelectorAll("audio")) if (each !== event.target) each.pause();
}, true);
new EventSource("news").onmessage = async event => {
  const page = new DOMParser().parseFromString(await (await fetch("")).text(), "text/html");
  document.querySelector("ol").replaceWith(document.adoptNode(page.querySelector("ol")));
  const chosen = document.getElementById("clip" + event.data);
  if (chosen) chosen.play().catch(() => {});
};
"""


def _digest(content: str) -> str:
    return base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


def policy(style: str, script: str) -> str:
    """Return the content security policy of a page that has only this style and script, and uses only this server."""
    return "; ".join(
        [
            "default-src 'none'",
            "media-src 'self'",
            "connect-src 'self'",
            f"style-src 'sha256-{_digest(style)}'",
            f"script-src 'sha256-{_digest(script)}'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )


POLICY = policy(STYLE, SCRIPT)


def page(names: Mapping[int, str]) -> bytes:
    """Return the page for clips, in this order; `names` has the name of each by its number."""
    items = "\n".join(
        f"<li><bdi>{escape(harmless(name))}</bdi>"
        f'<audio id="clip{number}" controls preload="none" src="{number}"></audio></li>'
        for number, name in names.items()
    )
    count = counted(len(names), "clip")
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>fishtui: {count}</title>
<style>{STYLE}</style>
<h1>fishtui</h1>
<p>Click anywhere on this page once. It then plays each clip that you choose in the terminal.</p>
<ol>
{items}
</ol>
<script>{SCRIPT}</script>
""".encode()
