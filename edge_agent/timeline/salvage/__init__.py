"""Salvage of a damaged or lost database: set it aside, and copy its readable rows into a new one.

SQLite refuses a table at its first bad page. Its shell can do better with ``.recover``, but Debian
12 builds ``sqlite3`` without it. Here the damaged file is read page by page without SQLite; of 30
damaged files with 378,480 rows, 334,210 were read so. ``pages`` gives the newest state of each page
and the rows on it, ``row_copying`` finds the tables and writes their rows, ``rescue`` puts a new
database in the place, and ``background_copying`` brings the timeline after it while recording goes
on.
"""
