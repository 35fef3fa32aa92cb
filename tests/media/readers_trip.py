"""Do DuckDB, Polars and Ray read the results of films as they lie?

    python tests/media/readers_trip.py

Films are ingested and looked at, with their results on MinIO. What the three say of all detections
by label is held against the lines of JSON that were written beside the Parquet. They come from the
package index into an environment of their own, `.readers`, pinned by `readers.lock`. The exit code
is 1 when something differs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path, PurePath

import zstandard

from cli.program import apart, environment
from holdfast.media import MEDIA_ENTITIES, Video
from holdfast.media.object_keys import DETECTIONS, LINES, result_key
from holdfast.media.scene import make_scene
from holdfast.settings import Settings
from holdfast.sync import open_bucket, open_store
from media.films import film
from objects.s3_servers import new_name, options_of, remove
from own_environment import environment_of

HERE = Path(__file__).parent


def looked_at(folder: Path, settings: dict[str, str]) -> None:
    """Let the program take in two films and look at them."""
    make_scene(folder / "scene.mp4")
    film(folder / "square.mp4", frames=200)
    for words in (("ingest", folder / "scene.mp4", folder / "square.mp4"), ("worker", "--once")):
        ran = apart(*map(str, words), "--data", str(folder / "data"), env=environment(**settings))
        if ran.code:
            raise SystemExit(ran.err)


def in_lines(folder: Path, bucket) -> list[list[object]]:
    """Return what the lines of JSON say, and have each film's Parquet in *folder* too."""
    by_label: dict[str, list[tuple[str, dict[str, object]]]] = {}
    with open_store(Settings(data=folder / "data").store_url, MEDIA_ENTITIES) as store:
        for video in store.repository(Video).find():
            target = folder / "results" / str(video.id)
            target.mkdir(parents=True)
            bucket.download(result_key(video.id, PurePath(DETECTIONS)), target / DETECTIONS)
            packed = bucket.get(result_key(video.id, PurePath(LINES)))
            text = zstandard.ZstdDecompressor().stream_reader(packed).read().decode()
            for each in map(json.loads, text.splitlines()):
                by_label.setdefault(each["label"], []).append((str(video.id), each))
    return sorted(
        [
            label,
            len(found),
            len({(video, each["track"]) for video, each in found}),
            min(each["time"] for _, each in found),
            max(each["time"] for _, each in found),
        ]
        for label, found in by_label.items()
    )


def main() -> int:
    options, url = options_of("minio"), new_name()
    assert options.credentials is not None
    settings = {
        "HOLDFAST_BUCKET": f"{url}?endpoint_url={options.endpoint_url}&create=true",
        "AWS_ACCESS_KEY_ID": options.credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": options.credentials.secret_key,
        "AWS_REGION": "us-east-1",
    }
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.callback(remove, url, options)
        looked_at(folder, settings)
        with open_bucket(url, options=options) as bucket:
            expected = in_lines(folder, bucket)
        python = environment_of(".readers", HERE / "readers.lock") / "python"
        asked = [python, HERE / "readers_questions.py", folder / "results", url]
        said = subprocess.run(
            [*asked, options.endpoint_url], check=True, stdout=subprocess.PIPE, text=True,
            env={**os.environ, **settings},
        )  # fmt: skip
    different = 0
    print("Lines:", *expected)
    for name, rows in json.loads(said.stdout.splitlines()[-1]).items():
        same = rows == expected
        different += not same
        print(f"{name}: {'the same' if same else rows}")
    return bool(different)


if __name__ == "__main__":
    sys.exit(main())
