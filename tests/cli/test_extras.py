"""The command line without the extras that some of its commands need."""

import subprocess
import sys

import pytest

WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
sys.argv = ["holdfast", *{arguments}]
from holdfast.cli import main
main()
"""
MEDIA = {"av", "cv2", "numpy", "pyarrow", "jinja2", "zstandard"}


def holdfast(arguments, folder, missing=MEDIA):
    program = WITHOUT.format(missing=missing, arguments=arguments)
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["migrate", "--help"], ["migrate", "create", "-m", "first"], ["doctor"]],
)
def test_what_has_to_do_with_no_pictures_needs_no_library_for_them(arguments, tmp_path):
    done = holdfast(arguments, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["ingest", "film.mp4"], "reading videos needs av"),
        (["worker", "--once"], "detection needs"),
        (["demo"], "the demo needs"),
    ],
)
def test_a_command_for_videos_says_which_extra_it_needs(arguments, what, tmp_path):
    (tmp_path / "film.mp4").write_bytes(b"film")
    done = holdfast(arguments, tmp_path)
    assert done.returncode == 2
    assert what in done.stderr
    assert "pip install 'holdfast[media]'" in done.stderr
