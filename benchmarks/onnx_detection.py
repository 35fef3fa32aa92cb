"""Detection by an ONNX network, beside the script that people write for it.

    python benchmarks/onnx_detection.py [SECONDS]

Both decode a traffic scene of 960 by 540, fit each picture into 640 by 640, run the same network
and take the boxes of the same v8 head. The script is OpenCV from end to end (VideoCapture, resize,
copyMakeBorder, blobFromImage, NMSBoxesBatched). Rounds are interleaved; milliseconds of CPU time a
frame, the least of the rounds, in all and without the network, for batches and for threads; with
more threads wall time too, which they are for. Last, what fitting one picture takes.
"""

from __future__ import annotations

import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from holdfast.media.probe import describe
from holdfast.media.scene import make_scene
from holdfast.media.video_file import VideoFile
from holdfast.media.vision import OnnxDetector, OnnxOptions
from holdfast.media.vision.frames import frames
from holdfast.media.vision.onnx_run import fit_into
from models.onnx_writer import Network

SIDE = 640
ROUNDS = 2


def plain(film: Path, network: Path, batch: int, threads: int) -> int:
    session = opened(network, threads)
    video = cv2.VideoCapture(str(film))
    count, waiting = 0, []
    while True:
        there, picture = video.read()
        if there:
            waiting.append(letterboxed(picture))
            count += 1
        if waiting and (not there or len(waiting) == batch):
            fed = cv2.dnn.blobFromImages(waiting, 1 / 255, swapRB=True)
            for rows in session.run(None, {"images": fed})[0]:
                boxes, scored = rows[:4].T, rows[4:].T
                classes = scored.argmax(1)
                scores = scored.max(1)
                good = scores > 0.25
                cv2.dnn.NMSBoxesBatched(
                    boxes[good].tolist(), scores[good].tolist(), classes[good].tolist(), 0.25, 0.45
                )
            waiting = []
        if not there:
            return count


def letterboxed(picture):
    height, width = picture.shape[:2]
    scale = min(SIDE / width, SIDE / height)
    size = round(width * scale), round(height * scale)
    small = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
    top, left = (SIDE - size[1]) // 2, (SIDE - size[0]) // 2
    return cv2.copyMakeBorder(
        small, top, SIDE - size[1] - top, left, SIDE - size[0] - left,
        cv2.BORDER_CONSTANT, value=(114, 114, 114),
    )  # fmt: skip


def ours(film: Path, network: Path, batch: int, threads: int) -> int:
    count = 0
    with VideoFile(film) as source:
        run = OnnxDetector(str(network), OnnxOptions(batch=batch, threads=threads)).start(
            describe(source)
        )
        for frame in frames(source):
            run.look(frame)
            count += 1
        run.finish()
    return count


def network_alone(network: Path, count: int, batch: int, threads: int) -> float:
    session = opened(network, threads)
    fed = np.zeros((batch, 3, SIDE, SIDE), np.float32)
    began = time.process_time()
    for _ in range(count // batch):
        session.run(None, {"images": fed})
    return time.process_time() - began


def opened(network: Path, threads: int):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    return onnxruntime.InferenceSession(str(network), options, providers=["CPUExecutionProvider"])


def main(seconds: float) -> None:
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "scene.mp4"
        make_scene(film, seconds=seconds)
        network = Network(size=(SIDE, SIDE), thing=(64, 40), stride=8, batch="n").write(
            Path(folder) / "n.onnx"
        )
        print("| batch | threads | script | OnnxDetector | ratio | both without the network |"
              " wall of both |")  # fmt: skip
        print("|---|---|---|---|---|---|---|")
        for batch, threads in ((1, 1), (4, 1), (8, 1), (1, 2), (4, 2)):
            compared(film, network, batch, threads)
        print("| fitting a picture | script | OnnxDetector | ratio |")
        print("|---|---|---|---|")
        script, detector = (1000 * least_of(partial(side, film)) for side in (fitted, ours_fitted))
        print(f"| decoded and letterboxed | {script:.2f} ms | {detector:.2f} ms | "
              f"{script / detector:.2f} |")  # fmt: skip


def compared(film: Path, network: Path, batch: int, threads: int) -> None:
    cpu, wall = {plain: 1e9, ours: 1e9}, {plain: 1e9, ours: 1e9}
    for _ in range(ROUNDS):
        for side in (plain, ours):
            began, started = time.process_time(), time.perf_counter()
            count = side(film, network, batch, threads)
            cpu[side] = min(cpu[side], (time.process_time() - began) / count)
            wall[side] = min(wall[side], (time.perf_counter() - started) / count)
    alone = network_alone(network, 48, batch, threads) / 48
    script, detector = (1000 * cpu[side] for side in (plain, ours))
    rest = f"{script - 1000 * alone:.1f} and {detector - 1000 * alone:.1f} ms"
    walls = " and ".join(f"{1000 * wall[side]:.1f}" for side in (plain, ours))
    print(f"| {batch} | {threads} | {script:.1f} ms | {detector:.1f} ms | "
          f"{script / detector:.2f} | {rest} | {walls} ms |", flush=True)  # fmt: skip


def least_of(work) -> float:
    """The least CPU time of a frame in three rounds."""
    taken = []
    for _ in range(3):
        began = time.process_time()
        count = work()
        taken.append((time.process_time() - began) / count)
    return min(taken)


def fitted(film: Path) -> int:
    video = cv2.VideoCapture(str(film))
    count = 0
    while True:
        there, picture = video.read()
        if not there:
            return count
        cv2.cvtColor(letterboxed(picture), cv2.COLOR_BGR2RGB)
        count += 1


def ours_fitted(film: Path) -> int:
    count = 0
    with VideoFile(film) as source:
        for frame in frames(source):
            fit_into(frame.picture, (SIDE, SIDE))
            count += 1
    return count


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 4.0)
