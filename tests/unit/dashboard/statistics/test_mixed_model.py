"""The mixed model against R's lme4 and lmerTest, and what holds for any data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from dashboard.statistics.mixed_model import FixedEffect, MixedModel, mixed_model
from dashboard.statistics.samples import NoVariationError, TooFewError
from edge_agent.core.errors import StatisticsError
from tests.support.statistics.known_mixed_models import (
    ALIKE,
    ERGO_STOOL,
    FLAT,
    MACHINES,
    REACTING,
    SLEEP,
    UNEVEN,
    Reading,
)
from tests.support.statistics.mixed_studies import KINDS as MADE
from tests.support.statistics.mixed_studies import drawn, model_of

Effects = tuple[tuple[float, float, float, float], ...]


"""Estimate, standard error, df and p of each effect, in lmerTest's order."""


def of_machines() -> MixedModel:
    rows = [
        (value, machine, worker)
        for machine, workers in MACHINES.items()
        for worker, values in enumerate(workers)
        for value in values
    ]
    return mixed_model(
        [value for value, _, _ in rows],
        {name: [float(machine == name) for _, machine, _ in rows] for name in "BC"},
        [worker for _, _, worker in rows],
        [machine for _, machine, _ in rows],
    )


def of_columns(columns: Mapping[str, Sequence[float]]) -> MixedModel:
    """One value of each person in each column, the first one to compare with."""
    names = [name for name, column in columns.items() for _ in column]
    return mixed_model(
        [value for column in columns.values() for value in column],
        {name: [float(one == name) for one in names] for name in list(columns)[1:]},
        [person for column in columns.values() for person in range(len(column))],
        [0] * len(names),
    )


@dataclass(frozen=True)
class Known:
    """What R gave: effects; variances of participant, session and residual; criterion."""

    model: MixedModel
    effects: Effects
    variances: tuple[float, float | None, float]
    criterion: float


KNOWN = {
    "uneven": Known(
        model_of(UNEVEN),
        (
            (70.075842282459035, 2.5493504022028817, 8.62316676236098, 1.06307635894251e-09),
            (4.920000758985413, 0.5179037307857330, 52.06969809215671, 5.85198118035969e-13),
            (2.734026551974526, 0.6538073412488559, 52.08536617841874, 1.11160456561956e-04),
            (-0.278440576256867, 0.0584172959732716, 52.32598713368643, 1.53448880059782e-05),
        ),
        (49.09482134100821, 11.65587453847736, 3.08343164098466),
        335.680483040636,
    ),
    "no session variance": Known(
        model_of(FLAT),
        (
            (71.4839686911473393, 2.369503504168221, 13.7875180012763, 5.47224687329143e-14),
            (4.2866260203072120, 1.476243453201562, 72.8650595138339, 4.87713980044198e-03),
            (0.0972412499320098, 1.431936156777092, 72.2465165656453, 9.46045725576473e-01),
            (-0.3738959717332128, 0.136165344798666, 72.2285004714462, 7.61120325512388e-03),
        ),
        (35.1109647540039, 0.0, 27.5810150546887),
        529.576535404443,
    ),
    "no participant variance": Known(
        model_of(ALIKE),
        (
            (69.380907257254961, 1.14585521749332, 76.0919788536109, 3.96159331307086e-66),
            (4.347608942531019, 1.23428094324380, 73.8475741876947, 7.37495283595882e-04),
            (2.209444980210168, 1.23702424033141, 71.1050389177915, 7.83469772492715e-02),
            (0.117787035178587, 0.11844561680822, 72.9718820249841, 3.23294976487965e-01),
        ),
        (0.0, 0.0993688073821513, 20.8490578252204),
        469.914561155298,
    ),
    "machines": Known(
        of_machines(),
        (
            (52.35555555555332, 2.48583018333779, 8.52169940445581, 1.19820861248683e-08),
            (7.96666666666948, 2.17697552953456, 9.99999924572022, 4.39263387705972e-03),
            (13.91666666666928, 2.17697552953456, 9.99999924578558, 7.90648733102820e-05),
        ),
        (22.858442833782309, 13.909457494125512, 0.924629623355831),
        215.687568008221,
    ),
    "ergoStool": Known(
        of_columns(ERGO_STOOL),
        (
            (8.555555555555559, 0.576012264692513, 15.5298074259791, 1.36212351722749e-10),
            (3.888888888888888, 0.518683833617553, 24.0000001321599, 9.75341935938038e-08),
            (2.222222222222222, 0.518683833617554, 24.0000001328298, 2.56292707187827e-04),
            (0.666666666666666, 0.518683833617553, 24.0000001321599, 2.10951187878092e-01),
        ),
        (1.77546302503287, None, 1.21064813665291),
        121.130788701999,
    ),
    "sleep": Known(
        of_columns({"first": SLEEP[0], "second": SLEEP[1]}),
        (
            (0.750000000000003, 0.600398017522628, 11.08138969551997, 0.23734502175924949),
            (1.579999999999999, 0.388958722749975, 9.00000003078668, 0.00283289012672579),
        ),
        (2.848333354434561, None, 0.756444440016458),
        69.9558829227013,
    ),
}


