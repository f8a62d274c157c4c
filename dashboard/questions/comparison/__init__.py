"""The comparison of readings between states: the tests of the page Analysis."""
