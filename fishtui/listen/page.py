"""The page that lists and plays the served recordings: one file without external resources."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from html import escape

from fishtui.sanitize import harmless

STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 44rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.2rem; }
[hidden] { display: none !important; }
header { position: sticky; top: 0; background: Canvas; padding: .5rem 0; }
audio { width: 100%; }
#now { font-size: 1.2rem; min-height: 1.8rem; margin: .5rem 0; overflow-wrap: anywhere; }
#problem { color: #c0392b; font-weight: 600; overflow-wrap: anywhere; }
#start { width: 100%; min-height: 3.5rem; font: inherit; border-radius: .5rem; border: 1px solid #0a7d4f;
  background: #0a7d4f44; color: inherit; cursor: pointer; }
ol { padding: 0; list-style: none; }
li { border-top: 1px solid #8884; }
a { display: block; padding: .5rem; color: inherit; text-decoration: none; overflow-wrap: anywhere; }
a[aria-current] { background: #0a7d4f44; }
a:focus-visible, #start:focus-visible { outline: 3px solid #0a7d4f; }
kbd { opacity: .7; border: 1px solid #8888; border-radius: .3rem; padding: 0 .35rem; font-size: .85em; }
.note { opacity: .75; }
"""
# One audio element for all recordings, because phones allow sound only for an element that a person has started.
SCRIPT = """
"use strict";
const get = id => document.getElementById(id);
const audio = get("player");
const PAUSE = 400;
let current = 0, queue = [], batch = [], waiting = 0;

function numbers(text) { return text.split(" ").filter(Boolean).map(Number); }
function report(text) { get("problem").textContent = text; }
function isPlaying() { return waiting !== 0 || (current !== 0 && !audio.paused && !audio.ended); }

function stop() {
  clearTimeout(waiting);
  waiting = 0;
  queue = [];
  audio.pause();
}

function mark() {
  for (const each of document.querySelectorAll("a")) {
    if (each.id === "r" + current) each.setAttribute("aria-current", "true");
    else each.removeAttribute("aria-current");
  }
  const link = get("r" + current);
  get("now").textContent = link ? link.textContent : "";
}

// Plays recordings one after the other.
function play(list) {
  report("");
  begin(list);
}

function begin(list) {
  stop();
  if (!list.length) return;
  current = list[0];
  queue = list.slice(1);
  mark();
  audio.src = String(current);
  audio.play().then(() => { get("start").hidden = true; }, error => {
    if (error.name === "NotAllowedError") get("start").hidden = false;
  });
}

function move(by) {
  const links = [...document.querySelectorAll("a")];
  const at = links.findIndex(each => each.id === "r" + current) + by;
  if (links[at]) play([Number(links[at].dataset.number)]);
}

async function refresh() {
  const page = new DOMParser().parseFromString(await (await fetch("")).text(), "text/html");
  document.querySelector("ol").replaceWith(document.adoptNode(page.querySelector("ol")));
  mark();
}

audio.addEventListener("ended", () => {
  const rest = queue;
  if (rest.length) waiting = setTimeout(() => { waiting = 0; begin(rest); }, PAUSE);
});
audio.addEventListener("error", () => {
  const rest = queue;
  report(`${get("now").textContent}: cannot be played. The file was removed, or the browser does not know its format.`);
  begin(rest);
});
get("start").addEventListener("click", () => play(numbers(document.querySelector("ol").dataset.latest)));
document.addEventListener("click", event => {
  const link = event.target.closest("a");
  if (!link) return;
  event.preventDefault();
  play([Number(link.dataset.number)]);
});
addEventListener("keydown", event => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("audio, button")) return;
  if (event.key === " ") audio.paused ? audio.play().catch(() => {}) : audio.pause();
  else if (event.key === "n") move(1);
  else if (event.key === "p") move(-1);
  else return;
  event.preventDefault();
});

const news = new EventSource("news");
let opened = false;
news.onopen = () => {
  // The list may have grown while the connection was broken.
  if (opened) { report(""); refresh().catch(() => {}); }
  opened = true;
};
news.onerror = () => report("No connection. Are fishtui and the ssh command still running?");
news.onmessage = async event => {
  const chosen = numbers(event.data);
  // The same again stops, as it does in the terminal.
  const again = chosen.join() === batch.join() && isPlaying();
  batch = chosen;
  if (again) { stop(); return; }
  await refresh();
  play(chosen);
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


def page(names: Mapping[int, str], latest: Sequence[int] = ()) -> bytes:
    """Return the page for recordings, in this order; `names` has the name of each by its number.

    `latest` are the numbers that its first button plays.
    """
    items = "\n".join(
        f'<li><a id="r{number}" data-number="{number}" href="{number}"><bdi>{escape(harmless(name))}</bdi></a></li>'
        for number, name in names.items()
    )
    start = "Play" if len(latest) == 1 else f"Play {len(latest):,} recordings" if latest else "Start"
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>fishtui: listen</title>
<style>{STYLE}</style>
<h1>fishtui: listen</h1>
<header>
<button id="start">{start}</button>
<noscript><p>This page needs JavaScript.</p></noscript>
<p id="now" dir="auto" role="status"></p>
<audio id="player" controls></audio>
<p id="problem" role="alert"></p>
</header>
<p class="note">Leave this page open: it plays what you choose in the terminal, or here.
<kbd>space</kbd> pause <kbd>n</kbd> next <kbd>p</kbd> previous</p>
<ol data-latest="{" ".join(map(str, latest))}">
{items}
</ol>
<script>{SCRIPT}</script>
""".encode()
