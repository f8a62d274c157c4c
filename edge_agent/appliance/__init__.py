"""Looks after an installed appliance: doctor, certificate, releases, updates and benchmark.

Example:
    Print what is wrong on this machine, as ``affect-edge doctor`` does::

        for finding in diagnose(load_settings(), Path("data")):
            print(finding.check, finding.found, finding.cure)
"""
