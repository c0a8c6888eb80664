"""The page of a blind test: it plays two versions of a line and sends decisions. It knows no names of versions."""

from __future__ import annotations

from fishtui.listen.page import policy

STYLE = """
:root { color-scheme: light dark; }
* { box-sizing: border-box; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 44rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.2rem; }
[hidden] { display: none !important; }
#text { font-size: 1.3rem; min-height: 4rem; overflow-wrap: anywhere; }
div { display: flex; flex-wrap: wrap; gap: .6rem; margin: .8rem 0; }
button { flex: 1 1 9rem; min-height: 3.5rem; font: inherit; padding: .5rem; border-radius: .5rem;
  border: 1px solid #8888; background: #8882; color: inherit; cursor: pointer; touch-action: manipulation; }
button:disabled { opacity: .45; cursor: default; }
button:focus-visible { outline: 3px solid #0a7d4f; outline-offset: 2px; }
button[aria-pressed="true"] { border-color: #0a7d4f; background: #0a7d4f44; }
kbd { opacity: .7; border: 1px solid #8888; border-radius: .3rem; padding: 0 .35rem; font-size: .85em; }
progress { width: 100%; }
#problem { color: #c0392b; font-weight: 600; overflow-wrap: anywhere; }
.note { opacity: .75; }
"""
# One audio element for both versions, because phones allow sound only for an element that a person has started.
SCRIPT = """
"use strict";
const get = id => document.getElementById(id);
const audio = get("audio");
const plays = [get("a"), get("b")];
const choices = [...document.querySelectorAll("[data-decision]")];
const PAUSE = 400;
let state = null, playing = -1, both = false, busy = false, waiting = 0;
const heard = new Set();

function view(name) {
  for (const each of document.querySelectorAll("section")) each.hidden = each.id !== name;
}

function mark() {
  plays.forEach((button, index) => button.setAttribute("aria-pressed", String(index === playing)));
  for (const button of choices) button.disabled = busy || heard.size < 2;
  get("tally").hidden = !(state && state.has_tally);
}

function report(text) { get("problem").textContent = text; }

async function ask(address, sent) {
  const options = sent && {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(sent) };
  let answer;
  try { answer = await fetch(address, options); }
  catch { throw new Error("No connection. Is fishtui compare still running? Earlier decisions are stored."); }
  const content = await answer.json().catch(() => ({}));
  // 409: decided before, for example in another window; the answer has the next trial.
  if (!answer.ok && answer.status !== 409)
    throw new Error(content.problem ? content.problem + ". " + content.remedy : "fishtui refused: " + answer.status);
  return content;
}

function silence() {
  clearTimeout(waiting);
  both = false;
  playing = -1;
  audio.pause();
}

function play(index, then = false) {
  if (!state || !state.trial || get("trial").hidden) return;
  silence();
  report("");
  both = then;
  playing = index;
  audio.src = state.trial.sounds[index];
  audio.play().catch(error => {
    if (error.name === "NotAllowedError") { silence(); report("The browser waits for you: play A and B."); mark(); }
  });
  mark();
}

function enter(next) {
  const before = state;
  state = next;
  get("bar").max = Math.max(1, state.total);
  get("bar").value = state.decided;
  get("count").textContent = state.decided + " of " + state.total + " lines decided";
  get("news").textContent = state.has_tally && !(before && before.has_tally) && state.trial
    ? "There are enough decisions for a tally." : "";
  if (before && before.trial && state.trial && before.trial.id === state.trial.id) { mark(); return; }
  heard.clear();
  if (!state.trial) { result(); return; }
  get("text").textContent = state.trial.text;
  get("text").lang = state.trial.language || "";
  mark();
}

function begin() {
  if (!state || !state.trial) return;
  view("trial");
  get("both").focus();
  play(0, true);
}

async function decide(decision) {
  if (busy || heard.size < 2 || !state.trial || get("trial").hidden) return;
  busy = true;
  silence();
  mark();
  try {
    const next = await ask("decision", { trial: state.trial.id, decision });
    report("");
    busy = false;
    enter(next);
    if (state.trial) begin();
  } catch (error) {
    report(error.message);
  }
  busy = false;
  mark();
}

async function result() {
  silence();
  try {
    const lines = state.has_tally ? (await ask("tally")).lines : ["No line can be played."];
    get("lines").replaceChildren(...lines.map(line =>
      Object.assign(document.createElement("li"), { textContent: line })));
    get("ended").hidden = state.trial !== null;
    get("more").hidden = state.trial === null;
    view("result");
    get("more").focus();
  } catch (error) {
    report(error.message);
  }
  mark();
}

audio.addEventListener("playing", () => { if (playing >= 0) heard.add(playing); mark(); });
audio.addEventListener("ended", () => {
  const next = both && playing === 0;
  playing = -1;
  mark();
  if (next) waiting = setTimeout(() => play(1), PAUSE);
});
audio.addEventListener("error", async () => {
  if (playing < 0) return;
  silence();
  report("The recording cannot be played.");
  mark();
  // The server no longer offers a line whose recording was removed or changed.
  try { enter(await ask("state")); } catch (error) { report(error.message); }
});
plays.forEach((button, index) => button.addEventListener("click", () => play(index)));
get("both").addEventListener("click", () => play(0, true));
get("begin").addEventListener("click", begin);
get("more").addEventListener("click", begin);
get("tally").addEventListener("click", result);
for (const button of choices) button.addEventListener("click", () => decide(Number(button.dataset.decision)));
addEventListener("keydown", event => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.toLowerCase();
  if (key === "a" || key === "b") play(key === "a" ? 0 : 1);
  else if (key === "r") play(0, true);
  else if (key === "0" || key === "1" || key === "2") decide(Number(key));
  else if (key === "t" && state && state.has_tally) result();
  else return;
  event.preventDefault();
});
ask("state").then(next => { view("start"); enter(next); get("begin").focus(); }, error => report(error.message));
"""
POLICY = policy(STYLE, SCRIPT)
PAGE = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>fishtui: blind comparison</title>
<style>{STYLE}</style>
<h1>Blind comparison</h1>
<progress id="bar" value="0" max="1" aria-labelledby="count"></progress>
<p id="count" class="note" role="status"></p>
<p id="problem" role="alert"></p>
<noscript><p>This page needs JavaScript.</p></noscript>
<audio id="audio"></audio>
<section id="start" hidden>
<p>Each line is spoken by two versions, A and B, in random order. Decide which one sounds better. Each decision is
stored at once: you can close this page and continue later.</p>
<div><button id="begin">Start</button></div>
</section>
<section id="trial" hidden>
<p id="text" dir="auto"></p>
<div>
<button id="a" aria-pressed="false">Play A <kbd>a</kbd></button>
<button id="b" aria-pressed="false">Play B <kbd>b</kbd></button>
<button id="both">Play both <kbd>r</kbd></button>
</div>
<div>
<button data-decision="1" disabled>A is better <kbd>1</kbd></button>
<button data-decision="0" disabled>No difference <kbd>0</kbd></button>
<button data-decision="2" disabled>B is better <kbd>2</kbd></button>
</div>
<p class="note">Play both versions before you decide.</p>
<p id="news" role="status"></p>
<div><button id="tally" hidden>Show the tally <kbd>t</kbd></button></div>
</section>
<section id="result" hidden>
<h2>Tally</h2>
<ul id="lines"></ul>
<p id="ended">All lines are decided. You can close this page; Ctrl-C ends fishtui in the terminal.</p>
<div><button id="more">Continue</button></div>
</section>
<script>{SCRIPT}</script>
""".encode()
