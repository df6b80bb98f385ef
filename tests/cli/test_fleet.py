"""The commands of a fleet, as far as they need no database."""

from __future__ import annotations

import pytest

from luma_async.cli.fleet import has_password
from tests.cli.conftest import Command


@pytest.mark.parametrize(
    ("address", "has_one"),
    [
        ("postgresql://me:secret@db.example/app", True),
        ("postgresql://me:a/b@c@db.example/app", True),
        ("postgresql://db.example/app?user=me&password=secret", True),
        ("postgresql://db.example/app?pass%77ord=secret", True),
        ("postgresql://db.example/app?sslpassword=", True),
        ("postgresql://me@db.example:5432/app?sslmode=require", False),
        ("postgresql:///app?host=/run/postgresql&application_name=password", False),
    ],
)
def test_a_password_in_an_address_is_seen(address: str, has_one: bool) -> None:  # noqa: FBT001 - a case
    """Wherever asyncpg takes one from."""
    assert has_password(address) is has_one


@pytest.mark.parametrize("password", ["secret/word", "[secret"])
def test_an_address_that_cannot_be_read_shows_no_part_of_its_password(command: Command, password: str) -> None:
    """The error names the way out, with status 2."""
    ended = command("fleet", "status", env={"LUMA_DATABASE_URL": f"postgresql://me:{password}@127.0.0.1/app"})

    assert ended.status == 2
    assert "secret" not in ended.err
    assert "percent-encode" in ended.err
