"""Choosing a Julia package server."""

from __future__ import annotations

import socket
import threading
import time
from urllib.parse import urlsplit

#: Public package servers, the official one first.
SERVERS = (
    "https://pkg.julialang.org",
    "https://mirrors.ustc.edu.cn/julia",
    "https://mirror.sjtu.edu.cn/julia",
    "https://mirrors.tuna.tsinghua.edu.cn/julia",
)
#: Seconds after which the choice is made.
PATIENCE = 1.0


def fastest() -> str | None:
    """The server that accepts a connection first, or ``None`` when none does within a second."""
    answers: dict[str, float] = {}
    answered = threading.Event()

    def probe(server: str) -> None:
        try:
            place = urlsplit(server)
            with socket.create_connection((place.hostname, place.port or 443), timeout=PATIENCE):
                answers[server] = time.monotonic()
                answered.set()
        except OSError:
            pass

    for server in SERVERS:
        threading.Thread(target=probe, args=(server,), daemon=True).start()
    answered.wait(PATIENCE)
    return min(answers, key=answers.__getitem__, default=None) if answers else None
