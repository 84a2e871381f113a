"""Who takes part. A further contender is a function in a module of its own and an entry here.

The first of those that take part is what the others are compared with.
"""

from __future__ import annotations

from ispdsl.bench import by_hand, halide_by_hand, libraw, lowered, ours
from ispdsl.bench.contender import Contender, Package

BY_HAND = "an unsharp mask and eight pointwise stages by hand"

PLAIN = Contender("eager", "the pipeline's composite in plain torch", ours.forward, ours.gradient)
"""What runs every pipeline of programs."""

OURS = (
    Contender("halide", "the pipeline lowered to Halide, for this size and these settings", lowered.forward),
    PLAIN,
    Contender(
        "compiled",
        "the pipeline's composite by torch.compile, for this size",
        ours.forward_compiled,
        ours.gradient_compiled,
        programs=("c++", "g++", "clang++"),
    ),
)
"""Ways to run the pipeline itself."""

RIVALS = (
    Contender(
        "halide-by-hand",
        "Malvar's demosaic, an unsharp mask and eight pointwise stages, written and scheduled by hand in Halide",
        halide_by_hand.halide,
    ),
    *(
        Contender(f"libraw-{name.lower()}", f"LibRaw's own development to sRGB, demosaic {name}", libraw.develops(name))
        for name in ("LINEAR", "PPG", "AHD", "DHT")
    ),
    Contender(
        "opencv",
        f"OpenCV's bilinear demosaic, {BY_HAND} in numpy",
        by_hand.opencv,
        packages=(Package("cv2", "opencv-python-headless"),),
    ),
    Contender(
        "colour-demosaicing",
        f"its Malvar demosaic, {BY_HAND} in numpy",
        by_hand.colour_demosaicing,
        packages=(Package("colour_demosaicing", "colour-demosaicing"),),
    ),
    Contender("kornia", f"its bilinear demosaic, {BY_HAND} in torch", by_hand.kornia),
)
"""What a user would take instead."""

CONTENDERS = (*OURS, *RIVALS)
