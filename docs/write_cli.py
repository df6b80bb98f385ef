"""Writes ``cli.md`` out of the commands themselves: ``python docs/write_cli.py``."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import Parameter
from itertools import groupby
from pathlib import Path
from typing import Any

from luma_async.cli.commands import app
from luma_async.cli.exit import Status

PAGE = Path(__file__).with_name("cli.md")

_COMMANDS = (
    "submit",
    "get",
    "wait",
    "download",
    "gallery",
    "ls",
    "check",
    "work",
    "enqueue",
    "fleet",
    "demo",
    "simulate",
)

_BEFORE = """\
# Command line

This page is written by `docs/write_cli.py`, out of the commands.

```sh
pip install '.[cli]'
luma-async demo
```

`demo` has a simulated relay; the other commands use yours.
`python -m luma_async` is the same as `luma-async`.

## Address and key

The relay's address comes from `--base-url` or `LUMA_BASE_URL`.
The key comes from `--key-file`, from `LUMA_API_KEY`, or from the file that `LUMA_API_KEY_FILE` names.
There is no option for the key itself: the arguments of a process can be read by others.
An attempt to give it as one is refused, and the message does not repeat it.
`--proxy` names an HTTP proxy; one with a user name and password is in `LUMA_PROXY`, for the same reason.
`--ca-file` adds certificates to those that the system trusts; certificates are always verified.
A relay with other paths, words or keys needs a dialect (`--dialect` or `LUMA_DIALECT`):
see [relays that speak otherwise](dialects.md).

## Task ids

Ids are arguments, lines of a file (`--from FILE`), or lines of standard input.
Standard input is read where there are neither arguments nor `--from`, and for `--from -`.
Blank lines are skipped, and so is the text after a `#` at the start of a line or after a blank.
Lines may end in CRLF.
They are UTF-8 or UTF-16, with a byte order mark or without; so are the prompts of `submit`.
Anything else is refused with one message.
Of a line that is a JSON object, the `task_id` is taken, whether or not that id has ended.
So our own lines are ids too, of `wait`, of `submit`, of a journal and of receipts.
JSON lines without a `task_id` are counted on standard error, and make the status 1.
Of receipts, a row counts if its latest line has no `task_id`.
An argument that is also the name of a file gets a hint to `--from`; `submit` refuses it, because it would cost money.
An id that appears twice is taken once.
A text that cannot be an id is an error of its own, and the others go on.

Lines of a pipe are taken as they arrive, so the first outcome is out while ids still arrive:

```sh
produce-ids | luma-async wait | consume-outcomes
luma-async submit "a cat dancing" | luma-async wait --download videos
```

Options that are durations take seconds, or units: `90`, `90s`, `30m`, `1h30m`, `2d`.
Where there may be no limit, `none` is one too.

## What comes out

Results go to standard output, everything else to standard error.

In a pipe or a file, each outcome is one line of JSON, written as soon as its id has ended.
With `download` and `--download`, a completed generation has its line when its file is stored, or could not be.
A journal has it before.
Files that come slowly hold up no line of another id.
The lines are ASCII in any locale, and a slow reader delays nothing but the lines.

| field | what it holds |
|---|---|
| `task_id` | the id as it was given |
| `state` | `pending`, `processing`, `completed`, `failed` or `unknown` at the last poll; null if no poll succeeded |
| `video_url` | the best link to the video, or null; a `data:` link is cut to 60 characters |
| `path` | the file where the medium was stored, or null; of several roles, that of the first |
| `paths` | where several roles were asked for: the file of each that was stored, by its role |
| `sizes` | where files are stored: the bytes of each, by its role |
| `error` | null, or an object as below |
| `elapsed` | seconds, from when the id was taken up |
| `polls` | how often the relay was asked in that time |
| `generation` | the relay's last answer, whole but for `data:` links, or null |

| field of `error` | what it holds |
|---|---|
| `type` | the name of an exception of `luma_async` |
| `message` | its text |
| `status` | the HTTP status of a refusal, or null |
| `code` | the relay's own code, or the reason of a `DownloadError`, or null |
| `verdict` | `final`, `unconfirmed`, `passing` or `slow_down` |
| `retryable` | whether the same call may do better later |
| `reason` | why the generation failed, in the relay's words; only a `GenerationFailedError` has it |
| `names_task` | true where the relay says that it does not know the task; only a `NotFoundError` has it |

