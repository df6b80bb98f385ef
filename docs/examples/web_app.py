"""A web app that submits prompts and waits for the videos.

One client serves the whole app, so all requests share its connections, limits and cool-down, and requests for the same
video share its polls. Ordered videos are in a database, so a restart loses none. Run it with ``uvicorn web_app:app``,
with ``LUMA_BASE_URL`` and ``LUMA_API_KEY`` in the environment; with ``PUBLIC_URL``, relays can call it back.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import secrets
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel

from luma_async import (
    ClientClosedError,
    ConfigurationError,
    GenerationFailedError,
    LumaClient,
    LumaError,
    NotFoundError,
    Outcome,
    WaitTimeoutError,
)
from luma_async.webhooks import task_ids_in

PATIENCE = 20.0
"""Seconds that a browser waits before it has to ask again."""
SECRET = os.environ.get("HOOK_SECRET") or secrets.token_urlsafe()
"""The end of the path that relays call."""


class Videos:
    """The videos that were ordered, and how they ended, in SQLite."""

    def __init__(self, path: str) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("CREATE TABLE IF NOT EXISTS videos (task_id TEXT PRIMARY KEY, prompt TEXT, answer TEXT)")

    def add(self, task_id: str, prompt: str) -> None:
        """Keep a video that was ordered."""
        self._db.execute("INSERT OR IGNORE INTO videos (task_id, prompt) VALUES (?, ?)", (task_id, prompt))

    def end(self, outcome: Outcome) -> None:
        """Keep how a video ended."""
        state = outcome.generation.state if outcome.generation else "error"
        self._db.execute("UPDATE videos SET answer = ? WHERE task_id = ?", (state, outcome.task_id))

    def open_ids(self) -> list[str]:
        """Return the ids that have not ended."""
        return [task_id for (task_id,) in self._db.execute("SELECT task_id FROM videos WHERE answer IS NULL")]

    def all(self) -> list[dict[str, Any]]:
        """Return every video that was ordered."""
        rows = self._db.execute("SELECT task_id, prompt, COALESCE(answer, 'open') FROM videos ORDER BY rowid")
        return [{"task_id": task_id, "prompt": prompt, "state": state} for task_id, prompt, state in rows]

    def close(self) -> None:
        """Close the database."""
        self._db.close()


class Studio:
    """What the handlers share: the client and the database."""

    def __init__(self, luma: LumaClient, videos: Videos) -> None:
        self.luma, self.videos = luma, videos
        self._orders: set[asyncio.Task[str]] = set()
        self._ordered: asyncio.Queue[str] = asyncio.Queue()
        for task_id in videos.open_ids():
            self._ordered.put_nowait(task_id)

    async def order(self, prompt: str) -> str:
        """Submit *prompt*, and return the id; a browser that goes away meanwhile does not interrupt that."""
        task = asyncio.create_task(self._order(prompt))
        self._orders.add(task)
        task.add_done_callback(self._orders.discard)
        return await asyncio.shield(task)

    async def _order(self, prompt: str) -> str:
        task_id = await self.luma.submit(prompt)
        self.videos.add(task_id, prompt)  # nothing is awaited between the answer and the database
        self._ordered.put_nowait(task_id)
        return task_id

    async def settle(self) -> None:
        """Wait until no order is under way; the client is closed."""
        await asyncio.gather(*self._orders, return_exceptions=True)

    async def wait_for_all(self) -> None:
        """Wait for each video that was ordered, now or before a restart, and keep how it ended."""
        with suppress(ClientClosedError):
            async with self.luma.as_completed(self._ids(), timeout=None) as outcomes:
                async for outcome in outcomes:
                    if not isinstance(outcome.error, ClientClosedError):  # the app ends: the next run waits on
                        self.videos.end(outcome)

    async def _ids(self) -> AsyncIterator[str]:
        while True:
            yield await self._ordered.get()


def studio_of(request: Request) -> Studio:
    """Return the app's studio."""
    studio: Studio = request.app.state.studio
    return studio


