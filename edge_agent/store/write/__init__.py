"""Writing the timeline: the recorder, its rows, the outbox, imports, and what was erased."""
