"""Properties that are equations between results: what undoes what, and what may be pulled out of a stage."""

from __future__ import annotations

from ispdsl.catalogue.page import EVERYWHERE, ROUNDING, WHEN, WITHIN, Page, stage, with_property

_GAIN = stage("gain(image: rgb<S, f32>) -> rgb<S, f32>", "slider ev in -4ev..4ev = 0ev")

_OFFSET = stage("offset(image: rgb<S, f32>) -> rgb<S, f32>", "slider amount in -10%..10% = 0%")

_CLIP = stage("clip_to(image: rgb<S, f32>) -> rgb<S, unit>", "slider level in 0.5..1 = 1")

_ENCODE = stage("encode(image: rgb<linear_srgb, unit>) -> rgb<srgb, unit>")

_DECODE = stage("decode(image: rgb<srgb, unit>) -> rgb<linear_srgb, unit>")

_POWER = stage("power(image: rgb<S, f32>) -> rgb<S, f32>", "slider gamma in 0.5..2 = 1")

ALGEBRA: tuple[Page, ...] = (
    Page(
        name="identity",
        title="gives back its image, at the parameters that `when` states",
        usage="property identity [when CONDITION] [within V]",
        meaning="f(x; p) = x for every image x, at the p that `when` states. Parameters, metadata, statistics and "
        "further images that `when` leaves out are not at rest: it holds at every value of theirs. Results are "
        "compared with the images in their order.",
        parts=(WHEN, WITHIN),
        tried="All images, at every legal setting that meets `when`; `f32` brings values below 0 and above 1.",
        tolerance=ROUNDING,
        catches="A neutral point that is off, a hidden clamp, a blend the wrong way round, a border treated apart, "
        "swapped channels.",
        seen=(
            ("tone.exposure", "property identity when ev == 0ev and bias == 0ev"),
            ("chroma.chroma_subsample", "property identity when format == yuv444"),
        ),
        right=with_property(_GAIN, "property identity when ev == 0ev"),
        line="property identity when ev == 0ev",
        wrong="property identity in ev",
        code="E507",
    ),
    Page(
        name="linear",
        title="f(a x + b y) = a f(x) + b f(y), in the image or what `in` names",
        usage="property linear [in NAMES] [when CONDITION] [within V]",
        meaning="f(a x + b y) = a f(x) + b f(y) for images x, y and numbers a, b of either sign; so f(0) = 0. "
        "Parameters, metadata and statistics are held fixed. A constant offset makes it affine.",
        parts=(
            ("in NAMES", "what x stands for, all of the names at once, the rest fixed; left out: all images at once"),
            WHEN,
            WITHIN,
        ),
        tried="Pairs of images; a, b of -2..2 (0 or more, together at most 1, for `unit` images, parameters, and under "
        "`when`); at every legal setting.",
        tolerance=ROUNDING,
        catches="A clamp, a missing or doubled offset, a threshold, a rounding, weights that depend on the image.",
        seen=(("demosaic.malvar", "property linear"), ("chroma.chroma_denoise", "property linear in chroma")),
        right=with_property(_GAIN, "property linear"),
        line="property linear",
        wrong="property linear image",
        code="E507",
    ),
    Page(
        name="affine",
        title="f - f(0) is linear, in the image or what `in` names",
        usage="property affine [in NAMES] [when CONDITION] [within V]",
        meaning="f(a x + (1 - a) y) = a f(x) + (1 - a) f(y) for images x, y and numbers a: linear but for a constant. "
        "Parameters, metadata and statistics are held fixed.",
        parts=(
            (
                "in NAMES",
                "what x stands for, all of the names at once, the rest fixed; `in amount` says that a parameter blends "
                "linearly; left out: all images at once",
            ),
            WHEN,
            WITHIN,
        ),
        tried="Pairs of images (or of values of what `in` names) and a of 0..1, at every legal setting.",
        tolerance=ROUNDING,
        catches="A clamp below black or above white, a rounding, a gain that depends on the image.",
        seen=(("raw.black_white", "property affine"), ("local_tone.clahe", "property affine in amount")),
        right=with_property(_OFFSET, "property affine"),
        line="property affine",
        wrong="property affine in amuont",
        code="E211",
    ),
    Page(
        name="homogeneous",
        title="f(a x) = a^n f(x) for a > 0, in the image or what `in` names; the degree n is 1 or the number behind",
        usage="property homogeneous [N] [in NAMES] [when CONDITION] [within V]",
        meaning="f(a x) = a^N f(x) for every a > 0: what the stage does hangs on ratios of light and not on exposure. "
        "Parameters, metadata and statistics are held fixed.",
        parts=(
            ("N", "the degree; 1 without it; 0: the result does not depend on exposure at all"),
            ("in NAMES", "what is multiplied, all of the names at once, the rest fixed; left out: all images at once"),
            WHEN,
            WITHIN,
        ),
        tried="All images and a of 0.25..4 (0.25..1 for `unit`, parameters and under `when`), at every legal setting.",
        tolerance=ROUNDING,
        catches="An absolute threshold or epsilon, a clamp, an added offset, a missing normalisation.",
        seen=(("demosaic.menon", "property homogeneous"), ("awb.shades_of_grey", "property homogeneous 0")),
        right=with_property(
            stage("brightest(image: rgb<S, f32>) -> vector<3>"), "property homogeneous 1 when image >= 0"
        ),
        line="property homogeneous 1 when image >= 0",
        wrong="property homogeneous 0..1",
        code="E507",
    ),
    Page(
        name="monotone",
        title="does not fall as the image or the parameter that `in` names rises",
        usage="property monotone in NAMES [when CONDITION] [within V]",
        meaning="If x <= y at every pixel then f(x) <= f(y) at every pixel. For a parameter: if p <= q then "
        "f(x; p) <= f(x; q) at every pixel; a curve or table rises where no element falls, a toggle from off to on; "
        "a choice has no order. Equal is allowed.",
        parts=(
            ("in NAMES", "what rises: each name apart, all others fixed; it must be there"),
            WHEN,
            ("within V", "how far a value may fall, absolute"),
        ),
        tried="An image and the same raised at some pixels or at all; pairs of legal values of a parameter.",
        tolerance=ROUNDING,
        catches="A wrong sign, a curve with a dip or an overshoot, integer overflow, a dark halo, a gain that turns "
        "over at the end of its range.",
        seen=(
            ("tone.exposure", "property monotone in ev when image >= 0"),
            ("demosaic.bilinear", "property monotone in mosaic"),
        ),
        right=with_property(_GAIN, "property monotone in image", "property monotone in ev when image >= 0"),
        line="property monotone in ev when image >= 0",
        wrong="property monotone",
        code="E507",
    ),
    Page(
        name="inverse",
        title="negating the parameter that `in` names undoes the stage",
        usage="property inverse in NAMES [when CONDITION] [within V]",
        meaning="f(f(x; p); -p) = x for every image x, with all other parameters, metadata and statistics the same "
        "both times.",
        parts=(
            ("in NAMES", "the parameter p; it must be there; several are negated at once"),
            WHEN,
            WITHIN,
        ),
        tried="All images, at every p of which -p is legal too.",
        tolerance=ROUNDING,
        catches="A clamp, a factor other than the unit says (2 for a stop), asymmetric ends, a rounding.",
        seen=(
            ("tone.exposure", "property inverse in ev when bias == 0ev"),
            ("raw.digital_gain", "property inverse in gain"),
        ),
        right=with_property(_GAIN, "property inverse in ev"),
        line="property inverse in ev",
        wrong="property inverse",
        code="E507",
    ),
    Page(
        name="idempotent",
        title="f(f(x)) = f(x)",
        usage="property idempotent [when CONDITION] [within V]",
        meaning="f(f(x)) = f(x): the second time changes nothing. Parameters, metadata and statistics are the same "
        "both times. The result must be an image that the stage takes.",
        parts=(WHEN, WITHIN),
        tried=EVERYWHERE,
        tolerance=ROUNDING,
        catches="A clip or a rounding whose result is not at rest: wrong number of steps, half a step off, limits "
        "that are scaled once more.",
        seen=(("tone.clip", "property idempotent"), ("output.quantise", "property idempotent")),
        right=with_property(_CLIP, "property idempotent when level == 1"),
        line="property idempotent when level == 1",
        wrong="property idempotent in image",
        code="E507",
    ),
    Page(
        name="round_trips",
        title="the stage named undoes it",
        usage="property round_trips with STAGES [when CONDITION] [within V]",
        meaning="S(f(x)) = x, f at every legal setting; S shares the parameters and metadata that have the same "
        "name, its others are at their defaults. Several results of f become the images of S in their order. This is "
        "one direction: f(S(x)) = x is a line of S.",
        parts=(
            ("with STAGES", "S, declared in the file or imported; several: each apart"),
            WHEN,
            ("within V", WITHIN[1] + "; measured on x"),
        ),
        tried="All images within what both take; 0..1 where a type on the way is `unit`.",
        tolerance=ROUNDING,
        catches="One of a pair changed without the other: a constant, a knee, a matrix, an order of planes.",
        seen=(
            ("chroma.ycbcr", "property round_trips with rgb_from_ycbcr"),
            ("output.to_u8", "property round_trips with from_u8 within 0.002"),
        ),
        right=_DECODE + "\n" + with_property(_ENCODE, "property round_trips with decode within 0.000001"),
        line="property round_trips with decode within 0.000001",
        wrong="property round_trips with decoder",
        code="E201",
    ),
    Page(
        name="equivalent",
        title="the stage named gives the same, or another implementation of this one",
        usage="property equivalent to NAMES [when CONDITION] [within V]",
        meaning="g(x) = f(x) for every image x: two ways to one result, such as a method chosen by a parameter and a "
        "stage of its own. Images go by their order; g shares the parameters and metadata that have the same name, "
        "its others are at their defaults. Implementations of one stage are compared "
        "unasked (`implied`: agreement).",
        parts=(
            ("to STAGE", "g, declared in the file or imported, of the same types; several: each apart"),
            (
                "to program, proxy, executor",
                "g is that implementation of this stage: says by `within` how well they agree",
            ),
            WHEN,
            ("within V", WITHIN[1] + "; measured on the result"),
        ),
        tried="All images, at every legal setting that `when` leaves.",
        tolerance=ROUNDING,
        catches="A choice wired to the wrong branch, a fast path that differs at the border, a port that drifted.",
        seen=(
            ("demosaic.demosaic", "property equivalent to malvar when method == malvar"),
            ("awb.shades_of_grey", "property equivalent to grey_world when p == 1 and image >= 0"),
        ),
        right=stage("square(image: rgb<S, f32>) -> rgb<S, f32>")
        + "\n"
        + with_property(_POWER, "property equivalent to square when gamma == 2 and image >= 0"),
        line="property equivalent to square when gamma == 2 and image >= 0",
        wrong="property equivalent to squared when gamma == 2",
        code="E201",
    ),
)
"""Pages of the equations."""
