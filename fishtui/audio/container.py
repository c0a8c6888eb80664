"""Read the sound of containers that libsndfile does not read, such as m4a, mp4, mkv, webm and wma, with libav."""

from __future__ import annotations

from collections.abc import Iterator
from io import FileIO
from itertools import chain
from typing import Any

import numpy as np

from fishtui.audio.faults import CONVERT, AudioError, damaged, not_audio, truncated
from fishtui.audio.libav import LibavStream
from fishtui.errors import loading

# Containers of sound and of films. Others refer to further files or to the network, as playlists do.
DEMUXERS = (
    "mov,matroska,asf,aac,amr,amrnb,amrwb,ape,avi,flv,mpeg,mpegts,mpegvideo,wv,tta,tak,voc,sox,dsf,iff,mpc,mpc8,rm,shn,"
    "ac3,eac3,dts,dtshd,truehd,mlp,caf,mxf,nut,ogg,mp3,wav,aiff,flac,au,w64,gxf,qcp,gsm,loas,latm,adts"
)
OPTIONS = {"format_whitelist": DEMUXERS, "protocol_whitelist": "crypto"}
# Gaps in the sound that are filled with silence, in seconds; a player waits there too.
LEAST_GAP_S, MOST_GAP_S = 0.1, 12 * 3600.0
# How much shorter the sound may be than the container, in seconds and as a share.
SHORTER_S, SHORTER_SHARE = 5.0, 0.05
FILL_FRAMES = 1 << 18


class ContainerStream(LibavStream):
    """The best stream of sound in a container; time 0 is where a player begins.

    `seconds` is the length that the container names, 0.0 if it names none; `streams` is the number of its streams of
    sound, and `language` names that of this one, if known.
    """

    def __init__(self, source: FileIO) -> None:
        """Raises AudioError: `not-audio`, `no-audio-stream` for a film without sound, `no-decoder` if protected."""
        with loading("av"):
            import av
        try:
            self._container: Any = av.open(source, "r", options=OPTIONS)
        except (av.error.FFmpegError, ValueError, OSError) as error:
            raise not_audio() from error
        try:
            self._choose()
        except BaseException:
            self._container.close()
            raise

    def blocks(self, count: int) -> Iterator[np.ndarray]:
        """Yield float32 samples of shape (frames, channels), about `count` frames at a time.

        Raises AudioError if the sound ends long before the container does.
        """
        frames = 0
        for block in super().blocks(count):
            frames += len(block)
            yield block
        lacking = self.seconds - frames / self.rate
        if lacking > max(SHORTER_S, SHORTER_SHARE * self.seconds):
            raise truncated(f"{frames / self.rate:,.0f} of {self.seconds:,.0f} s can be decoded")

    def _choose(self) -> None:
        """Select the stream, and decode its first frame: only that shows the rate of some codecs."""
        container = self._container
        self.streams = len(container.streams.audio)
        stream = container.streams.best("audio")
        if stream is None:
            raise AudioError("the file contains no sound", "Choose a recording with sound.", code="no-audio-stream")
        self._stream = stream
        if stream.codec_context is None:
            raise _no_decoder()
        self.format = container.format.name.split(",")[0].upper()
        self.subtype = "PCM_16"
        self.language = str(stream.metadata.get("language", ""))
        self.seconds = float(stream.duration * stream.time_base) if stream.duration else (container.duration or 0) / 1e6
        self._frames_left = self._frames()
        first = next(self._frames_left, None)
        if first is None:
            raise AudioError("the file contains no audio", CONVERT, "empty-audio", code="no-samples")
        self.rate, self.channels = first.sample_rate, first.layout.nb_channels
        self._frames_left = chain([first], self._frames_left)

    def _frames(self) -> Iterator[Any]:
        import av

        try:
            for packet in self._container.demux(self._stream):
                try:
                    yield from packet.decode()
                except av.error.InvalidDataError:
                    # A damaged packet; the gap is filled, so the times behind it are right.
                    continue
        except (av.error.FFmpegError, ValueError) as error:
            raise damaged("its samples cannot be decoded") from error

    def _decoded(self) -> Iterator[np.ndarray]:
        position = 0
        # Players begin at the first sound or picture; the times of a broadcast count from any moment.
        origin = (self._container.start_time or 0) / 1e6
        for frame in self._frames_left:
            if frame.time is not None:
                gap = frame.time - origin - position / self.rate
                if gap > MOST_GAP_S:
                    raise damaged(f"its sound has a gap of {gap / 3600:,.0f} hours")
                if gap > LEAST_GAP_S:
                    for block in _silence(round(gap * self.rate), self.channels):
                        position += len(block)
                        yield block
            samples = self._samples(frame)
            position += len(samples)
            yield samples


def _no_decoder() -> AudioError:
    return AudioError(
        "the sound is in a format that cannot be decoded, or is protected",
        f"Play it in a program that can open it, and export it as wav. {CONVERT}",
        code="no-decoder",
    )


def _silence(frames: int, channels: int) -> Iterator[np.ndarray]:
    for start in range(0, frames, FILL_FRAMES):
        yield np.zeros((min(FILL_FRAMES, frames - start), channels), np.float32)
