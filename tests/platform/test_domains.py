"""Domains: those of a user's own plug in as the built-in ones, by value and by entry point."""

import httpx
import pytest
from fastapi import FastAPI

from cli.program import here
from holdfast.domain import Domain
from holdfast.errors import ConfigurationError
from holdfast.jobs import JOB_ENTITIES, Worker
from holdfast.platform import open_platform, platform_entities, select_domains
from holdfast.settings import Settings
from platform_domains import NOTES, Note, Notes


@pytest.fixture
def settings(tmp_path):
    return Settings(data=tmp_path / "data")


async def test_a_domain_by_value_brings_entity_service_handlers_and_health(settings):
    async with open_platform(settings, domains=[NOTES]) as platform:
        notes = platform.service(Notes)
        note = await notes.add("three short words")
        assert await platform.bucket.get(f"logs/{note.id}.txt") == b"three short words"
        handlers = {"count-words": platform.handlers["count-words"]}
        assert await Worker(platform.jobs, handlers).run(until="idle") == 1
        (job,) = await platform.jobs.list()
        assert job.result == 3
        health = await platform.health()
        assert (health.state, health.parts["notes"].detail) == ("degraded", "few notes")
    assert notes.closed


async def test_a_platform_serves_the_routes_of_its_domains_in_a_fastapi_lifespan(settings):
    async def lifespan(app):
        async with open_platform(settings, domains=[NOTES]) as platform:
            app.state.platform = platform
            for router in platform.routers():
                app.include_router(router)
            yield

    app = FastAPI(lifespan=lifespan)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            answer = await client.post("/notes", params={"text": "hello"})
        assert answer.status_code == 200, answer.text
        stored = await app.state.platform.store.repository(Note).one()
        assert str(stored.id) == answer.json()["id"]


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install a package that brings domains, as its metadata say."""

    def install(**domains):
        folder = tmp_path / "site"
        metadata = folder / "notes_of_mine-1.0.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: notes-of-mine\nVersion: 1\n"
        )
        lines = [f"{name} = {value}" for name, value in domains.items()]
        (metadata / "entry_points.txt").write_text("[holdfast.domains]\n" + "\n".join(lines))
        monkeypatch.syspath_prepend(str(folder))

    return install


async def test_a_domain_by_entry_point_is_switched_on_by_its_name(installed, tmp_path):
    installed(notes="platform_domains:NOTES")
    settings = Settings(data=tmp_path / "data", domains=("notes", "jobs"))
    assert set(platform_entities(settings)) == {*JOB_ENTITIES, Note}
    async with open_platform(settings) as platform:
        assert [domain.name for domain in platform.domains] == ["jobs", "notes"]
        await platform.service(Notes).add("by entry point")


def test_the_commands_of_a_domain_are_commands_of_the_program(installed, monkeypatch):
    installed(notes="platform_domains:NOTES")
    assert here("notes", "greet", "you").code == 2
    monkeypatch.setenv("HOLDFAST_DOMAINS", "jobs,notes")
    assert here("notes", "greet", "you").out == "hello you\n"
    listed = here("--help").out
    assert "notes" in listed
    assert "Notes of one's own." in listed


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("platform_domains:NOTHING", "'notes' can't be loaded from platform_domains:NOTHING"),
        ("no_such_module:NOTES", "'notes' can't be loaded from no_such_module:NOTES"),
        ("platform_domains:Note", "'notes': expected a Domain"),
        ("holdfast.jobs.jobs_domain:JOBS", "'notes' calls itself 'jobs'"),
    ],
)
def test_an_entry_point_that_brings_no_domain_is_refused(installed, value, says):
    installed(notes=value)
    with pytest.raises(ConfigurationError, match=says):
        select_domains(["notes"])


@pytest.mark.parametrize(
    ("names", "given", "says"),
    [
        (["media"], [], "the domain media requires jobs, which is not switched on"),
        (["jobz"], [], "names 'jobz', which is none; known are: access, audit, figures, hosts"),
        (["jobs"], [Domain(name="jobs")], "the domain 'jobs' is there twice"),
        ([], [Domain(name="a"), Domain(name="a")], "the domain 'a' is there twice"),
        ([], ["a"], "expected Domain values, got 'a'"),
        ([], [Domain(name="a", requires=("b",)), Domain(name="b", requires=("a",))],
         "domains that require one another: "),
        ([], [Domain(name="a", entities=(Note,)), Domain(name="b", entities=(Note,))],
         "the domains a and b both bring Note"),
    ],
)  # fmt: skip
def test_domains_that_do_not_fit_are_refused(names, given, says):
    with pytest.raises(ConfigurationError, match=says):
        select_domains(names, given)


@pytest.mark.parametrize("name", ["", "Notes", "a b", "../x", "x" * 64, 3])
def test_a_domain_has_a_plain_name(name):
    with pytest.raises(ConfigurationError, match="a domain's name"):
        Domain(name=name)


def test_a_list_is_no_tuple_of_entities():
    with pytest.raises(ConfigurationError, match="the domain a: entities: expected a tuple"):
        Domain(name="a", entities=[Note])


async def test_two_domains_can_not_do_one_task(settings):
    twin = Domain(name="twin", handlers=lambda _parts: {"count-words": print})
    async with open_platform(settings, domains=[NOTES, twin]) as platform:
        with pytest.raises(ConfigurationError, match="both handle 'count-words'"):
            _ = platform.handlers


async def test_a_service_that_can_not_be_entered_is_told_of_nullcontext(settings):
    bare = Domain(name="bare", service=lambda _parts: Notes)
    with pytest.raises(ConfigurationError, match=r"`async with`: .* contextlib\.nullcontext") as no:
        async with open_platform(settings, domains=[bare]):
            pass
    assert no.value.__notes__ == ["so the platform's domain bare could not be opened"]


async def test_handlers_come_by_task(settings):
    listed = Domain(name="listed", handlers=lambda _parts: [print])
    async with open_platform(settings, domains=[listed]) as platform:
        with pytest.raises(ConfigurationError, match="the domain listed: handlers gives"):
            _ = platform.handlers
