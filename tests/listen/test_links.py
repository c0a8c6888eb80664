"""The ssh command, and links."""

from __future__ import annotations

from fishtui.listen.links import is_remote, link, ssh_line


def test_over_ssh_the_command_names_the_address_of_the_connection() -> None:
    here = {"SSH_CONNECTION": "203.0.113.5 50000 198.51.100.7 2222"}
    assert is_remote(here)
    line = ssh_line(8000, here)
    assert line.startswith("ssh -L 8000:127.0.0.1:8000 -N -p 2222 ")
    assert line.endswith("@198.51.100.7")
    assert " -p" not in ssh_line(8000, {"SSH_CONNECTION": "203.0.113.5 50000 198.51.100.7 22"})


def test_without_ssh_the_command_names_the_host() -> None:
    assert not is_remote({})
    assert "@" in ssh_line(8000, {})


def test_a_link_shows_its_address() -> None:
    assert link("http://127.0.0.1:1/") == "\x1b]8;;http://127.0.0.1:1/\x1b\\http://127.0.0.1:1/\x1b]8;;\x1b\\"
