"""Charts: what they show, and their drawings as SVG, below every page that shows one."""
