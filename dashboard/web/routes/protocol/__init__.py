"""The operator's and the participant's page of a protocol."""
