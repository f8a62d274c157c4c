"""A study at three sites, and what R makes of it.

The values were drawn for these tests: a mean heart rate in each state and session, people of equal
codes at several sites, some states missing.

The literals: R 4.2.2, nlme 3.1-162, in this way, with `neutral` and `cabin` as first levels:

    tight <- lmeControl(tolerance = 1e-14, msTol = 1e-14, niterEM = 200, msMaxIter = 1000,
      opt = "optim", optimMethod = "BFGS", reltol = 1e-16)
    fit <- lme(value ~ state + site, d, random = ~ 1 | participant/session, control = tight)
    summary(fit)$tTable; VarCorr(fit); -2 * logLik(fit)

and for the first sessions alone, with the places of `session_mean.csv` (states stand in the order
of the rows, so that who lacks one meets the next one sooner), `value ~ state + factor(place) +
site` with `random = ~ 1 | participant`.
"""

from __future__ import annotations

Row = tuple[str, str, int, str, float]
"""Site, code, session, state, value."""

ROWS: tuple[Row, ...] = (
    ("cabin", "P00", 0, "neutral", 66.8), ("cabin", "P00", 0, "happiness", 67.1),
    ("cabin", "P01", 0, "neutral", 63.5), ("cabin", "P01", 0, "happiness", 64.9),
    ("cabin", "P01", 0, "anger", 70.8), ("cabin", "P01", 1, "neutral", 67.1),
    ("cabin", "P01", 1, "happiness", 64.1), ("cabin", "P01", 1, "anger", 76.0),
    ("cabin", "P02", 0, "happiness", 70.8), ("cabin", "P02", 0, "anger", 75.8),
    ("cabin", "P03", 0, "neutral", 67.7), ("cabin", "P03", 1, "neutral", 76.4),
    ("cabin", "P03", 1, "happiness", 71.2), ("cabin", "P03", 1, "anger", 77.3),
    ("hall", "P00", 0, "neutral", 66.3), ("hall", "P00", 0, "happiness", 69.9),
    ("hall", "P00", 0, "anger", 74.6), ("hall", "P01", 0, "neutral", 90.0),
    ("hall", "P01", 0, "happiness", 89.0), ("hall", "P01", 0, "anger", 94.9),
    ("hall", "P01", 1, "neutral", 82.7), ("hall", "P01", 1, "happiness", 87.2),
    ("hall", "P01", 1, "anger", 89.8), ("hall", "P02", 0, "neutral", 55.6),
    ("hall", "P02", 0, "anger", 67.7), ("hall", "P03", 0, "neutral", 52.9),
    ("hall", "P03", 0, "happiness", 58.5), ("hall", "P03", 1, "anger", 64.9),
    ("hall", "P04", 0, "neutral", 75.1), ("hall", "P04", 0, "happiness", 75.3),
    ("hall", "P04", 0, "anger", 85.3), ("room", "P00", 0, "neutral", 65.8),
    ("room", "P00", 0, "happiness", 75.3), ("room", "P00", 0, "anger", 69.6),
    ("room", "P01", 0, "neutral", 73.3), ("room", "P01", 0, "happiness", 79.6),
    ("room", "P01", 1, "neutral", 75.7), ("room", "P01", 1, "happiness", 75.0),
    ("room", "P01", 1, "anger", 77.9), ("room", "P02", 0, "neutral", 73.7),
    ("room", "P02", 0, "happiness", 68.5), ("room", "P02", 0, "anger", 78.4),
    ("room", "P03", 0, "happiness", 76.4), ("room", "P03", 0, "anger", 81.7),
    ("room", "P03", 1, "happiness", 80.5), ("room", "P04", 0, "neutral", 76.4),
    ("room", "P04", 0, "happiness", 79.7), ("room", "P04", 0, "anger", 88.7),
    ("room", "P05", 0, "neutral", 78.6), ("room", "P05", 0, "anger", 87.0),
    ("room", "P05", 1, "neutral", 90.3), ("room", "P05", 1, "anger", 90.0),
)  # fmt: skip

EFFECTS = {
    "intercept": (67.64749643622, 4.18263467920),
    "happiness": (1.58925569785, 1.06327018752),
    "anger": (6.89024810377, 1.04810107976),
    "site hall": (1.24978421921, 5.55812921794),
    "site room": (7.55457210022, 5.33842681633),
}
"""Of all sessions: estimate and standard error."""
VARIANCES = (61.5650601917, 5.21753874145, 8.79928783876)
"""Of all sessions: people, sessions, residual."""
CRITERION = 292.63590129

FIRST_EFFECTS = {
    "happiness": (4.574948990126, 3.696040369738),
    "anger": (11.885641116261, 5.844308565453),
    "hall": (2.711187907096, 5.837763426396),
    "room": (7.738277702504, 5.599249251065),
}
"""Of first sessions."""
FIRST_VARIANCES = (70.975967046114, 8.158715837437)
"""Of first sessions: people, residual."""


def first_sessions() -> dict[str, dict[str, dict[str, float]]]:
    """Return the values of first sessions: site → code → state."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for site, code, session, state, value in ROWS:
        if session == 0:
            found.setdefault(site, {}).setdefault(code, {})[state] = value
    return found
