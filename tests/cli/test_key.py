"""Where the command line takes the key from, and where it is not to be seen (FAULTS: A35)."""

from __future__ import annotations

from pathlib import Path

import pytest

from luma_async.cli.commands import app
from luma_async.testing import Fault, Script, SimulatedRelay
from tests.cli.command import ENDLESS, FAST, add, next_ids, run, running
from tests.cli.conftest import Command
from tests.kit import KEY
from tests.quick import quick

COMMANDS = [name for name in app if not name.startswith("-")]


def test_a35_the_key_goes_from_its_file_to_the_relay_alone(
    command: Command, luma_relay: SimulatedRelay, tmp_path: Path
) -> None:
    """The key file is read, and a key that the relay refuses is not shown."""
    task_id = luma_relay.add(script=Script.of("completed"))
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text(f"{luma_relay.api_key}\n")
    wrong.write_text("sk-test-0123456789\n")

    answered = command("get", task_id, "--key-file", str(right), env={"LUMA_BASE_URL": luma_relay.base_url})
    refused = command("get", task_id, "--key-file", str(wrong), env={"LUMA_BASE_URL": luma_relay.base_url})

    assert (answered.status, refused.status) == (0, 1)
    assert refused.by_id[task_id]["error"]["type"] == "AuthenticationError"
    assert "0123456789" not in refused.out + refused.err


@pytest.mark.parametrize("arguments", [[], *([name] for name in COMMANDS)], ids="".join)
def test_a35_help_shows_no_value_of_the_environment(command: Command, arguments: list[str]) -> None:
    """It names the variables, and says nothing of what stands in them."""
    ended = command(*arguments, "--help", env={"LUMA_API_KEY": KEY, "LUMA_BASE_URL": "https://asked.example"})

    assert ended.status == 0
    assert KEY not in ended.out + ended.err
    assert "asked.example" not in ended.out + ended.err


def test_a35_no_list_of_processes_shows_the_key(luma_relay: SimulatedRelay) -> None:
    """A command that is under way has the key in none of its arguments, and has no other process to pass it to."""
    done, endless = add(luma_relay, [Script.of("completed"), ENDLESS])

    with running("wait", done, endless, *FAST, relay=luma_relay) as process:
        next_ids(process, 1)
        listed = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_bytes()

    assert endless.encode() in listed
    assert luma_relay.api_key.encode() not in listed
    assert children == b""


def test_a35_standard_input_can_bring_the_key(luma_relay: SimulatedRelay) -> None:
    """As a file like any other, for those who keep it in a password manager."""
    task_id = luma_relay.add(script=Script.of("completed"))

    ended = run(
        "get", task_id, "--key-file", "/dev/stdin",
        stdin=f"{luma_relay.api_key}\n", env={"LUMA_BASE_URL": luma_relay.base_url},
    )  # fmt: skip

    assert ended.status == 0


def test_a35_a_file_without_a_key_is_named(command: Command, tmp_path: Path) -> None:
    """In one line, in which nothing of the file stands."""
    (tmp_path / "key").write_text(f"{KEY} \n")

    ended = command("get", "a", "--key-file", str(tmp_path / "key"), env={"LUMA_BASE_URL": "https://relay.example"})

    assert (ended.status, ended.out) == (2, "")
    assert f"the API key in {tmp_path / 'key'} is unusable" in ended.err
    assert KEY not in ended.err


def test_a35_development_mode_shows_no_key(luma_relay: SimulatedRelay, tmp_path: Path) -> None:
    """Neither the lines, nor the journal, nor what asyncio's debug mode says while a relay repeats the key."""
    task_id = luma_relay.add()
    told = {"error": {"message": f"no such key: {luma_relay.api_key}", "code": luma_relay.api_key}}
    luma_relay.trouble(Fault.http(401, told, {"X-Oneapi-Request-Id": luma_relay.api_key}), times=None)
    journal = tmp_path / "outcomes.jsonl"
    env = {"PYTHONDEVMODE": "1", "PYTHONASYNCIODEBUG": "1"}

    ended = run("wait", task_id, *FAST, "--journal", str(journal), relay=luma_relay, env=env)

    assert ended.status == 1
    assert "no such key: [key]" in ended.out
    assert luma_relay.api_key not in ended.out + ended.err + journal.read_text()


