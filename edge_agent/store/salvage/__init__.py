"""A damaged or lost database: it is set aside, and what is readable goes into a new one.

The damaged file is read page by page without SQLite, which refuses a table at its first bad page:
``log`` and ``pages`` give the newest state of each page, ``trees`` the pages and cells of a table,
``source`` the tables, ``copying`` writes their rows, and ``rescue`` does all of it in order.
"""
