"""A synthetic camera: photographs unprocessed to noisy raw mosaics, written as real DNG files.

For machines without raws, and for experiments in which the noise-free truth must be known. The method is that of Brooks
et al., "Unprocessing Images for Learned Raw Denoising", CVPR 2019.
"""

from ispdsl.synthetic.camera import SyntheticRaw, synthesise
from ispdsl.synthetic.dng import encode_dng, write_dng
from ispdsl.synthetic.samples import SAMPLE_PHOTOS, sample_photo, write_demo_raw

__all__ = ["SAMPLE_PHOTOS", "SyntheticRaw", "encode_dng", "sample_photo", "synthesise", "write_demo_raw", "write_dng"]
