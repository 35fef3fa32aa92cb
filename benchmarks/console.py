"""How long the pages of the console take with a million rows of everything behind them.

python benchmarks/console.py [--rows 1000000] [--detections 10000000] [--objects 1000000]
    [--only sqlite,postgresql] [--bucket disk|minio] [--no-paint] [--quick]

*server* is from a request to the whole answer, in this process, without a network: the median and
the worst of some calls after a first one. *first paint* is Chromium's first contentful paint of a
page that is served on this machine. Every GET route of the console is asked: one that no address
stands for here ends the run, so that a new page is measured too. Servers are those that `make
services` started.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import pickle
import statistics
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit
from uuid import uuid4

import httpx
import uvicorn
from console_fill import fill_bucket, fill_detections, fill_disk, fill_rows, seed
from fastapi.routing import iter_route_contexts
from timing import Taken, machine, table

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from tools.browser import browser

from holdfast.media import Project
from holdfast.settings import Settings
from holdfast.web.platform_application import create_application
from holdfast.web.serve_options import ServeOptions
from servers import database_on, execute, url_of

LIMIT = 200  # ms on the server
PAINT = 1_000  # ms
TEXT = """\
## Pages of the console over large tables

{rows:,} videos with a clip each, {rows:,} jobs, {rows:,} entries of the audit, {detections:,}
detections of one video of an hour, and {objects:,} objects {place}, on {store}. In ms: the median
and the worst of {calls} calls after a first one, from a request to its whole answer without a
network; the median of the CPU time of this process, in which SQLite works too; the first
contentful paint in Chromium, of pages served on the same machine.
{over} of {count} addresses took {limit} ms or more on the server.
Measured on {machine}.
"""
NO_PAGES = {
    "/static/{digest}/{name}": "a file",
    "/jobs/live": "a stream without an end",
    "/jobs/{job_id}/live": "a stream without an end",
    "/records/{path}/export": "a file of up to 100,000 rows",
    "/login/openid": "leads to the provider",
    "/login/openid/answer": "needs the provider's answer",
    "/videos/{video_id}/content": "a file",
    "/videos/{video_id}/files/{kind}": "a file",
    "/videos/{video_id}/tracks/{track}/portrait": "a file",
    "/buckets/{name}/uploads/{identity}": "asked by a script, of an upload",
    "/videos/projects/{project_id}/uploads/{identity}": "asked by a script, of an upload",
}
"""Routes that are no page, and why; those below `/videos/data` are asked by scripts."""


def addresses(route: str, filled, kinds) -> list[str]:
    """Return what is asked of *route*; none for one that is no page."""
    video, hour = filled.video.id, filled.hour.id
    key = quote(filled.object)
    match route:
        case "/":
            return ["", "?span=week"]
        case "/videos":
            project = f"project={filled.project.id}"
            many = f"project={filled.many}"
            return [
                "videos", f"videos?{project}", f"videos?{many}", "videos?name=0000123",
                f"videos?{many}&name=camera", "videos?name=nothing-like-it",
            ]  # fmt: skip
        case "/videos/{video_id}":
            region = "region=0,0+50,0+50,50+0,50"
            return [
                f"videos/{video}", f"videos/{hour}", f"videos/{hour}?t=3000",
                f"videos/{hour}?{region}", f"videos/{hour}?label=car&direction=right",
            ]  # fmt: skip
        case "/videos/cases":
            return ["videos/cases"]
        case "/videos/cases/{case_id}":
            return [f"videos/cases/{filled.case}"]
        case "/jobs":
            return [
                "jobs", "jobs?status=failed", "jobs?status=running", "jobs?queue=q3",
                "jobs?queue=q3&status=failed", "jobs?task=t", "jobs?task=no-such",
                "jobs?error=camera+3", "jobs?error=no-such",
            ]  # fmt: skip
        case "/jobs/{job_id}":
            return [f"jobs/{filled.job}"]
        case "/jobs/workflows/{workflow_id}":
            return [f"jobs/workflows/{filled.workflow}"]
        case "/jobs/limits/one":
            return ["jobs/limits/one?queue=q1"]
        case "/jobs/matching/{verb}":
            return ["jobs/matching/cancel?queue=q3", "jobs/matching/retry"]
        case "/models/{name}":
            return ["models/vehicles"]
        case "/models/{name}/compare":
            return ["models/vehicles/compare?a=1&b=20"]
        case "/models/{name}/versions/{number}":
            return ["models/vehicles/versions/20"]
        case "/buckets/{name}":
            return [
                "buckets/main", "buckets/main?prefix=flat/", "buckets/main?prefix=days/000/",
                "buckets/main?prefix=flat/&after=flat/0500000.txt",
            ]  # fmt: skip
        case "/buckets/{name}/object" | "/buckets/{name}/raw":
            return [f"buckets/main/{route.rpartition('/')[2]}?key={key}"]
        case "/buckets/{name}/delete" | "/buckets/{name}/erase":
            what = route.rpartition("/")[2]
            return [f"buckets/main/{what}?key={key}", f"buckets/main/{what}?prefix=flat/"]
        case "/buckets/{name}/settings":
            return ["buckets/main/settings"]
        case "/buckets/{name}/usage":
            return ["buckets/main/usage", "buckets/main/usage?prefix=days/"]
        case "/records/{path}":
            own = [f"records/{kind}" for kind in kinds]
            return [
                *own, "records/videos?_sort=created_at", "records/videos?_sort=filename",
                "records/videos?_sort=size", "records/videos?filename=camera-001-0000001.mp4",
                "records/videos?size__gte=999999999", "records/jobs?status=failed",
                "records/jobs?_sort=finished_at",
            ]  # fmt: skip
        case "/records/{path}/row" | "/records/{path}/edit" | "/records/{path}/delete":
            what = route.rpartition("/")[2]
            found = [f"records/projects/{what}?_key={filled.project.id}"]
            return [*found, f"records/videos/row?_key={video}"] if what == "row" else found
        case "/records/{path}/new" | "/records/{path}/import":
            return [f"records/projects/{route.rpartition('/')[2]}"]
        case "/records/{path}/matching":
            return ["records/projects/matching"]
        case "/audit":
            return [
                "audit", "audit?entity=Video", "audit?actor=local", "audit?verb=add",
                "audit?verb=no.such", f"audit?entity=Video&key={video}", "audit?actor=nobody",
                "audit?field=filename", "audit?since=2020-01-01",
            ]  # fmt: skip
        case "/hosts/requests/{request_id}":
            return []  # no pool without a provider
        case "/cache":
            return ["cache", "cache?pattern=*"]
        case "/search":
            return ["search?q=gate", "search?q=camera", f"search?q={video}", "search?q=flat"]
        case _ if route in NO_PAGES or route.startswith("/videos/data/"):
            return []
        case _ if "{" not in route:
            return [route.strip("/")]
    raise SystemExit(f"{route}: say in benchmarks/console.py by which address it is asked")


def served_console(app):
    return next(each.app for each in app.routes if getattr(each, "name", "") == "console")


async def filled(settings, url, asked):
    """Fill an installation and return what its pages are found by."""
    app = create_application(settings, ServeOptions(work=False))
    async with app.router.lifespan_context(app):
        platform = served_console(app).state.console.platform
        made = await seed(platform)
        await fill_rows(platform, url, asked.rows)
        await fill_detections(platform, made.hour, asked.detections)
        if asked.bucket == "disk":
            fill_disk(platform, made.object, asked.objects)
        else:
            await fill_bucket(platform, asked.objects)
        made.many = (await platform.library.projects.one(Project.name == "camera 001")).id
        return made


async def asked_pages(settings, made, calls):
    """Return the milliseconds of each address, by the address."""
    app = create_application(settings, ServeOptions(work=False))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=600) as client,
    ):
        console = served_console(app)
        kinds = [model.table for model in console.state.console.platform.store.models]
        paths = [
            path
            for route in iter_route_contexts(console.routes)
            if "GET" in (route.methods or ())
            for path in addresses(route.path, made, kinds)
        ]
        paths.sort(key=lambda path: "/usage" in path)  # last: their counts go on beside the others
        found: dict[str, Taken] = {}
        for path in paths:
            taken, worked = [], []
            for _ in range(calls + 1):
                start, cpu = time.perf_counter(), time.process_time()
                answer = await client.get(f"/console/{path}")
                taken.append((time.perf_counter() - start) * 1_000)
                worked.append((time.process_time() - cpu) * 1_000)
                if worked[-1] > 3_000 or taken[-1] > 30_000:
                    break
            if answer.status_code == 404 and path.startswith("records/"):
                continue  # an entity that the console does not show
            said = f"{path}: {answer.status_code}"
            assert answer.status_code in (200, 503), f"{said} {answer.text[-500:]}"
            if statistics.median(taken) > LIMIT:
                print(said, [round(each) for each in taken], file=sys.stderr, flush=True)
            found[path] = Taken(taken[1:] or taken, worked[1:] or worked)
        return found


PAINTED = (
    "",
    "videos",
    "jobs",
    "models",
    "buckets/main",
    "records/videos",
    "audit",
    "search?q=gate",
)
_PAINT = "performance.getEntriesByName('first-contentful-paint').map((each) => each.startTime)"


def painted(settings, made):
    """Return when Chromium painted the main pages first, in ms, the median of three."""
    from playwright.sync_api import sync_playwright

    app = create_application(settings, ServeOptions(work=False))
    found = {}
    with served(app) as address, sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=browser(), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        for path in (*PAINTED, f"videos/{made.hour.id}"):
            times = []
            for _ in range(4):
                page = started.new_page(bypass_csp=True)  # for the function that is waited for
                page.goto(f"{address}/console/{path}")
                page.wait_for_function(f"{_PAINT}.length")
                times.append(page.evaluate(_PAINT)[0])
                page.close()
            found[path] = statistics.median(times[1:])
        started.close()
    return found


@contextmanager
def served(app):
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def installation(asked, store):
    """Yield settings of an empty installation, and the URL of its records."""
    with ExitStack() as stack:
        folder = Path(asked.folder or stack.enter_context(tempfile.TemporaryDirectory()))
        url = f"sqlite:///{folder}/holdfast.db"
        if store != "sqlite":
            url = stack.enter_context(database_on(store))
        bucket = f"file://{folder}/objects"
        if asked.bucket == "minio":
            at = urlsplit(url_of("minio"))
            os.environ["AWS_ACCESS_KEY_ID"] = at.username
            os.environ["AWS_SECRET_ACCESS_KEY"] = at.password
            server = f"{at.scheme}://{at.hostname}:{at.port}"
            bucket = f"console-{uuid4().hex}?endpoint_url={server}&region=us-east-1&create=true"
        limits = {"request_rate": 100_000, "request_burst": 100_000}
        yield Settings(data=folder / "data", store=url, bucket=bucket, limits=limits), url


def report(store, asked, pages, paint):
    over = sum(statistics.median(each.wall) >= LIMIT for each in pages.values())
    place = "on disk" if asked.bucket == "disk" else "on MinIO"
    print(TEXT.format(
        rows=asked.rows, detections=asked.detections, objects=asked.objects, place=place,
        store=store, calls=asked.calls, over=over, count=len(pages), limit=LIMIT, machine=machine(),
    ))  # fmt: skip
    rows = [
        [f"`/{path}`", f"{statistics.median(taken.wall):,.0f}", f"{max(taken.wall):,.0f}",
         f"{statistics.median(taken.cpu):,.0f}", f"{paint[path]:,.0f}" if path in paint else ""]
        for path, taken in pages.items()
    ]  # fmt: skip
    print(table([store, "median", "worst", "CPU", "first paint"], rows))
    late = [path for path, when in paint.items() if when >= PAINT]
    print(f"\nFirst paint of a second or more: {', '.join(late) or 'none'}.\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--detections", type=int, default=10_000_000)
    parser.add_argument("--objects", type=int, default=1_000_000)
    parser.add_argument("--calls", type=int, default=7, help="of each page, after a first one")
    parser.add_argument("--only", default="sqlite,postgresql")
    parser.add_argument("--bucket", choices=("disk", "minio"), default="disk")
    parser.add_argument("--folder", help="where the data lies, and stays for another run")
    parser.add_argument("--no-paint", action="store_true", help="no browser")
    parser.add_argument("--quick", action="store_true", help="a hundredth of everything")
    asked = parser.parse_args()
    if asked.quick:
        for name in ("rows", "detections", "objects"):
            setattr(asked, name, getattr(asked, name) // 100)
    for store in asked.only.split(","):
        with installation(asked, store) as (settings, url):
            kept = settings.data / "filled.pickle"  # of our own making
            if kept.exists():
                made = pickle.loads(kept.read_bytes())
            else:
                made = asyncio.run(filled(settings, url, asked))
                kept.write_bytes(pickle.dumps(made))
            if store == "postgresql":
                execute(url, "VACUUM ANALYZE")
            pages = asyncio.run(asked_pages(settings, made, asked.calls))
            paint = {} if asked.no_paint else painted(settings, made)
        report(store, asked, pages, paint)


if __name__ == "__main__":
    main()
