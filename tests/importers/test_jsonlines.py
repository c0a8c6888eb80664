from __future__ import annotations

from pathlib import Path

from tests.importers.builders import failures, imported, recording, run, table


def test_json_lines_are_imported(tmp_path: Path) -> None:
    recording(tmp_path / "in" / "a.wav")
    lines = {
        '{"audio_filepath": "a.wav", "text": "caf\\u00e9", "speaker": 7, "duration": 1.5}': "",
        '{"audio_filepath": "a.wav", "text": null}': "the value of text is not text",
        '{"audio_filepath": 5, "text": "x"}': "the value of audio_filepath is not text",
        '{"text": "x"}': "no value for audio",
        '{"audio_filepath": "a.wav"}': "no value for text",
        '["a.wav", "x"]': "not a JSON object",
        '"a.wav"': "not a JSON object",
        '{"audio_filepath": "a.wav", "text": "x\\ud800"}': "the text contains half of a surrogate pair",
        '{"audio_filepath": "\\ud800/\\u0000.wav", "text": "x"}': "recording not found: \ud800/\0.wav",
        '{"audio_filepath": "a.wav", "text": ': "not JSON",
        "[" * 100_000: "not JSON: nested too deeply",
        '{"n": ' + "9" * 5_000 + "}": "not JSON",
    }
    ledger = run(tmp_path, table(tmp_path / "in" / "x.jsonl", *lines))
    assert imported(tmp_path) == {"7/a.wav": "café <a.wav>"}
    assert ledger.total == len(lines)
    for number, reason in enumerate(lines.values(), 1):
        assert failures(ledger).get(f"x.jsonl:{number}", "").startswith(reason)
