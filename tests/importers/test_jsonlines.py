from __future__ import annotations

from pathlib import Path

from tests.importers.builders import failures, imported, recording, run, table


def test_json_lines(tmp_path: Path) -> None:
    recording(tmp_path / "in" / "a.wav")
    lines = {
        '{"audio_filepath": "a.wav", "text": "caf\\u00e9", "speaker": 7, "duration": 1.5}': "",
        '{"audio_filepath": "a.wav", "text": null}': "its text is no text",
        '{"audio_filepath": 5, "text": "x"}': "its audio_filepath is no text",
        '{"text": "x"}': "has no audio",
        '{"audio_filepath": "a.wav"}': "has no text",
        '["a.wav", "x"]': "holds no JSON object",
        '"a.wav"': "holds no JSON object",
        '{"audio_filepath": "a.wav", "text": "x\\ud800"}': "its text holds half of a surrogate pair",
        '{"audio_filepath": "\\ud800/\\u0000.wav", "text": "x"}': "no recording at \ud800/\0.wav",
        '{"audio_filepath": "a.wav", "text": ': "is not JSON",
        "[" * 100_000: "is nested too deep",
        '{"n": ' + "9" * 5_000 + "}": "is not JSON",
    }
    ledger = run(tmp_path, table(tmp_path / "in" / "x.jsonl", *lines))
    assert imported(tmp_path) == {"7/a.wav": "café <a.wav>"}
    assert ledger.total == len(lines)
    for number, reason in enumerate(lines.values(), 1):
        assert failures(ledger).get(f"x.jsonl:{number}", "").startswith(reason)
