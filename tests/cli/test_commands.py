"""What each command prints, for people and for programs, and how it ends."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from uuid import UUID

import pytest

from cli.agreement import disagreements
from cli.program import here
from holdfast import errors
from holdfast.cli.exit_codes import Exit, exit_of

ESCAPE = "\x1b"


@pytest.fixture(scope="module")
def done(films, tmp_path_factory):
    """A data folder with two videos in it, looked at."""
    data = tmp_path_factory.mktemp("done") / "data"
    assert here("ingest", films / "a.mp4", films / "c.avi", "--data", data).code == 0
    assert here("worker", "--once", "--data", data).code == 0
    return data


def test_from_a_file_to_its_clips_on_the_embedded_default(films, tmp_path):
    brought = here("ingest", films / "a.mp4")
    assert re.fullmatch(r"a\.mp4: queued as video [0-9a-f]{8}\n", brought.out)
    assert (brought.code, brought.err) == (0, "")
    assert here("worker", "--once").code == 0
    assert disagreements(tmp_path / "holdfast-data") == []
    again = here("ingest", films / "a.mp4")
    assert "already there" in again.out
    assert "same checksum" in again.out
    assert here("worker", "--once").err == "Nothing to do.\n"
    assert [video["state"] for video in here("videos", "--json").json] == ["done"]
    assert len(here("clips", "a.mp4", "--json").json) == 1


def test_videos_as_json(done, films):
    videos = here("videos", "--data", done, "--json").json
    assert [video["filename"] for video in videos] == ["c.avi", "a.mp4"]
    video = videos[1]
    assert UUID(video["id"])
    assert video["project"] == "default"
    assert video["state"] == "done"
    assert (video["width"], video["height"], video["frames"]) == (160, 120, 60)
    assert video["size"] == (films / "a.mp4").stat().st_size
    assert video["duration"] == pytest.approx(2.4, abs=0.1)
    assert video["summary"]["tracks"] == 1
    assert video["summary"]["clips"] == 1


def test_show_as_json(done):
    shown = here("show", "a.mp4", "--data", done, "--json").json
    assert here("show", shown["id"], "--data", done, "--json").json == shown
    assert here("show", shown["id"][:8], "--data", done, "--json").json == shown
    assert [clip["number"] for clip in shown["clips"]] == [1]
    keys = {entry["key"] for entry in shown["objects"]}
    assert f"processed/{shown['id']}/annotated.mp4" in keys
    assert all(entry["size"] > 0 for entry in shown["objects"])


def test_clips_as_json(done):
    clips = here("clips", "--data", done, "--json").json
    assert {clip["filename"] for clip in clips} == {"a.mp4", "c.avi"}
    only = here("clips", "a.mp4", "--data", done, "--json").json
    assert [clip["filename"] for clip in only] == ["a.mp4"]
    assert 0 <= only[0]["start_frame"] < only[0]["end_frame"] <= 60
    assert only[0]["start_time"] < only[0]["end_time"]


def test_jobs_as_json(done):
    jobs = here("jobs", "--data", done, "--json").json
    assert {(job["task"], job["status"], job["progress"]) for job in jobs} == {
        ("detect", "succeeded", 1.0)
    }
    assert {job["payload"]["filename"] for job in jobs} == {"a.mp4", "c.avi"}


def test_ingest_and_worker_as_json(films, data):
    brought = here("ingest", films / "a.mp4", "nothing.mp4", "--data", data, "--json")
    assert brought.code == 4
    first, second = brought.json
    assert first == {"file": str(films / "a.mp4"), "video": first["video"], "created": True}
    assert second == {"file": "nothing.mp4", "error": "'nothing.mp4': there is no such file"}
    ran = here("worker", "--once", "--data", data, "--json")
    assert ran.json == {"worked": 1, "failed": 0, "to_try_again": 0}
    again = here("ingest", films / "a.mp4", "--data", data, "--json").json
    assert again == [{**first, "created": False}]


@pytest.mark.parametrize("command", ["videos", "clips", "jobs"])
def test_tables_fit_80_columns_and_carry_no_escape_codes(done, command):
    shown = here(command, "--data", done)
    assert shown.code == 0
    assert "a.mp4" in shown.out
    assert ESCAPE not in shown.out + shown.err
    assert max(map(len, shown.out.splitlines())) <= 80
    assert all(line == line.rstrip() for line in shown.out.splitlines())


def test_a_narrow_terminal_breaks_no_line_of_what_is_piped(done, monkeypatch):
    wide = here("videos", "--data", done).out
    monkeypatch.setenv("COLUMNS", "20")
    assert here("videos", "--data", done).out == wide


def test_looking_where_nothing_is_makes_nothing(tmp_path):
    for command in ("videos", "clips", "jobs"):
        looked = here(command, "--data", tmp_path / "typo")
        assert looked.code == 2
        assert "there is no data folder" in looked.err
        assert "holdfast ingest FILE" in looked.err
    assert list(tmp_path.iterdir()) == []


def test_an_empty_installation_says_what_to_do_next(data):
    assert here("worker", "--once", "--data", data).err == "Nothing to do.\n"
    assert "holdfast ingest FILE" in here("videos", "--data", data).err
    assert here("videos", "--data", data, "--json").json == []
    assert here("clips", "--data", data, "--json").json == []
    assert here("jobs", "--data", data, "--json").json == []


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ((), 2, "Usage: holdfast"),
        (("frob",), 2, "No such command 'frob'"),
        (("videos", "--frob"), 2, "No such option: --frob"),
        (("ingest",), 2, "Missing argument 'FILE'"),
        (("show",), 2, "Missing argument 'VIDEO'"),
        (("show", "nothing"), 3, "no such key: 'nothing'; `holdfast videos` lists what is there"),
        (("show", "ffff"), 3, "no such key: 'ffff'"),
        (("show", ""), 3, "no such key: ''"),
        (("clips", "\udcff"), 3, "no such key"),
        (("ingest", "nothing.mp4"), 4, "'nothing.mp4': there is no such file"),
        (("ingest", "{films}/a.mp4", "--project", " "), 4, "Project.name: is empty"),
        (("ingest", "{films}/a.mp4", "--project", "x" * 201), 4, "at most 200 are allowed"),
    ],
)
def test_a_mistake_is_told_in_one_line_with_its_exit_code(films, done, arguments, code, says):
    arguments = [each.format(films=films) for each in arguments]
    options = ["--data", str(done)] if code > 2 else []
    ran = here(*arguments, *options)
    assert ran.code == code
    assert says in ran.err
    assert ran.out == ""
    if arguments:
        assert ran.err.startswith("holdfast: ")
        assert ran.err.count("\n") == 1


def test_a_name_that_fits_several_videos_names_their_ids(films, data):
    for project in ("one", "two"):
        assert here("ingest", films / "a.mp4", "--data", data, "--project", project).code == 0
    ids = [video["id"] for video in here("videos", "--json", "--data", data).json]
    ran = here("show", "a.mp4", "--data", data)
    assert ran.code == 3
    assert all(each in ran.err for each in ids)
    assert here("show", ids[0], "--data", data).code == 0


def test_traceback_shows_where_an_error_comes_from(data):
    assert "Traceback" not in here("show", "nothing", "--data", data).err
    assert here("worker", "--once", "--data", data).code == 0
    ran = here("show", "nothing", "--data", data, "--traceback")
    assert ran.code == 3
    assert "Traceback (most recent call last)" in ran.err


def test_version():
    assert re.fullmatch(r"holdfast \d+\.\d+\.\d+\n", here("--version").out)


def test_a_batch_is_done_though_files_in_its_middle_are_bad(films, data):
    bad = {
        "empty.mp4": "empty",
        "text.mp4": "not a video",
        "cut.mp4": "cut short",
        "cut.avi": "cut short",
        "sound.wav": "sound only",
        ".": "not a file",
        "gone.mp4": "no such file",
    }
    names = ["a.mp4", *bad, "c.avi", "a.mp4"]
    ran = here("ingest", *(films / name for name in names), "--data", data)
    assert ran.code == 4
    lines = ran.err.splitlines()
    assert len(lines) == len(bad)
    for line, reason in zip(lines, bad.values(), strict=True):
        assert line.startswith("holdfast: ")
        assert reason in line
    assert len(ran.out.splitlines()) == 3
    assert here("worker", "--once", "--data", data).code == 0
    assert disagreements(data) == []
    assert len(here("videos", "--data", data, "--json").json) == 2


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b" sp ace .mp4", " sp ace .mp4"),
        (b"new\nline.mp4", "new\\nline.mp4"),
        ("ünï✓.mp4".encode(), "ünï✓.mp4"),
        (b"-dash.mp4", "-dash.mp4"),
        (b"no\xff\xfeutf.mp4", "no\ufffd\ufffdutf.mp4"),
        (b"\x1b[31mred\x1b[0m.mp4", "\\x1b[31mred\\x1b[0m.mp4"),
        (b"[bold]x[red].mp4", "[bold]x[red].mp4"),
        (b":smile:[red].mp4", ":smile:[red].mp4"),
        ("\x9b31m\u202egpj.mp4".encode(), "\\x9b31m\\u202egpj.mp4"),
    ],
)
def test_odd_names_are_kept_and_shown_harmlessly(films, data, tmp_path, name, shown):
    shutil.copy(films / "a.mp4", os.path.join(os.fsencode(tmp_path), name))  # noqa: PTH118
    ran = here("ingest", "--data", data, "--", os.fsdecode(name))
    assert ran.code == 0, ran.err
    assert ran.out.startswith(f"{shown}: queued as video ")
    listed = here("videos", "--data", data)
    assert shown in listed.out.replace("\n", "")
    assert ESCAPE not in listed.out
    written = here("videos", "--data", data, "--json")
    assert all(char.isprintable() for char in written.out.replace("\n", ""))
    (video,) = written.json
    assert video["filename"] == name.decode(errors="replace")
    assert here("show", os.fsdecode(name), "--data", data).code == 0 or name.startswith(b"-")


def test_report_writes_one_page_and_says_how_large(done, tmp_path):
    page = tmp_path / "a b.html"
    ran = here("report", "a.mp4", "-o", page, "--data", done, "--json")
    assert ran.json == {"report": str(page), "size": page.stat().st_size}
    assert "<html" in page.read_text()
    assert "a b.html (" in here("report", "a.mp4", "-o", page, "--data", done).out
    refused = here("report", "a.mp4", "-o", tmp_path / "no" / "page.html", "--data", done)
    assert refused.code == 6
    assert refused.err.count("\n") == 1


def test_a_video_without_results_has_no_report(films, data, tmp_path):
    assert here("ingest", films / "a.mp4", "--data", data).code == 0
    ran = here("report", "a.mp4", "-o", "page.html", "--data", data)
    assert ran.code == 3
    assert "holdfast worker --once" in ran.err
    assert not (tmp_path / "page.html").exists()


def test_the_documented_exit_codes_are_those_of_the_program():
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    rows = re.findall(r"^\| (\d+) \| ([A-Z_]+) \|", page, re.MULTILINE)
    assert rows == [(str(int(code)), code.name) for code in Exit]


def test_every_command_is_documented():
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    commands = re.findall(r"^  (\w+)  ", here("--help").out, re.MULTILINE)
    assert len(commands) > 8
    assert all(f"`holdfast {command}" in page for command in commands)


def test_a_data_folder_may_have_any_name(films, tmp_path):
    data = tmp_path / "sp ace ?x=1#y %41 ünï"
    assert here("ingest", films / "a.mp4", "--data", data).code == 0
    assert here("worker", "--once", "--data", data).code == 0
    assert disagreements(data) == []
    assert [path.name for path in tmp_path.iterdir()] == [data.name]


def test_a_data_folder_that_is_a_file_is_refused(films, tmp_path):
    (tmp_path / "file").write_text("mine")
    for folder in ("file", "file/below"):
        ran = here("ingest", films / "a.mp4", "--data", folder)
        assert ran.code in (2, 6)
        assert "data folder" in ran.err
        assert ran.err.count("\n") == 1
    assert (tmp_path / "file").read_text() == "mine"


def test_what_is_missing_in_the_bucket_is_stored_again_by_the_same_ingest(films, data):
    assert here("ingest", films / "a.mp4", "--data", data).code == 0
    shutil.rmtree(data / "objects")
    assert "its file is missing in the bucket" in here("show", "a.mp4", "--data", data).err
    again = here("ingest", films / "a.mp4", "--data", data).out
    assert "already there" in again
    assert "its file was missing, and is stored again" in again
    assert "missing" not in here("ingest", films / "a.mp4", "--data", data).out
    assert "missing" not in here("show", "a.mp4", "--data", data).err
    assert here("worker", "--once", "--data", data).code == 0
    assert disagreements(data) == []


def test_a_job_whose_file_is_gone_fails_and_says_so(films, data):
    assert here("ingest", films / "a.mp4", "--data", data).code == 0
    shutil.rmtree(data / "objects")
    ran = here("worker", "--once", "--data", data)
    assert ran.code == 7
    assert "a.mp4: failed:" in ran.err
    assert "not in the bucket" in ran.err
    assert [job["status"] for job in here("jobs", "--json", "--data", data).json] == ["failed"]


MISUSED = {
    # What only a program that uses Holdfast wrongly meets, or who asks its API, and a handler's
    # own words.
    "AccessError",
    "EventTimeoutError",
    "ForbiddenError",
    "HoldfastError",
    "JobCancelledError",
    "JobError",
    "JobKeyMissingError",
    "JobTimeoutError",
    "MultipleFoundError",
    "NoResultError",
    "NotLoadedError",
    "PermanentError",
    "ProcessEndedError",
    "RateLimitedError",
    "RetryLaterError",
    "StepsChangedError",
    "TransactionError",
    "UnauthenticatedError",
}


def test_every_error_has_an_exit_code_or_is_a_bug_of_the_programs():
    for name, error in vars(errors).items():
        if isinstance(error, type) and issubclass(error, errors.HoldfastError):
            decided = exit_of(error.__new__(error)) is not Exit.BUG
            assert decided is (name not in MISUSED), name
