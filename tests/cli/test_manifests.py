"""Manifests: each row is one video, and a row that cannot work is named before anything is submitted."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from luma_async import ConfigurationError, GenerationOptions
from luma_async.cli.manifests import Row, read_manifest
from luma_async.cli.rows import Prompts

WIDE = GenerationOptions(aspect_ratio="16:9")
A = "https://cdn.example/a.png"


def rows(directory: Path, name: str, content: str | bytes, defaults: GenerationOptions = WIDE) -> list[Row]:
    """Return the rows of a file with this *content*."""
    path = directory / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_manifest(str(path), defaults)


CSV = """\
prompt,aspect_ratio,image_url,Loop,name,
 "a cat, or two",1:1,,yes, first
,,,,

"a
""dog""\",,LINK
""".replace("\n", "\r\n").replace("LINK", A)
JSON = f"""
# two videos
{{"prompt": "a cat, or two", "aspect_ratio": "1:1", "image_url": null, "loop": true, "name": "first"}}
{{"prompt": "a\\n\\"dog\\"", "image-url": "{A}"}}
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.csv", CSV),
        ("rows.CSV", CSV.replace(",", ";").replace("cat;", "cat,")),
        ("rows.csv", CSV.replace(",", "\t").replace("cat\t", "cat,")),
        ("rows.jsonl", JSON),
        ("rows.jsonl", JSON.replace("\n", "\r\n")),
    ],
    ids=["csv", "semicolons", "tabs", "jsonl", "jsonl with CRLF"],
)
def test_each_row_has_its_own_prompt_and_options(tmp_path: Path, name: str, content: str, encoding: str) -> None:
    """An empty cell is absent, a cell may have several lines, and the options of the command fill the gaps."""
    read = rows(tmp_path, name, content.encode(encoding))

    assert read == [
        Row("a cat, or two", GenerationOptions(aspect_ratio="1:1", loop=True), "first"),
        Row('a\n"dog"', GenerationOptions(aspect_ratio="16:9", image_url=A)),
    ]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (
            "r.csv",
            "prompt,ratio\na cat,1:1\n",
            r"r\.csv, line 1: 'ratio' is not a field of a row; .* aspect_ratio",
        ),
        (
            "r.csv",
            'prompt,aspect_ratio\na,1:1\n"b\nc",1:1\nd,wide\n',
            r"line 5 \(row 3\), column aspect_ratio: 'wide' .* such as '16:9'",
        ),
        ("r.csv", "prompt,picture\n", "line 1: 'picture' is not a field of a row .the fields are prompt, "),
        (
            "r.csv",
            "prompt,loop\na,maybe\n",
            r"\(row 1\), column loop: 'maybe' is not true or false \(give true or false\)",
        ),
        ("r.csv", "prompt,prompt\na,b\n", "line 1: prompt is there twice"),
        ("r.csv", "prompt,loop\na,no,b\n", "line 2: there are 3 cells for 2 fields"),
        ("r.csv", 'prompt\na\n"b\n', "line 3: it is not CSV"),
        ("r.csv", "name\nfirst\n", r"line 2 \(row 1\): there is no prompt"),
        ("r.csv", b"prompt\n" + "海\n".encode("gbk"), r"line 2 \(row 1\), column prompt: .* is not text"),
        ("r.csv", "prompt,name\na," + "n" * 201 + "\n", r"line 2 \(row 1\), column name: .* is not a name"),
        ("r.jsonl", '{"prompt": "a"}\n{"prompt": 5}\n', r"r\.jsonl, line 2, column prompt: 5 is not a prompt"),
        (
            "r.jsonl",
            '{"prompt": "a", "images": []}\n',
            "line 1: 'images' is not a field of .* image_url",
        ),
        ("r.jsonl", '{"prompt": "a"', r"line 1: it is not JSON"),
        ("r.jsonl", '["a"]', "line 1: it is not one JSON object"),
        ("r.jsonl", '{"loop": true}', "line 1: there is no prompt"),
    ],
)
def test_a_row_that_cannot_work_is_named(tmp_path: Path, name: str, content: str | bytes, told: str) -> None:
    """By its file, its line and its field; the field that was probably meant is named too."""
    with pytest.raises(ConfigurationError, match=told):
        rows(tmp_path, name, content)


def test_a_row_is_known_by_what_it_asks_for() -> None:
    """The order of the options and the user's own name do not matter; every option and the prompt do."""
    one = Row("a cat", GenerationOptions(aspect_ratio="1:1", loop=True), "first").sha256

    assert one == Row("a cat", GenerationOptions(loop=True, aspect_ratio="1:1"), "second", nth=2).sha256
    assert one == sha256(b'{"aspect_ratio":"1:1","loop":true,"prompt":"a cat"}').hexdigest()
    assert len({one, Row("a cat", WIDE).sha256, Row("a dog", WIDE).sha256}) == 3


@pytest.mark.parametrize(
    "line",
    [
        '{"prompt": "a fox", "aspect_ratio": "1:1"}',
        "prompt,name,aspect_ratio",
        '"Prompt";"Image URL"',
        "name\tprompt",
        "prompt,seed",
    ],
)
def test_rows_that_would_be_paid_for_as_prompts_are_refused(line: str) -> None:
    """From a pipe, or from a file with another ending."""
    with pytest.raises(ConfigurationError, match="is a row of a manifest, and no prompt"):
        list(Prompts.of(("a",), None).texts_in(["a cat", line]))


@pytest.mark.parametrize("line", ["a fox, a dog", "{not JSON}", '{"a": 1}', "prompt", "a prompt; no name", "[1]"])
def test_what_may_be_a_prompt_is_one(line: str) -> None:
    """However odd."""
    assert list(Prompts.of(("a",), None).texts_in([line])) == [line]
