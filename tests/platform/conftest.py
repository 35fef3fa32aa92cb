import pytest

from holdfast.settings.resolution import SPECS


@pytest.fixture(autouse=True)
def _settings_of_nobody(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws-config"))
    for spec in SPECS.values():
        for name in (*spec.own_variables, *spec.about.borrowed):
            monkeypatch.delenv(name, raising=False)
    for name in ("HOLDFAST_SETTINGS", "HOLDFAST_SECRETS"):
        monkeypatch.delenv(name, raising=False)
