"""A network that can be cut: a port of this machine that leads to a server's socket, until it is closed."""

import contextlib
import selectors
import socket
import threading
from pathlib import Path


class Proxy:
    """Leads connections on `port` of 127.0.0.1 to a Unix socket; `cut` drops all and refuses new ones until `mend`."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.cuts = 0
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self.port = 0
        self.mend()

    def cut(self) -> None:
        """Close the port and every connection through it."""
        with self._lock:
            listener, self._listener = self._listener, None
            streams, self._open = self._open, set()
            self.cuts += 1
        if listener is not None:
            _shut(listener)
        for stream in streams:
            _shut(stream)

    def mend(self) -> None:
        """Open the port, the same as before."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen()
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                stream, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._lead, args=(stream, listener), daemon=True).start()

    def _lead(self, stream: socket.socket, listener: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        with self._lock:
            if self._listener is not listener:
                return _shut(stream)
            self._open |= {stream, server}
        try:
            server.connect(str(self.target))
            _pump(stream, server)
        except OSError:
            pass
        finally:
            with self._lock:
                self._open -= {stream, server}
            _shut(stream)
            _shut(server)
        return None


def _pump(first: socket.socket, second: socket.socket) -> None:
    """Carry bytes both ways until one side ends."""
    with selectors.DefaultSelector() as chosen:
        chosen.register(first, selectors.EVENT_READ, second)
        chosen.register(second, selectors.EVENT_READ, first)
        while True:
            for key, _ in chosen.select():
                if not (data := key.fileobj.recv(65536)):
                    return
                key.data.sendall(data)


def _shut(stream: socket.socket) -> None:
    with contextlib.suppress(OSError):
        stream.shutdown(socket.SHUT_RDWR)
    stream.close()
