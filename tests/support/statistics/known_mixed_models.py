"""Data of mixed models, and what R's lme4 made of them.

`UNEVEN`, `FLAT` and `ALIKE` were drawn for these tests: nine people, one or two sessions, three
states of which some are missing, one to three readings in each, a drift of -0.3 a minute. Standard
deviations between people, sessions and readings: 7, 3, 2; 6, 0, 4; 0, 0, 4. `SLEEP` is R's `sleep`
(Cushny & Peebles 1905, printed by Student 1908), `MACHINES` and `ERGO_STOOL` are tables of Pinheiro
& Bates 2000, Mixed-Effects Models in S and S-PLUS, appendices A.14 and A.9, as numbers.

The literals: R 4.2.2, lme4 1.1-31, lmerTest 3.1-3, in this way:

    tight <- lmerControl(optimizer = "nloptwrap", optCtrl = list(xtol_abs = 1e-14,
      xtol_rel = 1e-14, ftol_abs = 1e-15, ftol_rel = 1e-15, maxeval = 1e5))
    fit <- lmer(value ~ state + minute + (1 | participant/session), d, control = tight)
    summary(fit)$coefficients; as.data.frame(VarCorr(fit))$vcov; REMLcrit(fit)
    contest1D(fit, c(0, 1, -1, 0))

with `neutral` as the first level; for the others `score ~ Machine + (1 | Worker/Machine)`,
`score ~ Machine + (1 | Worker)`, `effort ~ Type + (1 | Subject)`, `extra ~ group + (1 | ID)`.
"""

from __future__ import annotations

Reading = tuple[int, int, str, float, float]
"""Participant, session, state, minutes in the session, value."""

UNEVEN: tuple[Reading, ...] = (
    (1, 1, "neutral", 0.0, 65.5), (1, 1, "neutral", 1.5, 66.8), (1, 1, "anger", 5.0, 68.5),
    (1, 1, "anger", 6.5, 68.0), (1, 2, "anger", 0.0, 66.3), (1, 2, "anger", 1.5, 66.4),
    (2, 1, "neutral", 0.0, 63.9), (2, 1, "neutral", 1.5, 62.9), (2, 1, "anger", 5.0, 67.9),
    (2, 1, "happiness", 10.0, 62.1), (2, 1, "happiness", 11.5, 65.6), (2, 2, "neutral", 0.0, 63.6),
    (2, 2, "neutral", 1.5, 66.4), (3, 1, "happiness", 0.0, 75.6), (3, 1, "anger", 5.0, 73.6),
    (3, 1, "anger", 6.5, 77.1), (3, 1, "anger", 8.0, 76.8), (3, 1, "neutral", 10.0, 73.2),
    (3, 1, "neutral", 11.5, 67.8), (4, 1, "anger", 5.0, 89.3), (4, 1, "anger", 6.5, 91.4),
    (4, 1, "anger", 8.0, 92.6), (4, 1, "neutral", 10.0, 88.2), (4, 1, "neutral", 11.5, 84.4),
    (4, 2, "neutral", 0.0, 86.1), (4, 2, "anger", 5.0, 88.0), (4, 2, "anger", 6.5, 87.6),
    (4, 2, "happiness", 10.0, 84.7), (5, 1, "neutral", 0.0, 72.7), (5, 1, "neutral", 1.5, 73.4),
    (5, 1, "neutral", 3.0, 73.0), (5, 1, "happiness", 5.0, 74.6), (5, 1, "happiness", 6.5, 72.8),
    (5, 1, "anger", 10.0, 75.9), (5, 1, "anger", 11.5, 73.1), (5, 2, "happiness", 0.0, 67.3),
    (5, 2, "happiness", 1.5, 69.8), (5, 2, "anger", 5.0, 68.8), (5, 2, "anger", 6.5, 69.4),
    (5, 2, "neutral", 10.0, 62.8), (6, 1, "anger", 0.0, 73.6), (6, 1, "anger", 1.5, 77.5),
    (6, 1, "anger", 3.0, 72.4), (6, 1, "happiness", 5.0, 68.8), (6, 2, "happiness", 0.0, 66.7),
    (6, 2, "happiness", 1.5, 66.3), (6, 2, "neutral", 5.0, 62.5), (6, 2, "neutral", 6.5, 64.4),
    (6, 2, "anger", 10.0, 66.2), (6, 2, "anger", 11.5, 66.7), (7, 1, "happiness", 0.0, 73.6),
    (7, 1, "neutral", 5.0, 68.5), (7, 1, "neutral", 6.5, 65.1), (7, 2, "neutral", 0.0, 70.1),
    (7, 2, "anger", 10.0, 75.5), (8, 1, "anger", 5.0, 62.9), (8, 1, "happiness", 10.0, 62.7),
    (8, 1, "happiness", 11.5, 62.1), (8, 1, "happiness", 13.0, 61.9), (9, 1, "anger", 5.0, 71.3),
    (9, 1, "anger", 6.5, 75.3), (9, 1, "neutral", 10.0, 65.3), (9, 1, "neutral", 11.5, 63.9),
    (9, 1, "neutral", 13.0, 68.9), (9, 2, "anger", 0.0, 82.0), (9, 2, "anger", 1.5, 85.3),
    (9, 2, "anger", 3.0, 81.0), (9, 2, "neutral", 10.0, 73.3), (9, 2, "neutral", 11.5, 73.6),
    (9, 2, "neutral", 13.0, 72.4),
)  # fmt: skip

