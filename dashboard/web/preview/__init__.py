"""The camera's picture in an administrator's browser: passed on from the agent, kept nowhere."""
