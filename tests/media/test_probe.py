import os
import socket
import threading
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition

from holdfast.errors import MediaError
from holdfast.media.probe import probe, thumbnail
from holdfast.media.video_file import VideoFile
from holdfast.media.vision.frames import frames
from media.films import cut, film, sound
from media.hostile import gif


def test_says_what_a_video_is(tmp_path):
    info = probe(film(tmp_path / "a.mp4", frames=50, rate=Fraction(30000, 1001)))
    assert info.frame_rate == Fraction(30000, 1001)
    assert (info.width, info.height, info.frames) == (160, 120, 50)
    assert info.duration == pytest.approx(50 * 1001 / 30000, abs=0.02)
    assert (info.codec, info.has_audio) == ("h264", False)
    assert info.bytes == (tmp_path / "a.mp4").stat().st_size


@pytest.mark.parametrize("turn", [90, -90, 180])
def test_a_turned_video_is_measured_and_read_as_displayed(tmp_path, turn):
    path = film(tmp_path / "a.mp4", frames=20, turn=turn)
    info = probe(path)
    assert (info.width, info.height) == ((160, 120) if turn == 180 else (120, 160))
    with VideoFile(path) as source:
        frame = next(frame for frame in frames(source) if frame.index == 15)
    luma = frame.luma()
    assert luma.shape == (info.height, info.width)
    y, x = (round(value.mean()) for value in np.nonzero(luma > 200))
    # The square stands at (44, 52) of 160x120 before it is turned counter-clockwise.
    assert (x, y) == {
        90: (pytest.approx(52, abs=4), pytest.approx(116, abs=4)),
        -90: (pytest.approx(68, abs=4), pytest.approx(44, abs=4)),
        180: (pytest.approx(116, abs=4), pytest.approx(68, abs=4)),
    }[turn]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MediaError, match="no such file"):
        probe(tmp_path / "none.mp4")


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "a.mp4").touch()
    with pytest.raises(MediaError, match="empty"):
        probe(tmp_path / "a.mp4")


def test_a_folder_and_a_pipe_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    for path in (tmp_path, tmp_path / "pipe.mp4"):
        with pytest.raises(MediaError, match="not a file"):
            probe(path)


@pytest.mark.parametrize(
    "content",
    [b"hello, this is text\n" * 500, os.urandom(40_000), b"\x89PNG\r\n\x1a\n" + b"\0" * 99],
)
def test_what_is_no_video_is_refused(tmp_path, content):
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(MediaError):
        probe(tmp_path / "a.mp4")


def test_a_sound_file_is_called_one(tmp_path):
    with pytest.raises(MediaError, match="sound only"):
        probe(sound(tmp_path / "a.mp4"))


@pytest.mark.parametrize(
    ("kind", "codec"), [("mp4", "libx264"), ("mkv", "libx264"), ("avi", "mpeg4")]
)
def test_a_video_cut_short_is_refused(tmp_path, kind, codec):
    whole = film(tmp_path / f"a.{kind}", frames=100, codec=codec)
    assert probe(whole).frames == 100
    with pytest.raises(MediaError, match="cut short"):
        probe(cut(whole, 0.5, tmp_path / f"b.{kind}"))


def test_a_video_without_frames_is_refused(tmp_path):
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    with pytest.raises(MediaError):
        probe(path)


@pytest.mark.parametrize(
    "name",
    [
        "a b.mp4",
        "a\nb.mp4",
        "-i.mp4",
        "vidéo 東京.mp4",
        "concat:a.mp4",
        "http:a.mp4",
        "%03d.mp4",
        "a",
    ],
)
def test_a_name_means_nothing_but_a_name(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    film(tmp_path / "plain.mp4", frames=10).rename(tmp_path / name)
    assert probe(name).frames == 10


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{url}/a.ts\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile 'other.mp4'\n",
        "ffconcat version 1.0\nfile '{url}/a.mp4'\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nt=0 0\nm=video {port} RTP/AVP 96\n",
        "<?xml version='1.0'?><MPD><BaseURL>{url}</BaseURL></MPD>",
    ],
)
def test_a_file_that_points_elsewhere_is_refused_and_nothing_is_fetched(tmp_path, text):
    film(tmp_path / "other.mp4", frames=10)
    called = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def listen():
            try:
                server.accept()[0].close()
                called.append(True)
            except OSError:
                return

        thread = threading.Thread(target=listen)
        thread.start()
        path = tmp_path / "a.mp4"
        path.write_text(text.format(url=f"http://127.0.0.1:{port}", port=port))
        with pytest.raises(MediaError, match="points elsewhere"):
            probe(path)
        server.shutdown(socket.SHUT_RDWR)
    thread.join()
    assert not called