FLAT: tuple[Reading, ...] = (
    (1, 1, "neutral", 0.0, 82.9), (1, 1, "neutral", 1.5, 77.8), (1, 1, "anger", 5.0, 88.3),
    (1, 1, "anger", 6.5, 85.3), (1, 1, "anger", 8.0, 76.7), (1, 1, "happiness", 10.0, 75.1),
    (1, 1, "happiness", 11.5, 82.6), (1, 2, "neutral", 0.0, 82.6), (1, 2, "anger", 5.0, 83.9),
    (1, 2, "anger", 6.5, 81.3), (1, 2, "happiness", 10.0, 81.0), (1, 2, "happiness", 11.5, 75.6),
    (2, 1, "neutral", 0.0, 62.1), (2, 1, "happiness", 5.0, 68.5), (2, 1, "happiness", 6.5, 60.0),
    (2, 1, "anger", 10.0, 62.6), (2, 2, "happiness", 0.0, 61.5), (2, 2, "happiness", 1.5, 64.8),
    (2, 2, "neutral", 10.0, 62.3), (2, 2, "neutral", 11.5, 63.9), (2, 2, "neutral", 13.0, 63.2),
    (3, 1, "happiness", 0.0, 69.6), (3, 1, "happiness", 1.5, 76.2), (3, 1, "happiness", 3.0, 70.0),
    (3, 1, "neutral", 10.0, 60.4), (3, 1, "neutral", 11.5, 55.9), (4, 1, "anger", 0.0, 72.4),
    (4, 1, "anger", 1.5, 80.3), (4, 1, "happiness", 5.0, 73.3), (4, 1, "happiness", 6.5, 65.9),
    (4, 1, "neutral", 10.0, 66.2), (4, 2, "neutral", 0.0, 72.0), (4, 2, "neutral", 1.5, 74.9),
    (4, 2, "happiness", 5.0, 73.1), (4, 2, "anger", 10.0, 80.3), (4, 2, "anger", 11.5, 68.1),
    (4, 2, "anger", 13.0, 62.5), (5, 1, "anger", 0.0, 81.5), (5, 1, "happiness", 5.0, 70.1),
    (5, 1, "happiness", 6.5, 65.0), (5, 1, "happiness", 8.0, 76.7), (5, 2, "happiness", 0.0, 54.7),
    (5, 2, "happiness", 1.5, 74.1), (5, 2, "anger", 5.0, 76.4), (5, 2, "anger", 6.5, 70.5),
    (5, 2, "anger", 8.0, 73.7), (5, 2, "neutral", 10.0, 66.0), (5, 2, "neutral", 11.5, 69.1),
    (6, 1, "neutral", 0.0, 69.4), (6, 1, "neutral", 1.5, 73.0), (6, 1, "neutral", 3.0, 63.0),
    (6, 1, "happiness", 5.0, 71.5), (6, 1, "happiness", 6.5, 56.8), (6, 1, "anger", 10.0, 67.8),
    (6, 1, "anger", 11.5, 71.0), (6, 1, "anger", 13.0, 60.8), (6, 2, "happiness", 0.0, 55.2),
    (6, 2, "happiness", 1.5, 63.5), (6, 2, "happiness", 3.0, 68.1), (6, 2, "anger", 5.0, 69.0),
    (6, 2, "anger", 6.5, 59.2), (6, 2, "anger", 8.0, 72.9), (6, 2, "neutral", 10.0, 62.4),
    (6, 2, "neutral", 11.5, 66.9), (7, 1, "anger", 5.0, 69.5), (7, 1, "happiness", 10.0, 62.7),
    (7, 2, "anger", 0.0, 69.6), (7, 2, "anger", 1.5, 69.3), (7, 2, "happiness", 5.0, 69.8),
    (7, 2, "neutral", 10.0, 60.9), (7, 2, "neutral", 11.5, 56.0), (8, 1, "neutral", 0.0, 65.2),
    (8, 1, "neutral", 1.5, 71.0), (8, 1, "happiness", 5.0, 65.3), (8, 1, "happiness", 6.5, 71.5),
    (8, 1, "anger", 10.0, 74.7), (8, 1, "anger", 11.5, 80.5), (9, 1, "neutral", 0.0, 79.7),
    (9, 1, "neutral", 1.5, 90.8), (9, 1, "anger", 5.0, 80.9), (9, 1, "anger", 6.5, 77.9),
    (9, 2, "anger", 0.0, 83.6), (9, 2, "happiness", 10.0, 84.2), (9, 2, "happiness", 11.5, 69.7),
)  # fmt: skip

