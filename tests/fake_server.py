"""A small OpenAI-compatible server in a thread, which misbehaves as a test wants."""

import json
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from sgg.chat_api.mac import RESPONSE_HEADER, Verifier

TEXT = "a completion"
START = "5" * 32
"""Which start of a server it is, as `sgg.chat_api.mac` knows them."""


def response(text=TEXT, finish="stop", **choice):
    message = {"role": "assistant", "content": text}
    return {
        "choices": [{"index": 0, "message": message, "finish_reason": finish, **choice}],
        "usage": {"prompt_tokens": 45, "completion_tokens": 3},
    }


def response_header(handler, key, status, content, start=START):
    """The header by which a server with this key signs its response to a signed request; else none."""
    header = handler.headers.get("Authorization", "").encode()
    signed = key and Verifier(key).signed(handler.command, handler.path, header)
    return {RESPONSE_HEADER: signed.response_header(key, start, status, content)} if signed else {}


class FakeServer:
    """Responds with what `script` gives for the number of a request: a dict, a status and text, or a name.

    Names: `hang` sends nothing, `close` breaks off in the middle, anything else is sent as it is. With
    a key it signs its responses to signed requests; it asks for none.
    """

    def __init__(self, script=lambda number: response(), models=("tiny",), key=None, **model):
        self.script, self.models, self.model, self.key = script, models, model, key
        self.bodies, self.keys = [], []
        self.shown = []
        """What each request, of whichever path, has shown as its key."""
        self.ended = threading.Event()
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def end(self):
        self.ended.set()
        self._http.shutdown()
        self._http.server_close()

    def _handler(fake):  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                fake.shown.append(self.headers.get("Authorization"))
                if fake.models is None:
                    self.reply(404, "nothing here")
                    return
                listed = [{"id": name, "object": "model", **fake.model} for name in fake.models]
                self.reply(200, json.dumps({"object": "list", "data": listed}))

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with fake._lock:
                    number = len(fake.bodies)
                    fake.bodies.append(body)
                    fake.keys.append(self.headers.get("Authorization"))
                    fake.shown.append(fake.keys[-1])
                said = fake.script(number)
                if said == "hang":
                    fake.ended.wait(60)
                    self.close_connection = True
                elif said == "close":
                    self.reply(200, json.dumps(response()), cut=30)
                elif isinstance(said, dict):
                    time.sleep(0.01)
                    self.reply(200, json.dumps(said))
                elif isinstance(said, tuple):
                    self.reply(*said)
                else:
                    self.reply(200, said)

            def reply(self, status, text, cut=None):
                content = text.encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                for name, value in response_header(self, fake.key, status, content).items():
                    self.send_header(name, value)
                self.end_headers()
                with suppress(ConnectionError):  # who asked may be gone
                    self.wfile.write(content[:cut])
                self.close_connection = cut is not None

        return Handler
