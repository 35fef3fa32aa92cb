import pytest

from cli.program import end_all
from holdfast.settings.resolution import SPECS
from media.films import cut, film, sound


@pytest.fixture(autouse=True)
def _settings_of_nobody(monkeypatch, tmp_path):
    for spec in SPECS.values():
        for name in (*spec.own_variables, *spec.about.borrowed):
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _no_process_left():
    yield
    end_all()


@pytest.fixture(scope="session")
def films(tmp_path_factory):
    """A folder of films: a.mp4, b.mp4 and c.avi are good, the others are not."""
    folder = tmp_path_factory.mktemp("films")
    film(folder / "a.mp4")
    film(folder / "b.mp4", frames=70)
    film(folder / "c.avi", codec="mpeg4", frames=50)
    film(folder / "middle.mp4", frames=160, size=(320, 240))
    film(folder / "long.mp4", frames=400, size=(320, 240))
    cut(folder / "a.mp4", 0.6, folder / "cut.mp4")
    cut(folder / "c.avi", 0.6, folder / "cut.avi")
    sound(folder / "sound.wav")
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("no film " * 999)
    return folder


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"
