"""Flask and huey: a view that queues, a consumer that sends. Nothing is proven. HUEY_DB, HUEY_URL, HUEY_CLIENT say how.

plain: `requests.post` for each, as its users write it. tuned: the connector's own HTTP client.
"""

import os

import requests
from flask import Flask, request
from huey import SqliteHuey

huey = SqliteHuey(filename=os.environ["HUEY_DB"], fsync=True, results=False)
app = Flask(__name__)
URL = os.environ["HUEY_URL"]
HEADERS = {"Content-Type": "application/json"}

if os.environ["HUEY_CLIENT"] == "tuned":
    from connector.crm.presets.model import Timeouts
    from connector.crm.rest.answer import Answer
    from connector.crm.rest.wire import Outgoing, Tls, Wire

    wire = Wire(Timeouts(), Tls(), None, 1 << 20, 16)

    def send(to, said):
        assert isinstance(wire.exchange(Outgoing("PUT", to, HEADERS, said), 10), Answer)

else:

    def send(to, said):
        requests.put(to, data=said, headers=HEADERS, timeout=10).raise_for_status()


@huey.task(retries=3)
def bring(form):
    said = {name[7:-1]: value for name, value in form.items() if name.startswith("fields[")}
    send(f"{URL}/contacts/by/copernica_id/{form['profile']}", requests.compat.json.dumps(said).encode())


@app.post("/copernica/shop")
def call():
    bring(request.form.to_dict())
    return "stored\n"


@app.get("/readyz")
def ready():
    return "ready\n"
