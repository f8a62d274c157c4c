"""What looks at a study as a whole: a model of all sessions, evidence, and who was lost where."""