ALIKE: tuple[Reading, ...] = (
    (1, 1, "anger", 0.0, 76.9), (1, 1, "anger", 1.5, 76.7), (1, 1, "anger", 3.0, 71.4),
    (1, 1, "neutral", 5.0, 69.0), (1, 1, "neutral", 6.5, 71.2), (1, 1, "happiness", 10.0, 72.3),
    (1, 1, "happiness", 11.5, 79.6), (1, 2, "anger", 5.0, 74.8), (1, 2, "neutral", 10.0, 65.5),
    (1, 2, "neutral", 11.5, 64.1), (2, 1, "happiness", 0.0, 74.0), (2, 1, "happiness", 1.5, 73.2),
    (2, 1, "anger", 5.0, 70.4), (2, 1, "anger", 6.5, 80.4), (2, 1, "neutral", 10.0, 73.0),
    (2, 2, "neutral", 0.0, 66.1), (2, 2, "neutral", 1.5, 60.6), (2, 2, "happiness", 5.0, 71.7),
    (2, 2, "happiness", 6.5, 71.6), (2, 2, "anger", 10.0, 75.0), (2, 2, "anger", 11.5, 74.6),
    (3, 1, "neutral", 0.0, 67.0), (3, 1, "neutral", 1.5, 66.7), (3, 1, "anger", 10.0, 76.6),
    (3, 1, "anger", 11.5, 79.7), (3, 1, "anger", 13.0, 78.0), (4, 1, "happiness", 0.0, 70.4),
    (4, 1, "happiness", 1.5, 78.5), (4, 1, "anger", 5.0, 61.4), (4, 1, "neutral", 10.0, 79.9),
    (4, 2, "happiness", 0.0, 62.3), (4, 2, "happiness", 1.5, 73.3), (4, 2, "neutral", 10.0, 73.0),
    (4, 2, "neutral", 11.5, 72.1), (4, 2, "neutral", 13.0, 69.2), (5, 1, "neutral", 0.0, 67.3),
    (5, 1, "anger", 10.0, 67.4), (5, 2, "neutral", 0.0, 78.2), (5, 2, "neutral", 1.5, 66.8),
    (5, 2, "neutral", 3.0, 70.6), (5, 2, "anger", 5.0, 70.2), (5, 2, "anger", 6.5, 76.8),
    (5, 2, "anger", 8.0, 71.4), (5, 2, "happiness", 10.0, 68.3), (5, 2, "happiness", 11.5, 67.5),
    (6, 1, "happiness", 0.0, 70.2), (6, 1, "happiness", 1.5, 68.4), (6, 1, "neutral", 10.0, 72.3),
    (6, 1, "neutral", 11.5, 80.4), (6, 1, "neutral", 13.0, 72.7), (6, 2, "anger", 0.0, 75.5),
    (6, 2, "anger", 1.5, 78.9), (6, 2, "happiness", 5.0, 71.5), (6, 2, "happiness", 6.5, 78.3),
    (6, 2, "happiness", 8.0, 80.0), (6, 2, "neutral", 10.0, 72.9), (7, 1, "neutral", 5.0, 75.9),
    (7, 1, "neutral", 6.5, 67.5), (7, 1, "neutral", 8.0, 71.4), (7, 1, "happiness", 10.0, 66.2),
    (7, 1, "happiness", 11.5, 75.5), (7, 1, "happiness", 13.0, 71.4), (7, 2, "anger", 0.0, 72.6),
    (7, 2, "neutral", 5.0, 70.4), (7, 2, "neutral", 6.5, 69.6), (7, 2, "happiness", 10.0, 75.9),
    (7, 2, "happiness", 11.5, 66.0), (8, 1, "happiness", 0.0, 76.3), (8, 1, "neutral", 5.0, 69.9),
    (8, 1, "anger", 10.0, 77.2), (9, 1, "happiness", 0.0, 69.8), (9, 1, "happiness", 1.5, 73.9),
    (9, 1, "anger", 5.0, 74.3), (9, 1, "anger", 6.5, 66.9), (9, 1, "anger", 8.0, 76.3),
    (9, 1, "neutral", 10.0, 69.9), (9, 1, "neutral", 11.5, 62.8), (9, 2, "anger", 0.0, 74.3),
    (9, 2, "anger", 1.5, 82.5), (9, 2, "neutral", 5.0, 67.0), (9, 2, "neutral", 6.5, 72.2),
)  # fmt: skip

