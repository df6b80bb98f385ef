"""A PostgreSQL of the test's own, in a temporary folder."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest
from attrs import frozen

from luma_async import fleet

_DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
_TABLE = "CREATE TABLE IF NOT EXISTS outcomes (task_id text PRIMARY KEY, line text, times int DEFAULT 1)"


def _binary(name: str) -> str | None:
    return next((str(path / name) for path in reversed(_DEBIAN) if (path / name).exists()), None) or shutil.which(name)


@frozen
class Server:
    """A PostgreSQL that can be stopped and started."""

    folder: Path
    port: int

    @property
    def dsn(self) -> str:
        """Its address."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def make(self) -> None:
        """Make its files."""
        self._run("initdb", "-D", str(self.folder / "data"), "-U", "postgres", "-A", "trust", "--no-sync")

    def start(self) -> None:
        """Start it, and return when it answers."""
        options = f"-p {self.port} -k {self.folder} -c fsync=off -c listen_addresses=127.0.0.1"
        self._run(
            "pg_ctl", "-D", str(self.folder / "data"), "-w", "-l", str(self.folder / "log"), "-o", options, "start"
        )

    def stop(self) -> None:
        """Stop it; connections are cut."""
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-m", "fast", "stop")

    def _run(self, name: str, *arguments: str) -> None:
        user = "postgres" if os.getuid() == 0 else None
        binary = _binary(name)
        assert binary is not None
        subprocess.run(  # noqa: S603 - its own arguments
            [binary, *arguments], user=user, check=True, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )


@contextmanager
def running_postgres() -> Iterator[Server]:
    """Run a PostgreSQL."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name, socket.socket() as free:
        if os.getuid() == 0:
            os.chown(name, pwd.getpwnam("postgres").pw_uid, -1)
        free.bind(("127.0.0.1", 0))
        server = Server(Path(name), free.getsockname()[1])
        free.close()
        server.make()
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """Run a PostgreSQL, or skip the test."""
    if _binary("initdb") is None:
        pytest.skip("there is no PostgreSQL: apt-get install postgresql")
    with running_postgres() as server:
        yield server


@pytest.fixture
async def database(postgres: Server) -> AsyncIterator[asyncpg.Connection]:
    """Return a connection; the tables are there, and empty."""
    connection = await asyncpg.connect(postgres.dsn)
    await fleet.install(connection)
    await connection.execute(f"{_TABLE}; TRUNCATE outcomes, pgqueuer, pgqueuer_log, pgqueuer_statistics")
    yield connection
    await connection.close()
