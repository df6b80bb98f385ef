"""The pytest plug-in, in test runs of its own."""

import pytest

pytest_plugins = ["pytester"]

OPTIONS = ("-W", "error", "--strict-markers", "-p", "no:cacheprovider", "-p", "no:hypothesispytest")
ASYNCIO = ("-o", "asyncio_default_fixture_loop_scope=function")
NO_ASYNCIO = ("-p", "no:asyncio")

PIPELINE = """
import pytest
from luma_async import State
from luma_async.testing import Fault, Script

clients = []

@pytest.mark.asyncio
async def test_a_pipeline(luma_relay, luma_client, tmp_path):
    clients.append(luma_client)
    luma_relay.trouble(Fault.bad_gateway())
    task_id = luma_relay.add(script=Script.of(("pending", 1), ("dreaming", 1), "completed"))

    generation = await luma_client.wait_until_done(task_id, timeout=30)
    path = await luma_client.download(generation, tmp_path)

    assert generation.state is State.COMPLETED
    assert path.read_bytes().endswith(f"{task_id}/video.mp4".encode())

@pytest.mark.asyncio
@pytest.mark.luma_relay(envelope=True)
async def test_half_an_hour(luma_client, luma_time, luma_relay):
    task_id = luma_relay.add(script=Script.completes(pending=900, processing=900))

    await luma_client.wait_until_done(task_id, timeout=3600)

    assert 1800 <= luma_time.elapsed < 1816
    assert (luma_relay.speed, luma_relay.envelope) == (1, True)

def test_the_client_is_closed_afterwards():
    assert repr(clients[0]).endswith("closed>")
"""


@pytest.mark.parametrize(
    ("mode", "pipeline"),
    [
        ("strict", PIPELINE),
        pytest.param("auto", PIPELINE.replace("@pytest.mark.asyncio\n", ""), marks=pytest.mark.slow),
    ],
    ids=["strict", "auto"],
)
def test_a_pipeline_is_tested_with_three_fixtures(pytester: pytest.Pytester, mode: str, pipeline: str) -> None:
    """luma_relay, luma_client and luma_time work in both modes of pytest-asyncio, warnings being errors."""
    pytester.makepyfile(pipeline)

    result = pytester.runpytest_subprocess(*OPTIONS, *ASYNCIO, f"--asyncio-mode={mode}")

    result.assert_outcomes(passed=3)


def test_without_other_packages_the_fixtures_say_what_is_missing(pytester: pytest.Pytester) -> None:
    """The relay works all the same: any async plug-in can ask it."""
    pytester.makepyfile(
        """
        import sys

        sys.modules["aioresponses"] = None

        def test_responses(luma_responses):
            pass

        def test_relay(luma_relay):
            assert luma_relay.add()

        def test_client(luma_client):
            pass

        def test_time(luma_time):
            pass
        """
    )

    result = pytester.runpytest_subprocess(*OPTIONS, *NO_ASYNCIO)

    result.assert_outcomes(passed=1, errors=3)
    result.stdout.fnmatch_lines(
        [
            "*luma_responses needs aioresponses: install it*",
            *(
                f"*{name} needs the pytest-asyncio plug-in: install pytest-asyncio, or *"
                for name in ("luma_client", "luma_time")
            ),
        ]
    )


@pytest.mark.parametrize("options", [ASYNCIO, NO_ASYNCIO], ids=["asyncio", "no asyncio"])
def test_a_run_that_uses_none_of_it_pays_nothing(pytester: pytest.Pytester, options: tuple[str, ...]) -> None:
    """Neither aiohttp nor our client nor the relay is imported; pytest-asyncio only by those who have it on."""
    pytester.makepyfile(
        """
        import sys

        KIT = {f"luma_async.testing.{name}" for name in ("clock", "relay", "scripts")}
        HEAVY = {"aiohttp", "cattrs", "luma_async.client", *KIT}

        def test_nothing_is_imported(pytestconfig):
            loaded = HEAVY & set(sys.modules)

            assert not loaded
            assert pytestconfig.pluginmanager.hasplugin("luma_async")
            assert pytestconfig.pluginmanager.hasplugin("asyncio") == ("pytest_asyncio" in sys.modules)
        """
    )

    result = pytester.runpytest_subprocess(*OPTIONS, *options)

    result.assert_outcomes(passed=1)


