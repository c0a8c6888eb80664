"""The ssh command and the link that open the served page on the user's own computer."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping

from fishtui.listen.loopback import ADDRESS

SSH_PORT = "22"


def is_remote(environment: Mapping[str, str] = os.environ) -> bool:
    """Return True if fishtui is used over SSH."""
    return bool(environment.get("SSH_CONNECTION"))


def ssh_line(port: int, environment: Mapping[str, str] = os.environ) -> str:
    """Return the command that forwards `port` of this host to the user's own computer."""
    # The address and port of the client, then those of this host.
    words = environment.get("SSH_CONNECTION", "").split()
    host, ssh_port = (words[2], words[3]) if len(words) == 4 else (socket.gethostname(), SSH_PORT)
    other = "" if ssh_port == SSH_PORT else f" -p {ssh_port}"
    return f"ssh -L {port}:{ADDRESS}:{port} -N{other} {_user()}@{host}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # In a container, the user's id may have no name.
        return "USER"


def link(address: str, text: str = "") -> str:
    """Return `text` as a link to `address` for terminals that support OSC 8. Both must be sanitized."""
    return f"\x1b]8;;{address}\x1b\\{text or address}\x1b]8;;\x1b\\"
