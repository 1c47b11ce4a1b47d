"""The same receiver, with a route of its own in the same Flask app that proves a call and stores nothing.

Run like `connector serve`; calls are then answered without the outbox. VERIFY_ONLY=short: not by a Flask route, but the
way that a call goes, past Flask's dispatch and with a line in the log.
"""

import os
import sys

from flask import request

from connector.cli import main
from connector.compose import receiving
from connector.domain.judgement import judge
from connector.domain.request import UnverifiedRequest, VerifiedRequest
from connector.http.worker import sent_headers
from connector.receive.door import Taken

real_parts = receiving.parts


def parts(config, sources, clock, board):
    made = real_parts(config, sources, clock, board)
    (source,) = sources.values()
    find = receiving._keys(config, sources, clock, board)[source.name].find
    front, handle = made.app.wsgi_app, made.app.view_functions["call"]

    def verify():
        environ = request.environ
        if environ["REQUEST_METHOD"] != "POST":
            return handle()
        body, now = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])), clock.now()
        call = UnverifiedRequest(
            source.name, "POST", source.path, sent_headers(environ), body, now, "127.0.0.1", secure=True
        )
        verdict = judge(call, source, find, now=now)
        return ("proven\n", 200) if isinstance(verdict, VerifiedRequest) else ("unauthorised\n", 401)

    def dispatch(environ, start_response):
        if environ["REQUEST_METHOD"] != "POST":
            return front(environ, start_response)
        environ["PATH_INFO"] = "/"
        return front._app(environ, start_response)

    def take(call):
        proven = isinstance(judge(call, source, find, now=call.received_at), VerifiedRequest)
        return Taken(200, "proven\n") if proven else Taken(401, "unauthorised\n")

    if os.environ.get("VERIFY_ONLY") == "short":
        made.receiving.door.take = take
    else:
        made.app.view_functions["call"] = verify
        made.app.wsgi_app = dispatch
    return made


receiving.parts = parts

if __name__ == "__main__":
    sys.exit(main.main(["serve", *sys.argv[1:]]))
