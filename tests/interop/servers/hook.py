"""A receiver of webhooks: signatures are judged by the library of Standard Webhooks, envelopes by that of
CloudEvents. What is good is written down, durably, and then answered 204; anything else is answered 400.

    HOOK_SECRET=whsec_… python hook.py PORT LOG

prints the port it listens on (PORT may be 0).
"""

import hashlib
import json
import os
import socket
import sys

import uvicorn
from cloudevents.v1.http import from_dict, from_http
from standardwebhooks import Webhook
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

port, log = int(sys.argv[1]), open(sys.argv[2], "a", encoding="utf-8")
webhook = Webhook(os.environ["HOOK_SECRET"])


def envelopes(headers, body):
    if headers["content-type"].startswith("application/cloudevents-batch+json"):
        return [from_dict(envelope) for envelope in json.loads(body)]
    return [from_http(headers, body)]


async def take(request):
    body, headers = await request.body(), dict(request.headers)
    try:
        webhook.verify(body, headers)
        events = envelopes(headers, body)
        assert all(event["specversion"] == "1.0" and event.data is not None for event in events)
    except Exception as error:
        print(repr(error), file=sys.stderr)
        return Response(status_code=400)
    taken = {
        "webhook_id": headers["webhook-id"],
        "body_digest": hashlib.sha256(body).hexdigest(),
        "events": [event["id"] for event in events],
    }
    log.write("\n" + json.dumps(taken) + "\n")
    log.flush()
    os.fsync(log.fileno())
    return Response(status_code=204)


listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", port))
listener.listen(128)
print(listener.getsockname()[1], flush=True)
app = Starlette(routes=[Route("/hook", take, methods=["POST"])])
uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False)).run(sockets=[listener])
