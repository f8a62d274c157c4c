"""Studies that lie in the PostgreSQL of a fleet, read with what reads them on the appliance."""