On a terminal each id that has ended has one line instead: how it ended, the time, the id, and the prompt or the file.
The prompt is a link to the video, and the file a link to itself.
Where the terminal does not know links, the link to the video has a line of its own.
The reason of a failure is whole; where it does not fit, it stands below the id.

| option | what it changes |
|---|---|
| `--json` | JSON lines on a terminal too |
| `--brief` | JSON lines without `generation` |
| `--quiet` | only paths of stored files, or ids where none are stored; errors are on standard error |
| `--no-progress` | none of what the next section shows |

The ids of `--quiet` are those of completed generations, and of a `submit` that does not wait the new ones.

`NO_COLOR` turns colours off.
On a terminal, long lines are wrapped between words; a command to go on with is then in lines that a shell joins.

## Progress

Progress is on standard error, wherever standard output goes.
It adds no request: it shows what the polls have seen anyway.

If standard error is a terminal, there is a live table of open ids, at most twenty of them.
Below it are a bar, how ids ended, the number of ids in each state, and the time so far.
Once the client has learned how long states last at this relay, an estimate follows, such as `about 3 min left`.
There is none in trouble, nor where an id takes longer than usual.
A file that is being stored has a bar of its own, in bytes; storing never delays the waiting.
Where results go to the same terminal, they stand above the table.
A command that is over within a quarter of a second shows its results only.

A `submit` counts its rows there, and `ls`, `check` and `get` show what is wrong at the relay.

If standard error is not a terminal, it has a line with the same facts each minute, and trouble at its fifth second.

While something is wrong at the relay, a line says what, and for how long:

| line | meaning |
|---|---|
| `no answer from 127.0.0.1:1 for 12 s` | requests hang; with a reason after it, there is no connection |
| `the relay answered HTTP 503 for 12 s: ...` | polls are refused; so for each other status |
| `the relay answered with a web page instead of JSON for 30 s (check LUMA_BASE_URL ...)` | the address may be wrong |
| `the relay says slow down: 8 s left; for 34 s now, ...` | all ids pause |
| `unknown state 'polishing' for 2 min: 3 ids, polling goes on` | a word that this version does not know |

The time runs from the first failed poll after the last good one.
After a signal the same lines follow the names of the open ids, and the summary has them too.
Without a live table, the first id in each kind of unknown state has a line too.

![Three ids that have ended, three open ids with their states, and a bar](images/terminal.svg)

`submit` writes a line of its own for each prompt, as soon as the relay has answered:

| field | what it holds |
|---|---|
| `prompt` | the prompt |
| `task_id` | the id that the relay gave it, or null |
| `error` | null, or an object as above; `UncertainSubmitError` says that it is unknown whether the relay took it |

An `UncertainSubmitError` has two more fields: `body` is the relay's answer, escaped and cut to 500 characters.
`candidates` lists what may be the id in it.
Where the row of a manifest has a `name`, the line has it too.
Where `submit` waits, the lines of outcomes follow; they have no `prompt`.

`submit --receipts FILE` keeps a file of JSON lines, which are on the disk before each submit and after its answer:

| field | what it holds |
|---|---|
| `receipt` | the number of the submit; a later line with the same number replaces an earlier one |
| `row_sha256` | the SHA-256 of the prompt and the options, as JSON with sorted keys and without blanks |
| `nth` | the number of the row among those with the same hash, from 1 |
| `prompt`, `task_id`, `error` | as above; both are null before the answer |
| `name` | as above |

`submit --retry-failed` shows the outcome of each attempt, and counts only the last one in the exit status.

`wait`, `download` and a `submit` that waits end with a summary on standard error:
how the ids ended and why, how long they were queued and processed, and the requests made.
These times are the relay's own where its answers have them, else they are as the polls showed them.
It is written where standard error is a terminal, and with `--verbose`.
Elsewhere, and after `get` and a `submit` that does not wait, standard error has one line for each kind of error,
such as `errors: 3 x the relay answered HTTP 401`, unless a terminal shows the results themselves.
`--verbose` also writes each change of state, failed poll and cool-down as it happens, with the relay's request id.

`check` writes one JSON line for each of its four rows in a pipe, or five:
`proxy` is there only where the environment names a proxy that is not used.
Each has
`check`, `result` (`ok`, `note`, `unsure` or `bad`), `found`, `advice`, `seconds` (of the latency) and `request_id`.
It asks with a made-up key too, to compare the answers; the relay may log that.

