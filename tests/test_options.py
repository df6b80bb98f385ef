"""What may be asked of a new generation: every option is checked when it is made."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from luma_async import ConfigurationError, GenerationOptions
from luma_async._relay.requests import submit_body
from luma_async.dialect import RELAY
from luma_async.options import extension_fields, submit_fields

PICTURE = "https://pictures.example/cat.jpg"
BASE64 = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"


@pytest.mark.parametrize(
    "given",
    [
        {"aspect_ratio": "16:9"},
        {"expand_prompt": False},
        {"loop": True},
        {"image_url": PICTURE},
        {"image_url": BASE64 + "=="},
        {"image_end_url": f"data:image/png;base64,{BASE64}"},
        {"model_name": "ray-v2"},
        {"duration": "5s"},
        {"duration": "4.5s"},
        {"resolution": "720p"},
        {"resolution": "4k"},
        {"notify_hook": "https://hooks.example/done?id=1"},
    ],
)
def test_what_is_given_is_sent_under_the_relays_own_name(given: dict[str, Any]) -> None:
    """What is not given is not sent, and False is given."""
    order = submit_fields("a cat", GenerationOptions(**given))

    assert json.loads(submit_body(RELAY, order)) == {"user_prompt": "a cat", **given}


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("aspect_ratio", "wide", "'16:9'"),
        ("aspect_ratio", 1.78, "'16:9'"),
        ("expand_prompt", "no", "True or False"),
        ("loop", 1, "True or False"),
        ("image_url", "cat.jpg", "base64"),
        ("image_url", "", "base64"),
        ("image_end_url", "ftp://pictures.example/cat.jpg", "base64"),
        ("image_end_url", b"\x89PNG", "base64"),
        ("model_name", "", "'ray-v2'"),
        ("model_name", "ray v2", "'ray-v2'"),
        ("duration", "5", "'5s'"),
        ("duration", 5, "'5s'"),
        ("resolution", "large", "'720p'"),
        ("notify_hook", "hooks.example", "http(s) URL"),
    ],
)
def test_an_option_that_cannot_be_is_refused_by_its_name(name: str, value: Any, wanted: str) -> None:
    """The error names the field, and says what it may be."""
    with pytest.raises(ConfigurationError) as caught:
        GenerationOptions(**{name: value})

    assert f"GenerationOptions({name}=" in caught.value.summary
    assert wanted in caught.value.advice


@pytest.mark.parametrize("prompt", ["", " \n", "\r\n\t", None, b"a cat"])
def test_a_prompt_is_text_that_is_not_blank(prompt: Any) -> None:
    """And nothing else."""
    with pytest.raises(ConfigurationError, match="is not a prompt"):
        submit_fields(prompt, GenerationOptions())


@pytest.mark.parametrize(
    "unfit",
    [*"\0\a\x1b\x1f\x7f\x80\x85\x9f\v\f\r", *"\ud800\udcff\udfff\ufffe\uffff\U0001fffe\U0010ffff\ufdd0\ufdef"],
    ids=ascii,
)
@pytest.mark.parametrize("make", [submit_fields, extension_fields])
def test_garbage_is_not_paid_for(unfit: str, make: Callable[..., object]) -> None:
    """A control, half a pair or no character at all: the error names the prompt, the place and the way out."""
    with pytest.raises(ConfigurationError) as caught:
        make(f"a cat{unfit}and a dog", GenerationOptions())

    assert "'a cat" in str(caught.value)
    assert f"is not a prompt: character 6, U+{ord(unfit):04X}" in str(caught.value)
    assert "UTF-8" in caught.value.advice


@pytest.mark.parametrize("garbled", ["a cat".encode("utf-16").decode("latin-1"), "海上日出".encode().decode("latin-1")])
def test_what_was_read_in_the_wrong_encoding_is_no_prompt(garbled: str) -> None:
    """As Windows and Chinese texts come out of a wrong one."""
    with pytest.raises(ConfigurationError, match="is not a prompt"):
        submit_fields(garbled, GenerationOptions())


@pytest.mark.parametrize(
    "prompt", ["a\tb", "a\nb\n", "a\r\nb\r\n", "👩\u200d🚀", "\ufeffa", "é\u0301", "\ufffd", "\ue000"]
)
def test_tabs_and_line_breaks_are_text(prompt: str) -> None:
    """So are joiners, marks and private characters: nothing is changed in a prompt."""
    assert submit_fields(prompt, GenerationOptions())["prompt"] == prompt


def test_a_prompt_of_any_script_is_one() -> None:
    """It is sent as it is, blanks around it included."""
    assert submit_fields(" 海上日出\n", GenerationOptions())["prompt"] == " 海上日出\n"


def test_options_are_one_value() -> None:
    """A dictionary is refused, with the way out."""
    with pytest.raises(ConfigurationError, match="GenerationOptions"):
        submit_fields("a cat", {"loop": True})


@pytest.mark.parametrize(
    "given", [{"expand_prompt": True}, {"image_url": PICTURE}, {"image_end_url": PICTURE}, {"notify_hook": PICTURE}]
)
def test_an_extension_takes_some_of_the_options(given: dict[str, Any]) -> None:
    """Those of the contract."""
    assert extension_fields("and on", GenerationOptions(**given)) == {"prompt": "and on", **given}


@pytest.mark.parametrize(
    ("name", "value"),
    [("aspect_ratio", "1:1"), ("loop", True), ("model_name", "ray-v2"), ("duration", "5s"), ("resolution", "720p")],
)
def test_an_extension_has_the_rest_from_its_task(name: str, value: Any) -> None:
    """An option that would be passed over in silence is refused."""
    with pytest.raises(ConfigurationError, match=f"an extension has no {name}"):
        extension_fields("and on", GenerationOptions(**{name: value}))


def test_a_picture_does_not_fill_the_screen() -> None:
    """A repr has the beginning of what may be megabytes."""
    options = GenerationOptions(image_url="A" * 1_000_000)

    assert len(repr(options)) < 500
