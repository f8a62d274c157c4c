"""Alerts: what a person should look at now, kept in a log and told to whom it concerns.

``rules`` says what a rule is, ``signals`` how things stand, ``engine`` when an alert begins and
ends, ``watch`` writes that down, ``sender`` sends it. The agent evaluates every rule but one; that
the agent itself does not answer is noticed by the dashboard.

None of this is a medical alarm.
"""