`check --explain FILE` asks nobody: it writes what is read from a captured answer, one row for each field.
In a pipe a row is a JSON line with `field`, `value`, `place` (dotted, from the top of the answer) and `note`.
The fields are `id`, `state`, `link`, `thumbnail`, `reason`, `code`, `progress`,
`submitted_at`, `started_at`, `finished_at`, `queue_position` and `request_id`.
A field that is not there has the value null, and `problem` is a place that was not used.
An error has the rows `error` (its class), `status`, `verdict`, `wait` (what a wait does), `code` and `request_id`.
Where there is no task, `id` and `state` say what is missing.
The answer to a submit has the rows `id` and `request_id`, and its status is 0.
With `--id`, each answer is read as one to a poll.
[Relays that speak otherwise](dialects.md) shows it step by step.

`simulate` writes its address and key as comments, then one id a line.
It also knows the ids that these pages use, such as `luma_gen_abc123`.
`luma-async wait --from FILE` reads that; the times of `--trouble` are seconds of the relay.

## Files

`download`, and `wait` and `submit` with `--download DIR`, store media.

| option | what it does |
|---|---|
| `--role ROLE` | `video`, `thumbnail` or `last_frame`; can be given several times, and one that fails loses no other |
| `--name TEMPLATE` | names files by text and the fields `{id}`, `{prompt}`, `{state}`, `{role}` and `{created_at}` |
| `--overwrite` | replaces files that are there |
| `--exec COMMAND` | runs a program for each file that was stored |

A second run of the same command keeps what is there.
A file of that name counts as stored if it starts like such a medium, and has the size that a journal says.
Anything else of that name is an error of its id, and stays as it is.
A download that broke off leaves no such file.

A template has `{id}` in it, apart from other fields, so two ids never share a name:

```sh
luma-async download --from ids.txt -o videos --name "{prompt:.40}-{id}"
```

`{prompt:.40}` takes at most 40 characters; no other form is allowed.
Of `{id:.8}` a digest follows the first 8 characters.
Values lose what a name cannot have, on Windows too.
A whole name has at most 200 bytes, and the prompt is cut for that.
Without `{role}`, the role comes last, as in the usual names: `a cat dancing-6c1f7a52.video.mp4`.
A character next to `{id}` in the template, such as the dash here, becomes `_` in the values on that side.

`--exec` is split once into words, as a shell would, and each `{}` in them becomes the absolute path of the file.
Without `{}`, the path comes last:

```sh
luma-async download --from ids.txt -o videos --exec "ffmpeg -i {} -n {}.webm"
```

No shell runs, so a name is never read as a command.
The program has an empty standard input, writes to standard error, and gets no variable that starts with `LUMA_`.
Two programs run at once, and no result waits for them; the command ends when they have ended.
A program that fails is a warning, and makes the status 1.
After a signal, running programs have a second to end; then they get SIGTERM, and half a second later SIGKILL.
A file that was there before is not handed to the program.
A program should leave the file as it is: with another size, it does not count as stored in the next run.

## A journal

`--journal FILE` lets a batch survive its process: the same command, started again, waits for what is missing.

```sh
luma-async wait --from ids.txt --journal batch.jsonl
```

The file has the lines of standard output, each on the disk before it is shown.
A run that finds ids in it starts with a line such as `213 of 500 had ended`.
An id has a line when its generation has completed or failed, or when the relay said that it does not know the task.
Nothing else is recorded, so the next run waits again after a timeout or failed polls.
The same holds for a refused key, a bare 404 (the address may be wrong), and malformed ids.

- Standard output has only what is new in a run; a program that needs everything reads the journal.
- The exit status is that of all ids given, those included that had ended before.
- A last line that was cut, by `kill -9` or a power failure, is removed, and its id is waited for.
- A journal serves one process at a time; a second one is refused, with status 2.
- A file that holds anything but such lines is refused, with status 2, and not changed.
- The lines that an earlier run wrote to standard output are such lines.
- A journal that cannot be written, on a full disk for example, ends the command with status 1 and keeps its lines.
- So does one that is moved or replaced meanwhile, by `logrotate` for example: the next run would not find its lines.
- Only its owner can read the file: it holds prompts, and links that open a video to any reader.
  A file that others could read becomes private.

