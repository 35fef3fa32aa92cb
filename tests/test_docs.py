"""The documentation holds: examples run, links lead somewhere, the reference is complete."""

import ast
import inspect
import os
import re
import shlex
import socket
import subprocess
import sys
import time
import tomllib
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from tools import public_names
from tools.public_names import exports

import holdfast
import preloaded
from holdfast import errors
from servers import free_port, url_of

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
TUTORIAL = sorted((DOCS / "tutorial").glob("[0-9]*.md"))
ELSEWHERE = {DOCS / "objects.md"}  # tests/objects/test_docs.py runs it, with a server
ON_S3 = {DOCS / "guides" / "presigned-urls.md"}  # read the bucket's URL from the environment

FENCE = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def name(page):
    return str(page.relative_to(ROOT))


def blocks(page):
    """Return language, title and text of each block of code of *page*, in order."""
    return [
        (language, "".join(re.findall(r'title="(.*?)"', rest)), code)
        for language, rest, code in FENCE.findall(page.read_text(encoding="utf-8"))
    ]


def examples(pages):
    return [
        pytest.param(code, id=f"{name(page)}-{number}")
        for page in pages
        for number, code in enumerate((c for lang, _, c in blocks(page) if lang == "python"), 1)
    ]


def run(code, folder, **environment):
    done = preloaded.run(
        code, cwd=folder, env=os.environ | environment, flags=("-W", "error"), timeout=600
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "code", examples([page for page in PAGES if page not in {*TUTORIAL, *ELSEWHERE, *ON_S3}])
)
def test_an_example_runs(code, tmp_path):
    run(code, tmp_path)


@pytest.mark.parametrize("code", examples(sorted(ON_S3)))
def test_an_example_runs_on_s3(code, tmp_path):
    server = urlsplit(url_of("minio"))
    bucket = f"s3://holdfast-{uuid4().hex[:16]}"
    run(
        code,
        tmp_path,
        HOLDFAST_BUCKET=f"{bucket}?endpoint_url=http://{server.hostname}:{server.port}&create=true",
        AWS_ACCESS_KEY_ID=server.username,
        AWS_SECRET_ACCESS_KEY=server.password,
        AWS_REGION="us-east-1",
    )


@pytest.mark.parametrize("page", TUTORIAL, ids=name)
def test_a_tutorial_step_runs_and_prints_what_it_says(page, tmp_path):
    """Programs are kept under their titles, commands run, and an Output block is what came out.

    A shortened one tells what came in this order. The server runs until the end of the page, on a
    port of its own.
    """
    port = free_port()
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONWARNINGS": "error",
        "UVICORN_PORT": str(port),
    }
    printed, compared = "", 0
    with ExitStack() as stack:
        for language, title, code in blocks(page):
            if language in ("python", "toml"):
                (tmp_path / title).write_text(code, encoding="utf-8")
            elif title == "The server":
                stack.enter_context(serving(code, tmp_path, environment, port))
            elif language == "sh":
                done = subprocess.run(
                    ["sh", "-e", "-c", code.replace(":8000", f":{port}")],
                    cwd=tmp_path,
                    env=environment,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                assert done.returncode == 0, done.stderr
                printed = done.stdout
            elif title == "Output":
                assert printed.rstrip("\n") == code.rstrip("\n")
                compared += 1
            elif title == "Output, shortened":
                pieces = [piece for line in code.splitlines() for piece in line.split("...")]
                assert re.search(".*".join(map(re.escape, pieces)), printed, re.DOTALL), printed
                compared += 1
    assert compared >= 1


@contextmanager
def serving(command, folder, environment, port):
    """Run *command* until the end of the block, which begins when the server answers."""
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(
            shlex.split(command), cwd=folder, env=environment, stdout=log, stderr=log
        )
    try:
        while True:
            said = (folder / "server.log").read_text(encoding="utf-8")
            assert server.poll() is None, said
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=60):
                break
            time.sleep(0.05)
        yield
    finally:
        server.terminate()
        server.wait()
    assert "Traceback" not in (folder / "server.log").read_text(encoding="utf-8")


def test_every_step_of_the_tutorial_says_what_was_learned():
    assert len(TUTORIAL) == 8
    for page in TUTORIAL:
        assert '!!! note "What you learned"\n' in page.read_text(encoding="utf-8"), page.name