SLEEP = (
    (0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0),
    (1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4),
)
"""More hours of sleep under two drugs; ten people in the same order."""

MACHINES = {
    "A": ((52.0, 52.8, 53.1), (51.8, 52.8, 53.1), (60.0, 60.2, 58.4),
          (51.1, 52.3, 50.3), (50.9, 51.8, 51.4), (46.4, 44.8, 49.2)),
    "B": ((62.1, 62.6, 64.0), (59.7, 60.0, 59.0), (68.6, 65.8, 69.7),
          (63.2, 62.8, 62.2), (64.8, 65.0, 65.4), (43.7, 44.2, 43.0)),
    "C": ((67.5, 67.2, 66.9), (61.5, 61.7, 62.3), (70.8, 70.6, 71.0),
          (64.1, 66.2, 64.0), (72.1, 72.0, 71.1), (62.0, 61.4, 60.5)),
}  # fmt: skip
"""Scores of six workers, three times on each machine."""

ERGO_STOOL = {
    "T1": (12, 10, 7, 7, 8, 9, 8, 7, 9),
    "T2": (15, 14, 14, 11, 11, 11, 12, 11, 13),
    "T3": (12, 13, 13, 10, 8, 11, 12, 8, 10),
    "T4": (10, 12, 9, 9, 7, 10, 11, 7, 8),
}
"""Effort of nine people to rise from four stools."""

