"""Events with sse-starlette, as its documentation shows it, behind a history in a file.

Environment: PORT, HISTORY (a file of lines "id number", appended to before anybody hears of an event).
"""

import asyncio
import os
from pathlib import Path

import uvicorn
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

file = Path(os.environ["HISTORY"])
history = [tuple(map(int, line.split())) for line in file.read_text().splitlines()] if file.exists() else []
news = asyncio.Condition()


async def publish(request):
    number = int(await request.body())
    event = (history[-1][0] + 1 if history else 1, number)
    with file.open("a") as lines:
        lines.write("%d %d\n" % event)
    async with news:
        history.append(event)
        news.notify_all()
    return Response(status_code=201)


async def events(request):
    async def behind(last):
        while True:
            async with news:
                await news.wait_for(lambda: history and history[-1][0] > last)
                # Ids count up by one: so many are new.
                there = history[-min(history[-1][0] - last, len(history)) :]
            for last, number in there:
                yield ServerSentEvent(id=str(last), event="number", data='{"n":%d}' % number)

    return EventSourceResponse(behind(int(request.headers.get("last-event-id", 0))), ping=1)


app = Starlette(routes=[Route("/publish", publish, methods=["POST"]), Route("/events", events)])
uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning", access_log=False)
