"""Detection over a real video: Holdfast's whole analysis beside a plain PyAV and OpenCV script.

    python benchmarks/detection.py [VIDEO] [--runs N]     default: vtest.avi of Debian's opencv-doc
    python benchmarks/detection.py --hour                 memory over a made video of one hour

What each side does, both in one process run of its own, in turn:

plain     decode to BGR, MOG2 at full size, opening, dilation, contours, boxes of contours over
          a least area; writes nothing, follows nothing.
holdfast  `analyse`: decode, detect, follow, and write Parquet, JSON Lines, tracks, portraits,
          summary and the annotated H.264 video.

A box of the plain script is matched when one of Holdfast's boxes in the same frame either overlaps
it by an intersection over union of at least 0.3, or holds its centre and covers at least half of
it (a piece of a thing that Holdfast has as one). The looser rule alone could be met by one huge
box, so the strict share and the share of Holdfast's boxes that the plain script confirms are
printed too.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av
import cv2
import numpy as np
import pyarrow.parquet as pq
from timing import peak_memory

from holdfast.media.vision.analysis import analyse
from holdfast.media.vision.detector import Box
from holdfast.media.vision.motion_detector import MotionDetector

LEAST_AREA = 150  # pixels of a contour, in the plain script
INSIDE = "usr/share/doc/opencv-doc/examples/data/vtest.avi"


def plain(path):
    """The script that one would write: boxes by frame."""
    background = cv2.createBackgroundSubtractorMOG2()
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    boxes = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            mask = background.apply(frame.to_ndarray(format="bgr24"))
            mask = cv2.threshold(mask, 200, 255, cv2.THRESH_BINARY)[1]
            mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, kernel)
            mask = cv2.dilate(mask, kernel, iterations=2)
            found = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
            boxes.append(
                [
                    list(cv2.boundingRect(each))
                    for each in found
                    if cv2.contourArea(each) > LEAST_AREA
                ]
            )
    return boxes


def holdfast(path, folder):
    """The whole analysis; everything is written."""
    found = analyse(path, folder, MotionDetector())
    return [track.detections for track in found.tracks]


def side(name, path, folder):
    """Run one side in this process and print what it took as JSON."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = plain(path) if name == "plain" else holdfast(path, folder)
    took = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    peak = peak_memory()
    print(json.dumps({**took, "peak": peak, "result": result}))


