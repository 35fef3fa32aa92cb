"""`holdfast config`: what is in force, where it comes from, and no secret."""

import pytest

from cli.program import here


def test_it_prints_each_setting_with_its_value_and_its_origin(monkeypatch, tmp_path):
    monkeypatch.setenv("DATABASE_URL", "postgresql://app:hunter2@db.example/app")
    (tmp_path / "holdfast.toml").write_text("lease = 20\n[s3]\nsecret_key = 'hunter2'\n"
                                            "access_key = 'hunter2'\n")  # fmt: skip
    monkeypatch.setenv("COLUMNS", "200")
    ran = here("config")
    assert ran.code == 0, ran.err
    lines = {line.split()[0]: line.split()[1:] for line in ran.out.splitlines()}
    assert lines["store"] == [
        "postgresql://***@db.example/app", "DATABASE_URL", "in", "the", "environment",
    ]  # fmt: skip
    assert lines["lease"] == ["20", "lease", "in", "holdfast.toml"]
    assert lines["s3.secret_key"][0] == "***"
    found = {each["name"]: each for each in here("config", "--json").json}
    assert found["lease"]["origin"] == {"name": "lease", "place": "holdfast.toml"}
    assert found["domains"] == {
        "name": "domains", "variable": "HOLDFAST_DOMAINS",
        "value": "access, audit, figures, hosts, jobs, media, models",
        "unset": None, "origin": {"name": None, "place": "default"},
    }  # fmt: skip
    assert "hunter2" not in ran.out + here("config", "--json").out


def test_it_names_every_fault_and_what_looks_like_a_setting(monkeypatch):
    monkeypatch.setenv("HOLDFAST_STROE", "x")
    monkeypatch.setenv("REDIS_POOL_SIZE", "10")
    said = here("config").err
    assert "HOLDFAST_STROE is not a setting; is HOLDFAST_STORE meant?" in said
    assert "redis.pool_size has no effect" in said
    monkeypatch.setenv("HOLDFAST_LEASE", "soon")
    monkeypatch.setenv("DATABASE_POOL_SIZE", "many")
    ran = here("config")
    assert ran.code == 2
    assert "HOLDFAST_LEASE='soon'" in ran.err
    assert "DATABASE_POOL_SIZE='many'" in ran.err
    first, *faults = [line for line in ran.err.splitlines() if "HOLDFAST_STROE" not in line]
    assert first == "holdfast: 2 settings can't be used:"
    assert [line.split("=")[0] for line in faults] == ["  HOLDFAST_LEASE", "  DATABASE_POOL_SIZE"]


@pytest.mark.parametrize("command", [("videos",), ("worker", "--once"), ("migrate", "check")])
def test_every_command_tells_of_what_looks_like_a_setting(monkeypatch, tmp_path, command):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOLDFAST_STROE", "postgresql://nowhere/app")
    said = here(*command).err
    assert said.count("HOLDFAST_STROE is not a setting; is HOLDFAST_STORE meant?") == 1


def test_a_part_that_can_not_be_opened_is_named(monkeypatch):
    monkeypatch.setenv("HOLDFAST_BUCKET", "file:///dev/null/x")
    ran = here("worker", "--once")
    assert ran.code == 6
    assert "so the platform's bucket could not be opened" in ran.err
