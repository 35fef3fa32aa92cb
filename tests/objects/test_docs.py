"""The examples of docs/objects.md run, and run again in the same folder."""

import re
import subprocess
import sys
from pathlib import Path

from objects.s3_servers import new_name, options_of, remove

PAGE = Path(__file__).parents[2] / "docs/objects.md"
RUN_ALL = "import runpy, sys\nfor path in sys.argv[1:]:\n    runpy.run_path(path, {}, '__main__')"


def test_the_examples_run_twice_in_one_folder(tmp_path):
    options = options_of("minio")
    bucket = new_name()
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    paths = []
    for number, example in enumerate(examples):
        key, secret = options.credentials.access_key, options.credentials.secret_key
        here = (
            example.replace("http://127.0.0.1:9000", options.endpoint_url)
            .replace("s3://media", bucket)
            .replace('"key", "secret"', f"{key!r}, {secret!r}")
            .replace("/tmp/holdfast-example", str(tmp_path / "frames"))
        )
        paths.append(tmp_path / f"example{number}.py")
        paths[-1].write_text(here)
    assert len(paths) > 5
    folder = tmp_path / "folder"
    folder.mkdir()
    try:
        for _ in range(2):
            done = subprocess.run(
                [sys.executable, "-c", RUN_ALL, *map(str, paths)],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=600,
                check=False,
            )
            assert done.returncode == 0, done.stderr
    finally:
        remove(bucket, options)
