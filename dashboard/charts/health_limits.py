"""From which figure on the appliance is doubtful or bad, for the colours of the page Health.

Heat and disk are those of the agent's alarms (``AlarmLimits``).
"""

HOT_CELSIUS = 78.0
WARM_CELSIUS = 70.0
FULL_BYTES = 500_000_000
LITTLE_BYTES = 1_000_000_000
"""The same as on Live, before a session."""
SLOW_SHARE = 0.75
"""Of the day's usual frame rate; a camera with less does not give what it gave."""
STUCK_SHARE = 0.25
LOST_SHARE = 0.1
"""Of the frames of a minute, skipped because the one before was still being read."""
MANY_LOST_SHARE = 0.5
