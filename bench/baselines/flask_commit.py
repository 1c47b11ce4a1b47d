"""The plain way: a Flask view that proves a call and commits it to SQLite, each call by itself.

Run by gunicorn, under its sync or its gthread worker. The proof is the connector's own; FLASK_COMMIT_PROVE=no leaves it out.
"""

import os
import sqlite3
import threading
import time
from pathlib import Path

from flask import Flask, request

from bench.calls import ACCOUNT, HOST, PATH
from connector.domain.judgement import judge
from connector.domain.request import UnverifiedRequest, VerifiedRequest
from connector.domain.source import Proof, Source
from connector.keys.file import FileKeys

SOURCE = Source(name="shop", path=PATH, host=HOST, proof=Proof.KEY_FILE, account=ACCOUNT, past=3600, future=3600)
PROVE = os.environ.get("FLASK_COMMIT_PROVE", "yes") == "yes"
KEYS = FileKeys(Path(os.environ["FLASK_COMMIT_KEY"]))
local = threading.local()
app = Flask(__name__)


def database():
    if not hasattr(local, "conn"):
        local.conn = sqlite3.connect(os.environ["FLASK_COMMIT_DB"], timeout=30, isolation_level=None)
        local.conn.execute("PRAGMA journal_mode = WAL")
        local.conn.execute("PRAGMA synchronous = FULL")
        local.conn.execute("CREATE TABLE IF NOT EXISTS calls (id INTEGER PRIMARY KEY, at REAL, head TEXT, body BLOB)")
    return local.conn


@app.post(PATH)
def call():
    body = request.get_data()
    headers = tuple(request.headers.items())
    if PROVE:
        now = round(time.time() * 1000)
        made = UnverifiedRequest("shop", "POST", PATH, headers, body, now, request.remote_addr, secure=True)
        if not isinstance(judge(made, SOURCE, KEYS.find, now=now), VerifiedRequest):
            return "unauthorised\n", 401
    database().execute("INSERT INTO calls (at, head, body) VALUES (?, ?, ?)", (time.time(), repr(headers), body))
    return "stored\n"


@app.get("/readyz")
def ready():
    database()
    return "ready\n"