def test_each_test_has_a_relay_of_its_own_much_faster_than_life(pytester: pytest.Pytester) -> None:
    """The usual script is over in a tenth of a second; a marker may say otherwise; no task outlives its test."""
    pytester.makepyfile(
        """
        import pytest

        def test_usual(luma_relay):
            assert (luma_relay.speed, luma_relay.envelope, luma_relay.add("a")) == (50, False, "a")

        @pytest.mark.luma_relay(envelope=True)
        def test_marked(luma_relay):
            assert (luma_relay.speed, luma_relay.envelope, luma_relay.add("a")) == (50, True, "a")

        @pytest.mark.luma_relay(speed=2)
        def test_slower(luma_relay):
            assert luma_relay.speed == 2
        """
    )

    result = pytester.runpytest_subprocess(*OPTIONS, *ASYNCIO)

    result.assert_outcomes(passed=3)


SCOPED = """
import asyncio
import pytest
from luma_async import State
from luma_async.testing import Script

{mark}
class TestInOneLoop:
    async def test_client(self, luma_relay, luma_client):
        generation = await luma_client.wait_until_done(luma_relay.add(), timeout=30)

        assert generation.state is State.COMPLETED

    async def test_client_and_time(self, luma_relay, luma_client, luma_time):
        task_id = luma_relay.add(script=Script.completes(pending=900, processing=900))
        await luma_client.wait_until_done(task_id, timeout=3600)

        assert 1800 <= luma_time.elapsed < 1816

    async def test_time_starts_again(self, luma_time):
        await asyncio.sleep(60)

        assert 60 <= luma_time.elapsed < 61
"""


INNER_SCOPES = [pytest.param(scope, marks=pytest.mark.slow) for scope in ("class", "module", "package")]


@pytest.mark.parametrize("fixtures", ["function", pytest.param("session", marks=pytest.mark.slow)])
@pytest.mark.parametrize("by", [pytest.param("mark", marks=pytest.mark.slow), "option"])
@pytest.mark.parametrize("scope", ["function", *INNER_SCOPES, pytest.param("session", marks=pytest.mark.slow)])
def test_the_fixtures_follow_the_loop_of_the_test(
    pytester: pytest.Pytester, scope: str, by: str, fixtures: str
) -> None:
    """Whatever the scope of its loop, and whatever the usual one of fixtures."""
    mark = f'@pytest.mark.asyncio(loop_scope="{scope}")' if by == "mark" else "@pytest.mark.asyncio"
    pytester.makepyfile(SCOPED.format(mark=mark))
    options = ["-o", f"asyncio_default_fixture_loop_scope={fixtures}"]
    options += ["-o", f"asyncio_default_test_loop_scope={scope}"] if by == "option" else []

    result = pytester.runpytest_subprocess(*OPTIONS, *options)

    result.assert_outcomes(passed=3)


@pytest.mark.slow
def test_the_fixtures_work_in_the_asyncio_loop_of_anyio(pytester: pytest.Pytester) -> None:
    """Its plug-in has a loop of its own."""
    pytester.makepyfile(
        SCOPED.format(
            mark="""
@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.anyio"""
        )
    )

    result = pytester.runpytest_subprocess(*OPTIONS, *ASYNCIO)

    result.assert_outcomes(passed=3)


@pytest.mark.slow
def test_a_test_without_an_asyncio_loop_is_told_what_to_write(pytester: pytest.Pytester) -> None:
    """One that is not async, and one in another loop; both can use the relay."""
    pytester.makepyfile(
        """
        import asyncio
        import pytest
        from luma_async import Limits, LumaClient

        async def ask(relay):
            limits = Limits(allow_private_media=True)
            async with LumaClient(relay.base_url, relay.api_key, limits=limits) as luma:
                return await luma.get_generation(relay.add())

        def test_plain(luma_client):
            pass

        def test_plain_time(luma_time):
            pass

        def test_plain_relay(luma_relay):
            assert asyncio.run(ask(luma_relay)).id

        @pytest.fixture
        def anyio_backend():
            return "trio", {}

        def test_another_loop(anyio_backend, luma_client):
            pass
        """
    )

    result = pytester.runpytest_subprocess(*OPTIONS, *ASYNCIO)

    result.assert_outcomes(passed=1, errors=3)
    result.stdout.fnmatch_lines(["*luma_client works in the asyncio loop of a test: make the test*"])