def close(values: Sequence[float]) -> object:
    """Equal to a relative 1e-6.

    A p of 1e-9 hangs on the seventh digit of the df, which lmerTest differentiates numerically.
    """
    return pytest.approx(values, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("name", KNOWN)
def test_effects_variances_and_criterion_equal_lme4_and_lmer_test(name: str) -> None:
    known = KNOWN[name]
    model = known.model
    for ours, theirs in zip(model.effects, known.effects, strict=True):
        assert (ours.estimate, ours.error, ours.df, ours.p) == close(theirs)
    participant, session, residual = known.variances
    assert (model.participant_variance, model.residual_variance) == close((participant, residual))
    assert (model.session_variance is None) == (session is None)
    assert (model.session_variance or 0.0) == close(session or 0.0)  # type: ignore[arg-type]
    assert model.criterion == pytest.approx(known.criterion, rel=1e-11)
    assert model.singular == name.startswith("no ")


@pytest.mark.parametrize(
    ("readings", "known"),
    [
        (UNEVEN, (2.18597420701089, 0.630394260508381, 51.9068121513165, 0.00106364411702234)),
        (FLAT, (4.1893847703752, 1.41783414631832, 73.0503124671511, 0.00420888511258129)),
        (ALIKE, (2.13816396232085, 1.29417641304527, 76.2673200089119, 0.102617000337736)),
    ],
)
def test_a_contrast_equals_lmer_test(readings: Sequence[Reading], known: Sequence[float]) -> None:
    found = model_of(readings).contrast("anger less happiness", {"anger": 1, "happiness": -1})
    assert (found.estimate, found.error, found.df, found.p) == close(known)
    assert found.interval.low < found.estimate < found.interval.high


def test_random_slope_has_a_variance_and_equals_lmer_test() -> None:
    found = model_of(REACTING, reactions=True)
    known = (
        (68.369068230060748, 2.4330464193924279, 16.0385984930948, 4.52649947489423e-15),
        (2.167949282501996, 1.3551653189219632, 20.4000823576054, 1.25023750107133e-01),
        (4.060119010661838, 1.3867846243492599, 20.2741630226502, 8.24237703417161e-03),
        (-0.262759712770599, 0.0792128065740531, 25.8025697946402, 2.70850941555885e-03),
    )
    for ours, theirs in zip(found.effects, known, strict=True):
        assert (ours.estimate, ours.error, ours.df, ours.p) == close(theirs)
    variances = (found.participant_variance, found.session_variance or 0.0)
    assert variances == close((43.59794890911443, 22.15719372886293))
    assert (found.reaction_variance or 0.0, found.residual_variance) == close(
        (8.22735039865487, 2.58312024517124)
    )
    assert found.criterion == pytest.approx(357.984059453265, rel=1e-11)
    contrast = found.contrast("anger less happiness", {"anger": 1, "happiness": -1})
    assert (contrast.estimate, contrast.error, contrast.df, contrast.p) == close(
        (-1.89216972915884, 1.39797636472731, 20.6178708027194, 0.190547697822066)
    )


@pytest.mark.parametrize(
    ("number", "kind", "criterion", "anger", "variances"),
    [
        # lme4 1.1-31, lmerTest 3.1-3: REMLcrit; estimate, error, df and p of anger; VarCorr
        (7, "small variances", 912.900406884, (0.466555505, 1.129190246, 93, 0.680428014),
         (8.00846584, 0.18950779, None)),
        (16, "small variances", 899.787750241, (2.573628307, 0.985402687, 93, 0.010502546),
         (0.0, 11.3584083, None)),
        (28, "small variances", 881.213938550, (1.346252217, 0.946222802, 93, 0.158150169),
         (2.67631301, 6.07050219, None)),
        (47, "small variances", 923.896110511, (2.693934095, 1.141465546, 93, 0.020361558),
         (9.54667534, 0.44497618, None)),
        (81, "small variances and reactions", 948.843024073,
         (3.019028234, 1.414612326, 45.8478071, 0.038209236), (1.16390840, 4.64502256, 7.47332725)),
    ],
)  # fmt: skip
def test_small_variances_are_found(
    number: int,
    kind: str,
    criterion: float,
    anger: tuple[float, ...],
    variances: tuple[float, float, float | None],
) -> None:
    reactions = variances[2] is not None
    found = model_of(drawn(number, MADE[kind]), reactions=reactions)
    assert found.criterion == pytest.approx(criterion, rel=1e-10)
    effect = found.effect("anger")
    assert (effect.estimate, effect.error, effect.df, effect.p) == close(anger)
    assert (found.participant_variance, found.session_variance) == pytest.approx(
        variances[:2], rel=1e-5, abs=1e-9
    )
    assert (found.reaction_variance or 0.0) == pytest.approx(variances[2] or 0.0, rel=1e-5)


def test_sessions_with_one_value_each_have_no_variance_but_reactions_have() -> None:
    each = [(p, number, *rest) for number, (p, _, *rest) in enumerate(REACTING)]
    found = model_of(each, reactions=True)  # type: ignore[arg-type]
    # lmer(value ~ state + minute + (1 | participant) + (1 | participant:state))
    assert found.session_variance is None
    assert (found.participant_variance, found.reaction_variance, found.residual_variance) == close(
        (53.15020368190464, 1.26607913000365, 24.66421634455795)
    )


def test_reactions_that_come_back_exactly_leave_no_rest() -> None:
    made = [
        (p, s, state, float(at), 60.0 + 3 * p + s + ((p * 7 + at) % 5))
        for p in range(6)
        for s in range(2)
        for at, state in enumerate(("neutral", "anger", "happiness"))
    ]
    with pytest.raises(NoVariationError, match="without a rest"):
        mixed_model(
            [one[4] for one in made],
            {state: [float(one[2] == state) for one in made] for state in ("anger", "happiness")},
            [one[0] for one in made],
            [one[1] for one in made],
            [one[2] for one in made],
        )


def test_people_without_variance_between_them_get_independent_values() -> None:
    # The values of a person are opposed: the variance between people is 0, and R's
    # t.test(x, y, var.equal = TRUE) of 1:6 and 7:2 gives t = -0.92582009977255, df = 10
    found = of_columns({"first": [1, 2, 3, 4, 5, 6], "second": [7, 6, 5, 4, 3, 2]})
    assert found.singular
    effect = found.effect("second")
    assert (effect.t, effect.df) == pytest.approx((0.92582009977255, 10.0), rel=1e-9)


@pytest.mark.parametrize("readings", [UNEVEN, ALIKE], ids=["uneven", "alike"])
@pytest.mark.parametrize(("scale", "shift"), [(-1.0, 1e5), (1e-6, 0.0), (1e9, 3.0)])
@pytest.mark.parametrize("reactions", [False, True], ids=["nested", "reactions"])
def test_the_unit_of_the_values_changes_no_test(
    readings: Sequence[Reading], scale: float, shift: float, reactions: bool
) -> None:
    plain = model_of(readings, reactions=reactions).effects[1:]
    moved = [(*reading[:4], shift + scale * reading[4]) for reading in readings]
    found = model_of(moved, reactions=reactions).effects[1:]
    for one, other in zip(plain, found, strict=True):
        assert (other.estimate, other.error) == pytest.approx(
            (scale * one.estimate, abs(scale) * one.error), rel=1e-6
        )
        assert (other.df, other.p) == pytest.approx((one.df, one.p), rel=1e-6)


def test_the_order_of_the_readings_and_zero_of_a_covariate_change_no_test() -> None:
    order = np.random.default_rng(4).permutation(len(UNEVEN))
    moved = [(*reading[:3], reading[3] + 1e6, reading[4]) for reading in (UNEVEN[n] for n in order)]
    for one, other in zip(model_of(UNEVEN).effects[1:], model_of(moved).effects[1:], strict=True):
        assert (other.estimate, other.error, other.df) == pytest.approx(
            (one.estimate, one.error, one.df), rel=1e-6
        )


def fitted(
    values: Sequence[float],
    effect: Sequence[float],
    people: Sequence[str] = ("a", "a", "b", "b", "c", "c"),
) -> FixedEffect:
    return mixed_model(values, {"state": effect}, people, [0] * len(people)).effect("state")


def test_mixed_model_that_cannot_be_fitted_is_refused_with_the_reason() -> None:
    state = [0.0, 1.0] * 3
    values = [1.0, 2.0, 4.0, 3.0, 8.0, 9.5]
    with pytest.raises(TooFewError, match="at least 3 participants; there are 2"):
        fitted(values, state, ["a", "a", "a", "b", "b", "b"])
    with pytest.raises(TooFewError, match="nobody has two"):
        fitted(values, state, ["a", "b", "c", "d", "e", "f"])
    with pytest.raises(TooFewError, match="with 3 effects needs at least 5 values; there are 4"):
        mixed_model(values[:4], {"x": [0, 1, 1, 0], "y": [0, 0, 1, 1]}, list("abcc"), [0] * 4)
    with pytest.raises(StatisticsError, match="state has 5 entries for 6 values"):
        fitted(values, state[:5])
    with pytest.raises(NoVariationError, match="state is the same everywhere"):
        fitted(values, [1.0] * 6)
    with pytest.raises(NoVariationError, match="the value is the same everywhere"):
        fitted([2.0] * 6, state)
    with pytest.raises(NoVariationError, match="explain the values without a rest"):
        fitted([1.0, 2.0, 4.0, 5.0, 8.0, 9.0], state)
    with pytest.raises(StatisticsError, match="state, again are linearly dependent"):
        mixed_model(
            values, {"state": state, "again": state}, ["a", "a", "b", "b", "c", "c"], [0] * 6
        )
    with pytest.raises(StatisticsError, match="nan is not a finite number"):
        fitted([*values[:5], float("nan")], state)


def test_a_name_that_the_model_lacks_is_refused_with_those_that_it_has() -> None:
    model = of_columns({"first": SLEEP[0], "second": SLEEP[1]})
    with pytest.raises(StatisticsError, match="no effect third; it has intercept, second"):
        model.effect("third")
    with pytest.raises(StatisticsError, match="no effect third"):
        model.contrast("x", {"third": 1.0})
    with pytest.raises(StatisticsError, match="all weights of the contrast x are 0"):
        model.contrast("x", {"second": 0.0})
