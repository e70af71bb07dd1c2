"""A file server on this machine that can misbehave in given ways."""

from __future__ import annotations

import contextlib
import re
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

Behavior = Callable[["Handler", bytes], None]


class Server(ThreadingHTTPServer):
    """Serves `files` by path, each as `behaviors` says or else well; `requests` has path and range of each request."""

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.behaviors: dict[str, Behavior] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.stopping = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True)
            self.url = f"https://localhost:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """Say nothing: clients that break off are what the tests are about."""


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with the file, well or badly."""
        path = self.path
        self.server.requests.append((path, self.headers.get("Range")))
        content = self.server.files.get(path)
        behavior = self.server.behaviors.get(path, well)
        if content is None and path not in self.server.behaviors:
            status(404)(self, b"")
        else:
            behavior(self, content or b"")

    def do_CONNECT(self) -> None:
        """As a proxy: be the host that is asked for."""
        self.server.requests.append((self.path, None))
        self.send_response(200)
        self.end_headers()
        self.close_connection = False

    def begin(self, code: int, length: int | None, **headers: str) -> None:
        """Send the head of the answer."""
        self.send_response(code)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def well(handler: Handler, content: bytes) -> None:
    """Send the file, or the part of it that is asked for."""
    asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
    start = int(asked[1]) if asked else 0
    if asked and start >= len(content):
        handler.begin(416, 0, Content_Range=f"bytes */{len(content)}")
        return
    if asked:
        part = f"bytes {start}-{len(content) - 1}/{len(content)}"
        handler.begin(206, len(content) - start, Content_Range=part)
    else:
        handler.begin(200, len(content))
    handler.wfile.write(content[start:])


def without_ranges(handler: Handler, content: bytes) -> None:
    """Send the whole file, whatever is asked for."""
    handler.begin(200, len(content))
    handler.wfile.write(content)


def wrong_range(handler: Handler, content: bytes) -> None:
    """Send another part than the one that is asked for."""
    handler.begin(206, len(content), Content_Range=f"bytes 0-{len(content) - 1}/{len(content)}")
    handler.wfile.write(content)


def status(code: int, times: int = 1 << 30) -> Behavior:
    """Answer with an error, so many times."""
    left = [times]

    def answer(handler: Handler, content: bytes) -> None:
        left[0] -= 1
        if left[0] < 0:
            well(handler, content)
            return
        handler.begin(code, 2)
        handler.wfile.write(b"no")

    return answer


def cut(after: int, times: int = 1 << 30) -> Behavior:
    """Break off after so many bytes of what was promised, so many times."""
    left = [times]

    def answer(handler: Handler, content: bytes) -> None:
        left[0] -= 1
        if left[0] < 0:
            well(handler, content)
            return
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        part = f"bytes {start}-{len(content) - 1}/{len(content)}"
        handler.begin(206 if asked else 200, len(content) - start, Content_Range=part)
        handler.wfile.write(content[start : start + after])

    return answer


def silent(handler: Handler, content: bytes) -> None:
    """Promise the file, and send a byte of it now and then."""
    handler.begin(200, len(content))
    for byte in content:
        if handler.server.stopping.wait(0.2):
            return
        handler.wfile.write(bytes([byte]))
        handler.wfile.flush()


def slowly(seconds: float) -> Behavior:
    """Send the file in a hundred parts within that time."""

    def answer(handler: Handler, content: bytes) -> None:
        handler.begin(200, len(content))
        step = len(content) // 100 + 1
        for start in range(0, len(content), step):
            handler.wfile.write(content[start : start + step])
            time.sleep(seconds / 100)

    return answer


def mute(handler: Handler, _: bytes) -> None:
    """Answer nothing at all."""
    handler.server.stopping.wait(60)


def redirect(to: str) -> Behavior:
    """Send the client elsewhere."""
    return lambda handler, _: handler.begin(302, 0, Location=to)


@contextlib.contextmanager
def serve(context: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Run a server."""
    server = Server(context)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()


def certificate(directory: Path) -> tuple[Path, ssl.SSLContext]:
    """Return a certificate for `localhost` that nobody trusts by itself, and a server's context with it."""
    key, file = directory / "key.pem", directory / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = [
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
        "-addext",
        "basicConstraints=CA:FALSE",
    ]
    subprocess.run([*command, *names, "-days", "2", "-keyout", key, "-out", file], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key)
    return file, context
