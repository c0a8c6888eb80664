"""Decode with libav, through PyAV: for streams that libsndfile refuses or reads in part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from fishtui.audio.faults import damaged, not_audio
from fishtui.errors import loading

# Of samples, by libav's name of their format.
SCALES = {"u8": 128.0, "s16": 32_768.0, "s32": 2_147_483_648.0, "flt": 1.0, "dbl": 1.0}
SUBTYPES = {
    "mp3": "MPEG_LAYER_III",
    "mp3float": "MPEG_LAYER_III",
    "mp2": "MPEG_LAYER_II",
    "mp2float": "MPEG_LAYER_II",
    "vorbis": "VORBIS",
    "libvorbis": "VORBIS",
    "opus": "OPUS",
    "libopus": "OPUS",
    "speex": "SPEEX",
    "libspeex": "SPEEX",
    "pcm_f32le": "FLOAT",
    "pcm_f64le": "DOUBLE",
}


class LibavStream:
    """A stream of the libav format `kind`, open for reading; `frames` is None, since libav has only estimates."""

    frames: int | None = None

    def __init__(self, source: BinaryIO, kind: str) -> None:
        """Raises AudioError if it is not audio of that format."""
        with loading("av"):
            import av
        try:
            self._container = av.open(source, "r", format=kind)
        except (av.error.FFmpegError, ValueError, OSError) as error:
            raise not_audio() from error
        audio = self._container.streams.audio
        # Without a description of the samples, the stream has no frame that can be decoded.
        if not audio or audio[0].codec_context.format is None:
            self._container.close()
            raise not_audio()
        self._stream = audio[0]
        codec = self._stream.codec_context
        self.rate, self.channels = codec.sample_rate or 0, codec.layout.nb_channels
        self.format = {"nistsphere": "NIST"}.get(kind, kind.upper())
        self.subtype = SUBTYPES.get(codec.name, "PCM_16" if codec.format.name.startswith("s16") else "PCM_24")

    def blocks(self, count: int) -> Iterator[np.ndarray]:
        """Yield float32 samples of shape (frames, channels), about `count` frames at a time."""
        waiting: list[np.ndarray] = []
        held = 0
        for block in self._decoded():
            waiting.append(block)
            held += len(block)
            if held >= count:
                yield np.concatenate(waiting)
                waiting, held = [], 0
        if waiting:
            yield np.concatenate(waiting)

    def close(self) -> None:
        """Close the container; the file that it reads stays open."""
        self._container.close()

    def _decoded(self) -> Iterator[np.ndarray]:
        import av

        try:
            for packet in self._container.demux(self._stream):
                try:
                    frames = packet.decode()
                except av.error.InvalidDataError:
                    # Such as the rest of a frame that was cut; the length shows whether sound is missing.
                    continue
                for frame in frames:
                    yield self._samples(frame)
        except (av.error.FFmpegError, ValueError) as error:
            raise damaged("its samples cannot be decoded") from error

    def _samples(self, frame) -> np.ndarray:
        if frame.sample_rate != self.rate or frame.layout.nb_channels != self.channels:
            raise damaged("its sample rate or channels change")
        values = frame.to_ndarray()
        values = values.T if frame.format.is_planar else values.reshape(-1, self.channels)
        name = frame.format.name.removesuffix("p")
        samples = values.astype(np.float32)
        if name == "u8":
            samples -= 128.0
        return samples / np.float32(SCALES[name]) if SCALES[name] != 1.0 else samples
