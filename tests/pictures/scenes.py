"""The batch that the pictures show."""

from __future__ import annotations

from pathlib import Path

from tests.cli.batch import Told
from tests.pictures.posters import sky

_MADE = [
    (
        Told(task_id="luma_gen_7f3a", prompt="dusk over a quiet lake", queue=8, processing=44, waited=54.1),
        sky((38, 44, 92), (233, 138, 96), (255, 224, 178), at=(0.72, 0.62), ground=(24, 26, 46)),
    ),
    (
        Told(task_id="luma_gen_81c0", prompt="sunrise, timelapse", queue=21, processing=52, waited=75.8, polls=11),
        sky((250, 190, 140), (255, 236, 205), (255, 250, 236), at=(0.3, 0.64), ground=(70, 108, 130)),
    ),
    (
        Told(
            task_id="luma_gen_9b2e", prompt="moonrise over fresh snow", queue=35, processing=97, waited=133.6, polls=16
        ),
        sky((12, 20, 40), (52, 84, 120), (236, 240, 246), at=(0.5, 0.34), ground=(208, 220, 232)),
    ),
]
_FAILED = Told(
    task_id="luma_gen_b510",
    prompt="a film star in the rain",
    status="FAILURE",
    reason="the prompt was refused by moderation",
    queue=52,
    processing=4,
    waited=58.0,
    polls=8,
)


def lay_out(directory: Path) -> Path:
    """Put the batch's outcomes and posters into *directory*, and return the file of outcomes."""
    outcomes = directory / "outcomes.jsonl"
    outcomes.write_bytes(b"".join(told.line for told in [*(told for told, _ in _MADE), _FAILED]))
    for told, poster in _MADE:
        (directory / f"{told.task_id}.thumbnail.png").write_bytes(poster)
        (directory / f"{told.task_id}.video.mp4").write_bytes(b"")
    return outcomes
