"""A server on the loopback for tests: files with ranges, answers of functions, and errors on demand."""

import json
import re
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit


class Site:
    """What is served: files below `root`, `answers[path](query or body) -> plain value` as JSON.

    `trouble[path]` is how many requests for it are first answered `status`; `asked` counts requests by path, `sent`
    the bytes of files that were sent.
    """

    def __init__(self, root):
        self.root, self.answers, self.trouble, self.status = root, {}, Counter(), 503
        self.asked, self.sent = Counter(), 0


@contextmanager
def serve(root):
    """A Site and its address."""
    site = Site(root)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_HEAD(self):
            self.answer(False)

        def do_GET(self):
            self.answer(True)

        do_POST = do_GET

        def answer(self, with_body):
            url = urlsplit(self.path)
            given = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            site.asked[url.path] += 1
            if site.trouble[url.path] > 0:
                site.trouble[url.path] -= 1
                return self.send(site.status, b"", {}, with_body)
            if url.path in site.answers:
                body = json.dumps(site.answers[url.path](given or url.query)).encode()
                return self.send(200, body, {"Content-Type": "application/geo+json"}, with_body)
            file = site.root / url.path.lstrip("/")
            if not file.is_file():
                return self.send(404, b"", {}, with_body)
            content, status, extra = file.read_bytes(), 200, {"Accept-Ranges": "bytes"}
            wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
            if wanted:
                start, stop = int(wanted[1]), min(int(wanted[2] or len(content)) + 1, len(content))
                extra["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
                content, status = content[start:stop], 206
            site.sent += len(content) if with_body else 0
            return self.send(status, content, extra, with_body)

        def send(self, status, body, headers, with_body):
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if with_body:
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield site, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
