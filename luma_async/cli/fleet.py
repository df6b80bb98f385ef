"""The commands of a fleet: ``work``, ``enqueue``, and what is seen of the queue."""

# ruff: noqa: PLC0415 - the fleet is an extra, which no other command needs

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from importlib import import_module
from importlib.util import find_spec
from itertools import dropwhile
from traceback import extract_tb
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qs

from luma_async._checks import check_number
from luma_async._text import shown
from luma_async.cli.exit import Status
from luma_async.cli.ids import Ids
from luma_async.cli.output import say, write
from luma_async.cli.running import grace_period
from luma_async.errors import ConfigurationError, LumaError

if TYPE_CHECKING:
    import asyncpg

T = TypeVar("T")
_GRACE = 30.0
"""Seconds from a signal until all ids are handed back, at most."""
_ONE_QUERY = 10_000
"""Ids that are handed over at once."""


async def work(name: str, concurrency: int) -> Status:
    """Run the Fleet *name*, such as ``app:fleet``, until a signal; then hand all ids back."""
    kind = _extra().Fleet
    fleet: Any = named(name)
    if not isinstance(fleet, kind):
        raise ConfigurationError(f"{shown(name)} is not a Fleet", advice="name one as module:object")
    say(f"at work; up to {concurrency} ids")
    with grace_period(_GRACE):
        await _reached(fleet.run(concurrency=concurrency))
    return Status.DONE


async def enqueue(ids: Ids, database: str | None, seconds: float | None) -> Status:
    """Hand *ids* over, all or none."""
    fleet, address = _extra(), _address_of(database)
    check_number(seconds, "--timeout", above=0, optional=True)
    everything = [task_id async for task_id in ids]

    async def hand_over(connection: asyncpg.Connection) -> int:
        async with connection.transaction():
            pieces = [everything[at : at + _ONE_QUERY] for at in range(0, len(everything), _ONE_QUERY)]
            return sum([await fleet.enqueue(connection, piece, timeout=seconds) for piece in pieces])

    new = await _with_database(address, hand_over)
    say(f"{new} of {len(everything)} ids are new")
    return Status.FAILED if ids.without else Status.DONE


async def install(database: str | None) -> Status:
    """Create the tables."""
    await _with_database(_address_of(database), _extra().install)
    return Status.DONE


async def show_status(database: str | None) -> Status:
    """Write what the queue holds."""
    now = await _with_database(_address_of(database), _extra().status)
    oldest = "-" if now.oldest is None else f"{now.oldest:.0f} s"
    lines = [f"waiting {now.waiting}", f"held {now.held}", f"parked {now.parked}", f"oldest {oldest}"]
    lines += [f"outcomes a minute {now.ended_per_minute}", f"429s a minute {now.refused_per_minute}"]
    lines += [f"{shown(each.name)} holds {each.ids}, last seen {each.heartbeat:.0f} s ago" for each in now.holders]
    write("\n".join([*lines, ""]))
    return Status.DONE


def named(name: str) -> object:
    """Return the object that ``module:object`` names, with the current directory first on the path."""
    module, _, attribute = name.partition(":")
    if not attribute or not all(map(str.isidentifier, module.split("."))):
        raise ConfigurationError(f"{shown(name)} does not name an object", advice="give it as module:object")
    if "" not in sys.path:
        sys.path.insert(0, "")
    found = _imported(module)
    if not hasattr(found, attribute):
        raise ConfigurationError(f"there is no {shown(name)}", advice="check its module and its name")
    return getattr(found, attribute)


def _imported(module: str) -> ModuleType | None:
    """Return the *module* of the user, or None if there is none.

    What it raises is an error of ours without its text, which may have a password, as the lines of a traceback may.
    """
    try:
        return import_module(module)
    except LumaError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a module raises what it likes
        if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
            return None
        raise ConfigurationError(
            f"{module} cannot be imported: {type(error).__name__} in {shown(_place_of(error))}",
            advice=f"what it says, with a password that it may have: python -c 'import {module}'",
        ) from None


def _place_of(error: BaseException) -> str:
    """Return the file and the line of the first code below an import that led to *error*."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}"
    frames = dropwhile(lambda frame: not frame.filename.startswith("<frozen "), extract_tb(error.__traceback__))
    frame = next(frame for frame in frames if not frame.filename.startswith("<frozen "))
    return f"{frame.filename}, line {frame.lineno}"


def _extra() -> Any:
    """Return the fleet, whose extra is there."""
    if not all(map(find_spec, ("asyncpg", "pgqueuer"))):
        raise ConfigurationError("the fleet is not installed", advice="install it: pip install 'luma-async[fleet]'")
    from luma_async import fleet

    return fleet


def _address_of(database: str | None) -> str | None:
    """Return the address of the option *database* or of the environment, if it is one; None leaves it to libpq's."""
    if database and has_password(database):
        raise ConfigurationError("--database has a password", advice="put the address into LUMA_DATABASE_URL")
    address = database or os.environ.get("LUMA_DATABASE_URL")
    if address and not address.startswith(("postgresql://", "postgres://")):
        raise ConfigurationError(
            f"{'--database' if database else 'LUMA_DATABASE_URL'} is not the address of a PostgreSQL",
            advice="give it as postgresql://user@host/name",
        )
    if address and is_ambiguous(address):
        raise _unreadable()
    return address


async def _with_database(address: str | None, call: Callable[[Any], Awaitable[T]]) -> T:
    import asyncpg

    try:
        connection = await _reached(asyncpg.connect(address))
    except ConfigurationError:
        raise
    except ValueError:  # whose text may have a part of the password
        raise _unreadable() from None
    try:
        return await _reached(call(connection))
    finally:
        await connection.close()


def _unreadable() -> ConfigurationError:
    return ConfigurationError(
        "the address of the database cannot be read",
        advice="percent-encode what its password has besides letters and digits: / is %2F",
    )


def is_ambiguous(address: str) -> bool:
    """Whether the *address* of a database has an @ beyond its user: a part of the password would become the host."""
    rest = address.partition("://")[2].partition("?")[0]
    return "@" in rest.partition("@")[2] or "@" in rest.partition("/")[2]


def has_password(address: str) -> bool:
    """Whether the *address* of a database has a password: before its host, or among its parameters."""
    before_host = address.rpartition("@")[0].partition("://")[2]
    parameters = parse_qs(address.partition("?")[2], keep_blank_values=True)
    return ":" in before_host or any(name.lower().endswith("password") for name in parameters)


async def _reached(call: Awaitable[T]) -> T:
    """Return the result of *call*; a database that cannot be used is an error of ours, without its address."""
    import asyncpg

    try:
        return await call
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise ConfigurationError(
            f"the database cannot be used: {shown(error)}",
            advice="check LUMA_DATABASE_URL, or PGHOST and PGPASSWORD; the tables come from: luma-async fleet install",
        ) from None
