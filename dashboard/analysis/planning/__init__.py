"""Questions before there are data: how many people a study needs, and what it will ask."""
