"""What a person needs to hear on their own computer what is served on this one."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping

from fishtui.listen.server import ADDRESS

SSH_PORT = "22"


def is_remote(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether we are used over SSH."""
    return bool(environment.get("SSH_CONNECTION"))


def ssh_line(port: int, environment: Mapping[str, str] = os.environ) -> str:
    """The command that lets the person's own computer reach `port` of this one's own address."""
    # The client's address and port, and ours.
    words = environment.get("SSH_CONNECTION", "").split()
    host, ssh_port = (words[2], words[3]) if len(words) == 4 else (socket.gethostname(), SSH_PORT)
    other = "" if ssh_port == SSH_PORT else f" -p {ssh_port}"
    return f"ssh -L {port}:{ADDRESS}:{port} -N{other} {_user()}@{host}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container may run with a number that has no name.
        return "USER"


def link(address: str, text: str = "") -> str:
    """`text`, which a terminal that knows OSC 8 lets one click on to open `address`. Both must be harmless."""
    return f"\x1b]8;;{address}\x1b\\{text or address}\x1b]8;;\x1b\\"