With `download` and `wait --download`, an id is left out if it has ended and its files are there:
in the directory, at the `path` or `paths` of the journal, with the same `sizes`.
A file that could not be stored is tried again.
`--overwrite` leaves none out that has completed.
So `wait` and then `download` can share a journal.
A stored file has a second line, with its `path`.

### A table in its place

`wait --store MODULE:OBJECT` records outcomes in an `OutcomeStore` of yours, and skips the ids that it has.
[The table of the examples](examples.md#a-table-for-outcomes) is one:

```sh
luma-async wait --from ids.txt --store table:outcomes
```

The module is looked for in the current directory first; an object that is an async context manager is entered.
It gets only outcomes that a journal would record, each before its line is shown.
Ids that it has count as completed in the exit status.
An exception in it ends the command with status 1.
For files as well, use `--journal`.

## Completion

`luma-async --install-completion` lets the shell complete commands and options with the Tab key.
It uses the shell that runs it, or the one that `--shell` names, and it works in every new shell.

| shell | the script | what loads it |
|---|---|---|
| bash | `~/.local/share/bash-completion/completions/luma-async` | a line that is added to `~/.bashrc` |
| zsh | `~/.zsh/completions/_cyclopts_luma-async`, or oh-my-zsh's `completions` | a line that is added to `~/.zshrc` |
| fish | `~/.config/fish/completions/luma-async.fish` | fish does |
| PowerShell | `Completions` beside your profile | a line that is added to your profile |

To uninstall it, remove the script and the line; after an update with new options, install it again.

## Exit status

The first that applies, from 1 over 4 and 3 to 0, is taken.

"""

_AFTER_STATUSES = """\

A signal ends a command within two seconds; a second one changes nothing.
A signal that was ignored when the command started stays ignored, as under `nohup`.
Only `submit` waits for open answers, because their ids are paid for: ten seconds, or until a second signal.
Standard error names prompts that were not submitted, in their order, or perhaps not.
A command follows that submits exactly the former, or the reason why there is none.
With `--receipts` it is the same command.

The ids that are not done are named on standard error.
Where all ids were arguments or in a file, ten of them are named, with their number and the command that goes on.
Ids of a pipe and of a submit are all named, because they may exist nowhere else.
On a terminal ten of them are shown, and all are in the file `luma-async-open-<pid>.txt` in the current directory.
Where standard error cannot be written, as after a terminal was closed, all of them are in that file.
So are submits.
Only the user can read it, and `--from` takes it.
Prompts that another submit is to read are in `luma-async-prompts-<pid>.txt`.
"Their generations go on at the relay" is added after at least one good poll.
"""


def page() -> str:
    """Return the page as it should be."""
    statuses = "".join(f"| {int(status)} | {status.meaning} |\n" for status in Status)
    return "".join(
        [
            _BEFORE,
            f"| status | meaning |\n|---|---|\n{statuses}",
            _AFTER_STATUSES,
            *(part for name in _COMMANDS for part in _command(name)),
        ]
    )


def _command(name: str) -> Iterator[str]:
    *sentences, example = (" ".join(paragraph.split()) for paragraph in app[name].help.strip().split("\n\n"))
    yield f"\n## {name}\n\n"
    yield from (f"{sentence}\n" for sentence in sentences)
    yield f"\n```sh\n{example.removeprefix('Example: ')}\n```\n"
    options = [
        argument
        for argument in app[name].assemble_argument_collection(parse_docstring=True)
        if argument.names != ("*",)
    ]
    options.sort(key=_order)
    for heading, group in groupby(options, _heading):
        yield f"\n| {heading} | |\n|---|---|\n"
        yield from (_row(argument) for argument in group)


def _order(argument: Any) -> Any:
    """Put the groups in the order of ``--help``."""
    return argument.parameter.group[0].sort_key or 0


def _heading(argument: Any) -> str:
    heading: str = argument.parameter.group[0].name
    return "Options" if heading == "Parameters" else heading


def _row(argument: Any) -> str:
    parameter, default = argument.parameter, argument.field_info.default
    names = ", ".join(f"`{name}{_value(argument)}`" for name in argument.names)
    shown = default not in (None, Parameter.empty) and parameter.show_default is not False
    return f"| {names} | {parameter.help}{f' [default: {default}]' if shown else ''} |\n"


def _value(argument: Any) -> str:
    if argument.hint is bool or not argument.names[0].startswith("-"):
        return ""
    value: str = argument.parameter.metavar or "|".join(argument.get_choices())
    return " " + value.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
