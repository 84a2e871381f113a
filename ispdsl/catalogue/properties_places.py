"""Properties of where: what a pixel depends on, symmetries, the mosaic, noise and edges."""

from __future__ import annotations

from ispdsl.catalogue.page import ROUNDING, WHEN, WITHIN, Page, stage, with_property

_TONE = stage("tone(image: rgb<S, f32>) -> rgb<S, f32>", "slider amount in 0%..100% = 0%")

_BLUR = stage("blur(image: luma<S, f32>) -> luma<S, f32>", "slider strength in 0%..100% = 0%")

_SHARPEN = stage("crisp(image: luma<S, f32>) -> luma<S, f32>", "slider amount in 0%..100% = 0%")

_DEMOSAIC = stage("my_demosaic(mosaic: raw<C, f32>) -> rgb<camera, f32>")

_ONE_FOOTPRINT = "A stage has one of pointwise, local and global; without any it is global."

PLACES: tuple[Page, ...] = (
    Page(
        name="pointwise",
        title="an output pixel depends on the same input pixel alone",
        usage="property pointwise [when CONDITION] [within V]",
        meaning="y[i, j] = f(x[i, j]) with all planes of x together: a change of one input pixel moves no other output "
        "pixel, and the output has the rows and columns of the input. Position may count (a mosaic's phase, a "
        "vignette, a dither). Statistics of `needs` are held fixed.\n\n" + _ONE_FOOTPRINT,
        parts=(WHEN, ("within V", "how far another pixel may move, absolute")),
        tried="One pixel at a time of one image at a time, corners and borders too, at every legal setting.",
        tolerance=ROUNDING,
        catches="A neighbour read by an off-by-one, a normalisation by the mean or maximum of the image.",
        seen=(("tone.exposure", "property pointwise"), ("raw.black_white", "property pointwise")),
        right=with_property(_TONE, "property pointwise"),
        line="property pointwise",
        wrong="property pointwise\n  property local within 1px",
        code="E505",
    ),
    Page(
        name="local",
        title="an output pixel depends on input pixels at most `within` away",
        usage="property local [when CONDITION] within Npx",
        meaning="y[i, j] depends on x[k, l] only where max(|i - k|, |j - l|) <= N; the output has the rows and "
        "columns of the input. In a mosaic sites are counted, not 2x2 blocks. Tiles get a halo of N pixels, so a "
        "small N is cheap and a wrong one is seen as seams. Statistics of `needs` are held fixed.\n\n" + _ONE_FOOTPRINT,
        parts=(
            ("within Npx", "the radius N at the largest legal setting, a whole number of pixels; not a tolerance"),
            WHEN,
        ),
        tried="One pixel at a time of one image at a time, borders too, at every legal setting; images of up to 48 px, "
        "so that a farther reach goes unseen.",
        tolerance=ROUNDING,
        catches="A window wider than said, a recursion or second pass that reaches farther, a global normalisation.",
        seen=(("demosaic.malvar", "property local within 2px"), ("denoise.bilateral", "property local within 7px")),
        right=with_property(_BLUR, "property local within 3px"),
        line="property local within 3px",
        wrong="property local within 1.5px",
        code="E507",
    ),
    Page(
        name="global",
        title="an output pixel may depend on the whole image",
        usage="property global",
        meaning="Any output may depend on every input pixel, and the output may have another size, or be no image: "
        "statistics, resampling, solvers. It promises nothing; the compiler gives such a stage the whole frame and "
        "never a tile.\n\n" + _ONE_FOOTPRINT,
        parts=(),
        tried="Nothing to falsify; it only lifts the demand that rows and columns stay.",
        tolerance="None.",
        catches="Nothing by itself: other lines of the stage must.",
        seen=(("statistics.histogram", "property global"), ("awb.grey_world", "property global")),
        right=with_property(stage("mean_colour(image: rgb<S, f32>) -> vector<3>"), "property global"),
        line="property global",
        wrong="property global image",
        code="E507",
    ),
    Page(
        name="commutes_with",
        title="f(g(x)) = g(f(x)) for the operation named",
        usage="property commutes_with NAMES [when CONDITION] [within V]",
        meaning="f(g(x)) = g(f(x)), g done to all images of the stage and to all of its results. Parameters, "
        "metadata and statistics are held fixed, but black_level moves with its sites.",
        parts=(
            ("hflip, vflip", "left and right, top and bottom change places; of a mosaic its CFA name changes with it"),
            ("rot90", "a quarter turn; of a mosaic its CFA name changes with it"),
            ("transpose", "rows become columns; of a mosaic its CFA name changes with it"),
            ("exposure", "x -> a x for a > 0: as `homogeneous`"),
            ("crop", "a part processed alone is that part of the whole, farther than the footprint from the cut"),
            WHEN,
            WITHIN,
        ),
        tried="All images, odd and even sizes, at every legal setting; of a mosaic all four phases.",
        tolerance=ROUNDING,
        catches="An off-by-one, a kernel that is not symmetric, one border treated unlike the others, a wrong phase, "
        "rows taken for columns; exposure: a hidden threshold; crop: a global value.",
        seen=(
            ("demosaic.bilinear", "property commutes_with hflip, vflip, rot90"),
            ("denoise.bilateral", "property commutes_with hflip, vflip, rot90, transpose, crop"),
        ),
        right=with_property(_BLUR, "property local within 3px", "property commutes_with hflip, vflip, crop"),
        line="property commutes_with hflip, vflip, crop",
        wrong="property commutes_with rotate",
        code="E507",
    ),
    Page(
        name="equivariant",
        title="a shift of the mosaic and of its CFA phase shifts the output",
        usage="property equivariant cfa [when CONDITION] [within V]",
        meaning="f(T x; T cfa) = T f(x; cfa): T cuts off the first row, the first column or both, and T cfa is the "
        "name of the mosaic then (rggb without a column is grbg). Compared farther than the footprint from the cut. "
        "black_level moves with its sites; statistics and other metadata are held fixed.",
        parts=(("cfa", "the one word; it may be left out"), WHEN, WITHIN),
        tried="All four phases, shifted in the three ways, at every legal setting.",
        tolerance=ROUNDING,
        catches="A phase off by one, a stage that ignores its CFA name, red and blue swapped, the two greens treated "
        "unlike each other.",
        seen=(
            ("demosaic.malvar", "property equivariant cfa"),
            ("raw.black_white", "property equivariant cfa"),
        ),
        right=with_property(_DEMOSAIC, "property local within 2px", "property equivariant cfa"),
        line="property equivariant cfa",
        wrong="property equivariant hflip",
        code="E507",
    ),
    Page(
        name="lossless",
        title="sampled sites keep their values",
        usage="property lossless [when CONDITION] [within V]",
        meaning="For a demosaic: plane c of the result at a site is the sample x[i, j], where c is the colour that "
        "the CFA samples there, border included. A LinearRaw frame passes through in all planes.",
        parts=(WHEN, WITHIN),
        tried="All four phases and `linear`, all images, at every legal setting.",
        tolerance=ROUNDING,
        catches="Swapped planes, a wrong phase, smoothing after interpolation, a hidden clamp.",
        seen=(("demosaic.bilinear", "property lossless"), ("demosaic.malvar", "property lossless")),
        right=with_property(_DEMOSAIC, "property local within 2px", "property lossless"),
        line="property lossless",
        wrong="property lossless mosaic",
        code="E507",
    ),
    Page(
        name="denoises",
        title="the variance of flat noise falls, edges stay",
        usage="property denoises [when CONDITION]",
        meaning="Two trials. Flat 0.5 (chroma: 0) with Gaussian noise of sigma 0.02, or of the variance that the "
        "metadata noise_profile tells: var f(x) <= 0.9 var x. A step of height 0.5 between two columns: 2 px to "
        "either side of it 0.35 (70 %) of the height is left or more. Other images of the stage get the same noise "
        "and step. State by `when` the settings at which the filter is strong enough and its threshold suits "
        "that noise.",
        parts=((WHEN[0], "the settings that are meant to denoise: at strength 0 no filter does"),),
        tried="These two images, 20 x 20, with noise of many seeds, at every legal setting that meets `when`.",
        tolerance="None: the two shares are the bounds.",
        catches="A filter that does nothing, sharpens instead, weighs the wrong neighbours, or blurs edges away.",
        seen=(("denoise.bilateral", "property denoises when strength >= 0.5 and contrast >= 5% and contrast <= 15%"),),
        right=with_property(_BLUR, "property local within 3px", "property denoises when strength >= 50%"),
        line="property denoises when strength >= 50%",
        wrong="property denoises in strength",
        code="E507",
    ),
    Page(
        name="sharpens",
        title="a soft edge becomes steeper, flat areas stay flat",
        usage="property sharpens [when CONDITION]",
        meaning="Two trials. A step of height 0.5 blurred by a Gaussian of 1.2 px: the largest difference of two "
        "neighbours is 1 % larger after it, or more, in every plane. A flat image stays flat. State by `when` the "
        "settings at which the filter is strong enough.",
        parts=((WHEN[0], "the settings that are meant to sharpen: at amount 0 no filter does"),),
        tried="These two images, 20 x 20, at every legal setting that meets `when`.",
        tolerance="None for the edge; rounding for flat areas.",
        catches="A sign the other way round, a filter that does nothing, a kernel that does not add up to 1, a border "
        "of zeros.",
        seen=(("detail.sharpen", "property sharpens when amount >= 50% and radius >= 0.6px and threshold == 0%"),),
        right=with_property(_SHARPEN, "property local within 3px", "property sharpens when amount >= 50%"),
        line="property sharpens when amount >= 50%",
        wrong="property sharpens in amount",
        code="E507",
    ),
)
"""Pages of footprints, symmetries, mosaics and noise."""
