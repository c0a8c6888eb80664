"""Style and script of the report: one HTML file that loads nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib

STYLE = """
:root { color-scheme: light dark; --faint: #8884; --accent: #0a7d4f; }
@media (prefers-color-scheme: dark) { :root { --accent: #4fd19b; } }
* { box-sizing: border-box; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.15rem; margin-top: 2.5rem; }
.verdict { border-inline-start: .3rem solid var(--accent); padding-inline-start: .8rem; font-size: 1.1rem; }
.note, .reason, small { opacity: .75; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; min-width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: start; padding-bottom: .5rem; }
th, td { text-align: start; vertical-align: top; padding: .4rem .8rem .4rem 0; border-top: 1px solid var(--faint); }
td small { display: block; white-space: nowrap; }
.recommended th { color: var(--accent); }
article { border-top: 1px solid var(--faint); padding: 1rem 0; }
.text { font-size: 1.1rem; margin: 0; overflow-wrap: anywhere; }
.about, .reason { margin: .2rem 0; overflow-wrap: anywhere; }
h3 { font-size: 1rem; margin: .6rem 0 .2rem; }
audio { width: 100%; height: 2.6rem; }
fieldset { border: 0; padding: 0; margin: .6rem 0; display: flex; flex-wrap: wrap; gap: .4rem; }
legend { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; }
label { border: 1px solid var(--faint); border-radius: .4rem; padding: .35rem .7rem; cursor: pointer; }
label:has(:checked) { border-color: var(--accent); font-weight: 600; }
label:has(:focus-visible) { outline: 2px solid var(--accent); outline-offset: 2px; }
.switched h3 { display: none; }
[hidden] { display: none; }
"""
# Without it, the versions of a line follow each other; with it, one is shown and the arrow keys switch.
SCRIPT = """
for (const line of document.querySelectorAll("article")) {
  const versions = [...line.querySelectorAll(".version")];
  const group = document.createElement("fieldset");
  group.append(Object.assign(document.createElement("legend"), { textContent: "Version of this line" }));
  const show = (chosen, play) => versions.forEach((version, index) => {
    version.hidden = index !== chosen;
    const audio = version.querySelector("audio");
    if (audio && index !== chosen) audio.pause();
    if (audio && index === chosen && play) { audio.currentTime = 0; audio.play().catch(() => {}); }
  });
  versions.forEach((version, index) => {
    const radio = Object.assign(document.createElement("input"), { type: "radio", name: line.id });
    radio.addEventListener("change", () => show(index, true));
    const label = document.createElement("label");
    label.append(radio, " ", version.querySelector("h3").textContent);
    group.append(label);
    if (version.dataset.first !== undefined) radio.checked = true;
  });
  if (!versions.length) continue;
  versions[0].before(group);
  line.classList.add("switched");
  show(Math.max(0, versions.findIndex(version => version.dataset.first !== undefined)), false);
}
addEventListener("play", event => {
  for (const each of document.querySelectorAll("audio")) if (each !== event.target) each.pause();
}, true);
"""


def _digest(content: str) -> str:
    return base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


POLICY = (
    "default-src 'none'; media-src data:; base-uri 'none'; form-action 'none'; "
    f"style-src 'sha256-{_digest(STYLE)}'; script-src 'sha256-{_digest(SCRIPT)}'"
)


def document(title: str, body: str) -> str:
    """Return an HTML document; `title` and `body` are escaped."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{title}</title>
<style>{STYLE}</style>
</head>
<body>
{body}
<script>{SCRIPT}</script>
</body>
</html>
"""
