"""Where the link to the video is found, and what is never taken for it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from luma_async._relay.tasks import read_task
from luma_async.models import Generation
from tests.kit import TASK_ID, answer

V = "https://cdn.example/a"
"""Nothing in it says that it is a video."""
MP4 = "https://cdn.example/b.mp4?sig=1"


def completed(**fields: Any) -> Generation:
    """Return the completed task with *fields*."""
    return read_task(answer({"id": TASK_ID, "state": "completed", **fields}), TASK_ID)


@pytest.mark.parametrize(
    "fields",
    [
        {"output": V},
        {"output": [V]},
        {"output": {"url": V}},
        {"output": {"video_url": V}},
        {"output": [{"type": "image", "url": "https://cdn.example/i"}, {"type": "video", "url": V}]},
        {"outputs": [{"url": V}]},
        {"videos": [{"url": V}]},
        {"videos": [V]},
        {"works": [{"resource": {"resource": V}, "cover": {"resource": "https://cdn.example/c"}}]},
        {"task_result": {"videos": [{"id": "v", "url": V, "duration": "5.1"}]}},
        {"metadata": {"url": V}},
        {"unsigned_urls": [V]},
        {"videoUrl": V},
        {"content": {"video_url": V}},
        {"content": {"video_url": {"url": V}}},
        {"assets": {"video": {"url": V}}},
        {"video": [{"url": V}]},
        {"data": '{"videos": [{"url": "' + V + '"}]}'},
        {"result": {"video_urls": [V]}},
    ],
)
def test_a_known_place_has_the_link(fields: dict[str, Any]) -> None:
    """It is no problem, and no guess."""
    generation = completed(**fields)

    assert generation.video_url == V
    assert generation.problems == ()


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"clip": V}, "clip"),
        ({"files": {"final_video": {"href": V}}}, "files.final_video.href"),
        ({"artifacts": [{"mime_type": "video/mp4", "location": V}]}, "artifacts.0.location"),
        ({"storage": {"where": MP4}, "docs": "https://docs.example/help"}, "storage.where"),
        ({"storage": {"where": MP4}, "copy": {"there": MP4}}, "storage.where"),
        ({"resources": [{"hd": MP4, "cover": "https://cdn.example/c.jpg"}]}, "resources.0.hd"),
        ({"high_definition": MP4}, "high_definition"),
    ],
)
def test_one_link_that_is_called_a_video_is_taken_and_noted(fields: dict[str, Any], place: str) -> None:
    """By its key, the ending of its path, or a type beside it."""
    generation = completed(**fields)

    assert generation.video_url in (V, MP4)
    assert generation.problems == (place,)


@pytest.mark.parametrize(
    ("fields", "places"),
    [
        ({"storage": V}, ("storage",)),
        ({"hd": MP4, "sd": "https://cdn.example/sd.mp4"}, ("hd", "sd")),
        ({"note": f"see {MP4}"}, ()),
        ({}, ()),
    ],
)
def test_several_links_or_none_that_is_called_a_video_are_not_guessed(
    fields: dict[str, Any], places: tuple[str, ...]
) -> None:
    """Their places are listed."""
    generation = completed(**fields)

    assert generation.video_url is None
    assert generation.problems == places


@pytest.mark.parametrize(
    "key",
    [
        *[
            "request",
            "input",
            "user_inputs",
            "prompt",
            "properties",
            "source",
            "sourceVideo",
            "init_video",
            "videoInit",
        ],
        *["keyframes", "reference_videos", "callback_url", "webhook", "notify_hook", "progress_video", "preview"],
        *["video_thumbnail", "image_url", "poster", "last_frame_video", "cover"],
        *["params", "modelParams", "PARAM_JSON", "args", "kwargs", "arguments", "options", "runConfig", "payload"],
        *["start_video", "baseVideo", "user_video_url", "uploaded_video", "ref_video", "extend_from", "parentVideo"],
        *["notify_url", "notification", "redirectUrl", "return_url"],
    ],
)
def test_the_users_own_input_and_previews_are_never_the_result(key: str) -> None:
    """At such a key, and below it."""
    assert completed(**{key: MP4}).video_url is None
    assert completed(**{key: {"video": {"url": MP4}}}).video_url is None
    assert completed(other={key: [MP4]}).problems == ()


@pytest.mark.parametrize(
    "given",
    [
        {"paramJson": json.dumps({"videoUrl": MP4})},
        {"original": {"video": MP4}},
        {"originalTask": {"videoUrl": MP4}},
        {"original": json.dumps({"video": MP4})},
    ],
)
def test_what_the_user_gave_does_not_hide_the_result(given: dict[str, Any]) -> None:
    """Alone it is not the result either."""
    assert completed(**given).video_url is None
    assert completed(**given, response={"videoUrls": [V]}).video_url == V


@pytest.mark.parametrize(
    "key", ["original_video_url", "originalUrl.video", "extended_video", "regenerated_video", "database_video"]
)
def test_a_key_that_only_resembles_one_for_input_has_a_result(key: str) -> None:
    """Keys are compared word by word where a word is part of others."""
    assert completed(**{key: MP4}).video_url == MP4


@pytest.mark.parametrize(
    "role", ["preview", "Preview Video", "input", "source_video", "inputVideo", "user", "thumbnail"]
)
@pytest.mark.parametrize("key", ["type", "kind", "role", "name"])
@pytest.mark.parametrize("place", ["videos", "output", "video", "works", "files"])
def test_a_medium_that_says_that_it_is_a_preview_is_not_the_result(place: str, key: str, role: str) -> None:
    """At a known place or at another one, alone or before the result."""
    preview, result = {key: role, "url": MP4}, "https://cdn.example/r.mp4"

    assert completed(**{place: [preview]}).video_url is None
    assert completed(**{place: preview}).video_url is None
    assert completed(**{place: [preview, {key: "final", "url": result}]}).video_url == result


def test_the_users_message_among_others_is_not_the_result() -> None:
    """Each has a role."""
    said = [{"role": "user", "video_url": MP4}, {"role": "assistant", "video_url": V}]

    assert completed(content=said).video_url == V


@pytest.mark.parametrize("what", ["image_to_video", "reference2video", "extend", "a cover song", "video/mp4", "result"])
def test_a_type_that_is_not_a_role_hides_no_result(what: str) -> None:
    """Such as how the video was made, or a title."""
    assert completed(videos=[{"type": what, "url": V}]).video_url == V
    assert completed(type=what, hd=MP4).video_url == MP4


@pytest.mark.parametrize(
    "fields",
    [
        {"video_url": V},
        {"download_url": V},
        {"result_url": V},
        {"videos": [{"url": V}]},
        {"output": {"url": "https://relay.example/f/1", "video_url": V}},
        {"data": {"video_url": V}},
        {"data": {"result": {"works": [{"resource": {"resource": V}}]}}},
    ],
)
def test_the_address_of_the_task_is_not_taken_before_a_link(fields: dict[str, Any]) -> None:
    """The ``url`` of a row comes last (contract section 1); alone it is the link."""
    its_own = {"url": "https://relay.example/v1/tasks/1"}

    assert completed(**its_own, **fields).video_url == V
    assert completed(**its_own).video_url == its_own["url"]


@pytest.mark.parametrize("state", ["processing", "failed", "moderating"])
def test_no_link_is_searched_before_the_end(state: str) -> None:
    """A task that is not completed may have a preview at any place."""
    generation = read_task(answer({"id": TASK_ID, "state": state, "hd": MP4}), TASK_ID)

    assert generation.video_url is None
    assert generation.problems == ()


def test_a_picture_is_not_the_video() -> None:
    """Neither at a known place nor at another one."""
    assert completed(output="https://cdn.example/p.png", videos=["https://cdn.example/q.webp?x=1"]).video_url is None


# --- other tasks, and people ---

_OTHER = {"id": "another", "state": "completed", "video": {"url": "https://cdn.example/w.mp4"}}


@pytest.mark.parametrize(
    "fields",
    [
        {"children": [_OTHER]},
        {"related": [{"id": "another", "video_url": MP4}]},
        {"relatedVideos": {"items": [_OTHER]}},
        {"similar": [_OTHER]},
        {"remixes": [_OTHER]},
        {"recommendations": {"first": _OTHER}},
        {"recommended": [_OTHER]},
        {"extensions": [_OTHER]},
        {"extended_from": {"video_url": MP4}},
        {"history": [{"generation_id": "another", "video_url": MP4}]},
        {"latest": {"taskId": "another", "status": "completed", "files": [MP4]}},
        {"creator": {"intro_video_url": MP4}},
        {"author": {"id": "u1", "video_url": MP4}},
        {"owner": {"clip": MP4}},
        {"profile": {"video": MP4}},
    ],
    ids=str,
)
def test_what_belongs_to_another_task_or_a_person_is_never_the_result(fields: dict[str, Any]) -> None:
    """Nor does it make the own link a guess among several."""
    mine = "https://cdn.example/mine.mp4"

    assert completed(**fields).video_url is None
    assert completed(**fields, export={"mp4": mine}).video_url == mine


@pytest.mark.parametrize(
    "fields",
    [
        {"files": [{"id": "file-1", "mp4": MP4}]},
        {"storage": {"id": "v1", "status": "finished", "resultMp4": MP4}},
        {"export": {"task_id": TASK_ID, "mp4": MP4}},
        {"export": {"task_id": "", "mp4": MP4}},
        {"data": {"task_id": "upstream-7", "files": {"task_id": "upstream-7", "mp4": MP4}}},
        {"file_extension": "mp4", "authored": {"mp4": MP4}},
    ],
    ids=str,
)
def test_a_medium_with_an_id_of_its_own_may_be_the_result(fields: dict[str, Any]) -> None:
    """So may what the upstream calls by its own id."""
    assert completed(**fields).video_url == MP4


# --- watermarks ---

_MARKED = "https://cdn.example/marked.mp4"


@pytest.mark.parametrize(
    "fields",
    [
        {"works": [{"resource": {"resource": _MARKED, "resourceWithoutWatermark": MP4}}]},
        {"output": {"works": [{"video": {"resource": _MARKED, "resource_without_watermark": MP4}}]}},
        {"video": {"url": _MARKED, "url_without_watermark": MP4}},
        {"video_url": _MARKED, "no_watermark": MP4},
        {"video_url": _MARKED, "noWatermarkUrl": {"url": MP4}},
        {"videos": [{"url": _MARKED, "no_wm_url": MP4}]},
        {"files": {"clean": MP4, "watermarked": _MARKED}},
        {"creations": [{"url": MP4, "watermark_url": _MARKED}]},
        {"files": {"a": MP4, "b": "https://cdn.example/watermarked/b.mp4"}},
    ],
    ids=str,
)
def test_a_link_without_a_watermark_comes_first(fields: dict[str, Any]) -> None:
    """In any spelling, and it is not one guess among several."""
    assert completed(**fields).video_url == MP4


@pytest.mark.parametrize(
    "fields",
    [
        {"watermarked_video": MP4},
        {"video_url": MP4, "no_watermark": True},
        {"video_url": MP4, "remove_watermark": "https://pay.example/clean"},
        {"video_url": MP4, "input": {"url_without_watermark": _MARKED}},
        {"video_url": MP4, "related": [{"no_watermark_url": _MARKED}]},
        {"video": {"download_url": MP4, "url_without_watermark": _MARKED}},
        {"generated_images": [{"motionMP4URL": MP4, "url": "https://cdn.example/i.jpg"}]},
    ],
    ids=str,
)
def test_a_watermark_alone_hides_no_result(fields: dict[str, Any]) -> None:
    """What is no link, or is the user's own or another task's, does not come first."""
    assert completed(**fields).video_url == MP4


def test_generated_images_without_a_video_are_not_the_result() -> None:
    """Only what is called a video there is one."""
    assert completed(generated_images=[{"url": V}]).video_url is None
    assert completed(input_images=[{"mp4": MP4}]).video_url is None
