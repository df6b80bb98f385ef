"""Names of files by a template: readable, safe everywhere, and never the same for two ids."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luma_async import ConfigurationError, DownloadError, Generation, Role, State
from luma_async._media.names import NameTemplate
from tests.downloads import BODY, GOOD, downloading
from tests.downloads import generation as downloadable
from tests.raw_server import RawServer

UUID = "6c1f7a52-0d0b-4b0e-9a5f-0f4b4c5d6e7f"


def generation(task_id: str = UUID, prompt: str | None = "a cat dancing", **more: Any) -> Generation:
    """Return a generation that has completed."""
    return Generation(id=task_id, state=State.COMPLETED, state_text="SUCCESS", prompt=prompt, **more)


def stem(template: str, its: Generation | None = None, role: Role = "video") -> str:
    """Return the name, without its ending."""
    return NameTemplate.of(template).stem(its or generation(), role)


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{prompt:.40}-{id}", f"a cat dancing-{UUID}.video"),
        ("{prompt:.5} {id}", f"a_cat {UUID}.video"),
        ("{role} of {id}", f"video of {UUID}"),
        ("{created_at:.8}_{state}_{id}", f"20240701_completed_{UUID}.video"),
        ("{id:.8}", f"6c1f7a52-{hashlib.sha256(UUID.encode()).hexdigest()[:16]}.video"),
    ],
)
def test_a_template_names_a_file_by_its_facts(template: str, name: str) -> None:
    """A character that stands between a field and the id is not in the field; an id that is cut has a digest."""
    assert stem(template, generation(created_at=datetime(2024, 7, 1, 7, 35, 13, tzinfo=UTC))) == name


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ('a/b\\c:d*e?f"g<h>i|j', "a_b_c_d_e_f_g_h_i_j"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("line\r\nbreak\tand\x00\x1b[2J", "line break and[2J"),
        ("abc\u202egpj.exe\u200f", "abcgpj.exe"),
        ("ends with dots. . .", "ends with dots"),
        ("-rf ~", "rf ~"),
        ("{id} and {prompt}", "{id} and {prompt}"),
        ("\ud800lone", "lone"),
        ("e\u0301té", "été"),
        ("", "_"),
        (None, "_"),
        (". .", "_"),
    ],
)
def test_a_value_has_only_what_names_have_everywhere(prompt: str | None, name: str) -> None:
    """Separators, controls, marks for directions, and dots or blanks at an end are on no disk."""
    assert stem("{prompt}={id}", generation(prompt=prompt)) == f"{name}={UUID}.video"


@pytest.mark.parametrize("name", ["CON", "con", "Nul", "COM1", "lpt9", "aux ", "COM²", "CONIN$"])
@pytest.mark.parametrize("template", ["{prompt}.{id}", "{id}"])
def test_no_file_has_the_name_of_a_device(template: str, name: str) -> None:
    """Windows opens the device, whatever follows the dot."""
    its = generation(prompt=name, task_id=name if name.isalnum() and name.isascii() else "a")

    first, _, _ = stem(template, its).partition(".")

    assert first.strip().upper() not in {"CON", "NUL", "COM1", "LPT9", "AUX", "COM²", "CONIN$"}


def test_an_id_like_a_device_shares_its_name_with_no_other() -> None:
    """Nor with that of an id that starts with what would be put before it."""
    assert stem("{id}", generation("CON")) != stem("{id}", generation("_CON"))


@pytest.mark.parametrize("task_id", [UUID, "x" * 100, "y" * 1024, "a/ü" * 40])
@pytest.mark.parametrize("prompt", ["x" * 5000, "ü" * 5000, "e\u0316" * 5000, "👩\u200d🚀" * 500])
def test_a_name_has_200_bytes_and_the_id(task_id: str, prompt: str) -> None:
    """No character is cut in the middle, nor from its marks, and the longest ending has room."""
    its = generation(task_id, prompt, created_at=datetime(2024, 7, 1, tzinfo=UTC))

    for role in ("video", "thumbnail", "last_frame"):
        found = stem(f"{'x' * 36}{{created_at}} {{state}} {{prompt}}-{{id}}", its, role)

        assert len(f"{found}.webm".encode()) <= 200
        assert NameTemplate.of("{id}").stem(its, role) in found
        assert found.partition("-")[0][-1] not in "e "


IDS = st.text(alphabet="ab-._~=", min_size=1, max_size=4)
PROMPTS = st.text(alphabet="ab-._~=/ ", max_size=6)
TEMPLATES = st.sampled_from(
    ["{prompt}-{id}", "{id}-{prompt}", "{state}_{id}_{prompt}", "{prompt} {id}.{role}", "{id:.2}~{prompt}", "{id}"]
)


@given(TEMPLATES, IDS, IDS, PROMPTS, PROMPTS)
def test_two_ids_never_share_a_name(template: str, one: str, other: str, first: str, second: str) -> None:
    """Whatever their prompts are."""
    named = NameTemplate.of(template)

    assert one == other or named.stem(generation(one, first), "video") != named.stem(generation(other, second), "video")


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("", "not a template"),
        ("{prompt}", "lacks {id}"),
        ("{id}{id}", "twice"),
        ("{prompt}{id}", "apart"),
        ("{prompt}by{id}", "apart"),
        ("{id.__class__}", "not a template"),
        ("{id[0]}", "not a template"),
        ("{id!r}", "not a template"),
        ("{id:>40}", "not a template"),
        ("{id:.0}", "not a template"),
        ("{}-{id}", "not a template"),
        ("{{id}}", "not a template"),
        ("{raw}-{id}", "{raw}, which is not a field"),
        ("videos/{id}", "other text"),
        ("a\u202e{id}", "other text"),
        (f"{'a' * 41}{{id}}", "other text"),
        ("-{id}", "starts with"),
        (".{id}", "starts with"),
        (5, "not text"),
    ],
)
def test_a_template_that_cannot_work_is_refused(template: Any, why: str) -> None:
    """The error says what is allowed."""
    with pytest.raises(ConfigurationError, match=r"\{prompt:\.40\}") as caught:
        NameTemplate.of(template)

    assert why in caught.value.summary


async def test_a_download_takes_a_name_of_ones_own(tmp_path: Path) -> None:
    """A second one finds the file, and its error says where it is."""
    async with RawServer([GOOD]) as server, downloading() as downloader:
        its = downloadable(server.base_url)
        path = await downloader.download(its, tmp_path, name="clip {id}")
        with pytest.raises(DownloadError) as caught:
            await downloader.download(its, tmp_path, name="clip {id}")

    assert (path, path.read_bytes()) == (tmp_path / f"clip {its.id}.video.mp4", BODY)
    assert (caught.value.reason, caught.value.path) == ("exists", path)