@pytest.mark.parametrize("name", ["--api-key", "--key", "--token", "--LUMA_API_KEY", "-k", "--tiemout", "-x"])
@pytest.mark.parametrize("place", ["{name}={key}", "{name} {key}", "{name}{key}"])
@pytest.mark.parametrize("called", quick(COMMANDS, 3))
def test_a35_an_option_that_there_is_not_is_refused_without_its_value(
    command: Command, called: str, place: str, name: str
) -> None:
    """In whichever command, before or behind it; where it asks for a key, the right places for one are told."""
    given = place.format(name=name, key=KEY).split()

    behind, before = command(called, *given), command(*given, called)

    for ended in (behind, before):
        assert (ended.status, ended.out) == (2, "")
        assert "0123456789" not in ended.err
        assert "Traceback" not in ended.err
    if called != "gallery":  # which asks no relay
        assert ("LUMA_API_KEY" in behind.err) == ("k" in name.lower())


@pytest.mark.parametrize(
    "arguments",
    [
        ["get", "a", "--key-file", KEY],
        ["get", "a", f"--key-file={KEY}", f"--key-file={KEY}"],
        ["get", "a", "--base-url", KEY],
        ["get", "a", "--base-url", f"https://relay.example?key={KEY}"],
        ["get", "a", f"--insecure-http={KEY}"],
        ["wait", "a", "--timeout", KEY],
        ["wait", "a", "--max-in-flight", KEY],
        ["download", "a", "--role", KEY],
        ["get", "a", "--from", f"--api-key={KEY}"],
        ["submit", "--from", f"-k{KEY}"],
        ["gallery", "outcomes.jsonl", "--api-key", KEY],
        ["demo", KEY],
        ["check", KEY],
        [KEY, "wait"],
        [f"LUMA_API_KEY={KEY}", "get"],
        ["get", f"-v{KEY}"],
        ["--install-completion", "--shell", KEY],
    ],
    ids=" ".join,
)
def test_a35_the_key_in_a_wrong_place_is_not_repeated(command: Command, arguments: list[str]) -> None:
    """The complaint says what is wrong with the place, and not what stood in it."""
    ended = command(*arguments, env={"LUMA_BASE_URL": "https://relay.example", "LUMA_API_KEY": KEY})

    assert (ended.status, ended.out) == (2, "")
    assert "Traceback" not in ended.err
    assert "0123456789" not in ended.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["wiat"], 'Unknown command "wiat". Did you mean "wait"?'),
        (["get", "--base-ulr=https://relay.example"], "Unknown option: --base-ulr. Did you mean --base-url?"),
        (["get", "-x"], "Unknown option: -x."),
        (
            ["wait", "a", "--timeout", "5x"],
            "Invalid value for --timeout: give seconds, or a duration such as 90s, 30m or 1h30m",
        ),
        (["gallery", "a.jsonl", "--outptu=x.html"], "--outptu is not an option (see --help"),
        (["simulate", "--port", "70000"], 'Invalid value "70000" for --port. Must be <= 65535.'),
        (["get", "a", "--key-file", "no-such.key"], "the key file no-such.key cannot be read"),
    ],
)
def test_what_cannot_be_the_key_is_repeated(command: Command, arguments: list[str], said: str) -> None:
    """A slip of the pen in a name is told as it was written, with what is near it."""
    ended = command(*arguments)

    assert ended.status == 2
    assert said in " ".join(ended.err.replace("│", "").split())


def test_a35_a_user_name_in_the_address_is_told_in_the_command_line_s_words(command: Command) -> None:
    """Where the key belongs instead is said, and the password is not."""
    ended = command("get", "a", "--base-url", "https://u:s3cret@relay.example", env={"LUMA_API_KEY": KEY})

    assert ended.status == 2
    assert "set LUMA_API_KEY, or give --key-file" in ended.err
    assert "s3cret" not in ended.err