Its = Annotated[Studio, Depends(studio_of)]
router = APIRouter()


class Order(BaseModel):
    """The body of an order."""

    prompt: str


@router.post("/videos", status_code=202)
async def order(wanted: Order, its: Its) -> dict[str, str]:
    """Submit a prompt."""
    return {"task_id": await its.order(wanted.prompt)}


@router.get("/videos")
async def ordered(its: Its) -> list[dict[str, Any]]:
    """Return every video that was ordered, also before a restart."""
    return its.videos.all()


@router.get("/videos/{task_id}")
async def video(task_id: str, its: Its) -> JSONResponse:
    """Answer as soon as the video is done, or after a while with its state."""
    try:
        generation = await its.luma.wait_until_done(task_id, timeout=PATIENCE)
    except WaitTimeoutError as error:
        return JSONResponse({"state": error.last.state if error.last else "unknown"}, status_code=202)
    except GenerationFailedError as error:
        return JSONResponse({"state": "failed", "reason": error.reason})
    return JSONResponse({"state": "completed", "url": generation.video_url})


@router.get("/videos/{task_id}/states")
async def states(task_id: str, its: Its) -> StreamingResponse:
    """Send each change of state as it happens, for a browser's ``EventSource``."""
    await its.luma.get_generation(task_id)  # an unknown task is an error, not an empty stream
    return StreamingResponse(_lines(its.luma, task_id), media_type="text/event-stream")


async def _lines(luma: LumaClient, task_id: str) -> AsyncIterator[str]:
    try:
        async with luma.watch(task_id) as snapshots:
            async for snapshot in snapshots:
                yield f"data: {snapshot.state}\n\n"
    except ClientClosedError:
        """The app ends, and the browser connects again."""


@router.post("/hooks/{secret}")
async def called_back(secret: str, request: Request, its: Its) -> dict[str, int]:
    """Poll at once for what a relay's callback names; nothing else in it is used, since nobody signs it."""
    if not hmac.compare_digest(secret.encode(), SECRET.encode()):
        raise HTTPException(404)
    return {"known": sum(map(its.luma.notify, task_ids_in(await request.body())))}


async def complain(_: Request, error: Exception) -> JSONResponse:
    """Turn an error of luma_async into an HTTP status."""
    if isinstance(error, ConfigurationError | NotFoundError):
        return JSONResponse({"error": "there is no such video"}, status_code=404)
    passing = isinstance(error, ClientClosedError) or (isinstance(error, LumaError) and error.retryable)
    return JSONResponse({"error": str(error)}, status_code=503 if passing else 502)


@contextmanager
def closed_at_a_signal(luma: LumaClient) -> Iterator[None]:
    """Close *luma* at the first signal: a server waits for its open requests, and they wait for the client."""
    loop = asyncio.get_running_loop()
    before: dict[int, Any] = {}

    def close(number: int, frame: object) -> None:
        asyncio.run_coroutine_threadsafe(luma.aclose(), loop)
        if callable(before[number]):
            before[number](number, frame)

    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.getsignal(number)
            signal.signal(number, close)
    except ValueError:
        """Signals belong to the main thread: a test client runs the app in another one."""
    try:
        yield
    finally:
        for each, handler in before.items() if signal.getsignal(signal.SIGTERM) is close else ():
            signal.signal(each, handler)


def _callback_url() -> str | None:
    """Return where relays can reach this app, if its address is known."""
    address = os.environ.get("PUBLIC_URL")
    return f"{address}/hooks/{SECRET}" if address else None


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the client with the app, and close it with the app."""
    videos = Videos(os.environ.get("VIDEOS_DB", "videos.sqlite3"))
    try:
        async with LumaClient(callback_url=_callback_url()) as luma:
            studio = app.state.studio = Studio(luma, videos)
            waiting = asyncio.create_task(studio.wait_for_all())
            with closed_at_a_signal(luma):
                yield
        await waiting
        await studio.settle()
    finally:
        videos.close()


app = FastAPI(lifespan=lifespan)
app.include_router(router)
app.add_exception_handler(LumaError, complain)
