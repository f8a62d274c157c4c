"""Helper processes of a program: one starts when it is needed, and ends when it is not."""
