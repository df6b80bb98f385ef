"""A web app that waits for videos.

One client serves the whole app, so all requests share its connections, limits and cool-down, and requests for the same
video share its polls. Run it with ``uvicorn web_app:app``, with ``LUMA_BASE_URL`` and ``LUMA_API_KEY`` in the
environment.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse

from luma_async import (
    ConfigurationError,
    GenerationFailedError,
    LumaClient,
    LumaError,
    NotFoundError,
    WaitTimeoutError,
)
from luma_async.models import Generation

PATIENCE = 20.0
"""Seconds that a browser waits before it has to ask again."""

router = APIRouter()


def luma_of(request: Request) -> LumaClient:
    """Return the app's client."""
    luma: LumaClient = request.app.state.luma
    return luma


Luma = Annotated[LumaClient, Depends(luma_of)]


@router.get("/videos/{task_id}")
async def video(task_id: str, luma: Luma) -> JSONResponse:
    """Answer as soon as the video is done, or after a while with its state."""
    try:
        generation = await luma.wait_until_done(task_id, timeout=PATIENCE)
    except WaitTimeoutError as error:
        return JSONResponse({"state": error.last.state if error.last else "unknown"}, status_code=202)
    except GenerationFailedError as error:
        return JSONResponse({"state": "failed", "reason": error.reason})
    return JSONResponse({"state": "completed", "url": generation.video_url})


@router.get("/videos/{task_id}/states")
async def states(task_id: str, luma: Luma) -> StreamingResponse:
    """Send each change of state as it happens, for a browser's ``EventSource``."""
    await luma.get_generation(task_id)  # an unknown task is an error, not an empty stream
    return StreamingResponse(_lines(luma, task_id), media_type="text/event-stream")


async def _lines(luma: LumaClient, task_id: str) -> AsyncIterator[str]:
    async with luma.watch(task_id) as snapshots:
        async for snapshot in snapshots:
            yield _line(snapshot)


def _line(snapshot: Generation) -> str:
    return f"data: {snapshot.state}\n\n"


async def complain(_: Request, error: Exception) -> JSONResponse:
    """Turn an error of luma_async into an HTTP status."""
    if isinstance(error, ConfigurationError | NotFoundError):
        return JSONResponse({"error": "there is no such video"}, status_code=404)
    passing = isinstance(error, LumaError) and error.retryable
    return JSONResponse({"error": str(error)}, status_code=503 if passing else 502)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the client with the app, and close it with the app."""
    async with LumaClient() as app.state.luma:
        yield


app = FastAPI(lifespan=lifespan)
app.include_router(router)
app.add_exception_handler(LumaError, complain)
