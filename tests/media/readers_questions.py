"""What DuckDB, Polars and Ray say of the detections of several films, as JSON: see readers_trip.py.

    python readers_questions.py FOLDER S3_URL ENDPOINT

It runs in an environment of their own, without Holdfast. Each answers by label how many detections
there are, on how many tracks, and the first and last time. DuckDB reads files, for what it reads S3
with comes from its own servers; Polars and Ray read the bucket as it lies.
"""

import json
import os
import sys

import duckdb
import polars as pl
import pyarrow.fs
import ray


def by_duckdb(folder):
    return duckdb.sql(
        "SELECT label, count(*), count(DISTINCT (filename, track)), min(time), max(time) "
        f"FROM read_parquet('{folder}/*/detections.parquet', filename = true) GROUP BY label"
    ).fetchall()


def by_polars(url, endpoint):
    options = {
        "aws_endpoint_url": endpoint, "aws_allow_http": "true", "aws_region": "us-east-1",
        "aws_access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"],
    }  # fmt: skip
    found = pl.scan_parquet(
        f"{url}/results/*/detections.parquet", storage_options=options, include_file_paths="file"
    )
    grouped = found.group_by(pl.col("label").cast(pl.String)).agg(
        pl.len(),
        pl.struct("file", "track").n_unique().alias("tracks"),
        pl.col("time").min().alias("first"),
        pl.col("time").max().alias("last"),
    )
    return grouped.collect().rows()


def by_ray(url, endpoint):
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    files = pyarrow.fs.S3FileSystem(
        endpoint_override=endpoint.removeprefix("http://"), scheme="http", region="us-east-1"
    )
    place = url.removeprefix("s3://")
    listed = files.get_file_info(pyarrow.fs.FileSelector(f"{place}/results", recursive=True))
    paths = [each.path for each in listed if each.base_name == "detections.parquet"]
    rows = ray.data.read_parquet(
        paths, filesystem=files, include_paths=True, columns=["label", "track", "time"]
    ).take_all()
    ray.shutdown()
    return [
        (
            label,
            len(of := [each for each in rows if each["label"] == label]),
            len({(each["path"], each["track"]) for each in of}),
            min(each["time"] for each in of),
            max(each["time"] for each in of),
        )
        for label in {each["label"] for each in rows}
    ]


if __name__ == "__main__":
    folder, url, endpoint = sys.argv[1:]
    answers = {
        f"DuckDB {duckdb.__version__}": by_duckdb(folder),
        f"Polars {pl.__version__}": by_polars(url, endpoint),
        f"Ray {ray.__version__}": by_ray(url, endpoint),
    }
    print(json.dumps({name: sorted(rows) for name, rows in answers.items()}))
