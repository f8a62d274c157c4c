"""An analysis as sentences, tables, charts, and as the model that programs get."""
