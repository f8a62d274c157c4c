"""Everything that makes the appliance in one archive, and the way back."""
