"""The same receiver, with a route of its own in the same Flask app that proves a call and stores nothing.

Run like `connector serve`; calls to the configured path are then answered without the outbox.
"""

import sys

from flask import request

from connector.cli import main
from connector.compose import receiving
from connector.domain.judgement import judge
from connector.domain.request import UnverifiedRequest, VerifiedRequest
from connector.http.worker import sent_headers

real_parts = receiving.parts


def parts(config, sources, clock, board):
    made = real_parts(config, sources, clock, board)
    (source,) = sources.values()
    find = receiving._keys(config, sources, clock, board)[source.name].find
    handle = made.app.view_functions["call"]

    def verify():
        environ = request.environ
        if environ["RAW_URI"] != source.path:
            return handle()
        body, now = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])), clock.now()
        call = UnverifiedRequest(
            source.name, "POST", source.path, sent_headers(environ), body, now, "127.0.0.1", secure=True
        )
        verdict = judge(call, source, find, now=now)
        return ("proven\n", 200) if isinstance(verdict, VerifiedRequest) else ("unauthorised\n", 401)

    made.app.view_functions["call"] = verify
    return made


receiving.parts = parts

if __name__ == "__main__":
    sys.exit(main.main(["serve", *sys.argv[1:]]))
