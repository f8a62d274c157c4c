"""From one's own photographs to a model beside the shipped one: ``python -m training train``."""
