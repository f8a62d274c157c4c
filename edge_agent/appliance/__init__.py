"""What looks after an installed appliance: doctor, certificate, releases, updates and the speed
test.
"""
