"""What a release must be, and that wrong ones are found. `make release` and `make extras` do it."""

import subprocess
import tomllib
import zipfile

import pytest
from tools.release import checksums, distribution
from tools.release.extras.trials import TRIALS, Example
from tools.release.failure import ReleaseError
from tools.release.programs import CHECKOUT

from servers import require

FILES = {"src/holdfast/__init__.py", "src/holdfast/py.typed", "tests/test_docs.py"}
STEM = "holdfast-9.0.dist-info"


def wheel(folder, *names):
    path = folder / "holdfast-9.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as packed:
        for name in (*names, *(f"{STEM}/{each}" for each in distribution.METADATA)):
            packed.writestr(name, "")
    return path


def test_a_wheel_has_the_package_and_nothing_else(tmp_path):
    distribution.check_wheel(wheel(tmp_path, "holdfast/__init__.py", "holdfast/py.typed"), FILES)


@pytest.mark.parametrize(
    ("names", "wrong"),
    [
        (["holdfast/__init__.py"], "holdfast/py.typed is missing"),
        (["holdfast/__init__.py", "holdfast/py.typed", ".env"], ".env does not belong there"),
    ],
)
def test_a_wheel_that_has_more_or_less_is_refused(tmp_path, names, wrong):
    with pytest.raises(ReleaseError, match=wrong):
        distribution.check_wheel(wheel(tmp_path, *names), FILES)


def test_a_signature_is_of_these_files_by_this_key(tmp_path):
    require("ssh-keygen")
    key, made = tmp_path / "key", tmp_path / "holdfast-9.0.tar.gz"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    made.write_bytes(b"the sdist")
    sums = checksums.write([made], tmp_path)
    signature = checksums.sign(sums, key)
    signers = tmp_path / "allowed_signers"
    signers.write_text(f"releases {key.with_suffix('.pub').read_text()}")
    verify = ["ssh-keygen", "-Y", "verify", "-f", signers, "-I", "releases"]
    verify += ["-n", checksums.NAMESPACE, "-s", signature]

    def verified(text):
        return subprocess.run(verify, input=text, capture_output=True, check=False).returncode == 0

    assert verified(sums.read_bytes())
    assert not verified(sums.read_bytes().replace(b"9.0", b"9.1"))
    check = ["sha256sum", "--check", "--strict", checksums.NAME]
    assert subprocess.run(check, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    made.write_bytes(b"another sdist")
    assert subprocess.run(check, cwd=tmp_path, capture_output=True, check=False).returncode == 1


def test_every_extra_is_tried_and_every_example_is_there():
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))["project"]
    tried = {each for trial in TRIALS for each in trial.extras}
    assert tried == set(project["optional-dependencies"])
    for trial in TRIALS:
        assert trial.programs or trial.commands
        for program in trial.programs:
            text = program.program("URL") if isinstance(program, Example) else program
            compile(text, trial.name, "exec")
