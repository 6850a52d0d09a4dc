"""A service of Python's own library: says its port, then serves HTTP/1.1 and WebSockets."""

import base64
import hashlib
import json
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GO_ON = threading.Event()
LARGE = 8 * 1024 * 1024


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def body(self):
        if self.headers.get("Transfer-Encoding"):
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline() != b"\r\n":
                pass
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self, status, body, kind="text/plain", **more):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in more.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def begin_chunks(self, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def serve(self):
        path = self.path.split("?")[0]
        if path == "/echo":
            return self.answer(200, self.body(), self.headers.get("Content-Type", "text/plain"))
        if path == "/head":
            head = {name.lower(): value for name, value in self.headers.items()}
            return self.answer(200, json.dumps({"path": self.path, "method": self.command, **head}).encode())
        if path == "/events":
            return self.events()
        if path == "/go-on":
            GO_ON.set()
            return self.answer(200, b"")
        if path == "/large":
            self.begin_chunks("application/octet-stream")
            for _ in range(LARGE // 65536):
                self.chunk(b"x" * 65536)
            return self.wfile.write(b"0\r\n\r\n")
        if path == "/live" and self.headers.get("Upgrade") == "websocket":
            return self.websocket()
        if path.startswith("/status/"):
            return self.answer(int(path.rsplit("/", 1)[1]), b"")
        return self.answer(404, b"nothing here")

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = serve

    def events(self):
        """The second event comes only when somebody has seen the first."""
        GO_ON.clear()
        self.begin_chunks("text/event-stream")
        self.chunk(b"data: first\n\n")
        GO_ON.wait(10)
        self.chunk(b"data: second\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def websocket(self):
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.send_response(101)
        self.send_header("Connection", "Upgrade")
        self.send_header("Upgrade", "websocket")
        self.send_header("Sec-WebSocket-Accept", accept)
        self.end_headers()
        while True:
            first, second = self.rfile.read(2)
            length = second & 127
            if length == 126:
                (length,) = struct.unpack(">H", self.rfile.read(2))
            elif length == 127:
                (length,) = struct.unpack(">Q", self.rfile.read(8))
            mask = self.rfile.read(4)
            data = bytes(byte ^ mask[i % 4] for i, byte in enumerate(self.rfile.read(length)))
            size = bytes([length]) if length < 126 else struct.pack(">BH", 126, length)
            self.wfile.write(bytes([first]) + size + data)
            if first & 15 == 8:
                self.close_connection = True
                return


class Server(ThreadingHTTPServer):
    # The library's own five are too few for a client that asks twenty things at once.
    request_queue_size = 128

    def handle_error(self, *_):
        """Some clients leave in the middle."""


server = Server(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
sys.stdout.close()
server.serve_forever()
