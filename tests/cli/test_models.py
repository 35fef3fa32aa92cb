"""The commands of models: a version is registered, promoted, fetched, compared, signed, removed."""

import json

from cli.program import here


def test_a_model_goes_through_all_commands(tmp_path):
    data, weights = tmp_path / "data", tmp_path / "weights.bin"
    config = tmp_path / "train.json"
    config.write_text(json.dumps({"optimizer": {"lr": 0.1}}))

    def models(*arguments, code=0):
        done = here("models", *arguments, "--json", "--data", data)
        assert done.code == code, done.err
        return done.json if code == 0 else done

    for content, precision in ((b"one", 0.8), (b"two", 0.9)):
        weights.write_bytes(content)
        made = models(
            "register", "vehicles", weights, "--metric", f"mAP={precision}", "--tag", "team=vision",
            "--config", config, "--version", f"{len(content)}.{content[0]}.0",
        )  # fmt: skip
        assert made["created"]
        assert "request_digest" not in made
    found = models("list", "--where", "metrics.mAP > 0.85", "--order-by", "-metrics.mAP")
    assert [each["number"] for each in found] == [2]
    models("promote", "vehicles:1", "prod", "--expect", "0", "--reason", "first")
    models("promote", "vehicles:2", "prod", "--gate", "mAP > current")
    refused = models("promote", "vehicles:1", "prod", "--gate", "mAP > current", code=5)
    assert "mAP > current" in refused.err
    assert models("rollback", "vehicles", "prod")["to_number"] == 1
    assert len(models("history", "vehicles", "prod")) == 3
    assert models("show", "vehicles@prod")["aliases"] == ["prod"]
    assert list(models("compare", "vehicles:1", "vehicles:2")["metrics"]) == ["mAP"]
    models("download", "vehicles@prod", tmp_path / "out.bin")
    assert (tmp_path / "out.bin").read_bytes() == b"one"
    assert models("verify") == []
    assert "alias prod" in models("delete", "vehicles:1", code=5).err
    assert models("deprecate", "vehicles:1", "--reason", "old")["deprecation"] == "old"
    models("delete", "vehicles:2")
    assert models("gc", "--hours", "0")["blobs"] == 1
    assert "vehicles:2" in models("resolve", "vehicles:2", code=3).err


def test_what_people_are_shown_and_told(tmp_path):
    weights = tmp_path / "weights.bin"
    weights.write_bytes(b"x")
    data = ("--data", tmp_path / "data")
    assert "vehicles:1 registered" in here("models", "register", "vehicles", weights, *data).err
    assert "vehicles:1" in here("models", "list", *data).out
    shown = here("models", "show", "vehicles", *data).out
    assert "weights.bin" in shown
    assert "sha256:" in here("models", "resolve", "vehicles:1", *data).out
    for wrong, code in (
        (("register", "vehicles", weights, "--metric", "mAP"), 2),
        (("register", "vehicles", weights, "--metric", "mAP=good"), 2),
        (("register", "vehicles", tmp_path / "nowhere"), 4),
        (("register", "no name", weights), 4),
        (("list", "--where", "nonsense"), 2),
        (("promote", "vehicles:9", "prod"), 3),
    ):
        done = here("models", *wrong, *data)
        assert done.code == code, (wrong, done.err)