REACTING: tuple[Reading, ...] = (
    (1, 1, "neutral", 1.0, 78.5), (1, 1, "anger", 6.0, 72.6), (1, 1, "happiness", 11.0, 75.7),
    (2, 1, "happiness", 1.0, 71.5), (2, 1, "neutral", 6.0, 66.4), (2, 1, "anger", 11.0, 71.4),
    (2, 2, "happiness", 1.0, 63.7), (3, 1, "happiness", 1.0, 83.7), (3, 1, "anger", 6.0, 80.6),
    (3, 1, "neutral", 11.0, 77.7), (3, 2, "anger", 1.0, 80.9), (3, 2, "happiness", 6.0, 79.2),
    (3, 3, "anger", 1.0, 86.9), (3, 3, "neutral", 6.0, 79.5), (3, 3, "happiness", 11.0, 87.4),
    (4, 1, "happiness", 11.0, 65.7), (5, 1, "anger", 1.0, 70.5), (5, 1, "happiness", 6.0, 66.9),
    (5, 1, "neutral", 11.0, 58.6), (5, 2, "happiness", 1.0, 64.9), (5, 2, "anger", 6.0, 63.2),
    (5, 2, "neutral", 11.0, 50.1), (6, 1, "anger", 1.0, 69.2), (6, 1, "happiness", 6.0, 73.4),
    (6, 2, "anger", 1.0, 59.2), (6, 2, "happiness", 6.0, 65.5), (6, 2, "neutral", 11.0, 59.7),
    (6, 3, "happiness", 1.0, 82.6), (6, 3, "anger", 6.0, 75.4), (6, 3, "neutral", 11.0, 71.8),
    (7, 1, "neutral", 1.0, 64.1), (7, 1, "happiness", 6.0, 62.6), (7, 1, "anger", 11.0, 62.6),
    (8, 1, "happiness", 1.0, 61.7), (8, 1, "anger", 6.0, 60.5), (8, 2, "happiness", 1.0, 63.9),
    (8, 2, "neutral", 6.0, 61.2), (8, 2, "anger", 11.0, 59.0), (9, 1, "happiness", 6.0, 83.7),
    (9, 1, "neutral", 11.0, 72.7), (9, 2, "neutral", 1.0, 72.8), (9, 2, "happiness", 6.0, 79.7),
    (9, 2, "anger", 11.0, 71.6), (9, 3, "neutral", 1.0, 76.8), (9, 3, "happiness", 6.0, 83.8),
    (9, 3, "anger", 11.0, 78.4), (10, 1, "neutral", 6.0, 62.0), (10, 1, "anger", 11.0, 65.3),
    (11, 1, "happiness", 1.0, 76.8), (11, 1, "neutral", 6.0, 67.0), (11, 1, "anger", 11.0, 73.9),
    (11, 2, "neutral", 1.0, 80.7), (11, 2, "happiness", 6.0, 84.6), (11, 2, "anger", 11.0, 83.6),
    (12, 1, "neutral", 1.0, 60.3), (12, 1, "happiness", 6.0, 59.0), (12, 1, "anger", 11.0, 52.5),
    (12, 2, "happiness", 1.0, 60.4), (12, 2, "neutral", 6.0, 64.0), (12, 2, "anger", 11.0, 52.1),
    (12, 3, "anger", 1.0, 61.9), (12, 3, "neutral", 11.0, 66.7),
)  # fmt: skip
"""Twelve people, one to three sessions, one value a state, some missing; each person has a level
(sd 7) and a reaction of their own to each state (sd 3) that comes back in every session (sd 4);
residuals 2. `lmer(value ~ state + minute + (1 | participant/session) + (1 | participant:state))`.
"""