def test_a_file_that_grows_is_noticed(tmp_path):
    path = film(tmp_path / "a.mp4")
    with VideoFile(path) as source:
        read = sum(1 for _ in frames(source))
        with path.open("ab") as file:
            file.write(b"more")
        with pytest.raises(MediaError, match="changed while"):
            source.check_unchanged()
    assert read == 60


def test_what_is_added_after_opening_is_not_read(tmp_path):
    path = film(tmp_path / "a.ts", frames=30)
    with VideoFile(path) as source:
        data = path.read_bytes()
        with path.open("ab") as file:
            file.write(data)
        assert sum(1 for _ in frames(source)) == 30
    with VideoFile(path) as source:
        assert sum(1 for _ in frames(source)) > 30


def test_a_file_that_vanishes_is_noticed(tmp_path):
    path = film(tmp_path / "a.mp4")
    with VideoFile(path) as source:
        path.unlink()
        with pytest.raises(MediaError, match="vanished"):
            source.check_unchanged()


def test_a_damaged_middle_is_passed_over(tmp_path):
    path = film(tmp_path / "a.avi", frames=100, codec="mpeg4")
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 400] = bytes(400)
    path.write_bytes(data)
    with VideoFile(path) as source:
        times = [frame.time for frame in frames(source)]
    assert 60 < len(times) <= 100
    assert times == sorted(times)