def anchors(page):
    """Return the anchors of the headings of *page*, as the site makes them."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    found = set()
    for heading in re.findall(r"^#{1,6} +(.+?)\s*$", text, re.MULTILINE):
        plain = re.sub(r"[`*]|\[([^]]*)\]\([^)]*\)", r"\1", heading)
        found.add(re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain.lower()).strip()))
    return found


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        there = page if not path else (page.parent / path).resolve()
        assert there.exists(), f"{name(page)} links to {target}"
        if anchor and there.suffix == ".md":
            assert anchor in anchors(there), f"{name(page)} links to {target}"


def test_links_within_the_site_stay_in_it():
    for page in DOCS.rglob("*.md"):
        text = FENCE.sub("", page.read_text(encoding="utf-8"))
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
            if "://" not in target:
                assert (page.parent / target).resolve().is_relative_to(DOCS), name(page)


def test_every_page_is_in_the_navigation_once():
    def entries(nav):
        for each in nav:
            for found in each.values():
                yield from [found] if isinstance(found, str) else entries(found)

    project = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]
    listed = sorted(entries(project["nav"]))
    assert listed == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


def public(kind):
    return {each for each, _ in inspect.getmembers(kind) if not each.startswith("_")}


# What a class has for drivers and for the library itself, which nobody calls.
SCOPE = {"check", "enter_context", "leave_context", "forgotten"}
INTERNAL = {
    "Repository": set(),
    "Store": {"check_model"},
    "Links": set(),
    "Transaction": {
        "work",
        "lender",
        "lend_to",
        "borrower",
        "check_life",
        "ending",
        "forked",
        *SCOPE,
    },
    "Savepoint": SCOPE,
    "Field": {"entity", "operand", "column"},
    "JsonPath": set(),
    "Order": {"operand", "descending", "first"},
    "Bucket": set(),
    "Cache": {"coded"},
}


def section(page, heading):
    """Return the text below *heading* of *page*, up to the next of its level."""
    text = page.read_text(encoding="utf-8")
    found = re.search(
        rf"^## {re.escape(heading)}$\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE
    )
    assert found, heading
    return found[1]


def named(text):
    """Return the names at the start of each row of the tables in *text*."""
    cells = re.findall(r"^\| (`.+?) \|", text, re.MULTILINE)
    return {
        found
        for cell in cells
        for found in re.findall(r"`(?:await |async with )?(?:\w+\.)?(\w+)", cell)
    }


RECORDS = DOCS / "reference" / "records.md"
PILLARS = DOCS / "reference" / "pillars.md"
DOCUMENTED = {
    "Repository": RECORDS,
    "Store": RECORDS,
    "Links": RECORDS,
    "Transaction": RECORDS,
    "Bucket": PILLARS,
    "Cache": PILLARS,
}


@pytest.mark.parametrize("kind", DOCUMENTED)
def test_the_reference_names_every_method_and_no_other(kind):
    told = named(section(DOCUMENTED[kind], kind))
    assert told == public(getattr(holdfast, kind)) - INTERNAL[kind]


@pytest.mark.parametrize(
    ("heading", "kind"),
    [("Operators", holdfast.Field), ("JSON paths", holdfast.JsonPath), ("Orders", holdfast.Order)],
)
def test_the_reference_names_every_word_of_a_field(heading, kind):
    told = set(re.findall(r"\.(\w+)\(", RECORDS.read_text(encoding="utf-8")))
    missing = public(kind) - INTERNAL[kind.__name__] - told
    assert not missing, heading


@pytest.mark.parametrize(
    "specifier",
    [
        "field",
        "key",
        "generated_key",
        "ref",
        "version",
        "created_at",
        "updated_at",
        "deleted_at",
        "one",
        "many",
    ],
)
def test_the_reference_names_every_option_of_a_field(specifier):
    row = re.search(
        rf"^\| `{specifier}\((.*?)\)` \|", RECORDS.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert row, specifier
    parameters = set(inspect.signature(getattr(holdfast, specifier)).parameters) - {"init"}
    told = set(re.findall(r"(\w+)=", row[1])) | {"target"} & parameters
    assert told == parameters


def test_the_reference_shows_the_whole_tree_of_errors():
    shown = re.findall(r"\w+Error", section(RECORDS, "Errors"))
    defined = {
        each
        for each, found in vars(errors).items()
        if inspect.isclass(found) and issubclass(found, errors.HoldfastError)
    }
    assert set(shown) == defined


def test_the_reference_says_where_every_name_of_holdfast_is():
    page = (DOCS / "reference" / "api" / "holdfast.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`(\w+)`", page)) >= set(holdfast.__all__)


def test_the_page_of_public_names_says_what_the_sources_say():
    assert public_names.PAGE.read_text(encoding="utf-8") == public_names.names_page(), (
        "python -m tools.public_names writes it"
    )


def test_what_the_pages_import_is_public():
    """But for the page about backends, which go by the contracts below the public names."""
    listed = {(module, each) for module in public_names.PUBLIC for each in exports(module)}
    used = {
        (node.module, each.name)
        for page in PAGES
        if page != DOCS / "write-a-backend.md"
        for language, _, code in blocks(page)
        if language == "python"
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("holdfast")
        for each in node.names
    }
    assert len(used) > 100
    assert not used - listed


def test_paths_that_contributing_names_are_there():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    paths = {
        each
        for each in re.findall(r"`([\w.-]+(?:/[\w.-]+)*/?)`", FENCE.sub("", text))
        if "/" in each or each.endswith((".py", ".md", ".toml", ".lock"))
    }
    assert len(paths) > 40
    assert not [each for each in sorted(paths) if not (ROOT / each).exists()]


def test_examples_parse_on_the_oldest_python():
    for page in PAGES:
        for language, _, code in blocks(page):
            if language == "python":
                ast.parse(code, name(page), feature_version=(3, 11))
