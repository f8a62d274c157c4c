"""The tables in PostgreSQL: their migrations, their partitions, and what is written to them."""
