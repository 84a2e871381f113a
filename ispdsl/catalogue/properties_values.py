"""Properties of values and gradients, and what holds of every stage unwritten."""

from __future__ import annotations

from ispdsl.catalogue.page import EVERYWHERE, ROUNDING, WHEN, WITHIN, Page, stage, with_property

_CURVE = stage("shoulder(image: rgb<S, f32>) -> rgb<S, f32>", "slider amount in 0%..100% = 50%")

_SATURATION = stage("saturate(image: rgb<linear_srgb, f32>) -> rgb<linear_srgb, f32>", "slider amount in 0..2 = 1")

_DITHER = stage("grain(image: rgb<S, f32>) -> rgb<S, f32>", "slider amount in 0%..10% = 0%")

VALUES: tuple[Page, ...] = (
    Page(
        name="range",
        title="the output lies in the range",
        usage="property range LOW..HIGH [when CONDITION] [within V]",
        meaning="LOW <= f(x) <= HIGH for every value of every result. The types already promise theirs: `unit` is "
        "0..1 and `uN` is 0..2^N - 1; write this line where the type is wider, mostly with a `when` on the image.",
        parts=(
            ("LOW..HIGH", "both ends included, in the scale of the output"),
            WHEN,
            ("within V", "how far outside a value may lie, absolute"),
        ),
        tried=EVERYWHERE,
        tolerance=ROUNDING,
        catches="A missing clip, an overshoot of a filter, weights that do not add up to 1, a wrong scale.",
        seen=(
            ("denoise.bilateral", "property range 0..1 when image >= 0 and image <= 1"),
            ("output.to_u8", "property range 0..255"),
        ),
        right=with_property(_CURVE, "property range 0..1 when image >= 0 and image <= 1"),
        line="property range 0..1 when image >= 0 and image <= 1",
        wrong="property range 1..0",
        code="E403",
    ),
    Page(
        name="preserves",
        title="keeps the quantities named",
        usage="property preserves NAMES [when CONDITION] [within V]",
        meaning="q(f(x)) = q(x) for each quantity q named, at all settings of everything else.",
        parts=(
            ("mean", "the spatial mean of each plane"),
            ("grey", "what has R = G = B has it after too, perhaps at another level; of `chroma`, 0 stays 0"),
            ("luma", "each pixel's luma by the weights of its space; of a `luma` image its values"),
            (
                "hue",
                "each pixel's angle of (2R - G - B, sqrt(3) (G - B)), where it is not grey; a statistic of three "
                "planes has that of the light on a grey scene (of a mosaic: evenly lit), unless it is grey",
            ),
            ("white", "R = G = B = 1 stays R = G = B = 1"),
            ("energy", "the sum of squares over the image"),
            (
                "flat",
                "an image that is the same everywhere gives a result that is; a mosaic of one colour gives that "
                "colour everywhere",
            ),
            ("red, green, blue", "that plane, or the sites of that colour of a mosaic"),
            WHEN,
            WITHIN,
        ),
        tried="All images (`grey`: with equal planes; `white`: all ones), at every legal setting.",
        tolerance=ROUNDING,
        catches="Swapped channels, a matrix whose rows do not add up to 1, weights of the wrong space, a kernel that "
        "does not add up to 1, a gain per channel where one was meant.",
        seen=(("tone.exposure", "property preserves hue"), ("colour.srgb", "property preserves grey")),
        right=with_property(_SATURATION, "property preserves luma, grey, white"),
        line="property preserves luma, grey, white",
        wrong="property preserves colour",
        code="E507",
    ),
    Page(
        name="deterministic",
        title="the same input gives the same output, bit for bit",
        usage="property deterministic [when CONDITION]",
        meaning="f(x; p) is the same, bit for bit, whenever it is called: twice in a row, and with calls on other "
        "images and settings between; and the images given in are not written to. "
        "A stage that makes noise must take its seed as a parameter.",
        parts=(WHEN,),
        tried=EVERYWHERE,
        tolerance="None: every bit.",
        catches="State between calls, a cache with too small a key, unseeded noise, sums in an order that changes.",
        seen=(("tone.exposure", "property deterministic"), ("demosaic.malvar", "property deterministic")),
        right=with_property(_DITHER, "property deterministic"),
        line="property deterministic",
        wrong="property deterministic when sigma == 0",
        code="E211",
    ),
    Page(
        name="differentiable",
        title="gradients agree with finite differences, in everything or what `in` names",
        usage="property differentiable [in NAMES] [when CONDITION]",
        meaning="The derivative by forward mode (jvp) is the slope that finite differences show, and reverse mode "
        "(vjp) gives the same, wherever f is smooth; at a kink, where the slopes to both sides disagree, "
        "nothing is asked.",
        parts=(
            (
                "in NAMES",
                "the images and parameters that move; left out: all images, sliders, registers and tables but those "
                "that `when` sets by ==",
            ),
            WHEN,
        ),
        tried="Random directions, images away from ties and within 0..1, at every legal setting.",
        tolerance="0.5 % of the largest slope (step 1e-6, float64); forward to reverse mode 1e-6.",
        catches="A detached or zeroed gradient, a rounding or clamp where values still move, a wrong hand-written "
        "backward, NaN at 0.",
        seen=(
            ("tone.exposure", "property differentiable"),
            ("awb.grey_world", "property differentiable when image >= 0.01"),
        ),
        right=with_property(_CURVE, "property differentiable in image, amount"),
        line="property differentiable in image, amount",
        wrong="property differentiable in imgae",
        code="E211",
    ),
    Page(
        name="lipschitz",
        title="differences grow at most by the factor `within`",
        usage="property lipschitz [when CONDITION] within L",
        meaning="max |f(x) - f(y)| <= L max |x - y| over all values, for all images x, y at one setting of the rest. "
        "For a linear filter the smallest L is the largest sum of absolute weights.",
        parts=(("within L", "the factor; it must be there; not a tolerance"), WHEN),
        tried="Pairs of images, near and far, at every legal setting.",
        tolerance=ROUNDING,
        catches="A gain or slope too steep, a kernel not normalised, a division by nearly 0, a jump.",
        seen=(("demosaic.bilinear", "property lipschitz within 1"), ("tone.clip", "property lipschitz within 1")),
        right=with_property(_CURVE, "property lipschitz within 2"),
        line="property lipschitz within 2",
        wrong="property lipschitz",
        code="E507",
    ),
)
"""Pages of values and gradients."""

