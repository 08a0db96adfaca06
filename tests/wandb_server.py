"""As much of a W&B server as wandb's client needs to track and upload; it keeps what arrives."""

import gzip
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = "0123456789" * 4


class Run:
    """What the server has of one run."""

    def __init__(self):
        self.config = "{}"
        self.lines = {}
        """Row by line number, as the client numbers them."""
        self.summary = {}
        self.exit_code = None

    @property
    def history(self):
        return [self.lines[number] for number in sorted(self.lines)]

    @property
    def steps(self):
        return [row["_step"] for row in self.history]

    def bucket(self, name):
        return {
            "id": name,
            "name": name,
            "displayName": name,
            "summaryMetrics": json.dumps(self.summary),
            "historyLineCount": len(self.lines),
            "historyTail": json.dumps([json.dumps(row) for row in self.history[-1:]]),
            "logLineCount": 0,
            "eventsLineCount": 0,
            "eventsTail": "[]",
            "config": self.config,
            "tags": [],
            "notes": None,
            "wandbConfig": json.dumps({"t": 1}),
        }


class Server(ThreadingHTTPServer):
    """Runs by id."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.runs = {}
        self.artifacts = []
        self.projects = []
        """Names of those that were made by themselves."""
        self.takes_views = True
        self.views = []
        """Workspaces and reports, as they were saved."""
        self.is_down = False
        """Every request is dropped without an answer."""

    def handle_error(self, request, client_address):
        """A client that was killed is no news."""

    @property
    def environment(self):
        """What makes wandb's client take this server."""
        return {
            "WANDB_BASE_URL": f"http://127.0.0.1:{self.server_port}",
            "WANDB_API_KEY": KEY,
            "WANDB_MODE": "online",
            "WANDB_X_FILE_STREAM_TRANSMIT_INTERVAL": "0.2",
        }

    def answer(self, operation, variables):
        if operation == "RunResumeStatus":
            name = variables["name"]
            bucket = self.runs[name].bucket(name) if name in self.runs else None
            owner = {"id": "o", "name": "me"}
            return {"model": {"id": "p", "name": "p", "entity": owner, "bucket": bucket}}
        if operation == "UpsertBucket":
            name = variables["name"] or variables["id"]
            run = self.runs.setdefault(name, Run())
            run.config = variables.get("config") or run.config
            project = {"id": "p", "name": "p", "entity": {"id": "o", "name": "me"}}
            bucket = {**run.bucket(name), "sweepName": None, "project": project}
            return {"upsertBucket": {"bucket": bucket, "inserted": True}}
        if operation == "CreateRunFiles":
            url = f"http://127.0.0.1:{self.server_port}/upload"
            files = [{"name": name, "uploadUrl": url} for name in variables["files"]]
            run = variables["run"]
            return {"createRunFiles": {"runID": run, "uploadHeaders": [], "files": files}}
        if operation == "CreateArtifact":  # which this server has already, byte for byte
            self.artifacts.append(variables["input"])
            latest = {"latestArtifact": {"id": "a"}}
            artifact = {"id": "a", "state": "COMMITTED", "artifactSequence": latest}
            return {"createArtifact": {"artifact": artifact}}
        if operation == "GetProjects":
            pages = {"pageInfo": {"hasNextPage": False, "endCursor": None}, "edges": []}
            return {"models": pages}
        if operation == "CreateProject":
            self.projects.append(variables["input"]["name"])
            project = {"id": "p", "name": self.projects[-1], "entityName": "me"}
            return {"result": {"model": project, "project": project, "inserted": True}}
        if operation in ("upsertView", "UpsertView2") and self.takes_views:
            self.views.append(variables)
            view = {"id": f"view{len(self.views)}", "name": variables["name"]}
            view |= {"displayName": variables["displayName"], "spec": variables["spec"]}
            return {"upsertView": {"view": view, "inserted": True}}
        if operation == "ArtifactType":  # of an artifact of this name: there is none yet
            return {"project": None}
        if operation == "ServerFeaturesQuery":
            return {"serverInfo": {"features": []}}
        if operation == "Viewer":
            viewer = {"id": "o", "entity": "me", "username": "me", "email": "me@here"}
            return {"viewer": {**viewer, "flags": "{}", "teams": {"edges": []}}}
        return {}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self._body() or b"{}")
        if self.path.endswith("/graphql"):
            operation = re.search(r"(?:query|mutation)\s+(\w+)", body["query"])
            answer = self.server.answer(
                operation.group(1) if operation else "", body.get("variables") or {}
            )
            return self._reply({"data": answer})
        if self.path.endswith("/file_stream"):
            run = self.server.runs[self.path.split("/")[-2]]
            files = body.get("files") or {}
            history = files.get("wandb-history.jsonl", {"offset": 0, "content": []})
            for number, line in enumerate(history["content"], start=history["offset"]):
                run.lines[number] = json.loads(line)
            for line in files.get("wandb-summary.json", {"content": []})["content"]:
                run.summary = json.loads(line)
            run.exit_code = body.get("exitcode", run.exit_code)
        return self._reply({})

    def do_GET(self):
        self._reply({})

    def do_PUT(self):
        self._body()
        self._reply({})

    def parse_request(self):
        return super().parse_request() and not (self.server.is_down and self.drop())

    def drop(self):
        self.close_connection = True
        return True

    def _body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _reply(self, content):
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Nothing is printed."""


@contextmanager
def serving():
    """A server for the length of the block."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
