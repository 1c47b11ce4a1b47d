"""A CRM with a token address whose refresh tokens work once."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs


class TokenServer:
    def __init__(self) -> None:
        self.refresh = "r0"
        self.access = ""
        self.number = 0
        self.refreshes = 0
        self.reused = 0
        self.refuse_all = False
        self.token_status = 200
        self.instance_url: str | None = None
        self.paths: list[str] = []
        self.at_token: Callable[[], bool] | None = None  # called with each token request; False: no answer
        self.after_token: Callable[[], bool] | None = None  # the same, when the new token is in force
        self.at_use: Callable[[], bool] | None = None
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def _answer(self, status: int, body: Any) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if outer.at_token is not None and not outer.at_token():
                    return
                with outer._lock:
                    answer = outer._token(parse_qs(body.decode()))
                if outer.after_token is None or outer.after_token():
                    self._answer(*answer)

            def do_PATCH(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if outer.at_use is not None and not outer.at_use():
                    return
                with outer._lock:
                    known = self.headers.get("Authorization") == f"Bearer {outer.access}" and not outer.refuse_all
                    outer.paths.append(self.path)
                self._answer(200 if known else 401, {})

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64  # the default of 5 loses connections when many threads come at once

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def _token(self, form: dict[str, list[str]]) -> tuple[int, Any]:
        if self.token_status != 200:
            return self.token_status, {}
        if form["grant_type"] == ["refresh_token"]:
            if form["refresh_token"] != [self.refresh]:
                self.reused += form["refresh_token"][0].startswith("r") and form["refresh_token"][0][1:].isdigit()
                return 400, {"error": "invalid_grant", "error_description": f"{form['refresh_token'][0]} is not known"}
            self.number += 1
            self.refresh = f"r{self.number}"
        self.refreshes += 1
        self.access = f"a{self.refreshes}"
        answer = {"access_token": self.access, "refresh_token": self.refresh, "expires_in": 3600}
        return 200, {**answer, "instance_url": self.instance_url}

    def revoke(self) -> None:
        self.access = "nobody has this one"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
