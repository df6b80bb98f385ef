"""The commands of a fleet, as far as they need no database."""

from __future__ import annotations

from pathlib import Path

import pytest

from luma_async.cli.fleet import has_password, named
from luma_async.errors import ConfigurationError
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


@pytest.mark.parametrize("password", ["secret/word", "[secret", "12/secret", "a@secret", "a#secret", "12?secret"])
def test_an_address_that_cannot_be_read_shows_no_part_of_its_password(command: Command, password: str) -> None:
    """The error names the way out, with status 2."""
    ended = command("fleet", "status", env={"LUMA_DATABASE_URL": f"postgresql://me:{password}@127.0.0.1/app"})

    assert ended.status == 2
    assert "secret" not in ended.err
    assert "percent-encode" in ended.err


@pytest.mark.parametrize("timeout", ["-5", "0", "nan", "inf", "nonsense"])
def test_a_timeout_that_is_not_one_is_refused_before_the_database_is_reached(command: Command, timeout: str) -> None:
    """The error names the option, with status 2."""
    ended = command("enqueue", "a", f"--timeout={timeout}", env={"LUMA_DATABASE_URL": "postgresql://127.0.0.1:1/app"})

    assert ended.status == 2
    assert "--timeout" in ended.err
    assert "database" not in ended.err


@pytest.mark.parametrize(
    ("option", "named_as"), [((), "LUMA_DATABASE_URL"), (("--database", "db.example"), "--database")]
)
def test_an_address_of_something_else_is_refused_by_the_name_of_its_option(
    command: Command, option: tuple[str, ...], named_as: str
) -> None:
    """With status 2."""
    ended = command("enqueue", "a", *option, env={"LUMA_DATABASE_URL": "mysql://db.example/app"})

    assert ended.status == 2
    assert ended.err.startswith(f"luma-async: {named_as} ")


@pytest.mark.parametrize("name", ["app", "app:", ":app", "../app:fleet", ".:fleet", "pathlib:nothing", "pathlib:Path"])
def test_work_refuses_what_is_not_a_fleet(command: Command, name: str) -> None:
    """It shows the name, with status 2."""
    ended = command("work", name)

    assert ended.status == 2
    assert f"{name} " in ended.err or f"there is no {name}" in ended.err


@pytest.mark.parametrize(
    "code",
    [
        "int('se' 'cret')",
        "from urllib.parse import urlsplit; urlsplit('postgresql://me:secret/word@127.0.0.1/app').port",
        "raise AttributeError('secret')",
        "import secret",
        "secret = (",
        "raise SystemExit('secret')",
    ],
)
def test_a_module_that_cannot_be_imported_shows_where_but_no_text_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    """Its exception, or the line that raised, may have a password."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "raises_at_import.py").write_text(f"\n{code}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError) as raised:
        named("raises_at_import:app")

    assert "raises_at_import.py, line 2" in str(raised.value)
    assert "secret" not in str(raised.value)
    assert raised.value.__suppress_context__


def test_a_worker_shows_no_part_of_a_password_that_cannot_be_read(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The module of a user has the address, as the page about fleets shows it."""
    monkeypatch.syspath_prepend(tmp_path)
    fleet = "fleet.Fleet('postgresql://me:secret/word@127.0.0.1/app', on_outcome=print)"
    code = f"from luma_async import fleet\nfleet = {fleet}\n"
    (tmp_path / "has_an_address.py").write_text(code, encoding="utf-8")
    ended = command("work", "has_an_address:fleet", env={"LUMA_BASE_URL": "http://127.0.0.1:1", "LUMA_API_KEY": "key"})

    assert ended.status == 2
    assert "secret" not in ended.err
    assert "the address of the database cannot be read" in ended.err
