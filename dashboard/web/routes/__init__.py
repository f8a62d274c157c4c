"""One thin file for each page and the part of ``/api/v1`` that mirrors it."""