IMPLIED = Page(
    name="implied",
    title="what is tested of every stage and pipeline without a line",
    usage="",
    meaning="The declaration is a promise too. These names stand in reports; they are no properties and cannot be "
    "written.",
    parts=(
        (
            "types",
            "each result has its planes and, unless the footprint is global, the rows and columns of the input; "
            "`unit` lies within 0..1 (`chroma` -0.5..0.5), `uN` within 0..2^N - 1; no NaN, no "
            "infinity; what goes in is not written to",
        ),
        (
            "responds",
            "of stages' programs: every parameter, every option beside every other, every value of metadata and every "
            "statistic changes the result of some call; what changes none in 300 calls does nothing",
        ),
        (
            "batches",
            "of programs: several images at once, with one setting or with one each, give what each gives alone",
        ),
        (
            "precision",
            "of programs: float32 agrees with float64 to 1e-3 of the largest value (but for a tenth of the values, or "
            "4 pixels, where a decision may fall the other way); bfloat16 runs and is finite, unless an input holds "
            "integer codes; each gives its own dtype back",
        ),
        ("exports", "of programs: torch.export takes it, and what comes out computes the same"),
        ("agreement", "where a stage has several implementations: program, proxy and executor give the same"),
    ),
    tried="Images: flat (black and saturated too), impulse, gradient, edge, checker, noise and natural scenes; 2x2 and "
    "up, odd sizes; `f32` with some values in -0.1..4, `unit` 0..1, `chroma` -0.5..0.5, `uN` whole codes. Mosaics: "
    "every CFA name. Settings: each choice and toggle, ends and inside of soft and hard ranges, first and last codes.",
    tolerance="Of every line. Programs: rounding, 1e-7 of the largest value in float64; `within` loosens it where the "
    "stage has programs only. Proxies and executors: `within`, without it 0.02; a program beside them is held exactly.",
    catches="A missing clip, a swapped or lost plane, a write into the input, a reduction over the batch, 0/0, "
    "overflow in float32, a branch on data.",
    seen=(),
    right=with_property(_CURVE, "property pointwise"),
    line="property pointwise",
    wrong="property finite",
    code="E210",
)
"""The page of what is tested unwritten."""
