"""Alerts: what a person should look at now, kept in a log and told to whom it concerns.

``rules`` says what a rule is and when its alert begins and ends, ``signals`` how things stand,
``watch`` writes that down, ``sending`` sends it, by ``claims`` at most once; ``figures`` are those
of agent and machine. The agent evaluates every rule but one; that the agent itself does not answer
is noticed by the dashboard.

None of this is a medical alarm.
"""