def run_side(name, path, folder):
    command = [sys.executable, __file__, str(path), "--side", name, "--folder", str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def matched(one, others, *, strict):
    centre = one.centre
    for other in others:
        if one.likeness(other) >= 0.3:
            return True
        holds = (
            other.x <= centre.x <= other.x + other.width
            and other.y <= centre.y <= other.y + other.height
        )
        if not strict and holds and one.overlap(other) >= 0.5 * one.area:
            return True
    return False


def share(ours, theirs, *, strict):
    """The share of *ours* (boxes by frame) that *theirs* match."""
    pairs = [
        matched(box, theirs[frame], strict=strict)
        for frame, boxes in enumerate(ours)
        for box in boxes
    ]
    return sum(pairs) / max(1, len(pairs))


def compare(path, runs):
    with tempfile.TemporaryDirectory() as folder:
        rows = {"plain": [], "holdfast": []}
        for _ in range(runs):
            for name, taken in rows.items():
                taken.append(run_side(name, path, folder))
        table = pq.read_table(Path(folder, "detections.parquet")).to_pylist()
        video = Path(folder, "annotated.mp4")
        with av.open(str(video)) as container:
            stream = container.streams.video[0]
            shown = f"{stream.codec_context.name} {stream.width}x{stream.height} {stream.pix_fmt}"
            frames = stream.frames
        size = video.stat().st_size / 1e6
    theirs = [[Box(*box) for box in boxes] for boxes in rows["plain"][-1]["result"]]
    ours = [[] for _ in theirs]
    for row in table:
        ours[row["frame"]].append(Box(row["x"], row["y"], row["width"], row["height"]))
    tracks = rows["holdfast"][-1]["result"]
    wall = {name: statistics.median(run["wall"] for run in of) for name, of in rows.items()}
    cpu = {name: statistics.median(run["cpu"] for run in of) for name, of in rows.items()}
    peak = {name: max(run["peak"] for run in of) for name, of in rows.items()}
    print(f"## Detection: {path.name}, {len(theirs)} frames, medians of {runs} runs\n")
    print(versions(), "\n")
    print("| side | wall s | CPU s | peak MB | boxes | writes |")
    print("|---|---|---|---|---|---|")
    for name, boxes, writes in (
        ("plain PyAV + OpenCV", theirs, "nothing"),
        ("holdfast `analyse`", ours, f"results, {frames} frames {shown}, {size:.1f} MB"),
    ):
        key = "plain" if name.startswith("plain") else "holdfast"
        count = sum(map(len, boxes))
        print(
            f"| {name} | {wall[key]:.2f} | {cpu[key]:.2f} | {peak[key]:.0f} | {count} | {writes} |"
        )
    print("\n| measure | value |\n|---|---|")
    print(f"| wall, holdfast / plain | {wall['holdfast'] / wall['plain']:.2f} |")
    print(f"| CPU, holdfast / plain | {cpu['holdfast'] / cpu['plain']:.2f} |")
    print(f"| plain's boxes matched | {share(theirs, ours, strict=False):.1%} |")
    print(f"| the same by IoU >= 0.3 alone | {share(theirs, ours, strict=True):.1%} |")
    print(f"| holdfast's boxes matched by plain's | {share(ours, theirs, strict=False):.1%} |")
    print(f"| tracks | {len(tracks)} |")
    print(f"| median track, frames | {statistics.median(tracks or [0]):.0f} |")


def versions():
    ffmpeg = ".".join(map(str, av.library_versions["libavcodec"]))
    return (
        f"Python {sys.version.split()[0]}, PyAV {av.__version__} (libavcodec {ffmpeg}), "
        f"OpenCV {cv2.__version__}, {cv2.getNumberOfCPUs()} cores"
    )


def make_hour(path, seconds):
    """A small video with a square that crosses every ten seconds, and pauses."""
    rate, width, height = 10, 320, 180
    random = np.random.default_rng(3)
    ground = random.integers(80, 120, (height, width, 3), dtype=np.uint8)
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"preset": "ultrafast"}
        for number in range(seconds * rate):
            picture = ground.copy()
            x = number % (10 * rate) * 6 - 40
            cv2.rectangle(picture, (x, 70), (x + 36, 110), (220, 220, 240), -1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())


def hour():
    """Print the peak of resident memory after 5, 30 and 60 minutes of one video."""
    marks = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "hour.mp4")
        make_hour(path, 3600)
        start = time.perf_counter()

        def note(done, _total):
            for minute in (5, 30, 60):
                if minute not in marks and done >= minute * 600:
                    marks[minute] = peak_memory()

        before = peak_memory()
        found = analyse(path, Path(folder, "out"), MotionDetector(), progress=note)
        took = time.perf_counter() - start
    print("## Memory: a made video of one hour, 36,000 frames of 320x180\n")
    print(versions(), "\n")
    print("| minute of video | peak resident MB |")
    print("|---|---|")
    print(f"| before | {before:.0f} |")
    for minute, peak in marks.items():
        print(f"| {minute} | {peak:.0f} |")
    print(f"\n{len(found.tracks)} tracks, {found.detections} detections, {took:.0f} s.")


def fetch(folder):
    """vtest.avi, unpacked from Debian's package into *folder*."""
    try:
        subprocess.run(["apt-get", "download", "opencv-doc"], cwd=folder, check=True)
        package = next(Path(folder).glob("opencv-doc*.deb"))
        subprocess.run(["dpkg", "-x", package.name, "."], cwd=folder, check=True)
    except (OSError, subprocess.CalledProcessError, StopIteration) as error:
        sys.exit(f"vtest.avi can't be had from Debian's opencv-doc ({error}); give a video's path")
    return Path(folder, INSIDE)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video", nargs="?", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--hour", action="store_true")
    parser.add_argument("--side", choices=("plain", "holdfast"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.hour:
        hour()
    elif asked.side:
        side(asked.side, asked.video, asked.folder)
    elif asked.video:
        compare(asked.video, asked.runs)
    else:
        with tempfile.TemporaryDirectory() as folder:
            compare(fetch(folder), asked.runs)


if __name__ == "__main__":
    main()
