"""Exports of health apps and watches: ``exports`` finds the maker, whose module reads the file."""
