"""Frames of videos and cameras in, annotated videos out: the only file that knows PyAV, which the extra `video` brings.

It is loaded only when a video is named. Its wheels bundle FFmpeg, which is under the LGPL: sightline neither contains nor
needs it. Only codecs with a permissive or no-fee encoder are used for writing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from sightline.errors import DataError, ResourceError
from sightline.storage.text import printable

CAMERA = "camera:"
VIDEO_SUFFIXES = frozenset((".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".mts", ".wmv", ".flv"))
CODECS = ("libopenh264", "mpeg4")  # BSD; part of FFmpeg itself
Frame = tuple[int, float, UInt8[np.ndarray, "h w 3"]]
_SYSTEMS = {"linux": ("v4l2", "/dev/video{}"), "darwin": ("avfoundation", "{}"), "win32": ("dshow", "video={}")}
RATE = 25


def _av() -> Any:
    try:
        import av
    except ImportError as error:
        raise ResourceError(
            "videos need PyAV, which is not installed", "run: pip install 'sightline[video]'"
        ) from error
    return av


def _open(path: str) -> Any:
    av = _av()
    try:
        if not path.startswith(CAMERA):
            return av.open(path)
        kind, address = _SYSTEMS.get(sys.platform, _SYSTEMS["linux"])
        return av.open(address.format(path.removeprefix(CAMERA) or "0"), format=kind)
    except (av.FFmpegError, OSError, ValueError) as error:
        what = "camera" if path.startswith(CAMERA) else "video"
        hint = "check its number" if what == "camera" else "check that it plays elsewhere"
        raise DataError(f"the {what} {printable(path)} cannot be read: {_reason(error)}", hint) from error


def frames_of(path: str, every: int = 1) -> Iterator[Frame]:
    """Number, time in seconds and pixels of each `every`-th frame, upright. A damaged end is where the video ends; DataError
    for one without a frame."""
    av, number = _av(), -1
    with _open(path) as container:
        stream = next(iter(container.streams.video), None)
        if stream is None:
            raise DataError(f"{printable(path)} has no pictures in it", "name a video")
        stream.thread_type = "AUTO"
        try:
            for number, frame in enumerate(container.decode(stream)):
                if number % every == 0:
                    time_s = frame.time if frame.time is not None else number / float(stream.average_rate or RATE)
                    turns = round(getattr(frame, "rotation", 0) / 90) % 4
                    yield (
                        number,
                        round(float(time_s), 6),
                        np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), turns)),
                    )
        except av.FFmpegError as error:
            if number < 0:
                raise DataError(
                    f"{printable(path)} cannot be decoded: {_reason(error)}", "convert it to MP4"
                ) from error


def rate_of(path: str) -> Fraction:
    """Frames a second."""
    with _open(path) as container:
        stream = next(iter(container.streams.video), None)
        rate = stream.average_rate if stream is not None else None
    return Fraction(rate).limit_denominator(1001) if rate else Fraction(RATE)


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()


class VideoWriter:
    """An MP4 of frames of one size. `add` each (h, w, 3), then `close`."""

    def __init__(self, path: Path, rate: Fraction) -> None:
        self._av, self.path, self._rate = _av(), path, rate
        self._container = self._av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        self._stream: Any = None

    def add(self, picture: UInt8[np.ndarray, "h w 3"]) -> None:
        if self._stream is None:
            self._stream = self._begin(*picture.shape[:2])
        height, width = self._stream.height, self._stream.width
        part = picture[:height, :width]  # a legend may be taller than that of the first frame, or lower
        missing = ((0, height - part.shape[0]), (0, width - part.shape[1]), (0, 0))
        sized = np.pad(part, missing, mode="edge")  # encoders take even sides
        for packet in self._stream.encode(self._av.VideoFrame.from_ndarray(sized, format="rgb24")):
            self._container.mux(packet)

    def _begin(self, height: int, width: int) -> Any:
        for name in CODECS:
            try:
                stream = self._container.add_stream(name, rate=self._rate)
            except (self._av.FFmpegError, ValueError):
                continue
            stream.height, stream.width, stream.pix_fmt = height + height % 2, width + width % 2, "yuv420p"
            stream.bit_rate = max(1_000_000, int(0.15 * height * width * float(self._rate)))
            return stream
        raise ResourceError("this PyAV has no encoder for MP4", f"install one with {' or '.join(CODECS)}")

    def close(self) -> None:
        if self._stream is not None:
            for packet in self._stream.encode():
                self._container.mux(packet)
        self._container.close()
