"""Expected equivalence tests and analyses of variance of known data sets.

The literals come from R 4.2.2 (2022-11-10 r83330).

equivalence   t.test(a, b, paired = …, mu = low, alternative = "greater") and (…, mu = high,
              alternative = "less"); interval: t.test(a, b, paired = …, conf.level = 0.9)$conf.int
variance      m <- lm(cbind(…) ~ 1); anova(m, X = ~1, test = "Spherical"); ε:
              stats:::sphericity(SSD(m), X = ~1)$GG.eps, which that table prints rounded; partial
              and generalized η² from sums of squares by their definition. R's F is that of aov(y ~
              state + Error(person / state)) but for 3e-10.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.support.statistics.known_statistics import (
    HEART,
    HUGE,
    MANY,
    ONE_CONSTANT,
    SKEWED,
    SLEEP,
    THREE_PAIRED,
    THREE_WELCH,
    TIED,
    TINY,
    UNEQUAL,
    Pair,
    Triple,
)

Samples = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class KnownEquivalence:
    """Two samples, bounds, and what R says of them."""

    name: str
    method: str
    samples: Samples
    bounds: Pair
    interval: Pair
    t: Triple  # against the lower and the upper bound, then df
    p: Pair  # of both

    def __str__(self) -> str:
        return f"{self.name}-{self.method}"


@dataclass(frozen=True, slots=True)
class KnownVariance:
    """States of the same participants and what R says of them.

    ``p`` is uncorrected, then corrected.
    """

    name: str
    states: tuple[tuple[float, ...], ...]
    f: Triple  # F and both degrees of freedom
    epsilon: float
    p: Pair
    eta_squared: Pair  # partial, generalized

    def __str__(self) -> str:
        return self.name


EQUIVALENCES = (
    KnownEquivalence("sleep", "paired", SLEEP, bounds=(-5, 5),
        interval=(-2.2930052670292835, -0.8669947329707165),
        t=(8.7927067577003584, -16.91696212446443, 9),
        p=(5.1634418128343063e-06, 1.9765830065018575e-08)),
    KnownEquivalence("heart", "paired", HEART, bounds=(-5, 5),
        interval=(3.3713785494436945, 6.2744547838896398),
        t=(12.153195777463528, -0.2190926068047504, 11),
        p=(5.104820955335231e-08, 0.41529506654684795)),
    KnownEquivalence("tied", "paired", TIED, bounds=(-5, 5),
        interval=(0.73350965387501077, 3.6664903461249896), t=(9, -3.4999999999999996, 9),
        p=(4.2690256115831423e-06, 0.0033617578815294787)),
    KnownEquivalence("skewed", "paired", SKEWED, bounds=(-5, 5),
        interval=(-2.8701659188577171, 19.98127702996883),
        t=(2.2061807464345531, 0.57867035972053849, 8),
        p=(0.029214005155029605, 0.71063263763683038)),
    KnownEquivalence("many", "paired", MANY, bounds=(-5, 5),
        interval=(1.4668924288591978, 3.408107571140802),
        t=(12.792172030299623, -4.4073870020360042, 63),
        p=(1.7941114461605639e-19, 2.0758788699567712e-05)),
    KnownEquivalence("three_paired", "paired", THREE_PAIRED, bounds=(-5, 8),
        interval=(0.090692646214050612, 8.575974020452616),
        t=(6.4236405483757286, -2.5235730725761796, 2),
        p=(0.011693925509390964, 0.063821627855020727)),
    KnownEquivalence("huge", "paired", HUGE, bounds=(-5497558138880, 6597069766656),
        interval=(3706869916747.9263, 6898835992841.4082),
        t=(12.153195777463528, -1.4563214452315782, 11),
        p=(5.104820955335231e-08, 0.086623430244390662)),
    KnownEquivalence("tiny", "paired", TINY,
        bounds=(-3.944304526105059e-30, 4.7331654313260708e-30),
        interval=(2.6595487343568546e-30, 4.9496720805874893e-30),
        t=(12.153195777463528, -1.4563214452315782, 11),
        p=(5.104820955335231e-08, 0.086623430244390662)),
    KnownEquivalence("sleep", "welch", SLEEP, bounds=(-5, 5),
        interval=(-3.0533814973316065, -0.10661850266839384),
        t=(4.0278367460791378, -7.7494636810528439, 17.776473516178498),
        p=(0.00040338772174101207, 2.0884247961023467e-07)),
    KnownEquivalence("heart", "welch", HEART, bounds=(-5, 5),
        interval=(2.2440962743249768, 7.4017370590083669),
        t=(6.5702648126456937, -0.11844591920994035, 19.957041486397127),
        p=(1.0687086059282575e-06, 0.45344921866290799)),
    KnownEquivalence("tied", "welch", TIED, bounds=(-5, 5),
        interval=(-3.0502843587656154, 7.4502843587656216),
        t=(2.3867767588744662, -0.92819096178451321, 16.857639052751797),
        p=(0.014498124995091498, 0.18320443031888284)),
    KnownEquivalence("skewed", "welch", SKEWED, bounds=(-5, 5),
        interval=(-3.487593111666774, 20.598704222777886),
        t=(2.0909378986776028, 0.54844272752199419, 8.0635513294185461),
        p=(0.034821791601866853, 0.70087992095921636)),
    KnownEquivalence("unequal", "welch", UNEQUAL, bounds=(-5, 5),
        interval=(1.8869515449929448, 11.818604010562606),
        t=(4.7447142151890542, 0.74167433361403656, 5.3296566655560653),
        p=(0.0021718792272593045, 0.75517034576119701)),
    KnownEquivalence("three_welch", "welch", THREE_WELCH, bounds=(-5, 5),
        interval=(2.8236282255120329, 23.176371774487968),
        t=(4.4090815370097207, 1.9595917942265424, 2.6343519494204433),
        p=(0.01411358838565235, 0.92123787363145782)),
    KnownEquivalence("oneconst", "welch", ONE_CONSTANT, bounds=(-5, 5),
        interval=(0.22041186061115439, 5.7795881393888457),
        t=(6.1357199107789633, -1.5339299776947408, 4),
        p=(0.0017881992968728287, 0.099914592768860055)),
    KnownEquivalence("many", "welch", MANY, bounds=(-5, 5),
        interval=(1.3771535231748742, 3.4978464768251256),
        t=(11.623100379991168, -4.0045976099129241, 125.58593546062005),
        p=(5.944421767011273e-22, 5.2820749226096554e-05)),
    KnownEquivalence("unequal", "welch", UNEQUAL, bounds=(-10, 12),
        interval=(1.8869515449929448, 11.818604010562606),
        t=(6.7462341559765626, -2.0604535834884756, 5.3296566655560653),
        p=(0.00042107761999135194, 0.045449935997245242)),
)  # fmt: skip

_THIRD = (70.5, 66.0, 77.25, 71.875, 68.25, 69.5, 74.0, 70.125, 69.75, 68.625, 72.25, 71.0)
_FOURTH = (75.0, 64.5, 79.0, 74.25, 70.125, 70.5, 72.75, 73.5, 70.25, 69.5, 76.0, 68.75)
STATES = {
    "normal": (*HEART, _THIRD),
    "skewed": (*SKEWED, (2.5, 3.25, 1.75, 8.0, 11.5, 2.25, 40.5, 3.75, 9.25)),
    "tied": (*TIED, (119.0, 118.0, 129.0, 125.0, 118.0, 137.0, 122.0, 127.0, 130.0, 117.0)),
    "three": (*THREE_PAIRED, (69.0, 77.0, 74.0)),
    "two": HEART,
    "four": (*HEART, _THIRD, _FOURTH),
    "huge": tuple(tuple(x * 2.0**40 for x in state) for state in (*HEART, _THIRD)),
    "tiny": tuple(tuple(x * 2.0**-100 for x in state) for state in (*HEART, _THIRD)),
    "many": (*MANY, tuple(69 + (i * 29 % 89) / 8 for i in range(64))),
    "dominant": (
        (60.0, 90.0, 70.0, 110.0, 85.0, 65.0),
        (61.0, 89.5, 72.0, 110.5, 84.0, 66.0),
        (59.5, 91.0, 70.5, 111.0, 86.0, 64.5),
    ),
}
# R's ε of "tiny" is wrong, for its tolerance is absolute; ε has no unit, so that of "normal" stands
# there.
VARIANCES = (
    KnownVariance("normal", STATES["normal"], f=(27.835261343735876, 2, 22),
        epsilon=0.75224097437722903, p=(9.4152310824490483e-07, 1.5095588470617411e-05),
        eta_squared=(0.71675226020435556, 0.26465679012345744)),
    KnownVariance("skewed", STATES["skewed"], f=(1.1472754540884729, 2, 16),
        epsilon=0.69977009973231308, p=(0.34228340020617598, 0.33043590681562474),
        eta_squared=(0.12542264194939956, 0.082197165822982074)),
    KnownVariance("tied", STATES["tied"], f=(6.7084188911665663, 2, 18),
        epsilon=0.60195483226059754, p=(0.006652583273181246, 0.021523739229663452),
        eta_squared=(0.42705882352941082, 0.019630110317975378)),
    KnownVariance("three", STATES["three"], f=(1.5636363636572914, 2, 4),
        epsilon=0.59441933582168371, p=(0.31497292794298953, 0.33357548123531894),
        eta_squared=(0.43877551020408223, 0.1592592592592591)),
    KnownVariance("two", STATES["two"], f=(35.605704621982376, 1, 11), epsilon=1,
        p=(9.3593446356056401e-05, 9.3593446356056401e-05),
        eta_squared=(0.76397739098205275, 0.32112367595972835)),
    KnownVariance("four", STATES["four"], f=(16.430667960218866, 3, 33),
        epsilon=0.74067124634665482, p=(1.0465236728669577e-06, 1.8804191839648067e-05),
        eta_squared=(0.59898898503120035, 0.21811973842262666)),
    KnownVariance("huge", STATES["huge"], f=(27.835261343735876, 2, 22),
        epsilon=0.75224097437722903, p=(9.4152310824490483e-07, 1.5095588470617411e-05),
        eta_squared=(0.71675226020435556, 0.26465679012345744)),
    KnownVariance("tiny", STATES["tiny"], f=(27.835261343735876, 2, 22),
        epsilon=0.75224097437722903, p=(9.4152310824490483e-07, 1.5095588470617411e-05),
        eta_squared=(0.71675226020435556, 0.26465679012345744)),
    KnownVariance("many", STATES["many"], f=(8.3247527049809378, 2, 126),
        epsilon=0.99408444333647183, p=(0.000402084487589008, 0.00041447894772617637),
        eta_squared=(0.11671618041509102, 0.077060973243647371)),
    KnownVariance("dominant", STATES["dominant"], f=(0.58935361197318359, 2, 10),
        epsilon=0.58122279548582478, p=(0.57285154727656507, 0.49760156703947034),
        eta_squared=(0.10544217687074903, 0.00016325713789171954)),
)  # fmt: skip
