"""LibRaw through rawpy: from the decoded mosaic to sRGB of 16 bits, in its own way."""

from __future__ import annotations

from ispdsl.bench.contender import Call, ContenderError, Prepare
from ispdsl.bench.job import Job


def develops(algorithm: str) -> Prepare:
    """LibRaw with one of its demosaics: black, white balance, demosaic, colour matrix, sRGB curve.

    Args:
        algorithm: its name in `rawpy.DemosaicAlgorithm`.
    """

    def prepare(job: Job) -> Call:
        import rawpy

        chosen = rawpy.DemosaicAlgorithm[algorithm]
        if not chosen.isSupported:
            raise ContenderError(f"this LibRaw has no {algorithm}", "install the rawpy of PyPI, which has it")
        try:
            raw = rawpy.imread(job.raw)
            raw.raw_image  # noqa: B018 - decodes the file, which is not what is timed
        except (rawpy.LibRawError, OSError) as error:
            raise ContenderError(
                f"LibRaw does not open {job.raw}: {error}", "give --size, which writes a DNG"
            ) from error

        def call() -> object:
            return raw.postprocess(
                demosaic_algorithm=chosen,
                use_camera_wb=True,
                no_auto_bright=True,
                output_bps=16,
                gamma=(2.4, 12.92),
                user_flip=0,
            )

        return call

    return prepare