def test_a_thumbnail_shows_something_though_the_film_begins_black(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        stripes = np.tile(np.array([[[0]], [[255]]], np.uint8).repeat(20, 0), (6, 320, 3))
        for number in range(60):
            picture = stripes if number > 30 else np.zeros_like(stripes)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())
    picture = cv2.imdecode(np.frombuffer(thumbnail(path), np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (360, 480, 3)
    assert picture.std() > 60


def wide_pixels(path, *, after=0):
    """360x288 pixels that are 64/45 as wide as high, with a square of 90x128 of them.

    They begin *after* so many seconds of sound.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 360, 288, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(64, 45)
        heard = container.add_stream("aac", rate=44_100) if after else None
        for number in range(20):
            picture = np.full((288, 360, 3), 60, np.uint8)
            picture[80:208, 135:225] = 240
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = number + 25 * after, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        for number in range(after * 44_100 // 1024):
            silence = np.zeros((2, 1024), np.float32)
            part = av.AudioFrame.from_ndarray(silence, format="fltp", layout="stereo")
            part.sample_rate, part.pts = 44_100, number * 1024
            container.mux(heard.encode(part))
        if heard is not None:
            container.mux(heard.encode())
    return path


@pytest.mark.parametrize(("name", "after"), [("a.mp4", 0), ("a.mkv", 40)])
def test_a_video_with_wide_pixels_is_measured_and_read_as_displayed(tmp_path, name, after):
    path = wide_pixels(tmp_path / name, after=after)
    info = probe(path)
    assert (info.width, info.height) == (512, 288)
    with VideoFile(path) as source:
        luma = next(frames(source)).luma()
    assert luma.shape == (288, 512)
    rows, columns = np.nonzero(luma > 150)
    assert np.ptp(columns) == pytest.approx(np.ptp(rows), abs=3)
    picture = cv2.imdecode(np.frombuffer(thumbnail(path), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture.shape == (270, 480)


def test_a_thumbnail_is_shaped_as_the_film_is_measured_where_its_pixels_widen_later(tmp_path):
    path = tmp_path / "a.h264"
    path.write_bytes(b"".join(flat_pictures(aspect) for aspect in (None, Fraction(64, 45))))
    info = probe(path)
    assert (info.width, info.height) == (360, 288)
    picture = cv2.imdecode(np.frombuffer(thumbnail(path), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture.shape == (384, 480)


def flat_pictures(aspect):
    """Half a second of H.264 without a container, of pixels that state *aspect* or nothing."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 360, 288, "yuv420p"
    encoder.time_base = Fraction(1, 25)
    if aspect is not None:
        encoder.sample_aspect_ratio = aspect
    grey = np.full((288, 360, 3), 60, np.uint8)
    pictures = [av.VideoFrame.from_ndarray(grey, format="bgr24") for _ in range(13)]
    for number, picture in enumerate(pictures):
        picture.pts = number
    packets = [packet for picture in [*pictures, None] for packet in encoder.encode(picture)]
    return b"".join(map(bytes, packets))


def with_cover(path):
    """Ten seconds of sound with a cover, as in an mp3 or m4a from a shop."""
    cover = cv2.imencode(".jpg", np.full((64, 64, 3), 200, np.uint8))[1].tobytes()
    with av.open(str(path), "w") as container:
        heard = container.add_stream("aac", rate=48_000)
        seen = container.add_stream("mjpeg", rate=1)
        seen.width, seen.height, seen.pix_fmt = 64, 64, "yuvj420p"
        seen.disposition = Disposition.attached_pic
        container.start_encoding()
        packet = av.Packet(cover)
        packet.stream, packet.pts, packet.dts = seen, 0, 0
        packet.time_base, packet.is_keyframe = seen.time_base, True
        container.mux(packet)
        for number in range(20):
            sound_frame = av.AudioFrame.from_ndarray(
                np.zeros((2, 1024), np.float32), format="fltp", layout="stereo"
            )
            sound_frame.sample_rate, sound_frame.pts = 48_000, number * 1024
            container.mux(heard.encode(sound_frame))
        container.mux(heard.encode())
    return path


def test_a_song_with_a_cover_is_no_film(tmp_path):
    with pytest.raises(MediaError, match="sound only and its cover"):
        probe(with_cover(tmp_path / "a.mp4"))


@pytest.mark.parametrize(
    "head",
    [b"RIFF\x20\0\0\0WEBPVP8 ", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"\0\0\0\x20ftypavif"],
)
def test_a_single_picture_is_called_one(tmp_path, head):
    (tmp_path / "a.mp4").write_bytes(head + b"\0" * 200)
    with pytest.raises(MediaError, match="single picture"):
        probe(tmp_path / "a.mp4")


PICTURES = [".jpg", ".png", ".webp", ".bmp", ".tiff", ".jp2", ".ppm", ".avif"]


@pytest.mark.parametrize("kind", PICTURES)
def test_a_real_picture_is_called_a_single_picture(tmp_path, kind):
    random = np.random.default_rng(0)
    done, data = cv2.imencode(kind, random.integers(0, 255, (64, 64, 3), dtype=np.uint8))
    assert done
    (tmp_path / "a.mp4").write_bytes(data.tobytes())
    with pytest.raises(MediaError, match="single picture"):
        probe(tmp_path / "a.mp4")


def test_a_gif_of_one_picture_and_a_drawing_are_called_single_pictures(tmp_path):
    (tmp_path / "a.gif").write_bytes(gif((64, 48), 1))
    (tmp_path / "a.svg").write_text(
        '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>'
    )
    for name in ("a.gif", "a.svg"):
        with pytest.raises(MediaError, match="single picture"):
            probe(tmp_path / name)
    (tmp_path / "b.gif").write_bytes(gif((64, 48), 2))
    assert probe(tmp_path / "b.gif").frames == 2


@pytest.mark.parametrize("rate", [30, 50, 480])
def test_a_stream_without_a_container_has_its_own_rate(tmp_path, rate):
    path = film(tmp_path / "a.h264", rate=rate, frames=60)
    assert probe(path).frame_rate == rate
    with VideoFile(path) as source:
        times = [frame.time for frame in frames(source)]
    assert len(times) == 60
    assert times[-1] == pytest.approx(59 / rate)


@pytest.mark.parametrize("kind", ["mkv", "ts", "nut"])
def test_a_film_whose_times_begin_late_is_as_long_as_it_is(tmp_path, kind):
    path = film(tmp_path / f"a.{kind}", frames=50, codec="mpeg4" if kind == "nut" else "libx264",
                begins=1000)  # fmt: skip
    assert probe(path).duration == pytest.approx(2.0, abs=0.1)
    if kind == "mkv":
        with pytest.raises(MediaError, match="cut short"):
            probe(cut(path, 0.5, tmp_path / "b.mkv"))
