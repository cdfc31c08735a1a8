"""Uploads over loopback: the CPU of 100 MB, over the usual way of requests and of aiohttp, and the wall-clock time.

The file is sparse, so reading it needs no disk. requests gets the form as a file-like object that reads it, since
``files=`` would hold the whole file in memory. aiohttp gets its own ``FormData``.
"""

from __future__ import annotations

import asyncio
import io
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any, BinaryIO

from chatgpt4online import AsyncClient, Client

from .measure import Plan, Result, cpu, interleaved, ratios, row
from .server import NONCE, UPLOAD_PATH, serving

_SIZE, _QUICK = 100_000_000, 100_000
_BASE = {"Client": "requests", "AsyncClient": "aiohttp"}


def run(plan: Plan) -> list[Result]:
    """Return the CPU ratio and the seconds of each client."""
    times: dict[str, list[float]] = {"Client": [], "AsyncClient": []}
    with sparse_file(_QUICK if plan.quick else _SIZE) as path, serving() as url, asyncio.Runner() as runner:
        tasks = uploaders(url, path, runner)
        if find_spec("aiohttp"):
            tasks["aiohttp"] = lambda: runner.run(_upload_aiohttp(url, path))
        tasks["requests"] = partial(_upload_requests, url, path)
        seconds = interleaved({name: partial(cpu, task) for name, task in tasks.items()}, plan.few)
        for _ in range(plan.few):
            for ours, figures in times.items():
                start = time.perf_counter()
                tasks[ours]()
                figures.append(time.perf_counter() - start)
    results = []
    for ours, base in _BASE.items():
        note = f"{median(seconds[ours]):.3f} s of CPU"
        if base in seconds:
            results.append(row("uploads", f"{ours}, 100 MB", ratios(seconds[ours], seconds[base]), note))
        else:
            results.append(row("uploads", f"{ours}, 100 MB", [], f"not measured, since {base} is not installed"))
        results.append(row("uploads", f"{ours}, time", times[ours]))
    return results


@contextmanager
def sparse_file(size: int) -> Iterator[Path]:
    """Yield the path of a file of so many bytes that occupies no disk."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "film.mp4")
        with path.open("wb") as file:
            file.truncate(size)
        yield path


def uploaders(url: str, path: Path, runner: asyncio.Runner) -> dict[str, Callable[[], object]]:
    """Return the function of each client that uploads a file."""
    return {
        "Client": partial(_upload_client, url, path),
        "AsyncClient": lambda: runner.run(_upload_async_client(url, path)),
    }


def _upload_client(url: str, path: Path) -> None:
    with Client(url) as client:
        client.session.nonce = NONCE
        client.upload(path)


async def _upload_async_client(url: str, path: Path) -> None:
    async with AsyncClient(url) as client:
        client.session.nonce = NONCE
        await client.upload(path)


class _Form:
    """A form with one file as a file-like object, which is the usual way to send a large one with requests."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        head = b'--limit\r\nContent-Disposition: form-data; name="file"; filename="film.mp4"\r\n\r\n'
        tail = b"\r\n--limit--\r\n"
        self.parts = [io.BytesIO(head), file, io.BytesIO(tail)]
        self.left = len(head) + size + len(tail)

    def __len__(self) -> int:
        return self.left

    def read(self, size: int) -> bytes:
        while self.parts:
            if data := self.parts[0].read(size):
                return data
            del self.parts[0]
        return b""


def _upload_requests(url: str, path: Path) -> None:
    import requests

    headers = {"X-WP-Nonce": NONCE, "Content-Type": "multipart/form-data; boundary=limit"}
    with path.open("rb") as file:
        form: Any = _Form(file, path.stat().st_size)
        assert requests.post(url + UPLOAD_PATH, data=form, headers=headers).json()["success"]


async def _upload_aiohttp(url: str, path: Path) -> None:
    import aiohttp

    with path.open("rb") as file:
        form = aiohttp.FormData()
        form.add_field("file", file, filename=path.name)
        async with (
            aiohttp.ClientSession() as session,
            session.post(url + UPLOAD_PATH, data=form, headers={"X-WP-Nonce": NONCE}) as response,
        ):
            assert (await response.json())["success"]
