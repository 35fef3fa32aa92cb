"""Writes an MLflow file store by hand, as MLflow 3 does: MLflow takes seconds to import."""

import yaml

RUN, EXPERIMENT, LOGGED = "297d761349ff4c8893e1fd2edae2cf6c", "557758014750974019", "m-5298791e53ce"


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def write_store(root, at=None):
    """A model with a version of a run, one that is deleted, and one of a logged model.

    *at* is where the store says that it lies.
    """
    at = at or root
    run, logged = root / EXPERIMENT / RUN, root / EXPERIMENT / "models" / LOGGED
    write(run / "meta.yaml", f"run_id: {RUN}\nlifecycle_stage: active\n")
    write(run / "params" / "lr", "0.01")
    write(run / "params" / "opt" / "name", "adam")
    write(run / "params" / "build", "007")
    write(run / "metrics" / "val" / "mAP", "1795941498147 0.9 1\n1795941498146 0.5 0\n")
    write(run / "metrics" / "loss", "1795941498148 nan 0\n")
    write(run / "artifacts" / "model" / "MLmodel", "flavors: {}\n")
    write(run / "artifacts" / "model" / "data" / "w.bin", b"first")
    write(logged / "meta.yaml", f"model_id: {LOGGED}\nsource_run_id: {RUN}\ntags: {{}}\n")
    write(logged / "artifacts" / "MLmodel", "flavors: {onnx: {}}\n")
    write(logged / "metrics" / "f1", f"1795941498226 0.7 0 {RUN}\n")
    model = root / "models" / "vehicles"
    write(model / "meta.yaml", "name: vehicles\ndescription: finds vans\naliases:\n  prod: '1'\n")
    write(model / "tags" / "team", "vision")
    write(model / "aliases" / "prod", "1")
    source = (at / EXPERIMENT / RUN / "artifacts" / "model").as_uri()
    version(root, 1, source=source, storage_location=source, run_id=RUN, description="first")
    write(model / "version-1" / "tags" / "kind", "night")
    version(root, 2, source=source, current_stage="Deleted_Internal")
    version(
        root, 10, source=f"models:/{LOGGED}", model_id=LOGGED, current_stage="Production",
        storage_location=(at / EXPERIMENT / "models" / LOGGED / "artifacts").as_uri(),
    )  # fmt: skip
    return root


def version(root, number, **said):
    meta = {
        "name": "vehicles",
        "version": number,
        "creation_timestamp": 1795941498000 + number,
        "current_stage": "None",
        "user_id": None,
        "run_id": None,
        **said,
    }
    write(root / "models" / "vehicles" / f"version-{number}" / "meta.yaml", yaml.safe_dump(meta))
