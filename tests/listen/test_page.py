"""The script of the page, run by node on a simple model of a browser."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest

from fishtui.listen.page import SCRIPT, page

# Recordings 1 to 4; `log` has what was played, and the script under test follows.
BROWSER = """
const log = [], handlers = {}, elements = {}, timers = [];
function element(id, more = {}) {
  return elements[id] = { id, hidden: false, textContent: "", on: {}, dataset: {}, attributes: {},
    addEventListener(name, handler) { this.on[name] = handler; },
    setAttribute(name, value) { this.attributes[name] = value; },
    removeAttribute(name) { delete this.attributes[name]; }, ...more };
}
const links = [1, 2, 3, 4].map(number =>
  element("r" + number, { dataset: { number: String(number) }, textContent: "name " + number }));
const items = element("list", { dataset: { latest: "1 2" }, replaceWith() {} });
for (const id of ["start", "now", "problem"]) element(id);
let allowed = true;
const sound = element("player", { paused: true, ended: false, src: "",
  pause() { this.paused = true; },
  play() {
    if (!allowed) return Promise.reject(Object.assign(new Error(), { name: "NotAllowedError" }));
    this.paused = this.ended = false; log.push(Number(this.src)); return Promise.resolve(); },
  end() { this.paused = this.ended = true; this.on.ended(); } });
globalThis.document = { getElementById: id => elements[id] ?? null, adoptNode: node => node,
  querySelectorAll: () => links, querySelector: () => items,
  addEventListener(name, handler) { handlers[name] = handler; } };
globalThis.addEventListener = (name, handler) => { handlers[name] = handler; };
globalThis.setTimeout = handler => timers.push(handler);
globalThis.clearTimeout = () => { timers.length = 0; };
globalThis.fetch = async () => ({ text: async () => "" });
globalThis.DOMParser = class { parseFromString() { return document; } };
let source;
globalThis.EventSource = class { constructor() { source = this; } };
const next = () => timers.splice(0).forEach(each => each());
const offer = numbers => source.onmessage({ data: numbers });
const press = key => handlers.keydown({ key, target: { closest: () => null }, preventDefault() {} });
"""


def play(steps: str) -> Any:
    """Return what the page has played after some steps, and the texts that it shows."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    end = "console.log(JSON.stringify({ log, paused: sound.paused, start: !elements.start.hidden, "
    end += "now: elements.now.textContent, problem: elements.problem.textContent }));"
    script = f"{BROWSER}\n{SCRIPT}\n(async () => {{ {steps}; await 0; {end} }})();"
    done = subprocess.run([node, "-e", script], capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout)


def test_all_recordings_of_an_offer_are_played_one_after_the_other() -> None:
    found = play('await offer("3 4"); sound.end(); next(); sound.end(); next()')
    assert (found["log"], found["now"], found["paused"]) == ([3, 4], "name 4", True)


def test_the_same_offer_again_stops_and_then_plays() -> None:
    assert play('await offer("3 4"); await offer("3 4")')["paused"]
    assert play('await offer("3 4"); sound.end(); await offer("3 4"); next()')["log"] == [3]
    assert play('await offer("3"); await offer("3"); await offer("3")')["log"] == [3, 3]


def test_another_offer_replaces_what_is_left_of_the_one_before() -> None:
    assert play('await offer("3 4"); await offer("1"); sound.end(); next()')["log"] == [3, 1]


def test_without_a_click_the_button_remains_and_plays_the_latest_offer() -> None:
    found = play('allowed = false; await offer("1 2"); await 0; allowed = true; const shown = !elements.start.hidden;'
                 "elements.start.on.click(); sound.end(); next(); if (!shown) throw 1")  # fmt: skip
    assert (found["log"], found["start"]) == ([1, 2], False)


def test_a_recording_that_cannot_be_played_is_named_and_the_next_one_played() -> None:
    found = play('await offer("3 4"); sound.on.error()')
    assert found["log"] == [3, 4]
    assert "name 3" in found["problem"]


def test_keys_pause_and_move_in_the_list() -> None:
    assert play('await offer("3"); press(" ")')["paused"]
    assert play('await offer("3"); press("n"); press("n"); press("p")')["log"] == [3, 4, 3]


def test_the_page_marks_the_latest_offer_and_harms_no_name() -> None:
    content = page({3: "<b>", 4: "b", 1: "c"}, [3, 4]).decode()
    assert 'data-latest="3 4"' in content
    assert "&lt;b&gt;" in content
    assert "Play 2 recordings" in content
