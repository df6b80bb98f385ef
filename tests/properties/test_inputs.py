"""What users give: keys, addresses and lists of ids are taken as they are, or refused before anything is sent."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from luma_async import ConfigurationError, Limits, LumaClient, LumaError
from luma_async._ids import check_task_id
from luma_async._relay.requests import tasks_body
from luma_async.settings import Settings, read_key_file
from tests.kit import KEY
from tests.properties import costly
from tests.properties.line import RELAY, Line, relay
from tests.virtual_time import run

_characters = st.characters(exclude_categories=[])
_keys = st.one_of(
    st.text(_characters, max_size=30), st.from_regex(r"[\x21-\x7e]{1,40}\n?"), st.binary(max_size=5), st.none()
)
_good_ids = st.from_regex(r"[A-Za-z0-9._~-]{1,12}", fullmatch=True).filter(lambda text: text not in (".", ".."))
_ids = st.one_of(
    _good_ids, st.text(_characters, max_size=8), st.binary(max_size=4), st.none(), st.integers(), st.just(["a"])
)


@given(_keys)
def test_an_accepted_key_goes_into_a_header_as_it_is(key: Any) -> None:
    """Visible ASCII on one line; the text of a refusal holds nothing of the key, and neither does a repr."""
    try:
        settings = Settings.load(RELAY, key, Limits(), environ={})
    except ConfigurationError as error:
        shown = str(error)
    else:
        assert settings.api_key.reveal() == key
        assert f"Bearer {key}".isprintable()
        assert " " not in key
        shown = repr(settings)

    if isinstance(key, str) and len(key) > 9:
        assert key not in shown


@given(st.one_of(st.binary(max_size=40), st.from_regex(rb"[\x21-\x7e]{1,40}[\r\n]{0,3}", fullmatch=True)))
def test_any_file_holds_a_key_or_is_refused(content: bytes) -> None:
    """Line breaks at its end are no part of the key, and no other error comes out."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "key"
        path.write_bytes(content)
        try:
            key = Settings.load(RELAY, read_key_file(path), Limits(), environ={}).api_key
        except ConfigurationError:
            return

    assert key.reveal().encode() == content.rstrip(b"\r\n")


@given(st.lists(_good_ids, min_size=1, max_size=5, unique=True))
def test_a_batch_query_asks_for_these_very_ids(ids: list[str]) -> None:
    """Written without json, it is JSON nevertheless: one list of the ids in their order."""
    assert [check_task_id(task_id) for task_id in ids] == ids
    assert json.loads(tasks_body(ids)) == {"ids": ids}


@costly()
@given(ids=st.lists(_ids, max_size=6))
def test_bad_ids_stand_alone(ids: list[Any]) -> None:
    """Whatever a list holds, each place gets an outcome under what was passed, and only good ids are asked for."""

    async def main() -> list[tuple[Any, Any]]:
        desk = relay()
        line = Line(desk)
        line.open()
        try:
            async with LumaClient(RELAY, KEY) as luma:
                outcomes = await luma.wait_all(ids, timeout=100.0)
            good = {task_id for request in desk.requests for task_id in request.task_ids}
            assert all(check_task_id(task_id) for task_id in good)
            return [(outcome.task_id, outcome.error) for outcome in outcomes]
        finally:
            line.close()

    heard = run(main())

    assert [task_id for task_id, _ in heard] == ids
    assert all(isinstance(error, LumaError) for _, error in heard)
