"""The log of alerts: which stood when, who acknowledged them, whom they were sent to."""
